// CONNECT and what it sets for its connection: sections 3.1.2.10 and 3.1.2.11 of MQTT 5.0, 3.1.2.10 of 3.1.1: keep alive,
// Maximum Packet Size, who wants to hear reasons.

import { arrangements, kept } from '../support/everywhere.ts'
import { bytesOf, frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1.2 what CONNECT sets')
const { alone, everywhere } = arrangements(test)

alone(
  { 5: '[MQTT-3.1.2-22] [MQTT-3.2.2-22]', 4: '[MQTT-3.1.1/3.1.2-24]' },
  'a silent client is closed after one and a half of its keep alives',
  (w, version) => {
    for (const keepAlive of [1, 10, 60]) {
      const c = w.connect('c', { version, keepAlive })
      w.pass(keepAlive * 1500 - 100)
      assert.not(c.closed)
      w.pass(200)
      c.expectDisconnect(0x8d)
    }
  },
)

alone(
  { 5: '[MQTT-3.1.2-22]', 4: '[MQTT-3.1.1/3.1.2-24]' },
  'any packet is a sign of life; keep alive 0 needs none',
  (w, version) => {
    const c = w.connect('c', { version, keepAlive: 10 })
    const zero = w.connect('zero', { version, keepAlive: 0 })
    for (const send of [
      () => c.sendPingreq(),
      () => c.sendPublish('t', 'x'),
      () => c.sendSubscribe('u'),
      () => c.sendPuback(9),
    ]) {
      w.pass(14_000)
      assert.not(c.closed)
      send()
    }
    c.takeAll()
    w.pass(15_100)
    c.expectDisconnect(0x8d)
    assert.not(zero.closed)
  },
)

alone(
  '[MQTT-3.1.2-21] [MQTT-3.2.2-21]',
  'a keep alive that the server told is the one it goes by',
  (w) => {
    const c = w.open('c')
    c.sendConnect({ keepAlive: 600 })
    assert.is(c.expect('connack').serverKeepAlive, 10)
    w.pass(15_100)
    c.expectDisconnect(0x8d)
  },
  { keepAliveMax: 10 },
)

// ---- Maximum Packet Size

everywhere(
  '[MQTT-3.1.2-24] [MQTT-3.1.2-25]',
  'what is larger than the client takes is not sent, and counts as delivered',
  (w) => {
    const fields = { ...kept(5), maximumPacketSize: 50, receiveMaximum: 1 }
    let c = w.connect('c', fields)
    c.subscribe('t', 2)
    const p = w.connect('p')
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'x'.repeat(50), { qos })
      c.expectNothing()
      p.publish('t', 'small', { qos })
      assert.is(c.take().qos, qos)
    }
    c.drop()
    for (const qos of [1, 2] as const) p.publish('t', 'x'.repeat(50), { qos })
    p.publish('t', 'waits', { qos: 1 })
    c = w.connect('c', fields)
    assert.equal(c.deliveries(), ['t=waits'])
  },
)

alone('[MQTT-3.1.2-24]', 'the last byte counts', (w) => {
  const whole = frame(0x30, 't', [0], 'x'.repeat(40)).length
  for (const [size, comes] of [
    [whole, 1],
    [whole - 1, 0],
  ] as const) {
    const c = w.connect('c', { maximumPacketSize: size })
    c.subscribe('t')
    c.sendPublish('t', Uint8Array.from(bytesOf('x'.repeat(40))))
    assert.is(c.deliveries().length, comes)
  }
})

everywhere('[MQTT-3.1.2-24]', 'what was sent to a former connection is not sent again to one that takes less', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', kept(5))
  c.subscribe('t', 1)
  p.publish('t', 'x'.repeat(100), { qos: 1 })
  c.expect('publish')
  c.drop()
  c = w.connect('c', { ...kept(5), maximumPacketSize: 100 })
  c.expectNothing()
  p.publish('t', 'small', { qos: 1 })
  assert.equal(c.deliveries(), ['t=small'])
})

everywhere(
  '[MQTT-3.1.2-24] [MQTT-3.1.2-25]',
  'a retained message that is too large is not sent, the others are',
  (w) => {
    const p = w.connect('p')
    p.publish('t/1', 'x'.repeat(60), { retain: true, qos: 1 })
    p.publish('t/2', 'small', { retain: true, qos: 1 })
    p.publish('t/3', 'x', { retain: true, qos: 1, contentType: 'x'.repeat(60) })
    let c = w.connect('c', { ...kept(5), maximumPacketSize: 50 })
    for (let i = 0; i < 2; i++) {
      c.subscribe('t/+', 1)
      assert.is(c.take().topic, 't/2')
      c.expectNothing()
      c = w.move(c)
    }
  },
)

/** Each packet the server answers to these, however wrong or right, keeps within so many bytes. */
const SMALL = 20

