// SUBSCRIBE and UNSUBSCRIBE: MQTT 5.0 sections 3.8 to 3.11.

import { OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.8 SUBSCRIBE')
const kept = { cleanStart: false, sessionExpiry: 100 }

test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] SUBSCRIBE is answered with a SUBACK of its packet identifier', () => {
  for (const version of [3, 4, 5] as const) {
    const c = new OneNode().connect('c', { version })
    for (let i = 0; i < 3; i++) {
      const id = c.sendSubscribe('t', 1)
      assert.equal(c.expect('suback'), { cmd: 'suback', packetId: id, codes: [1] })
    }
  }
})

test('[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] many filters in one SUBSCRIBE: one code each, in their order', () => {
  const c = new OneNode().connect('c')
  const codes = c.subscribe([
    { filter: 'a', qos: 2 },
    { filter: 'b/#/c', qos: 0 },
    { filter: 'c', qos: 0 },
    { filter: '$share/g/d', qos: 1 },
    { filter: 'e', qos: 1 },
  ])
  assert.equal(codes, [2, 0x8f, 0, 1, 1])
})

test('[MQTT-3.1.1/3.9.3-2] 3.1.1 knows one code for every refusal: 0x80', () => {
  const c = new OneNode().connect('c', { version: 4 })
  const codes = c.subscribe([
    { filter: 'a', qos: 2 },
    { filter: 'b/#/c', qos: 0 },
    { filter: '$share/g', qos: 1 },
  ])
  assert.equal(codes, [2, 0x80, 0x80])
})

test('[MQTT-3.8.4-3] a second SUBSCRIBE of a filter replaces the first, without a gap', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  const p = world.connect('p')
  c.subscribe('t', 0)
  p.publish('t', 'x', { qos: 2 })
  assert.is(c.expect('publish').qos, 0)
  c.subscribe('t', 2)
  p.publish('t', 'x', { qos: 2 })
  assert.is(c.expect('publish').qos, 2)
  c.expectNothing()
  c.subscribe([{ filter: 't', qos: 0, noLocal: true, retainAsPublished: true }])
  c.sendPublish('t', 'mine', { qos: 0 })
  c.expectNothing()
  assert.is(world.node.sessions.subscriptionCount, 1)
})

test('[MQTT-3.8.4-8] a message comes with the lower of its QoS and the granted one', () => {
  const world = new OneNode()
  const p = world.connect('p')
  for (const granted of [0, 1, 2] as const) {
    const c = world.connect('c')
    assert.equal(c.subscribe('t', granted), [granted])
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'x', { qos })
      assert.is(c.expect('publish').qos, Math.min(qos, granted))
    }
  }
})

test('[MQTT-3.2.2-10] [MQTT-3.8.4-8] a server of Maximum QoS 1 takes SUBSCRIBE for QoS 2 and grants 1', () => {
  const c = new OneNode({ qosMax: 1 }).connect('c')
  assert.equal(c.subscribe('t', 2), [1])
})

test('[MQTT-3.8.3-3] no local: a client does not get its own messages back, others do', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  const other = world.connect('other')
  c.subscribe([{ filter: 't', qos: 1, noLocal: true }])
  other.subscribe([{ filter: 't', qos: 1, noLocal: true }])
  c.publish('t', 'x', { qos: 1 })
  c.expectNothing()
  assert.equal(other.deliveries(), ['t=x'])
  other.publish('t', 'y', { qos: 1 })
  assert.equal(c.deliveries(), ['t=y'])
})

test('[MQTT-3.8.3-3] no local holds for one subscription: another one of the client still brings the message', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe([{ filter: 't', qos: 2, noLocal: true }], 0, 1)
  c.subscribe([{ filter: '#', qos: 1 }], 0, 2)
  c.sendPublish('t', 'x', { qos: 2 })
  const d = c.expect('publish')
  assert.is(c.expect('pubrec').reason, 0)
  assert.is(d.qos, 1, 'by the subscription that takes it')
  assert.equal(d.subscriptionIds, [2])
  c.expectNothing()
})

