// PUBLISH: MQTT 5.0 section 3.3: retained messages, expiry, properties, subscription identifiers, flow control.

import { utf8 } from '../../src/base/bytes.ts'
import { OneNode, type SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.3 PUBLISH')
const kept = { cleanStart: false, sessionExpiry: 100 }

/** What a new subscriber gets of the retained messages: `topic=payload`. */
function retainedOf(world: OneNode, filter = '#'): string[] {
  const c = world.connect('looks')
  c.sendSubscribe(filter)
  c.expect('suback')
  const all = c.deliveries()
  c.disconnect()
  return all.sort()
}

// ---- flags

test('[MQTT-3.3.1-1] [MQTT-3.3.1-3] DUP of a publisher is not passed on', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('t', 2)
  const p = world.connect('p')
  for (const qos of [1, 2] as const) {
    p.sendPublish('t', 'x', { qos, dup: true })
    assert.is(c.expect('publish').dup, false)
  }
})

test('[MQTT-3.3.1-4] QoS 3 is a malformed packet', () => {
  const c = new OneNode().connect('c')
  c.raw([0x36, 4, 0, 1, 0x74, 0])
  c.expectDisconnect(0x81)
})

test('[MQTT-3.2.2-11] a publish above Maximum QoS is refused with 0x9B', () => {
  const c = new OneNode({ qosMax: 1 }).connect('c')
  c.publish('t', 'x', { qos: 1 })
  c.sendPublish('t', 'x', { qos: 2 })
  c.expectDisconnect(0x9b)
})

test('[MQTT-3.2.2-14] RETAIN is refused with 0x9A where it is not available', () => {
  const c = new OneNode({ retainAvailable: false }).connect('c')
  c.sendPublish('t', 'x', { retain: true })
  c.expectDisconnect(0x9a)
})

test('[MQTT-3.3.2-2] a wildcard in a topic name closes the connection', () => {
  const c = new OneNode().connect('c')
  c.sendPublish('a/+', 'x')
  c.expectDisconnect(0x90)
})

// ---- retained messages

test('[MQTT-3.3.1-5] the last retained message of a topic is kept, and replaces the one before', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.publish('t', 'old', { retain: true, qos: 1 })
  p.publish('t', 'new', { retain: true })
  p.publish('u', 'other', { retain: true, qos: 2 })
  assert.equal(retainedOf(world), ['t=new', 'u=other'])
})

test('[MQTT-3.3.1-6] an empty retained message removes the one that was there', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.publish('t', 'old', { retain: true })
  const c = world.connect('c')
  c.subscribe('t')
  c.deliveries()
  p.publish('t', '', { retain: true })
  assert.equal(c.deliveries(), ['t='], 'and goes to who is subscribed')
  assert.equal(retainedOf(world), [])
})

test('[MQTT-3.3.1-7] an empty message is not itself retained', () => {
  const world = new OneNode()
  world.connect('p').publish('t', '', { retain: true })
  assert.equal(retainedOf(world), [])
})

test('[MQTT-3.3.1-8] a retained message of the store comes with RETAIN 1; [MQTT-3.3.1-12] a live one with RETAIN 0', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.publish('t', 'stored', { retain: true })
  const c = world.connect('c')
  c.subscribe('t')
  assert.is(c.expect('publish').retain, true)
  p.publish('t', 'live', { retain: true })
  assert.is(c.expect('publish').retain, false)
})

test('[MQTT-3.3.1-8] a message without RETAIN neither stores nor removes anything', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.publish('t', 'kept', { retain: true })
  p.publish('t', 'passing')
  p.publish('t', '')
  assert.equal(retainedOf(world), ['t=kept'])
})

test('[MQTT-3.3.1-9] retain handling 0 sends the retained messages at each subscribe', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true })
  const c = world.connect('c')
  for (let i = 0; i < 2; i++) {
    c.subscribe([{ filter: 't', qos: 0, retainHandling: 0 }])
    assert.equal(c.deliveries(), ['t=x'])
  }
})

test('[MQTT-3.3.1-10] retain handling 1 sends them only if the subscription is new', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true })
  const c = world.connect('c', kept)
  c.subscribe([{ filter: 't', qos: 0, retainHandling: 1 }])
  assert.equal(c.deliveries(), ['t=x'])
  c.subscribe([{ filter: 't', qos: 0, retainHandling: 1 }])
  c.expectNothing()
  c.drop()
  const again = world.connect('c', kept)
  again.subscribe([{ filter: 't', qos: 0, retainHandling: 1 }])
  again.expectNothing()
  again.unsubscribe('t')
  again.subscribe([{ filter: 't', qos: 0, retainHandling: 1 }])
  assert.equal(again.deliveries(), ['t=x'])
})

