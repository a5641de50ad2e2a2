// Goal: what we read and write is what mqtt-packet, an independent codec, writes and reads.
// Method: random packets through both, in both directions; then the fields one by one.
import { generate, type IConnectPacket, type IPublishPacket, type Packet, parser, writeToStream } from 'mqtt-packet'
import { ByteWriter, copyBytes, utf8 } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import { writeAck, writeConnack, writePublish, writeSuback, writeUnsuback } from '../../../src/wire/encoder.ts'
import { decodeMessageProps, encodeMessageProps } from '../../../src/wire/message_props.ts'
import type { Connect, Subscribe } from '../../../src/wire/packet.ts'
import { randomBytes, randomConnect, randomPacket } from '../../sim/packet_generator.ts'
import { assert, suite } from '../../support/suite.ts'
import { concat, decodeStream, type Seen } from './recorder.ts'

writeToStream.cacheNumbers = false

const test = suite('wire against mqtt-packet')

/** Pass-through properties in mqtt-packet's form, which keeps no order among user properties. */
function theirProps(props: Uint8Array | null): object {
  const found = decodeMessageProps(props)
  const grouped: Record<string, string | string[]> = {}
  for (const [name, value] of found.userProperties ?? []) {
    const before = grouped[name]
    grouped[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return {
    ...(found.payloadFormat === undefined ? {} : { payloadFormatIndicator: found.payloadFormat === 1 }),
    ...(found.contentType === undefined ? {} : { contentType: found.contentType }),
    ...(found.responseTopic === undefined ? {} : { responseTopic: found.responseTopic }),
    ...(found.correlationData === undefined ? {} : { correlationData: Buffer.from(found.correlationData) }),
    ...(found.userProperties === undefined ? {} : { userProperties: grouped }),
  }
}

/** mqtt-packet writes a null-prototype object; compare plain ones. */
function plain(value: object | undefined): object {
  return JSON.parse(JSON.stringify(value ?? {}))
}

function compareConnect(theirs: IConnectPacket, ours: Connect): void {
  assert.is(ours.cmd, 'connect')
  assert.is(ours.version, theirs.protocolVersion)
  assert.is(ours.clientId, theirs.clientId)
  assert.is(ours.cleanStart, theirs.clean)
  assert.is(ours.keepAlive, theirs.keepalive)
  assert.is(ours.username, theirs.username ?? null)
  assert.equal(ours.password && Buffer.from(ours.password), theirs.password ?? null)
  assert.is(ours.will === null, theirs.will === undefined)
  if (ours.will !== null && theirs.will !== undefined) {
    const { willDelayInterval, messageExpiryInterval, ...passed } = (theirs.will.properties ?? {}) as Record<
      string,
      unknown
    >
    assert.is(ours.will.topic, theirs.will.topic)
    assert.equal(Buffer.from(ours.will.payload), theirs.will.payload)
    assert.is(ours.will.qos, theirs.will.qos)
    assert.is(ours.will.retain, theirs.will.retain)
    assert.is(ours.will.delay, willDelayInterval ?? 0)
    assert.is(ours.will.expiry, messageExpiryInterval ?? -1)
    assert.equal(plain(theirProps(ours.will.props)), plain(passed))
  }
  const p = theirs.properties
  if (p === undefined) return
  assert.is(ours.sessionExpiry, p.sessionExpiryInterval)
  assert.is(ours.receiveMaximum, p.receiveMaximum)
  assert.is(ours.maximumPacketSize, p.maximumPacketSize)
  assert.is(ours.topicAliasMaximum, p.topicAliasMaximum)
  assert.is(ours.requestResponseInformation, p.requestResponseInformation)
  assert.is(ours.requestProblemInformation, p.requestProblemInformation)
}

function comparePublish(theirs: IPublishPacket, ours: Seen & { cmd: 'publish' }): void {
  assert.is(ours.topic, theirs.topic)
  assert.equal(Buffer.from(ours.payload), theirs.payload)
  assert.is(ours.qos, theirs.qos)
  assert.is(ours.retain, theirs.retain)
  assert.is(ours.dup, theirs.dup)
  if (theirs.qos > 0) assert.is(ours.packetId, theirs.messageId)
  const { messageExpiryInterval, topicAlias, ...passed } = theirs.properties ?? {}
  assert.is(ours.expiry, messageExpiryInterval ?? -1)
  assert.is(ours.topicAlias, topicAlias ?? 0)
  assert.equal(plain(theirProps(ours.props)), plain(passed))
}

function compare(theirs: Packet, ours: Seen, version: number): void {
  switch (theirs.cmd) {
    case 'connect':
      compareConnect(theirs, ours as Connect)
      break
    case 'publish':
      comparePublish(theirs, ours as Seen & { cmd: 'publish' })
      break
    case 'subscribe': {
      const { subscriptions, packetId, subscriptionId } = ours as Subscribe
      assert.is(packetId, theirs.messageId)
      assert.is(subscriptionId, theirs.properties?.subscriptionIdentifier ?? 0)
      const expected = theirs.subscriptions.map(({ topic, qos, nl, rap, rh }) => {
        if (version !== 5) return { filter: topic, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }
        return { filter: topic, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh }
      })
      assert.equal(subscriptions, expected)
      break
    }
    case 'unsubscribe':
      assert.equal(ours, { cmd: 'unsubscribe', packetId: theirs.messageId, filters: theirs.unsubscriptions })
      break
    case 'pingreq':
      assert.equal(ours, { cmd: 'pingreq' })
      break
    case 'disconnect': {
      const sessionExpiry = theirs.properties?.sessionExpiryInterval ?? -1
      assert.equal(ours, { cmd: 'disconnect', reason: theirs.reasonCode ?? 0, sessionExpiry })
      break
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const type = { puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 }[theirs.cmd]
      assert.equal(ours, { cmd: 'ack', type, packetId: theirs.messageId, reason: theirs.reasonCode ?? 0 })
      break
    }
    default:
      assert.unreachable()
  }
}

test('we read what it writes', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const prng = new Prng(seed)
    const version = prng.pick([3, 4, 5] as const)
    const packets: Packet[] = [randomConnect(prng, version)]
    for (let i = 0; i < 10; i++) packets.push(randomPacket(prng, version))
    const stream = concat(...packets.map((packet) => generate(packet, { protocolVersion: version })))
    const seen = decodeStream(stream, prng.int(1, 2000))
    assert.is(seen.length, packets.length, `seed ${seed}: ${JSON.stringify(seen.at(-1))}`)
    packets.forEach((packet, i) => {
      compare(packet, seen[i] as Seen, version)
    })
  }
})

