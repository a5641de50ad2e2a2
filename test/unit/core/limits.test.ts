// Limits: what an operator has set, told to the client and held: retained messages, the window, what CONNACK says, large packets.

import { LIMITS } from '../../../src/base/limits.ts'
import { OneNode, TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('limits')
const kept = { cleanStart: false, sessionExpiry: 1000 }

// ---- what CONNACK says

test('CONNACK names the limits that a client must know, and nothing that is as the standard has it', () => {
  const tight = new OneNode({
    packetBytesMax: 1000,
    qosMax: 1,
    retainAvailable: false,
    receiveMaximum: 7,
    keepAliveMax: 60,
    sessionExpiryMax: 100,
    topicAliasMaximum: 3,
  })
  const c = tight.open('c')
  c.sendConnect({ keepAlive: 600, sessionExpiry: 1000 })
  const told = c.expect('connack')
  assert.is(told.maximumPacketSize, 1000)
  assert.is(told.maximumQos, 1)
  assert.is(told.retainAvailable, false)
  assert.is(told.receiveMaximum, 7)
  assert.is(told.serverKeepAlive, 60)
  assert.is(told.sessionExpiry, 100)
  assert.is(told.topicAliasMaximum, 3)
  const wide = new OneNode().open('c')
  wide.sendConnect({ keepAlive: 600, sessionExpiry: 1000 })
  const plain = wide.expect('connack')
  for (const name of ['maximumQos', 'retainAvailable', 'serverKeepAlive', 'sessionExpiry'] as const)
    assert.is(plain[name], undefined, name)
  for (const name of ['wildcardAvailable', 'subscriptionIdsAvailable', 'sharedAvailable'] as const)
    assert.is(plain[name], undefined, name)
})

test('a client within the limits is told neither keep alive nor session expiry', () => {
  const world = new OneNode({ keepAliveMax: 60, sessionExpiryMax: 100 })
  const c = world.open('c')
  c.sendConnect({ keepAlive: 30, sessionExpiry: 50 })
  const connack = c.expect('connack')
  assert.is(connack.serverKeepAlive, undefined)
  assert.is(connack.sessionExpiry, undefined)
})

test('a session of 3.1.1 that may not live for ever ends with its limit', () => {
  const world = new OneNode({ sessionExpiryMax: 10 })
  world.connect('c', { version: 4, cleanStart: false }).drop()
  world.pass(9_000)
  const c = world.connect('c', { version: 4, cleanStart: false })
  assert.ok(c.present)
  c.drop()
  world.pass(11_000)
  assert.not(world.connect('c', { version: 4, cleanStart: false }).present)
})

// ---- the window

test('no more messages are under way than max-inflight-messages, whatever the client allows', () => {
  for (const version of [4, 5] as const) {
    const world = new OneNode({ inflightMax: 3 })
    const c = world.connect('c', {
      version,
      ...(version === 5 ? { ...kept, receiveMaximum: 50 } : { cleanStart: false }),
    })
    c.subscribe('t', 1)
    const p = world.connect('p')
    for (let i = 0; i < 10; i++) p.publish('t', `${i}`, { qos: 1 })
    assert.is(c.inbox.length, 3)
    const [first] = c.inbox
    if (first?.cmd === 'publish') c.sendPuback(first.packetId)
    assert.is(c.inbox.length, 4)
  }
})

test('without it a client of 3.1.1 has the default, one of 5.0 its Receive Maximum', () => {
  const world = new OneNode()
  const old = world.connect('old', { version: 4, cleanStart: false })
  const mine = world.connect('mine', { ...kept, receiveMaximum: 5 })
  for (const c of [old, mine]) c.subscribe('t', 1)
  const p = world.connect('p')
  for (let i = 0; i < LIMITS.inflightDefault + 10; i++) p.publish('t', `${i}`, { qos: 1 })
  assert.equal([old.inbox.length, mine.inbox.length], [LIMITS.inflightDefault, 5])
})

// ---- subscriptions

test('the number of subscriptions is held within one SUBSCRIBE too; known filters may be subscribed to again', () => {
  const world = new OneNode({ subscriptionsMax: 3 })
  const c = world.connect('c', kept)
  const filters = (...names: string[]) => names.map((filter) => ({ filter, qos: 0 as const }))
  assert.equal(c.subscribe(filters('a', 'b', 'a', 'c', 'd', 'e')), [0, 0, 0, 0, 0x97, 0x97])
  assert.equal(c.subscribe(filters('c', 'f')), [0, 0x97])
  assert.is(world.metric('subscriptions_refused'), 3)
  c.unsubscribe('a')
  assert.equal(c.subscribe(filters('g', 'h')), [0, 0x97])
  assert.is(world.node.sessions.get('c')?.subscriptions.size, 3)
})

test('one SUBSCRIBE with a filter many times over is one change, and of its filters no more are looked at than it may have', () => {
  const most = LIMITS.filtersPerPacketMax
  const world = new TwoNodes()
  world.connect(world.a, 'p').publish('t', 'kept', { retain: true, qos: 1 })
  for (const [version, refusal] of [
    [5, 0x97],
    [4, 0x80],
  ] as const) {
    const c = world.connect(world.a, `c${version}`, { ...kept, version })
    const made = world.a.emitter.count
    const codes = c.subscribe(new Array(most + 2).fill({ filter: '#', qos: 0 }))
    assert.is(world.a.emitter.count - made, 1)
    assert.equal(codes, [...new Array(most).fill(0), refusal, refusal])
    assert.equal(c.deliveries(), ['t=kept'])
  }
  assert.is(world.a.metrics.get('subscriptions_refused'), 4)
})

test('where a session may have more filters, one packet may name as many', () => {
  const subscriptionsMax = LIMITS.filtersPerPacketMax + 2
  const world = new OneNode({ subscriptionsMax })
  const filters = Array.from({ length: subscriptionsMax + 1 }, (_, i) => ({ filter: `t/${i}`, qos: 0 as const }))
  const codes = world.connect('c').subscribe(filters)
  assert.is(codes.indexOf(0x97), subscriptionsMax)
})

// ---- retained

test('a full retained store takes new values for its topics and deletions, and no new topics', () => {
  const world = new OneNode({ retainedMessagesMax: 2 })
  const p = world.connect('p')
  const live = world.connect('live')
  live.subscribe('#')
  for (const topic of ['a', 'b', 'c']) p.publish(topic, '1', { retain: true, qos: 1 })
  p.publish('a', '2', { retain: true })
  assert.is(world.metric('dropped_retained_full'), 1)
  assert.equal(live.deliveries(), ['a=1', 'b=1', 'c=1', 'a=2'], 'it is a message all the same')
  const late = world.connect('late')
  late.subscribe('#')
  assert.equal(late.deliveries().sort(), ['a=2', 'b=1'])
  p.publish('b', '', { retain: true })
  p.publish('c', '2', { retain: true })
  assert.equal([world.node.retained.count, world.metric('dropped_retained_full')], [2, 1])
  for (const topic of ['x', 'y', 'z']) p.publish(topic, '1', { retain: true })
  assert.is(world.log.filter(({ name }) => name === 'retained_full').length, 1, 'one line a minute')
  world.pass(LIMITS.fullToldMs)
  p.publish('x', '1', { retain: true })
  assert.is(world.log.filter(({ name }) => name === 'retained_full').length, 2)
})

test('retained messages are bounded in bytes, and a topic whose new value does not fit keeps its old one', () => {
  const world = new OneNode({ retainedBytesMax: 12 })
  const p = world.connect('p')
  p.publish('a', '12345678', { retain: true })
  p.publish('b', '123', { retain: true })
  p.publish('a', '123456789012', { retain: true })
  p.publish('b', '12', { retain: true })
  const c = world.connect('c')
  c.subscribe('#')
  assert.equal(c.deliveries().sort(), ['a=12345678', 'b=12'])
  assert.is(world.metric('dropped_retained_full'), 2)
})

test('what is retained is judged where it came in: both nodes hold the same', () => {
  const world = new TwoNodes({ retainedMessagesMax: 3 })
  const [pa, pb] = [world.connect(world.a, 'pa'), world.connect(world.b, 'pb')]
  const rap = world.connect(world.b, 'rap')
  rap.subscribe([{ filter: '#', qos: 1, retainAsPublished: true }])
  for (let i = 0; i < 4; i++) {
    pa.publish(`a${i}`, '1', { retain: true, qos: 1 })
    pb.publish(`b${i}`, '1', { retain: true, qos: 1 })
  }
  world.settle()
  const topics = [world.a, world.b].map((node) => [...node.retained.tree.entries()].map(([topic]) => topic).sort())
  assert.equal(topics[0], topics[1])
  assert.is(topics[0]?.length, 3)
  const got = rap.takeAll().filter((packet) => packet.cmd === 'publish')
  assert.is(got.length, 8)
  assert.ok(
    got.every((packet) => packet.retain),
    'published with RETAIN, kept or not',
  )
})

// ---- packets

test('the largest packet an operator may allow goes through a pair, and one byte more is refused', () => {
  const world = new TwoNodes({ packetBytesMax: LIMITS.packetBytesMost })
  const c = world.connect(world.b, 'c', kept)
  c.subscribe('t', 1)
  const p = world.connect(world.a, 'p')
  // fixed header 5, topic 3, identifier 2, no properties 1
  const payload = new Uint8Array(LIMITS.packetBytesMost - 11).fill(0x78)
  p.publish('t', new TextDecoder().decode(payload), { qos: 1 })
  const packet = c.expect('publish')
  assert.is(packet.payload.length, payload.length)
  p.sendPublish('t', new Uint8Array(payload.length + 1), { qos: 1 })
  p.expectDisconnect(0x95)
})

test('a first packet larger than max-packet-bytes is refused before it is buffered', () => {
  const world = new OneNode({ packetBytesMax: 128 })
  const c = world.open('c')
  c.raw([0x10, 0x80, 1])
  assert.ok(c.closed)
  assert.is(world.metric('faults_packetTooLarge'), 1)
})

test.run()