test('[MQTT-3.3.1-11] retain handling 2 never sends them', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true })
  const c = world.connect('c')
  c.subscribe([{ filter: 't', qos: 0, retainHandling: 2 }])
  c.expectNothing()
})

test('[MQTT-3.3.1-12] [MQTT-3.3.1-13] RETAIN of a live message goes as it came only with Retain As Published', () => {
  const world = new OneNode()
  const plain = world.connect('plain')
  plain.subscribe([{ filter: 't', qos: 0 }])
  const as = world.connect('as')
  as.subscribe([{ filter: 't', qos: 0, retainAsPublished: true }])
  const p = world.connect('p')
  for (const retain of [true, false]) {
    p.publish('t', 'x', { retain })
    assert.is(plain.expect('publish').retain, false)
    assert.is(as.expect('publish').retain, retain)
  }
})

test('3.1.1: retained messages come at each subscribe, live ones with RETAIN 0', () => {
  const world = new OneNode()
  const p = world.connect('p', { version: 4 })
  p.publish('t', 'x', { retain: true })
  const c = world.connect('c', { version: 4 })
  for (let i = 0; i < 2; i++) {
    c.subscribe('t')
    assert.is(c.expect('publish').retain, true)
    c.expectNothing()
  }
  p.publish('t', 'y', { retain: true })
  assert.is(c.expect('publish').retain, false)
})

test('a retained message is sent with the lower QoS of the two, and is acknowledged as any other', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true, qos: 2 })
  for (const qos of [0, 1, 2] as const) {
    const c = world.connect(`c${qos}`, kept)
    c.subscribe('t', qos)
    const d = c.expect('publish')
    assert.is(d.qos, qos)
    c.drop()
    const again = world.connect(`c${qos}`, kept)
    if (qos > 0) {
      const repeated = again.expect('publish')
      assert.ok(repeated.dup && repeated.retain && repeated.packetId === d.packetId)
    }
    again.expectNothing()
  }
})

test('a retained message waits for an offline session only once it is published', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  world.connect('p').publish('t', 'x', { retain: true, qos: 1 })
  const again = world.connect('c', kept)
  assert.is(again.expect('publish').retain, false)
  again.expectNothing()
})

// ---- expiry

test('[MQTT-3.3.2-5] a message whose time has passed is not delivered', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  p.publish('t', 'short', { qos: 1, expiry: 5 })
  p.publish('t', 'long', { qos: 1, expiry: 50 })
  p.publish('t', 'for ever', { qos: 1 })
  world.pass(6_000)
  const again = world.connect('c', kept)
  assert.equal(again.deliveries(), ['t=long', 't=for ever'])
  assert.is(world.metric('dropped_expired'), 1)
})

test('[MQTT-3.3.2-6] the expiry interval is what came less the time it waited', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p')
  p.publish('t', 'at once', { qos: 1, expiry: 60 })
  const first = c.expect('publish')
  assert.is(first.expiry, 60)
  c.sendPuback(first.packetId)
  c.drop()
  p.publish('t', 'waits', { qos: 1, expiry: 60 })
  world.pass(20_000)
  assert.is(world.connect('c', kept).expect('publish').expiry, 40)
})

test('[MQTT-3.3.2-6] a retained message counts down too, and goes when its time has passed', () => {
  const world = new OneNode()
  world.connect('p').publish('t', 'x', { retain: true, expiry: 30 })
  world.pass(10_000)
  const c = world.connect('c')
  c.subscribe('t')
  assert.is(c.expect('publish').expiry, 20)
  world.pass(21_000)
  assert.equal(retainedOf(world), [])
})

test('[MQTT-4.3.3-7] a message once sent does not expire: its flow is completed', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 2)
  world.connect('p').publish('t', 'x', { qos: 2, expiry: 5 })
  const d = c.expect('publish')
  c.sendPubrec(d.packetId)
  c.expect('pubrel')
  c.drop()
  world.pass(10_000)
  const again = world.connect('c', kept)
  assert.is(again.expect('pubrel').packetId, d.packetId)
})

// ---- properties