test('it reads what we write', () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const prng = new Prng(seed)
    const version = prng.pick([4, 5] as const)
    const w = new ByteWriter(0)
    const packetId = prng.int(1, 65_535)
    const codes = [0, 1, 2, 0x87].slice(prng.int(0, 3))
    const qos = prng.int(0, 2)
    const payload = copyBytes(randomBytes(prng, 300))
    const props = prng.chance(0.5) ? null : encodeMessageProps({ contentType: 'x', userProperties: [['k', 'v']] })
    const expiry = prng.chance(0.5) ? -1 : prng.int(0, 0xffff_ffff)
    const alias = prng.chance(0.5) ? 0 : prng.int(1, 65_535)
    const ids = prng.chance(0.5) ? null : [prng.int(1, 268_435_455), prng.int(1, 200)]
    const topic = prng.pick(['a/b', 'ü', 'x'.repeat(100)])
    const retain = prng.chance(0.5)
    const sessionPresent = prng.chance(0.5)
    writeConnack(w, version, {
      sessionPresent,
      reason: 0,
      receiveMaximum: packetId,
      maximumQos: 1,
      sharedAvailable: true,
    })
    writePublish(
      w,
      version,
      utf8(topic),
      payload,
      0,
      payload.length,
      qos,
      retain,
      false,
      packetId,
      props,
      expiry,
      ids,
      alias,
    )
    writeAck(w, 5, packetId, version === 5 ? 0x97 : 0, version)
    writeSuback(w, version, packetId, version === 5 ? codes : codes.map((c) => Math.min(c, 0x80)))
    writeUnsuback(w, version, packetId, [0, 0x11])
    const got: Packet[] = []
    const theirs = parser({ protocolVersion: version })
    theirs.on('packet', (packet) => got.push(packet))
    theirs.on('error', (error: Error) => assert.unreachable(error.message))
    assert.is(theirs.parse(Buffer.from(w.take())), 0)
    const [connack, publish, pubrec, suback, unsuback] = got as unknown as Record<string, unknown>[]
    const v5 = version === 5
    assert.is(connack?.['sessionPresent'], sessionPresent)
    if (v5) {
      const expected = { receiveMaximum: packetId, maximumQoS: 1, sharedSubscriptionAvailable: true }
      assert.equal(connack?.['properties'], expected)
    }
    assert.is(publish?.['topic'], topic)
    assert.is(publish?.['qos'], qos)
    assert.is(publish?.['retain'], retain)
    if (qos > 0) assert.is(publish?.['messageId'], packetId)
    assert.ok(Buffer.from(payload).equals(publish?.['payload'] as Buffer))
    const expected = v5
      ? {
          ...(alias === 0 ? {} : { topicAlias: alias }),
          ...(expiry < 0 ? {} : { messageExpiryInterval: expiry }),
          ...(ids === null ? {} : { subscriptionIdentifier: ids }),
          ...theirProps(props),
        }
      : {}
    assert.equal(plain(publish?.['properties'] as object | undefined), plain(expected))
    assert.is(pubrec?.['messageId'], packetId)
    if (v5) assert.is(pubrec?.['reasonCode'], 0x97)
    assert.equal(suback?.['granted'], v5 ? codes : codes.map((c) => Math.min(c, 0x80)))
    if (v5) assert.equal(unsuback?.['granted'], [0, 0x11])
  }
})

test.run()