test('[MQTT-3.8.3-4] no local on a shared subscription is a protocol error', () => {
  const c = new OneNode().connect('c')
  c.sendSubscribe([{ filter: '$share/g/t', qos: 0, noLocal: true }])
  c.expectDisconnect(0x82)
})

test('[MQTT-3.8.3-2] SUBSCRIBE without a filter is a protocol error', () => {
  const c = new OneNode().connect('c')
  c.raw([0x82, 3, 0, 1, 0])
  c.expectDisconnect(0x82)
})

test('more subscriptions than a session may have are refused with 0x97', () => {
  const world = new OneNode()
  const c = world.connect('c')
  const many = (from: number, n: number) =>
    Array.from({ length: n }, (_, i) => ({ filter: `t/${from + i}`, qos: 0 as const }))
  for (let i = 0; i < 10; i++) assert.ok(c.subscribe(many(i * 1000, 1000)).every((code) => code === 0))
  assert.equal(c.subscribe('one/more'), [0x97])
  assert.equal(c.subscribe('t/17', 1), [1], 'one that is there may change')
})

test('SUBACK comes before the retained messages it brings', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true, qos: 1 })
  const c = world.connect('c', kept)
  c.sendSubscribe('t', 1)
  assert.equal(
    c.takeAll().map((packet) => packet.cmd),
    ['suback', 'publish'],
  )
})

// ---- UNSUBSCRIBE

test('[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBSCRIBE is answered with an UNSUBACK of its packet identifier', () => {
  for (const version of [3, 4, 5] as const) {
    const c = new OneNode().connect('c', { version })
    c.subscribe('t')
    const id = c.sendUnsubscribe('t', 'u')
    assert.equal(c.expect('unsuback'), { cmd: 'unsuback', packetId: id, codes: version === 5 ? [0, 0x11] : [] })
  }
})

test('[MQTT-3.10.4-6] [MQTT-3.11.3-1] many filters in one UNSUBSCRIBE: one code each, in their order', () => {
  const c = new OneNode().connect('c')
  c.subscribe([
    { filter: 'a', qos: 0 },
    { filter: 'b', qos: 0 },
  ])
  assert.equal(c.unsubscribe('a', 'x', 'b', 'a'), [0, 0x11, 0, 0x11])
})

test('[MQTT-3.10.4-1] a filter is unsubscribed by its characters, not by what it matches', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('a/b')
  assert.equal(c.unsubscribe('a/+', 'a/B', 'a/#'), [0x11, 0x11, 0x11])
  world.connect('p').publish('a/b', 'x')
  assert.equal(c.deliveries(), ['a/b=x'])
})

test('[MQTT-3.10.4-2] after UNSUBACK nothing more is added', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  const p = world.connect('p')
  c.subscribe('t', 1)
  p.publish('t', 'x', { qos: 1 })
  c.sendUnsubscribe('t')
  assert.equal(
    c.takeAll().map((packet) => packet.cmd),
    ['publish', 'unsuback'],
  )
  p.publish('t', 'y', { qos: 1 })
  c.expectNothing()
})

test('[MQTT-3.10.4-3] what is under way when UNSUBSCRIBE comes is completed', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 2)
  world.connect('p').publish('t', 'x', { qos: 2 })
  const d = c.expect('publish')
  c.unsubscribe('t')
  c.drop()
  const again = world.connect('c', kept)
  assert.is(again.expect('publish').packetId, d.packetId)
  again.sendPubrec(d.packetId)
  again.expect('pubrel')
  again.sendPubcomp(d.packetId)
  again.expectNothing()
})

test('[MQTT-3.10.3-2] UNSUBSCRIBE without a filter is a protocol error', () => {
  const c = new OneNode().connect('c')
  c.raw([0xa2, 3, 0, 1, 0])
  c.expectDisconnect(0x82)
})

// ---- across connections

test('subscriptions outlive the connection and end with the session', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const again = world.connect('c', kept)
  const p = world.connect('p')
  p.publish('t', 'x', { qos: 1 })
  assert.equal(again.deliveries(), ['t=x'])
  again.disconnect(0, 0)
  assert.is(world.node.sessions.subscriptionCount, 0)
})

test.run()
