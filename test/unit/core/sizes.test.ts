// Sizes: much asked for in little: what one packet, one topic name or one client may cost the link, the memory and the others.

import { Hlc } from '../../../src/base/brand.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { Retained } from '../../../src/core/routing/retained.ts'
import { Routes } from '../../../src/core/routing/route.ts'
import { Journal } from '../../../src/session/journal.ts'
import { Message } from '../../../src/session/message.ts'
import type { Session } from '../../../src/session/session.ts'
import type { TopicRef } from '../../../src/topic/topics.ts'
import { OneNode, TwoNodes } from '../../support/one_node.ts'
import { Stage } from '../../support/stage.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('sizes')
const kept = { cleanStart: false, sessionExpiry: 1000 }
const MIB = 1024 * 1024

test('one SUBSCRIBE that asks for more retained bytes than a frame holds crosses in several', () => {
  const world = new TwoNodes()
  const publisher = world.connect(world.a, 'p')
  const payload = 'x'.repeat(MIB)
  const topics = Array.from({ length: 70 }, (_, i) => `t/${i}`)
  for (const topic of topics) publisher.publish(topic, payload, { qos: 1, retain: true })
  const subscriber = world.connect(world.a, 's', { ...kept, receiveMaximum: 1 })
  subscriber.subscribe('t/#', 1)
  world.settle()
  assert.equal([world.a.mode, world.b.mode, world.b.metrics.get('link_faults')], ['SYNC', 'SYNC', 0])
  world.kill(world.a)
  const again = world.connect(world.b, 's', kept)
  assert.is(again.present, true)
  const got = new Set<string>()
  for (let packet = again.inbox.shift(); packet !== undefined; packet = again.inbox.shift()) {
    if (packet.cmd !== 'publish') continue
    got.add(packet.topic)
    again.sendPuback(packet.packetId)
  }
  assert.is(got.size, topics.length)
})

test('a join carries retained messages of any size', () => {
  const stage = new Stage({ onEvent: () => {}, onFrame: () => {} })
  const a = stage.node('a')
  stage.crash('b')
  stage.pass(LIMITS.soloMs + 1_000)
  for (let i = 0; i < 60; i++) {
    const { message } = retainedMessage(a.topics.intern(`big/${i}`), 1.4 * MIB)
    a.retained.set(`big/${i}`, message, message.hlc, message.origin)
  }
  stage.start('b')
  stage.pass(2_000)
  assert.equal([a.mode, stage.node('b').mode, stage.node('b').retained.count], ['SYNC', 'SYNC', 60])
})

test('topic names count where bytes are bounded', () => {
  const world = new OneNode({ queuedBytesMax: 10_000 })
  const s = world.connect('s', kept)
  s.subscribe('#', 1)
  s.drop()
  const p = world.connect('p')
  for (let i = 0; i < 20; i++) p.publish(`${i}/${'n'.repeat(997)}`, '', { qos: 1 })
  assert.ok(world.metric('dropped_queue_full') >= 10)
})

test('what routes remember is bounded, however many topics have however many subscribers', () => {
  const world = new OneNode()
  const clients = 500
  for (let i = 0; i < clients; i++) world.connect(`c${i}`).subscribe('#', 0)
  const routes = new Routes(world.node)
  const topics = Array.from({ length: (LIMITS.routedTargetsMax / clients) * 2 }, (_, i) =>
    world.node.topics.intern(`t/${i}`),
  )
  for (const topic of topics) assert.is(routes.of(topic).targets.length, clients)
  const remembered = topics.filter(({ route }) => route !== null).length
  assert.ok(remembered * clients <= LIMITS.routedTargetsMax, `${remembered} routes`)
  assert.ok(remembered > 1)
})