test('[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] properties pass as they came', () => {
  const world = new OneNode()
  const props = {
    payloadFormat: 1 as const,
    contentType: 'text/plain',
    responseTopic: 'answer/here',
    correlationData: utf8('c0'),
    userProperties: [
      ['b', '1'],
      ['a', '2'],
      ['b', '1'],
    ] as [string, string][],
  }
  const live = world.connect('live')
  const offline = world.connect('offline', kept)
  for (const c of [live, offline]) c.subscribe('t', 1)
  offline.drop()
  world.connect('p').publish('t', 'x', { qos: 1, retain: true, ...props })
  const late = world.connect('late')
  late.subscribe('t')
  for (const c of [live, world.connect('offline', kept), late]) {
    const { payloadFormat, contentType, responseTopic, correlationData, userProperties } = c.expect('publish')
    assert.equal({ payloadFormat, contentType, responseTopic, correlationData, userProperties }, props)
  }
  const old = world.connect('old', { version: 4 })
  old.subscribe('t')
  assert.equal(old.deliveries(), ['t=x'], 'nothing of it goes to 3.1.1')
})

test('[MQTT-3.3.2-14] a wildcard in a response topic closes the connection', () => {
  const c = new OneNode().connect('c')
  c.sendPublish('t', 'x', { responseTopic: 'a/#' })
  assert.is(c.expect('disconnect').cmd, 'disconnect')
  assert.ok(c.closed)
})

test('[MQTT-3.3.4-6] a subscription identifier in a publish to the server is a protocol error', () => {
  const c = new OneNode().connect('c')
  c.raw([0x30, 6, 0, 1, 0x74, 2, 0x0b, 1])
  c.expectDisconnect(0x82)
})

// ---- overlapping subscriptions and their identifiers

test('[MQTT-3.3.4-2] overlapping subscriptions give one copy, with the highest QoS of them', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('a/+', 0)
  c.subscribe('a/#', 2)
  c.subscribe('a/b', 1)
  world.connect('p').publish('a/b', 'x', { qos: 2 })
  assert.is(c.expect('publish').qos, 2)
  c.expectNothing()
})

test('[MQTT-3.3.4-3] [MQTT-3.3.4-4] a message carries the identifiers of all subscriptions it matches', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('a/#', 0, 7)
  c.subscribe('a/+', 0, 268_435_455)
  c.subscribe('a/b', 0)
  c.subscribe('x', 0, 3)
  world.connect('p').publish('a/b', 'x')
  const d = c.expect('publish')
  assert.equal([...(d.subscriptionIds ?? [])].sort(), [268_435_455, 7])
  c.expectNothing()
  c.unsubscribe('a/#')
  c.unsubscribe('a/+')
  world.connect('p').publish('a/b', 'x')
  assert.is(c.expect('publish').subscriptionIds, null)
})

test('[MQTT-3.3.4-3] the identifier of a retained message is that of the subscription it answers', () => {
  const world = new OneNode()
  world.connect('p').publish('a/b', 'x', { retain: true })
  const c = world.connect('c')
  c.subscribe('a/#', 0, 7)
  assert.equal(c.expect('publish').subscriptionIds, [7])
  c.subscribe('a/+', 0, 8)
  assert.equal(c.expect('publish').subscriptionIds, [8])
})

test('subscription identifiers outlive the connection, and are replaced with their subscription', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1, 7)
  c.drop()
  const p = world.connect('p')
  p.publish('t', 'x', { qos: 1 })
  const again = world.connect('c', kept)
  assert.equal(again.expect('publish').subscriptionIds, [7])
  again.subscribe('t', 1, 9)
  p.publish('t', 'y', { qos: 1 })
  assert.equal(again.expect('publish').subscriptionIds, [9])
})

// ---- flow control

test('[MQTT-3.3.4-7] more QoS 2 messages than Receive Maximum end the connection with 0x93', () => {
  const world = new OneNode({ receiveMaximum: 2 })
  const c = world.connect('c')
  for (let i = 0; i < 2; i++) {
    c.sendPublish('t', 'x', { qos: 2 })
    c.expect('pubrec')
  }
  c.sendPublish('t', 'x', { qos: 2 })
  c.expectDisconnect(0x93)
})

/** QoS 1 or 2 messages sent to the client and not acknowledged by it. */
function underWay(c: SpecClient): number[] {
  return c.takeAll().map((packet) => {
    assert.is(packet.cmd, 'publish')
    return packet.cmd === 'publish' ? packet.packetId : 0
  })
}

