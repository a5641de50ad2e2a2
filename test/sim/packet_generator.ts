// Packet generator: random client packets, well-formed, as mqtt-packet's objects. Knows nothing of our own codec.
import type { IConnectPacket, Packet } from 'mqtt-packet'
import type { Prng } from '../../src/base/prng.ts'

const NAMES = ['a', 'sensors/1/temp', 'ü/x', 'home/😀', '/', 'a//b', 'x'.repeat(130), '$SYS/x', ' ', 'été/日本']

export function randomBytes(prng: Prng, max: number): Buffer {
  const out = Buffer.alloc(prng.int(0, max))
  for (let i = 0; i < out.length; i++) out[i] = prng.int(0, 255)
  return out
}

export function randomConnect(prng: Prng, version: 3 | 4 | 5): IConnectPacket {
  const packet: IConnectPacket = {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clientId: prng.pick(['c1', 'été', 'x'.repeat(200)]),
    clean: prng.chance(0.5),
    keepalive: prng.int(0, 65_535),
  }
  if (prng.chance(0.5)) packet.username = prng.pick(NAMES)
  if (packet.username !== undefined && prng.chance(0.5)) packet.password = randomBytes(prng, 40)
  if (prng.chance(0.5)) {
    packet.will = {
      topic: prng.pick(NAMES),
      payload: randomBytes(prng, 200),
      qos: prng.pick([0, 1, 2]),
      retain: prng.chance(0.5),
    }
    if (version === 5)
      packet.will.properties = { willDelayInterval: prng.int(0, 0xffff_ffff), ...messageProperties(prng) }
  }
  if (version === 5 && prng.chance(0.7)) {
    packet.properties = {
      sessionExpiryInterval: prng.int(0, 0xffff_ffff),
      receiveMaximum: prng.int(1, 65_535),
      maximumPacketSize: prng.int(1, 0xffff_ffff),
      topicAliasMaximum: prng.int(0, 65_535),
      requestResponseInformation: prng.chance(0.5),
      requestProblemInformation: prng.chance(0.5),
    }
  }
  return packet
}

function messageProperties(prng: Prng): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  if (prng.chance(0.3)) out['payloadFormatIndicator'] = prng.chance(0.5)
  if (prng.chance(0.3)) out['messageExpiryInterval'] = prng.int(0, 0xffff_ffff)
  if (prng.chance(0.3)) out['contentType'] = prng.pick(NAMES)
  if (prng.chance(0.3)) out['responseTopic'] = prng.pick(NAMES)
  if (prng.chance(0.3)) out['correlationData'] = randomBytes(prng, 300)
  if (prng.chance(0.3)) out['userProperties'] = { k: ['v', 'w'], [prng.pick(NAMES)]: prng.pick(NAMES) }
  return out
}

/** Any packet a client may send once it is connected. */
export function randomPacket(prng: Prng, version: 3 | 4 | 5): Packet {
  const messageId = prng.int(1, 65_535)
  const v5 = version === 5
  switch (prng.int(0, 8)) {
    case 0:
    case 1:
    case 2: {
      const qos = prng.pick([0, 1, 2] as const)
      const packet: Packet = {
        cmd: 'publish',
        topic: prng.pick(NAMES),
        payload: randomBytes(prng, prng.chance(0.05) ? 20_000 : 60),
        qos,
        retain: prng.chance(0.3),
        dup: qos > 0 && prng.chance(0.3),
        messageId,
      }
      if (v5 && prng.chance(0.6)) {
        packet.properties = messageProperties(prng)
        if (prng.chance(0.3)) packet.properties.topicAlias = prng.int(1, 65_535)
      }
      return packet
    }
    case 3:
      return {
        cmd: prng.pick(['puback', 'pubrec'] as const),
        messageId,
        reasonCode: v5 ? prng.pick([0, 0x10, 0x97]) : 0,
      }
    case 4:
      return { cmd: prng.pick(['pubrel', 'pubcomp'] as const), messageId, reasonCode: v5 ? prng.pick([0, 0x92]) : 0 }
    case 5: {
      const subscriptions = NAMES.slice(prng.int(0, 8)).map((topic) => ({
        topic,
        qos: prng.pick([0, 1, 2] as const),
        nl: prng.chance(0.5),
        rap: prng.chance(0.5),
        rh: prng.int(0, 2),
      }))
      const packet: Packet = { cmd: 'subscribe', messageId, subscriptions }
      if (v5 && prng.chance(0.5)) packet.properties = { subscriptionIdentifier: prng.int(1, 268_435_455) }
      return packet
    }
    case 6:
      return { cmd: 'unsubscribe', messageId, unsubscriptions: NAMES.slice(prng.int(0, 8)) }
    case 7:
      return { cmd: 'pingreq' }
    default: {
      if (!v5) return { cmd: 'disconnect' }
      return { cmd: 'disconnect', reasonCode: prng.pick([0, 4]), properties: { sessionExpiryInterval: prng.int(0, 9) } }
    }
  }
}
