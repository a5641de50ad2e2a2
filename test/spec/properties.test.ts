// Properties of MQTT 5.0 that depend on how the server is set up, or on what the client can bear: answers in words, response
// information, server reference, payload format; and session expiry as DISCONNECT changes it.

import { utf8 } from '../../src/base/bytes.ts'
import { arrangements, kept } from '../support/everywhere.ts'
import { OneNode, TwoNodes } from '../support/one_node.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('properties')
const { alone, everywhere } = arrangements(test)
const will = { topic: 'will', payload: utf8('gone'), qos: 1, retain: false } as const
const NOT_TEXT = Uint8Array.of(0x61, 0xc3, 0x28)

// ---- answers in words

const FILTERS = [
  { filter: 'a', qos: 0 },
  { filter: 'b/#/c', qos: 0 },
] as const

alone('[MQTT-3.9.2-1]', 'SUBACK says in words which filter is refused, to who takes them', (w) => {
  const answer = (fields: object) => {
    const c = w.connect('c', fields)
    c.heard = []
    c.sendSubscribe(FILTERS)
    const { codes, reasonString } = c.expect('suback')
    assert.equal(codes, [0, 0x8f])
    return { words: reasonString, bytes: (c.heard[0] as Uint8Array).length }
  }
  const { words, bytes } = answer({})
  assert.match(words as string, /filter 2/)
  assert.equal(answer({ maximumPacketSize: bytes }), { words, bytes })
  assert.is(answer({ maximumPacketSize: bytes - 1 }).words, undefined)
})

alone(
  '[MQTT-3.1.2-29]',
  'who wants no problem information gets no words',
  (w) => {
    const c = w.connect('c', { requestProblemInformation: false })
    c.sendSubscribe(FILTERS)
    assert.is(c.expect('suback').reasonString, undefined)
    c.sendPublish('t', NOT_TEXT, { qos: 1, payloadFormat: 1 })
    assert.equal(c.expect('puback'), { cmd: 'puback', packetId: 2, reason: 0x99 })
    c.sendPublish('t', NOT_TEXT, { payloadFormat: 1 })
    assert.is(c.expect('disconnect').reasonString, undefined)
  },
  { validatePayload: true },
)

// ---- payload format

alone(
  '[MQTT-4.3.3-9]',
  'a payload that is not the text it says it is: 0x99 in PUBACK and PUBREC, and the connection goes on',
  (w) => {
    const c = w.connect('c')
    c.subscribe('#', 2)
    c.sendPublish('t', NOT_TEXT, { qos: 1, payloadFormat: 1 })
    const puback = c.expect('puback')
    assert.is(puback.reason, 0x99)
    assert.type(puback.reasonString, 'string')
    const packetId = c.sendPublish('t', NOT_TEXT, { qos: 2, payloadFormat: 1 })
    assert.is(c.expect('pubrec').reason, 0x99)
    c.sendPublish('t', 'good', { qos: 2, packetId, payloadFormat: 1 })
    assert.is(c.expect('publish').payloadFormat, 1, 'the identifier is free again')
    assert.is(c.expect('pubrec').reason, 0)
    c.expectNothing()
  },
  { validatePayload: true },
)

alone(
  '',
  'with QoS 0 such a payload ends the connection with 0x99',
  (w) => {
    const c = w.connect('c')
    c.sendPublish('t', NOT_TEXT, { payloadFormat: 1 })
    c.expectDisconnect(0x99)
  },
  { validatePayload: true },
)

alone(
  '',
  'text is any well-formed UTF-8, with U+0000; bytes may be anything',
  (w) => {
    const c = w.connect('c')
    c.subscribe('t', 1)
    for (const [payload, payloadFormat] of [
      [utf8('ü\0\u{1f600}'), 1],
      [new Uint8Array(0), 1],
      [NOT_TEXT, 0],
      [NOT_TEXT, undefined],
    ] as const) {
      c.sendPublish('t', payload, { qos: 1, payloadFormat, contentType: 'x' })
      const d = c.expect('publish')
      assert.equal([...d.payload], [...payload])
      assert.is(d.payloadFormat, payloadFormat)
      c.sendPuback(d.packetId)
      assert.is(c.expect('puback').reason, 0)
    }
  },
  { validatePayload: true },
)