test('[MQTT-3.3.4-9] never more are under way than the client takes; each acknowledgement makes room', () => {
  for (const [qos, expiry] of [
    [1, 0],
    [1, 100],
    [2, 0],
    [2, 100],
  ] as const) {
    const world = new OneNode()
    const c = world.connect('c', { receiveMaximum: 3, cleanStart: expiry === 0, sessionExpiry: expiry })
    c.subscribe('t', qos)
    const p = world.connect('p')
    for (let i = 0; i < 10; i++) p.publish('t', `${i}`, { qos })
    const sent = underWay(c)
    assert.is(sent.length, 3)
    for (let seen = 3; seen < 10; seen++) {
      const id = sent.shift() as number
      if (qos === 1) c.sendPuback(id)
      else {
        c.sendPubrec(id)
        c.expect('pubrel')
        c.expectNothing()
        c.sendPubcomp(id)
      }
      const more = underWay(c)
      assert.is(more.length, 1)
      sent.push(...more)
    }
    c.expectNothing()
  }
})

test('[MQTT-3.3.4-10] QoS 0 messages and answers do not wait for room', () => {
  const world = new OneNode()
  const c = world.connect('c', { receiveMaximum: 1 })
  c.subscribe('t', 1)
  c.subscribe('u', 0)
  const p = world.connect('p')
  for (let i = 0; i < 3; i++) p.publish('t', 'x', { qos: 1 })
  assert.equal(c.deliveries(), ['t=x'])
  p.publish('u', 'y')
  assert.equal(c.deliveries(), ['u=y'])
  c.sendPingreq()
  c.expect('pingresp')
  c.subscribe('v', 2)
})

test('[MQTT-3.3.4-9] a connection that takes less than the one before is sent no more than it takes', () => {
  for (const qos of [1, 2] as const) {
    const world = new OneNode()
    const c = world.connect('c', kept)
    c.subscribe('t', qos)
    const p = world.connect('p')
    for (let i = 0; i < 6; i++) p.publish('t', `${i}`, { qos })
    assert.is(underWay(c).length, 6)
    c.drop()
    p.publish('t', '6', { qos })
    const again = world.connect('c', { ...kept, receiveMaximum: 2 })
    const got: string[] = []
    for (let i = 0; i < 7; i++) {
      const [next] = again.inbox
      assert.ok(again.inbox.length <= 2, `${again.inbox.length} at once`)
      assert.is(next?.cmd, 'publish')
      const d = again.expect('publish')
      assert.is(d.dup, i < 6)
      got.push(new TextDecoder().decode(d.payload))
      const rest = again.takeAll()
      if (qos === 1) again.sendPuback(d.packetId)
      else {
        again.sendPubrec(d.packetId)
        again.expect('pubrel')
        again.sendPubcomp(d.packetId)
      }
      again.inbox.unshift(...rest)
    }
    assert.equal(got, ['0', '1', '2', '3', '4', '5', '6'])
    again.expectNothing()
  }
})

test('much that is sent again does not break a slow reader', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p')
  for (let i = 0; i < 90; i++) p.publish('t', `${i}`.padEnd(1024 * 1024), { qos: 1 })
  assert.is(underWay(c).length, 90)
  c.drop()
  const again = world.open('c')
  again.room = 100
  again.sendConnect(kept)
  assert.not(again.closed)
  again.unblock()
  again.expect('connack')
  assert.is(underWay(again).length, 90)
})

// ---- limits of queues

test('a full queue drops what comes, and counts it', () => {
  const world = new OneNode({ queuedMessagesMax: 3 })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  for (let i = 0; i < 5; i++) p.publish('t', `${i}`, { qos: 1 })
  assert.equal(world.connect('c', kept).deliveries(), ['t=0', 't=1', 't=2'])
  assert.is(world.metric('dropped_queue_full'), 2)
})

test('QoS 0 messages are not kept for an offline session', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 2)
  c.drop()
  world.connect('p').publish('t', 'x')
  world.connect('c', kept).expectNothing()
})

test('a slow reader loses QoS 0 messages, and is closed only if it does not read at all', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('t')
  c.room = 0
  const p = world.connect('p')
  const big = 'x'.repeat(1024 * 1024)
  for (let i = 0; i < 10; i++) p.publish('t', big)
  assert.ok(world.metric('dropped_slow_reader') > 0)
  assert.not(c.closed)
  c.unblock()
  assert.ok(c.deliveries().length >= 4)
  p.publish('t', 'again')
  assert.equal(c.deliveries(), ['t=again'])
})

test.run()
