// Packet generator: random packets of clients and servers, well-formed, as mqtt-packet's objects; every kind, every property, in the order
// in which our writers put them. Knows nothing of our own codec.
import type { IConnectPacket, Packet, UserProperties } from 'mqtt-packet'
import type { Prng } from '../../src/base/prng.ts'

type Version = 3 | 4 | 5
type Properties = Record<string, unknown>

const NAMES = ['a', 'sensors/1/temp', 'ü/x', 'home/😀', '/', 'a//b', 'x'.repeat(130), '$SYS/x', ' ', 'été/日本']
/** Around the lengths at which a length takes another byte. */
const LENGTHS = [0, 1, 2, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_380, 16_383, 16_384]

const PUBLISH_REASONS = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const RELEASE_REASONS = [0, 0x92]
const LEAVE_REASONS = [0, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
const CONNACK_REASONS = [
  0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
  0x9d, 0x9f,
]
const SUBACK_REASONS = [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]
const UNSUBACK_REASONS = [0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]
const END_REASONS = [
  0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
  0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]

export function randomBytes(prng: Prng, max: number): Buffer {
  const out = Buffer.alloc(prng.int(0, max))
  for (let i = 0; i < out.length; i++) out[i] = prng.int(0, 255)
  return out
}

function randomText(prng: Prng): string {
  return prng.chance(0.9) ? prng.pick(NAMES) : 'y'.repeat(prng.pick(LENGTHS))
}

const u16 = (prng: Prng) => prng.pick([0, 1, 255, 256, 65_535, prng.int(0, 65_535)])
const u32 = (prng: Prng) => prng.pick([0, 1, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, prng.int(0, 0xffff_ffff)])
const varint = (prng: Prng) =>
  prng.pick([1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, prng.int(1, 268_435_455)])

/** Adds a property with a chance. */
function maybe(prng: Prng, out: Properties, name: string, value: () => unknown): void {
  if (prng.chance(0.3)) out[name] = value()
}

/** mqtt-packet keeps user properties by name: only lists in which each name stands together can be said. */
function userProperties(prng: Prng): UserProperties {
  const out: UserProperties = { k: prng.chance(0.5) ? ['v', 'w', 'v'] : 'v' }
  if (prng.chance(0.5)) out[randomText(prng)] = randomText(prng)
  return out
}

function problem(prng: Prng, out: Properties): void {
  maybe(prng, out, 'reasonString', () => randomText(prng))
  maybe(prng, out, 'userProperties', () => userProperties(prng))
}

/** Sets the properties of a 5.0 packet, mostly: an empty list is another way to say none. */
function withProperties<P extends Packet>(prng: Prng, version: Version, packet: P, fill: (out: Properties) => void): P {
  if (version !== 5 || prng.chance(0.3)) return packet
  const out: Properties = {}
  fill(out)
  if (Object.keys(out).length > 0) (packet as { properties?: Properties }).properties = out
  return packet
}

function messageProperties(prng: Prng, out: Properties, ofServer: boolean): void {
  maybe(prng, out, 'messageExpiryInterval', () => u32(prng))
  if (ofServer)
    maybe(prng, out, 'subscriptionIdentifier', () => [varint(prng), ...(prng.chance(0.5) ? [varint(prng)] : [])])
  maybe(prng, out, 'payloadFormatIndicator', () => prng.chance(0.5))
  maybe(prng, out, 'contentType', () => randomText(prng))
  maybe(prng, out, 'responseTopic', () => randomText(prng))
  maybe(prng, out, 'correlationData', () => randomBytes(prng, 300))
  maybe(prng, out, 'userProperties', () => userProperties(prng))
}

export function randomConnect(prng: Prng, version: Version): IConnectPacket {
  const packet: IConnectPacket = {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clientId: prng.pick(['c1', 'été', 'x'.repeat(200)]),
    clean: prng.chance(0.5),
    keepalive: u16(prng),
  }
  if (version !== 3 && packet.clean === true && prng.chance(0.1)) packet.clientId = ''
  if (prng.chance(0.5)) packet.username = randomText(prng)
  if (packet.username !== undefined && prng.chance(0.5)) packet.password = randomBytes(prng, 40)
  if (prng.chance(0.5)) {
    const will = { topic: prng.pick(NAMES), payload: randomBytes(prng, 200), qos: prng.pick([0, 1, 2] as const) }
    packet.will = { ...will, retain: prng.chance(0.5) }
    const properties: Properties = {}
    maybe(prng, properties, 'willDelayInterval', () => u32(prng))
    messageProperties(prng, properties, false)
    if (version === 5 && Object.keys(properties).length > 0) packet.will.properties = properties
  }
  return withProperties(prng, version, packet, (out) => {
    maybe(prng, out, 'sessionExpiryInterval', () => u32(prng))
    maybe(prng, out, 'receiveMaximum', () => Math.max(1, u16(prng)))
    maybe(prng, out, 'maximumPacketSize', () => Math.max(1, u32(prng)))
    maybe(prng, out, 'topicAliasMaximum', () => u16(prng))
    maybe(prng, out, 'requestResponseInformation', () => prng.chance(0.5))
    maybe(prng, out, 'requestProblemInformation', () => prng.chance(0.5))
    authentication(prng, out)
    maybe(prng, out, 'userProperties', () => userProperties(prng))
  })
}

function authentication(prng: Prng, out: Properties): void {
  maybe(prng, out, 'authenticationMethod', () => randomText(prng))
  if (out['authenticationMethod'] !== undefined) maybe(prng, out, 'authenticationData', () => randomBytes(prng, 200))
}

function randomPublish(prng: Prng, version: Version, ofServer: boolean): Packet {
  const qos = prng.pick([0, 1, 2] as const)
  const packet: Packet = {
    cmd: 'publish',
    topic: prng.pick(NAMES),
    payload: prng.chance(0.1)
      ? Buffer.alloc(prng.pick(LENGTHS), 7)
      : randomBytes(prng, prng.chance(0.02) ? 20_000 : 60),
    qos,
    retain: prng.chance(0.3),
    dup: qos > 0 && prng.chance(0.3),
    messageId: prng.int(1, 65_535),
  }
  return withProperties(prng, version, packet, (out) => {
    if (prng.chance(0.3)) out['topicAlias'] = prng.pick([1, 2, 65_535])
    if (out['topicAlias'] !== undefined && prng.chance(0.5)) packet.topic = ''
    messageProperties(prng, out, ofServer)
  })
}

function randomAck(prng: Prng, version: Version): Packet {
  const cmd = prng.pick(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)
  const reasons = cmd === 'puback' || cmd === 'pubrec' ? PUBLISH_REASONS : RELEASE_REASONS
  const reasonCode = version === 5 ? prng.pick(reasons) : 0
  const packet: Packet = { cmd, messageId: prng.int(1, 65_535), reasonCode }
  return withProperties(prng, version, packet, (out) => problem(prng, out))
}

function randomAuth(prng: Prng, reasonCode: number): Packet {
  const properties: Properties = { authenticationMethod: randomText(prng) }
  maybe(prng, properties, 'authenticationData', () => randomBytes(prng, 200))
  problem(prng, properties)
  return { cmd: 'auth', reasonCode, properties }
}

/** Any packet a client may send once it is connected. */
export function randomPacket(prng: Prng, version: Version): Packet {
  const messageId = prng.int(1, 65_535)
  switch (prng.int(0, version === 5 ? 9 : 8)) {
    case 0:
    case 1:
    case 2:
      return randomPublish(prng, version, false)
    case 3:
    case 4:
      return randomAck(prng, version)
    case 5: {
      const subscriptions = NAMES.slice(prng.int(0, 8)).map((topic) => ({
        topic,
        qos: prng.pick([0, 1, 2] as const),
        nl: prng.chance(0.5),
        rap: prng.chance(0.5),
        rh: prng.int(0, 2),
      }))
      return withProperties(prng, version, { cmd: 'subscribe', messageId, subscriptions } as Packet, (out) => {
        maybe(prng, out, 'subscriptionIdentifier', () => varint(prng))
        maybe(prng, out, 'userProperties', () => userProperties(prng))
      })
    }
    case 6: {
      const packet = { cmd: 'unsubscribe', messageId, unsubscriptions: NAMES.slice(prng.int(0, 8)) } as Packet
      return withProperties(prng, version, packet, (out) =>
        maybe(prng, out, 'userProperties', () => userProperties(prng)),
      )
    }
    case 7:
      return { cmd: 'pingreq' }
    case 8: {
      if (version !== 5) return { cmd: 'disconnect' }
      return withProperties(prng, version, { cmd: 'disconnect', reasonCode: prng.pick(LEAVE_REASONS) }, (out) => {
        maybe(prng, out, 'sessionExpiryInterval', () => u32(prng))
        problem(prng, out)
      })
    }
    default:
      return randomAuth(prng, prng.pick([0x18, 0x19]))
  }
}

/** Any packet a server may send. */
export function randomServerPacket(prng: Prng, version: Version): Packet {
  const messageId = prng.int(1, 65_535)
  const v5 = version === 5
  switch (prng.int(0, v5 ? 9 : 7)) {
    case 0:
    case 1:
    case 2:
      return randomPublish(prng, version, true)
    case 3:
      return randomAck(prng, version)
    case 4:
      return randomConnack(prng, version)
    case 5: {
      const granted = Array.from({ length: prng.pick([1, 2, 130]) }, () =>
        prng.pick(v5 ? SUBACK_REASONS : [0, 1, 2, 0x80]),
      )
      return withProperties(prng, version, { cmd: 'suback', messageId, granted }, (out) => problem(prng, out))
    }
    case 6: {
      const granted = Array.from({ length: prng.pick([1, 2, 130]) }, () => prng.pick(UNSUBACK_REASONS))
      return withProperties(prng, version, { cmd: 'unsuback', messageId, granted } as Packet, (out) =>
        problem(prng, out),
      )
    }
    case 7:
      return { cmd: 'pingresp' }
    case 8:
      return withProperties(prng, version, { cmd: 'disconnect', reasonCode: prng.pick(END_REASONS) }, (out) => {
        maybe(prng, out, 'serverReference', () => randomText(prng))
        problem(prng, out)
      })
    default:
      return randomAuth(prng, prng.pick([0, 0x18]))
  }
}

function randomConnack(prng: Prng, version: Version): Packet {
  if (version !== 5) {
    const returnCode = prng.int(0, 5)
    return { cmd: 'connack', sessionPresent: version === 4 && returnCode === 0 && prng.chance(0.5), returnCode }
  }
  const reasonCode = prng.chance(0.5) ? 0 : prng.pick(CONNACK_REASONS)
  const packet: Packet = { cmd: 'connack', sessionPresent: reasonCode === 0 && prng.chance(0.5), reasonCode }
  return withProperties(prng, version, packet, (out) => {
    maybe(prng, out, 'sessionExpiryInterval', () => u32(prng))
    maybe(prng, out, 'receiveMaximum', () => Math.max(1, u16(prng)))
    maybe(prng, out, 'maximumQoS', () => prng.int(0, 1))
    maybe(prng, out, 'retainAvailable', () => prng.chance(0.5))
    maybe(prng, out, 'maximumPacketSize', () => Math.max(1, u32(prng)))
    maybe(prng, out, 'assignedClientIdentifier', () => randomText(prng))
    maybe(prng, out, 'topicAliasMaximum', () => u16(prng))
    maybe(prng, out, 'wildcardSubscriptionAvailable', () => prng.chance(0.5))
    maybe(prng, out, 'subscriptionIdentifiersAvailable', () => prng.chance(0.5))
    maybe(prng, out, 'sharedSubscriptionAvailable', () => prng.chance(0.5))
    maybe(prng, out, 'serverKeepAlive', () => u16(prng))
    maybe(prng, out, 'responseInformation', () => randomText(prng))
    maybe(prng, out, 'serverReference', () => randomText(prng))
    authentication(prng, out)
    problem(prng, out)
  })
}
