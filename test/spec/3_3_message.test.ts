// PUBLISH and what a message is: sections 3.3.1 to 3.3.3 of MQTT 5.0 and 3.1.1: flags, topic name, properties, expiry.

import { utf8 } from '../../src/base/bytes.ts'
import { arrangements, kept } from '../support/everywhere.ts'
import { field, frame, type Part, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.3 PUBLISH, message')
const { alone, everywhere } = arrangements(test)

// ---- flags

everywhere(
  { 5: '[MQTT-3.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]', 4: '[MQTT-3.1.1/3.3.1-1] [MQTT-3.1.1/4.3.2-1]' },
  'DUP is 0 the first time, however long a message has waited, and 1 when it is sent again',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    const p = w.connect('p', { version })
    c.drop()
    for (const qos of [1, 2] as const) p.publish('t', 'x', { qos })
    for (const dup of [false, true, true]) {
      c = w.connect('c', kept(version))
      assert.equal([c.expect('publish').dup, c.expect('publish').dup], [dup, dup])
      c.expectNothing()
      c.drop()
    }
  },
)

everywhere(
  { 5: '[MQTT-3.3.1-2] [MQTT-4.3.1-1]', 4: '[MQTT-3.1.1/3.3.1-2] [MQTT-3.1.1/4.3.1-1]' },
  'DUP is 0 with QoS 0; the other way round it closes the connection',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 0)
    c = w.move(c)
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'x', { qos })
      const d = c.expect('publish')
      assert.equal([d.qos, d.dup], [0, false])
    }
    p.raw(frame(0x38, 't', version === 5 ? [0] : [], [0x78]))
    p.expectDisconnect(0x81)
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.3.1-3]', 4: '[MQTT-3.1.1/3.3.1-3]' },
  'DUP of a publisher does not reach a subscriber',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    for (const dup of [true, false])
      for (const qos of [1, 2] as const) {
        p.publish('t', 'x', { qos, dup })
        assert.is(c.take().dup, false)
        c = w.move(c)
      }
  },
)

alone({ 5: '[MQTT-3.3.1-4]', 4: '[MQTT-3.1.1/3.3.1-4]' }, 'QoS 3 closes the connection', (w, version) => {
  for (const flags of [0x36, 0x37, 0x3e, 0x3f]) {
    const c = w.connect('c', { version })
    c.raw(frame(flags, 't', [0, 1], version === 5 ? [0] : [], [0x78]))
    c.expectDisconnect(0x81)
  }
})

// ---- topic name

alone(
  { 5: '[MQTT-3.3.2-1]', 4: '[MQTT-3.1.1/3.3.2-1]' },
  'a PUBLISH without a topic name closes the connection',
  (w, version) => {
    for (const parts of [[], [[0]], [[0, 5, 0x74]], ['']] as Part[][]) {
      const c = w.connect('c', { version })
      c.raw(frame(0x30, ...parts))
      const told = c.takeAll()
      if (version === 4) assert.equal(told, [])
      for (const packet of told) assert.ok(packet.cmd === 'disconnect' && packet.reason >= 0x80)
      assert.ok(c.closed)
    }
  },
)

everywhere(
  { 5: '[MQTT-3.3.2-2] [MQTT-4.7.0-1]', 4: '[MQTT-3.1.1/3.3.2-2] [MQTT-3.1.1/4.7.1-1]' },
  'a wildcard in a topic name closes the connection, also in that of a will',
  (w, version) => {
    let other = w.connect('other', kept(version))
    other.subscribe('#')
    other = w.move(other)
    for (const topic of ['#', '+', 'a/#', 'a/+/b', 'a+', '#a']) {
      const c = w.connect('c', { version })
      c.sendPublish(topic, 'x')
      c.expectDisconnect(0x90)
      const heir = w.open('heir', version)
      heir.sendConnect({ will: { topic, payload: utf8('x'), qos: 0, retain: false } })
      for (const answer of heir.takeAll()) assert.ok(answer.cmd === 'connack' && answer.reason >= 0x80)
      assert.ok(heir.closed)
    }
    other.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.3.2-3]', 4: '[MQTT-3.1.1/3.3.2-3]' },
  'a message comes with the topic name it was published to, not with the filter',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('a/+/c', 1)
    c.subscribe('x/#', 1)
    c = w.move(c)
    for (const topic of ['a/b/c', 'a//c', 'x', 'x/y/z', 'a/b/d', 'y']) p.publish(topic, 'm', { qos: 1 })
    assert.equal(c.deliveries(), ['a/b/c=m', 'a//c=m', 'x=m', 'x/y/z=m'])
  },
)

// ---- properties

const given = {
  payloadFormat: 1 as const,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'answers/to/me',
  correlationData: Uint8Array.from([0, 255, 1, 128]),
  userProperties: [
    ['b', '2'],
    ['a', '1'],
    ['b', '1'],
    ['', ''],
    ['b', '2'],
  ] as [string, string][],
}