alone(
  '[MQTT-3.1.2-24] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]',
  'no reason string and no user property makes an answer larger than the client takes',
  (w) => {
    const c = w.connect('c', { maximumPacketSize: SMALL })
    c.heard = []
    c.sendPublish('nobody/listens', 'x', { qos: 1 })
    c.expect('puback')
    const id = c.sendPublish('nobody/listens', 'x', { qos: 2 })
    c.expect('pubrec')
    c.sendPubrel(id)
    c.expect('pubcomp')
    c.sendPubrel(999)
    c.expect('pubcomp')
    c.sendPubrec(999)
    c.expect('pubrel')
    for (const filter of ['a/#/b', '$share/x', '']) {
      c.sendSubscribe(filter)
      c.expect('suback')
      c.sendUnsubscribe(filter)
      c.expect('unsuback')
    }
    for (const bytes of c.heard) assert.ok(bytes.length <= SMALL, `${bytes}`)
  },
)

alone(
  '[MQTT-3.1.2-24] [MQTT-3.14.2-3] [MQTT-3.14.2-4]',
  'no reason string and no user property makes DISCONNECT larger than the client takes',
  (w) => {
    for (let size = SMALL; size < 60; size++)
      for (const fault of [[0x36, 3, 0, 1, 0x74], [0x00, 0], [0xd0, 0], frame(0x30, 'a/+', [0])]) {
        const c = w.connect('c', { maximumPacketSize: size })
        c.heard = []
        c.raw(fault)
        c.expect('disconnect')
        for (const bytes of c.heard) assert.ok(bytes.length <= size, `${bytes.length} bytes of ${size}`)
        assert.ok(c.closed)
      }
  },
)

alone(
  '[MQTT-3.1.2-24] [MQTT-3.2.2-19] [MQTT-3.2.2-20]',
  'no reason string and no user property makes CONNACK larger than the client takes',
  (w) => {
    for (let size = 5; size < 60; size++) {
      const c = w.open('x'.repeat(5000))
      c.heard = []
      c.sendConnect({ maximumPacketSize: size })
      assert.is(c.expect('connack').reason, 0x85)
      for (const bytes of c.heard) assert.ok(bytes.length <= size, `${bytes.length} bytes of ${size}`)
      assert.ok(c.closed)
    }
  },
)

everywhere('[MQTT-3.1.2-24]', 'who does not take its CONNACK is refused, and its session left alone', (w) => {
  let c = w.connect('c', kept(5))
  for (let size = 1; size < 10; size++) {
    const small = w.open('c')
    small.heard = []
    small.sendConnect({ cleanStart: true, maximumPacketSize: size })
    for (const bytes of small.heard) assert.ok(bytes.length <= size, `${bytes.length} bytes of ${size}`)
    for (const answer of small.takeAll()) assert.is(answer.cmd === 'connack' && answer.reason, 0x95)
    assert.ok(small.closed)
  }
  assert.not(c.closed)
  c = w.connect('c', kept(5))
  assert.is(c.present, true)
})

everywhere('[MQTT-3.1.2-24]', 'who asks for more codes than it takes is told 0x95, and nothing is subscribed', (w) => {
  const filters = Array.from({ length: 100 }, (_, i) => ({ filter: `t/${i}`, qos: 0 as const }))
  for (const act of ['subscribe', 'unsubscribe'] as const) {
    const c = w.connect('c', { ...kept(5), maximumPacketSize: 104 })
    c.heard = []
    if (act === 'subscribe') c.sendSubscribe(filters)
    else c.sendUnsubscribe(...filters.map(({ filter }) => filter))
    c.expectDisconnect(0x95)
    for (const bytes of c.heard) assert.ok(bytes.length <= 104)
  }
  const c = w.connect('c', { ...kept(5), maximumPacketSize: 105 })
  assert.is(c.present, true)
  c.publish('t/7', 'x')
  c.expectNothing()
  assert.is(c.subscribe(filters).length, 100)
})

// ---- who wants to hear what

alone('[MQTT-3.1.2-28]', 'response information is not returned to who did not ask for it', (w) => {
  for (const fields of [{}, { requestResponseInformation: false }]) {
    const c = w.open('c')
    c.sendConnect(fields)
    assert.is(c.expect('connack').responseInformation, undefined)
  }
})

alone('[MQTT-3.1.2-29]', 'who wants no reasons in words is given none but with CONNACK and DISCONNECT', (w) => {
  const c = w.connect('c', { requestProblemInformation: false })
  c.heard = []
  c.sendPublish('nobody', 'x', { qos: 1, packetId: 1 })
  c.sendPublish('nobody', 'x', { qos: 2, packetId: 2 })
  c.sendPubrel(2)
  c.sendPubrel(99)
  c.sendPubrec(99)
  c.raw(frame(0x82, [0, 3], [0], 'a/#/b', [0]))
  c.raw(frame(0xa2, [0, 4], [0], 'a/#/b'))
  assert.equal(
    c.heard.map((bytes) => [...bytes]),
    [
      [0x40, 3, 0, 1, 0x10],
      [0x50, 3, 0, 2, 0x10],
      [0x70, 2, 0, 2],
      [0x70, 3, 0, 99, 0x92],
      [0x62, 3, 0, 99, 0x92],
      frame(0x90, [0, 3], props(), [0x8f]),
      frame(0xb0, [0, 4], props(), [0x11]),
    ],
  )
})

test.run()