alone(
  '',
  'a will that is not the text it says it is: CONNACK 0x99',
  (w) => {
    const c = w.open('c')
    c.sendConnect({ will: { ...will, payload: NOT_TEXT, payloadFormat: 1 } })
    assert.is(c.expect('connack').reason, 0x99)
    assert.ok(c.closed)
  },
  { validatePayload: true },
)

everywhere('[MQTT-3.3.2-4]', 'without that switch no payload is looked at, and the indicator passes', (w) => {
  let c = w.connect('c', kept(5))
  c.subscribe('t', 2)
  const p = w.connect('p')
  for (const qos of [0, 1, 2] as const) {
    p.publish('t', NOT_TEXT, { qos, payloadFormat: 1 })
    assert.is(c.take().payloadFormat, 1)
    c = w.move(c)
  }
})

// ---- response information

alone(
  '[MQTT-3.1.2-28]',
  'response information goes to who asks for it, where the operator has some',
  (w) => {
    const information = (fields: object) => {
      const c = w.open('c1')
      c.sendConnect(fields)
      return c.expect('connack').responseInformation
    }
    assert.is(information({ requestResponseInformation: true }), 'answers/c1/')
    assert.is(information({ requestResponseInformation: false }), undefined)
    assert.is(information({}), undefined)
  },
  { responseInformation: 'answers/%c/' },
)

alone(
  '',
  'a client identifier that cannot stand in a topic gets no response information made of it',
  (w) => {
    for (const id of ['a/b', 'a+', '#']) {
      const c = w.open(id)
      c.sendConnect({ requestResponseInformation: true })
      assert.is(c.expect('connack').responseInformation, undefined)
    }
    const assigned = w.open('')
    assigned.sendConnect({ requestResponseInformation: true })
    const connack = assigned.expect('connack')
    assert.is(connack.responseInformation, connack.assignedClientId)
  },
  { responseInformation: '%c' },
)

alone('', 'without an operator’s word there is none', (w) => {
  const c = w.open('c')
  c.sendConnect({ requestResponseInformation: true })
  assert.is(c.expect('connack').responseInformation, undefined)
})

// ---- server reference

test('a drained node names the other one where it knows its address: 0x9C; else 0x8B', () => {
  for (const [serverReference, reason] of [
    ['b.example:1883', 0x9c],
    [null, 0x8b],
  ] as const) {
    const world = new TwoNodes({ serverReference })
    const c = world.connect(world.a, 'c', kept(5))
    const old = world.connect(world.a, 'old', kept(4))
    const small = world.connect(world.a, 'small', { ...kept(5), maximumPacketSize: 21 })
    world.a.drainAway()
    world.drive()
    const told = c.expect('disconnect')
    assert.is(told.reason, reason)
    assert.is(told.serverReference ?? null, serverReference)
    assert.ok(c.closed)
    old.expectDisconnect(0)
    assert.is(small.expect('disconnect').serverReference ?? null, serverReference)
  }
})

test('a node that goes away alone says 0x8B, whatever it knows', () => {
  const world = new OneNode({ serverReference: 'b.example:1883' })
  const c = world.connect('c')
  world.node.drainAway()
  world.drive()
  assert.equal(c.expect('disconnect'), { cmd: 'disconnect', reason: 0x8b, reasonString: 'shutting down' })
})

test('a node that is leaving sends who comes now to the other one: CONNACK 0x9C', () => {
  for (const [serverReference, reason] of [
    ['b.example:1883', 0x9c],
    [null, 0x88],
  ] as const) {
    const world = new TwoNodes({ serverReference })
    world.a.drainAway()
    const c = world.open(world.a, 'c')
    c.sendConnect()
    const connack = c.expect('connack')
    assert.is(connack.reason, reason)
    assert.is(connack.serverReference ?? null, serverReference)
    assert.ok(c.closed)
  }
})