everywhere(
  '[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]',
  'properties come as they were published, user properties in their order: live, waiting and retained',
  (w) => {
    const p = w.connect('p')
    const live = w.connect('live')
    let waits = w.connect('waits', kept(5))
    for (const c of [live, waits]) c.subscribe('t', 2)
    waits.drop()
    p.publish('t', 'plain', { qos: 1 })
    p.publish('t', 'x', { qos: 2, retain: true, ...given })
    waits = w.connect('waits', kept(5))
    const late = w.connect('late')
    late.subscribe('t', 2)
    for (const c of [live, waits, late]) {
      if (c !== late) assert.is(c.take().props, null, 'none where there were none')
      const { payloadFormat, contentType, responseTopic, correlationData, userProperties } = c.take()
      assert.equal({ payloadFormat, contentType, responseTopic, correlationData, userProperties }, given)
    }
    const old = w.connect('old', { version: 4 })
    old.subscribe('t')
    assert.equal(old.deliveries(), ['t=x'], 'nothing of it goes to 3.1.1')
  },
)

alone(
  '[MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19]',
  'a response topic or content type that is no proper text, or has a wildcard, closes the connection',
  (w) => {
    for (const [id, text] of [
      [0x08, field(0xff)],
      [0x08, 'a\0'],
      [0x08, 'a/#'],
      [0x08, '+'],
      [0x03, field(0xc0, 0x80)],
      [0x03, 'a\0'],
    ] as const) {
      const c = w.connect('c')
      c.raw(frame(0x30, 't', props([id], text), [0x78]))
      assert.ok(c.expect('disconnect').reason >= 0x80)
      assert.ok(c.closed)
    }
  },
)

// ---- expiry

everywhere('[MQTT-3.3.2-5]', 'a message whose time has passed is not sent', (w) => {
  let c = w.connect('c', kept(5))
  c.subscribe('t', 2)
  c.drop()
  const p = w.connect('p')
  for (const qos of [1, 2] as const) {
    p.publish('t', `short ${qos}`, { qos, expiry: 5 })
    p.publish('t', `long ${qos}`, { qos, expiry: 60 })
    p.publish('t', `always ${qos}`, { qos })
  }
  p.publish('r', 'short', { retain: true, expiry: 5 })
  w.pass(5_050)
  c = w.connect('c', kept(5))
  assert.equal(c.deliveries(), ['t=long 1', 't=always 1', 't=long 2', 't=always 2'])
  c.subscribe('r')
  c.expectNothing()
})

everywhere(
  '[MQTT-3.3.2-5] [MQTT-3.3.2-6]',
  'what waits for room in the window of a client that is there grows old as well',
  (w) => {
    const p = w.connect('p')
    let c = w.connect('c', { ...kept(5), receiveMaximum: 1 })
    c.subscribe('t', 1)
    c = w.move(c)
    p.publish('t', 'first', { qos: 1 })
    p.publish('t', 'short', { qos: 1, expiry: 5 })
    p.publish('t', 'long', { qos: 1, expiry: 60 })
    const first = c.expect('publish')
    w.pass(20_000)
    c.expectNothing()
    c.sendPuback(first.packetId)
    const d = c.take()
    assert.equal([new TextDecoder().decode(d.payload), d.expiry], ['long', 40])
    c.expectNothing()
  },
)

everywhere('[MQTT-3.3.2-6]', 'the expiry interval goes out less the time that the message has waited', (w) => {
  let c = w.connect('c', kept(5))
  c.subscribe('t', 1)
  const p = w.connect('p')
  p.publish('t', 'live', { qos: 1, expiry: 60 })
  assert.is(c.take().expiry, 60)
  c.drop()
  p.publish('t', 'waits', { qos: 1, expiry: 60, retain: true })
  p.publish('t', 'for ever', { qos: 1 })
  w.pass(20_000)
  c = w.connect('c', kept(5))
  assert.is(c.take().expiry, 40)
  assert.is(c.take().expiry, -1)
  w.pass(10_000)
  c.subscribe('t', 1)
  assert.is(c.take().expiry, 30, 'and as a retained message')
})

everywhere(
  '[MQTT-4.3.3-7] [MQTT-4.3.3-13]',
  'a QoS 2 message that was sent does not expire any more: its flow is completed',
  (w) => {
    let c = w.connect('c', kept(5))
    c.subscribe('t', 2)
    const p = w.connect('p')
    p.publish('t', 'sent', { qos: 2, expiry: 5 })
    p.publish('t', 'received', { qos: 2, expiry: 5 })
    const sent = c.expect('publish')
    const received = c.expect('publish')
    c.sendPubrec(received.packetId)
    c.expect('pubrel')
    c.drop()
    w.pass(10_000)
    c = w.connect('c', kept(5))
    const packets = c.takeAll()
    assert.equal(packets.map((packet) => [packet.cmd, 'packetId' in packet ? packet.packetId : 0]).sort(), [
      ['publish', sent.packetId],
      ['pubrel', received.packetId],
    ])
    c.sendPubrec(sent.packetId)
    assert.is(c.expect('pubrel').packetId, sent.packetId)
  },
)

test.run()
