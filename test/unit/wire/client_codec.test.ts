import { bytes, connect } from '../../../fixtures/packet/cases.ts'
import { ByteWriter, NO_BYTES, utf8 } from '../../../src/base/bytes.ts'
import { ClientDecoder, type ServerPacket } from '../../../src/wire/client_decoder.ts'
import {
  type ConnectFields,
  writeClientDisconnect,
  writeConnect,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../../../src/wire/client_encoder.ts'
import { writePublish } from '../../../src/wire/encoder.ts'
import { decodeMessageProps, encodeMessageProps } from '../../../src/wire/message_props.ts'
import type { Version } from '../../../src/wire/packet.ts'
import { assert, suite } from '../../support/suite.ts'
import { decodeStream, type Seen } from './recorder.ts'

const VERSIONS = [3, 4, 5] as const

/** What the broker makes of what a client writes after its CONNECT. */
function heard(version: Version, write: (w: ByteWriter) => void): Seen[] {
  const w = new ByteWriter(0)
  writeConnect(w, { version, clientId: 'zen', cleanStart: true, keepAlive: 60 })
  write(w)
  return decodeStream(w.take()).slice(1)
}

const test = suite('wire client codec')

test('CONNECT of each version reaches the broker as it was meant', () => {
  for (const version of VERSIONS) {
    const w = new ByteWriter(0)
    const fields: ConnectFields = {
      version,
      clientId: 'zen',
      cleanStart: true,
      keepAlive: 60,
      username: 'me',
      password: bytes(0, 1),
      will: { topic: 'lwt', payload: utf8('bye'), qos: 1, retain: true, delay: 3, expiry: 9, contentType: 'x' },
      sessionExpiry: 7,
      requestProblemInformation: false,
    }
    writeConnect(w, fields)
    const v5 = version === 5
    const will = { topic: 'lwt', payload: utf8('bye'), qos: 1, retain: true }
    assert.equal(decodeStream(w.take())[0], {
      ...connect,
      version,
      username: 'me',
      password: bytes(0, 1),
      will: v5
        ? { ...will, delay: 3, expiry: 9, props: bytes(3, 0, 1, 'x') }
        : { ...will, delay: 0, expiry: -1, props: null },
      sessionExpiry: v5 ? 7 : 0,
      requestProblemInformation: !v5,
    })
  }
})

test('SUBSCRIBE, UNSUBSCRIBE, PINGREQ and DISCONNECT likewise', () => {
  for (const version of VERSIONS) {
    const v5 = version === 5
    const seen = heard(version, (w) => {
      const options = { noLocal: true, retainAsPublished: true, retainHandling: 2 } as const
      writeSubscribe(w, version, 10, [{ filter: 'x'.repeat(200), qos: 2, ...options }], 268_435_455)
      writeUnsubscribe(w, version, 11, ['a', 'b'])
      writePingreq(w)
      writeClientDisconnect(w, version, { reason: 4 })
    })
    const options = { noLocal: v5, retainAsPublished: v5, retainHandling: v5 ? 2 : 0 }
    assert.equal(seen, [
      {
        cmd: 'subscribe',
        packetId: 10,
        subscriptions: [{ filter: 'x'.repeat(200), qos: 2, ...options }],
        subscriptionId: v5 ? 268_435_455 : 0,
      },
      { cmd: 'unsubscribe', packetId: 11, filters: ['a', 'b'] },
      { cmd: 'pingreq' },
      { cmd: 'disconnect', reason: v5 ? 4 : 0, sessionExpiry: -1 },
    ])
  }
})

test('message properties come back as they were', () => {
  const props = {
    payloadFormat: 1 as const,
    contentType: 'text/plain',
    responseTopic: 'r/ü',
    correlationData: bytes(0, 255),
    userProperties: [
      ['k', 'v'],
      ['a', ''],
      ['k', 'w'],
    ] as const,
  }
  assert.equal(decodeMessageProps(encodeMessageProps(props)), props)
  assert.is(encodeMessageProps({}), null)
  assert.equal(decodeMessageProps(null), {})
})

test('a delivery carries what the broker added', () => {
  const w = new ByteWriter(0)
  const props = encodeMessageProps({ contentType: 'x' })
  writePublish(w, 5, utf8('a/b'), utf8('hi'), 0, 2, 1, true, true, 9, props, 30, [1, 300], 4)
  const packets: ServerPacket[] = []
  const sink = { onPacket: (packet: ServerPacket) => packets.push(packet), onFault: () => assert.unreachable() }
  const decoder = new ClientDecoder(5, sink)
  decoder.topicAliasMaximum = 4
  for (const byte of w.take()) decoder.feed(bytes(byte))
  assert.equal(packets, [
    {
      cmd: 'publish',
      topic: 'a/b',
      payload: utf8('hi'),
      qos: 1,
      retain: true,
      dup: true,
      packetId: 9,
      props,
      subscriptionIds: [1, 300],
      expiry: 30,
      topicAlias: 4,
      aliased: false,
      contentType: 'x',
    },
  ])
})

test('an alias stands for the topic it came with last', () => {
  const w = new ByteWriter(0)
  const send = (topic: string, alias: number) =>
    writePublish(w, 5, utf8(topic), NO_BYTES, 0, 0, 0, false, false, 0, null, -1, null, alias)
  send('a', 1)
  send('', 1)
  send('b', 1)
  send('c', 2)
  send('', 1)
  const topics: string[] = []
  const faults: number[] = []
  const sink = {
    onPacket: (packet: ServerPacket) => packet.cmd === 'publish' && topics.push(packet.topic),
    onFault: (reason: number) => faults.push(reason),
  }
  const heard = (bytes: Uint8Array) => {
    const decoder = new ClientDecoder(5, sink)
    decoder.topicAliasMaximum = 2
    decoder.feed(bytes)
  }
  heard(w.take())
  assert.equal(topics, ['a', 'a', 'b', 'c', 'b'])
  w.clear()
  send('', 1)
  heard(w.take())
  w.clear()
  send('a', 3)
  heard(w.take())
  assert.equal(faults, [0x82, 0x94], 'an alias of another connection, and one above what was asked for')
})

test("a server's wrong packets are refused", () => {
  const wrong: [Version, Uint8Array][] = [
    [4, bytes(0x20, 1, 0)],
    [4, bytes(0x20, 3, 0, 0, 0)],
    [4, bytes(0x20, 2, 2, 0)],
    [5, bytes(0x20, 2, 0, 0)],
    [5, bytes(0x20, 6, 0, 0, 3, 0x23, 0, 1)],
    [4, bytes(0x90, 2, 0, 1)],
    [4, bytes(0x90, 3, 0, 0, 0)],
    [4, bytes(0xe0, 0)],
    [4, bytes(0xc0, 0)],
    [4, bytes(0x30, 4, 0, 0, 'hi')],
    [5, bytes(0x30, 5, 0, 0, 0, 'hi')],
    [5, bytes(0x36, 5, 0, 1, 'a', 0, 'h')],
    [5, bytes(0xd0, 1, 0)],
  ]
  for (const [version, raw] of wrong) {
    let faults = 0
    const decoder = new ClientDecoder(version, { onPacket: () => assert.unreachable(), onFault: () => faults++ })
    decoder.feed(raw)
    assert.is(faults, 1, String(raw))
  }
})

test('a version 3.x publish has no properties', () => {
  assert.equal(
    heard(4, (w) => writePublish(w, 4, utf8('t'), NO_BYTES, 0, 0, 0, false, false, 0, bytes(1, 1), 5, [1], 2)),
    [
      {
        cmd: 'publish',
        topic: 't',
        payload: NO_BYTES,
        qos: 0,
        retain: false,
        dup: false,
        packetId: 0,
        expiry: -1,
        topicAlias: 0,
        props: null,
      },
    ],
  )
})

test.run()