test('[MQTT-3.1.2-24] a server reference is left out of a CONNACK that the client would not take with it', () => {
  const serverReference = 'b.example:1883'
  const world = new TwoNodes({ serverReference })
  world.a.drainAway()
  for (const [maximumPacketSize, told] of [
    [22, serverReference],
    [21, undefined],
    [5, undefined],
  ] as const) {
    const c = world.open(world.a, 'c')
    c.sendConnect({ maximumPacketSize })
    const connack = c.expect('connack')
    assert.is(connack.reason, 0x9c)
    assert.is(connack.serverReference, told)
    assert.ok(c.bytesReceived <= maximumPacketSize, `${c.bytesReceived} bytes`)
    assert.ok(c.closed)
  }
})

// ---- session expiry

everywhere('[MQTT-3.1.2-8]', 'DISCONNECT that makes the session live longer gives its will the whole delay', (w) => {
  const watch = w.connect('watch', kept(5))
  watch.subscribe('will', 1)
  const c = w.connect('c', { cleanStart: false, sessionExpiry: 10, will: { ...will, delay: 30 } })
  c.disconnect(0x04, 100)
  w.pass(29_000)
  const moved = w.move(watch)
  moved.expectNothing()
  w.pass(1_100)
  assert.equal(moved.deliveries(), ['will=gone'])
})

everywhere('[MQTT-3.1.2-8]', 'DISCONNECT that makes the session live shorter brings its will forward', (w) => {
  const watch = w.connect('watch', kept(5))
  watch.subscribe('will', 1)
  const c = w.connect('c', { cleanStart: false, sessionExpiry: 100, will: { ...will, delay: 50 } })
  c.disconnect(0x04, 10)
  w.pass(9_000)
  const moved = w.move(watch)
  moved.expectNothing()
  w.pass(1_100)
  assert.equal(moved.deliveries(), ['will=gone'])
})

alone(
  '',
  'what the server shortened to 0 itself is no fault of DISCONNECT',
  (w) => {
    const c = w.open('c')
    c.sendConnect({ cleanStart: false, sessionExpiry: 100 })
    assert.is(c.expect('connack').sessionExpiry, 0)
    c.disconnect(0, 50)
    c.expectNothing()
    assert.ok(c.closed)
    assert.not(w.connect('c', kept(5)).present)
  },
  { sessionExpiryMax: 0 },
)

alone(
  '',
  'DISCONNECT may not name an expiry above what the server grants',
  (w) => {
    const c = w.connect('c', { cleanStart: false, sessionExpiry: 5 })
    c.disconnect(0, 1000)
    w.pass(21_000)
    assert.not(w.connect('c', kept(5)).present)
  },
  { sessionExpiryMax: 20 },
)

// ---- user properties

everywhere(
  '[MQTT-3.3.2-17] [MQTT-3.3.2-18]',
  'user properties in every packet that may have them; those of messages pass in order',
  (w) => {
    const pair = [0x26, 0, 1, 0x6b, 0, 1, 0x76]
    const c = w.open('c')
    c.raw(frame(0x10, 'MQTT', [5, 6, 0, 0], props(pair, pair), 'c', props(pair, pair), 'will', 'gone'))
    c.expect('connack')
    c.raw(frame(0x82, [0, 1], props(pair, pair), 't', [1]))
    c.expect('suback')
    c.raw(frame(0xa2, [0, 2], props(pair), 'u'))
    c.expect('unsuback')
    const p = w.connect('p', kept(5))
    const userProperties: [string, string][] = [
      ['b', '1'],
      ['a', ''],
      ['', '2'],
      ['b', '1'],
    ]
    const q = w.move(p)
    q.publish('t', 'x', { qos: 1, userProperties })
    const d = c.expect('publish')
    assert.equal(d.userProperties, userProperties)
    c.raw(frame(0x40, [d.packetId >> 8, d.packetId & 255, 0], props(pair)))
    c.sendPingreq()
    c.expect('pingresp')
    const watch = w.connect('watch', kept(5))
    watch.subscribe('will', 1)
    c.raw(frame(0xe0, [4], props(pair)))
    assert.equal(watch.expect('publish').userProperties, [
      ['k', 'v'],
      ['k', 'v'],
    ])
  },
)

test.run()