test('deletions of retained messages are forgotten by how long ago they were, not by the clock, and never pile up', () => {
  let now = 0
  const retained = new Retained(new Journal(1), () => now)
  const future = Hlc(2 ** 52)
  for (let i = 0; i <= LIMITS.deletedRetainedMax; i++) {
    now++
    retained.set(`t/${i}`, null, future, 1 as never)
  }
  assert.equal([retained.tree.size, retained.forgotten], [LIMITS.deletedRetainedMax, 1])
  assert.is(retained.tree.get('t/0'), undefined)
  retained.forgetDeleted(now)
  assert.is(retained.tree.size, 1, 'the last one is not older')
})

test('QoS 0 for the peer is dropped and counted while the link is gone', () => {
  const world = new TwoNodes()
  world.connect(world.b, 's').subscribe('t', 0)
  world.settle()
  const p = world.connect(world.a, 'p')
  world.silence()
  world.a.linkClosed('cut')
  world.drive()
  assert.is(world.a.mode, 'STALL')
  for (let i = 0; i < 10; i++) p.sendPublish('t', 'x', { qos: 0 })
  assert.equal([world.a.router.qos0.length, world.a.metrics.get('dropped_link_busy')], [0, 10])
})

test('a replay stops asking a queue that is full, and every message is counted', () => {
  const world = new OneNode({ queuedMessagesMax: 5 })
  const p = world.connect('p')
  for (let i = 0; i < 20; i++) p.publish(`t/${i}`, 'x', { qos: 1, retain: true })
  const s = world.connect('s', { ...kept, receiveMaximum: 2 })
  s.room = 0
  s.sendSubscribe([{ filter: 't/#', qos: 1 }])
  assert.is(world.metric('dropped_queue_full'), 15)
})

test('many who do not read get little room each, and none of QoS 1 is lost by it', () => {
  const world = new OneNode({ queuedBytesTotalMax: 4 * MIB })
  const slow = Array.from({ length: 40 }, (_, i) => world.connect(`s${i}`, kept))
  for (const s of slow) {
    s.subscribe('zero', 0)
    s.subscribe('one', 1)
    s.room = 0
  }
  const p = world.connect('p')
  const payload = 'x'.repeat(10_000)
  for (let i = 0; i < 100; i++) p.publish('zero', payload)
  assert.ok(world.node.writers.held < 1 * MIB + 40 * 2 * LIMITS.outBytesTightMax, `${world.node.writers.held} bytes`)
  assert.ok(world.metric('dropped_slow_reader') > 1000)
  for (let i = 0; i < 5; i++) p.publish('one', `${i}`, { qos: 1 })
  const got = slow.map((s) => {
    s.unblock()
    return s.deliveries().filter((text) => text.startsWith('one')).length
  })
  assert.equal(
    got,
    slow.map(() => 5),
  )
  assert.is(world.node.writers.held, 0)
  p.publish('zero', payload)
  assert.is(slow[0]?.deliveries().length, 1)
})

test('the filters of one session are bounded in bytes: they go to the other node in one piece', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  const filter = (i: number) => `${i}/${'f'.repeat(60_000)}`
  const fit = Math.floor(LIMITS.filterBytesPerSessionMax / filter(100).length)
  const codes = Array.from({ length: fit + 3 }, (_, i) => c.subscribe(filter(i))[0])
  assert.equal(codes.slice(-3), [0x97, 0x97, 0x97])
  assert.is(codes[fit - 2], 0)
  c.unsubscribe(filter(0))
  assert.equal(c.subscribe('small'), [0])
})

test('one message that is never acknowledged does not let the queue behind it grow for ever', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p')
  p.publish('t', 'first', { qos: 1 })
  const first = c.expect('publish')
  const session = world.node.sessions.get('c') as Session
  session.nextPos += LIMITS.queueSpanMax // as many have come and gone
  p.publish('t', 'second', { qos: 1 })
  c.expectNothing()
  c.sendPuback(first.packetId)
  assert.equal(c.deliveries(), ['t=second'])
})

function retainedMessage(topic: TopicRef, bytes: number) {
  const message = new Message(
    1 as never,
    1,
    Hlc(1),
    topic,
    new Uint8Array(bytes),
    1,
    true,
    null,
    Number.POSITIVE_INFINITY,
    'p',
  )
  return { message }
}

test.run()
