// Queues: what happens at the bounds of a session's queue, alone and in a pair: who gives way, what is told, what stays in order.

import { ByteWriter, utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { BrokerNode } from '../../../src/core/node.ts'
import { writePublish } from '../../../src/wire/encoder.ts'
import { PacketType } from '../../../src/wire/packet.ts'
import { OneNode, type SpecClient, TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('queues')
const kept = { cleanStart: false, sessionExpiry: 1000 }
const MIB = 1024 * 1024

/** Takes all deliveries and acknowledges them, as long as there are any. */
function consume(c: SpecClient): string[] {
  const got: string[] = []
  for (let packet = c.inbox.shift(); packet !== undefined; packet = c.inbox.shift()) {
    if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
    if (packet.cmd !== 'publish') continue
    got.push(new TextDecoder().decode(packet.payload))
    if (packet.qos === 1) c.sendPuback(packet.packetId)
    if (packet.qos === 2) c.sendPubrec(packet.packetId)
  }
  return got
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `${from + i}`)
}

/** The session as each node holds it. */
function digests(world: TwoNodes, client: string): string[] {
  return [world.a, world.b].map((node) => {
    const session = node.inspect().sessions.find((s) => s.client === client)
    return `${session?.ver} ${session?.digest}`
  })
}

function dropped(node: BrokerNode): number {
  return node.metrics.get('dropped_queue_full')
}

// ---- one node

for (const qos of [1, 2] as const) {
  test(`drop-oldest keeps the newest messages, in order (QoS ${qos})`, () => {
    const world = new OneNode({ queuedMessagesMax: 3, queueFull: 'drop-oldest' })
    const c = world.connect('c', kept)
    c.subscribe('t', qos)
    c.drop()
    const p = world.connect('p')
    for (const n of numbers(0, 10)) p.publish('t', n, { qos })
    assert.is(world.metric('dropped_queue_full'), 7)
    assert.equal(consume(world.connect('c', kept)), ['7', '8', '9'])
  })
}

test('drop-newest keeps the oldest messages, in order', () => {
  const world = new OneNode({ queuedMessagesMax: 3 })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  for (const n of numbers(0, 10)) p.publish('t', n, { qos: 1 })
  assert.is(world.metric('dropped_queue_full'), 7)
  assert.equal(
    world.log.filter(({ name }) => name === 'queue_full').map(({ fields }) => fields),
    [{ client: 'c', connected: false, waiting: 3, bytes: 6 }],
    'one line, not one a message',
  )
  assert.equal(consume(world.connect('c', kept)), ['0', '1', '2'])
})

test('what is under way neither counts nor gives way', () => {
  const world = new OneNode({ queuedMessagesMax: 3, queueFull: 'drop-oldest' })
  const c = world.connect('c', { ...kept, receiveMaximum: 2 })
  c.subscribe('t', 1)
  const p = world.connect('p')
  for (const n of numbers(0, 10)) p.publish('t', n, { qos: 1 })
  assert.is(world.metric('dropped_queue_full'), 5)
  assert.equal(consume(c), ['0', '1', '7', '8', '9'])
  // ... nor after a reconnect, before it is acknowledged
  for (const n of numbers(10, 20)) p.publish('t', n, { qos: 1 })
  c.drop()
  for (const n of numbers(20, 30)) p.publish('t', n, { qos: 1 })
  assert.equal(consume(world.connect('c', { ...kept, receiveMaximum: 2 })), ['10', '11', '27', '28', '29'])
})

test('a queue is bounded in bytes too, and a message larger than all of it takes nobody else with it', () => {
  for (const queueFull of ['drop-newest', 'drop-oldest'] as const) {
    const world = new OneNode({ queuedBytesMax: 100, queueFull })
    const c = world.connect('c', kept)
    c.subscribe('t', 1)
    c.drop()
    const p = world.connect('p')
    for (const letter of ['a', 'b', 'c']) p.publish('t', letter.repeat(40), { qos: 1 })
    p.publish('t', 'x'.repeat(101), { qos: 1 })
    assert.is(world.metric('dropped_queue_full'), 2)
    const got = consume(world.connect('c', kept)).map((text) => text[0])
    assert.equal(got, queueFull === 'drop-newest' ? ['a', 'b'] : ['b', 'c'])
  }
})

test('properties count as bytes', () => {
  const world = new OneNode({ queuedBytesMax: 100 })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  world.connect('p').publish('t', 'x', { qos: 1, contentType: 'y'.repeat(100) })
  assert.is(world.metric('dropped_queue_full'), 1)
})

test('disconnect tells a client that does not keep up, once; its session and its queue stay', () => {
  const world = new OneNode({ queuedMessagesMax: 3, queueFull: 'disconnect' })
  const c = world.connect('c', {
    ...kept,
    receiveMaximum: 2,
    will: { topic: 'w', payload: new Uint8Array(1), qos: 0, retain: false },
  })
  c.subscribe('t', 1)
  const other = world.connect('other')
  other.subscribe('#', 1)
  const p = world.connect('p')
  for (const n of numbers(0, 8)) p.publish('t', n, { qos: 1 })
  assert.is(c.takeAll().at(-1)?.cmd, 'disconnect')
  assert.ok(c.closed)
  assert.is(world.log.filter(({ name }) => name === 'client_fault').length, 1)
  assert.is(world.metric('faults_quotaExceeded'), 1)
  assert.is(world.metric('dropped_queue_full'), 3)
  assert.equal(
    consume(other).filter((text) => text >= '0' && text <= '9'),
    numbers(0, 8),
    'the others lose nothing',
  )
  assert.equal(consume(world.connect('c', { ...kept, receiveMaximum: 2 })), ['0', '1', '2', '3', '4'])
})

test('a session without expiry has the same bound while its client is slow', () => {
  const world = new OneNode({ queuedMessagesMax: 3, queueFull: 'drop-oldest' })
  const c = world.connect('c', { receiveMaximum: 1 })
  c.subscribe('t', 1)
  const p = world.connect('p')
  for (const n of numbers(0, 10)) p.publish('t', n, { qos: 1 })
  assert.equal(consume(c), ['0', '7', '8', '9'])
})

// ---- QoS 0

test('QoS 0 does not wait for an offline session, and that is counted', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 2)
  c.drop()
  world.connect('p').publish('t', 'x')
  world.connect('c', kept).expectNothing()
  assert.is(world.metric('qos0_not_queued'), 1)
})

test('with queue-qos0 it does, within the same bound, and later ones do not overtake it', () => {
  const world = new OneNode({ queueQos0: true, queuedMessagesMax: 3, queueFull: 'drop-oldest' })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  for (const n of numbers(0, 5)) p.publish('t', n)
  const slow = world.open('c')
  slow.room = 0
  slow.sendConnect(kept)
  p.publish('t', '5')
  slow.unblock()
  slow.expect('connack')
  p.publish('t', '6')
  assert.equal(consume(slow), ['2', '3', '4', '5', '6'])
  // a session without expiry has no queue to wait in
  const clean = world.connect('clean')
  clean.subscribe('t')
  clean.drop()
  p.publish('t', '7')
  world.connect('clean').expectNothing()
})

test('with queue-qos0 a message of QoS 0 waits at both nodes, moves with its session and comes once', () => {
  const world = new TwoNodes({ queueQos0: true })
  const c = world.connect(world.a, 'c', kept)
  c.subscribe('t', 0)
  c.drop()
  world.connect(world.a, 'pa').publish('t', '0')
  world.connect(world.b, 'pb').publish('t', '1')
  world.connect(world.a, 'pa').publish('t', '2', { qos: 1 })
  world.settle()
  assert.match(digests(world, 'c')[0] as string, /\[0,0,/)
  assert.is(digests(world, 'c')[0], digests(world, 'c')[1])
  const moved = world.connect(world.b, 'c', kept)
  assert.equal(consume(moved), ['0', '1', '2'])
  moved.drop()
  world.settle()
  world.connect(world.a, 'c', kept).expectNothing()
  world.settle()
  assert.is(digests(world, 'c')[0], digests(world, 'c')[1])
})

for (const shared of [false, true])
  test(`with queue-qos0 a message of QoS 0 waits for a session of the dead node too${shared ? ', by its share' : ''}`, () => {
    const world = new TwoNodes({ queueQos0: true })
    const c = world.connect(world.a, 'c', kept)
    c.subscribe(shared ? '$share/g/t' : 't', 1)
    world.kill(world.a)
    const p = world.connect(world.b, 'p')
    p.publish('t', '0')
    p.publish('t', '1', { qos: 1 })
    p.publish('t', '2')
    assert.equal(consume(world.connect(world.b, 'c', kept)), ['0', '1', '2'])
    world.connect(world.b, 'c', kept).expectNothing()
  })

test('QoS 0 that does not wait for a session of the other node is counted too', () => {
  const world = new TwoNodes()
  const c = world.connect(world.a, 'c', kept)
  c.subscribe('t', 1)
  c.drop()
  world.connect(world.b, 'p').publish('t', '0')
  assert.equal(
    [world.a, world.b].map((node) => node.metrics.get('qos0_not_queued')),
    [0, 1],
  )
})

// ---- slow readers

test('a reader is slow when its socket takes no more, not when much comes at once', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('t')
  const p = world.connect('p')
  const bytes = new ByteWriter(1024)
  const payload = new Uint8Array(MIB)
  for (let i = 0; i < 12; i++)
    writePublish(bytes, 5, utf8('t'), payload, 0, payload.length, 0, false, false, 0, null, -1, null, 0)
  p.raw(bytes.take())
  assert.is(c.takeAll().length, 12)
  assert.is(world.metric('dropped_slow_reader'), 0)
})

test('a reader with too much waiting is closed behind the publish that finds it, which goes to everybody else', () => {
  const world = new OneNode()
  const will = { topic: 'will', payload: utf8('gone'), qos: 0 as const, retain: false }
  const slow = world.connect('slow', { will })
  const fast = world.connect('fast')
  const p = world.connect('p')
  slow.subscribe('t')
  for (const filter of ['t', 'will']) fast.subscribe(filter)
  // Behind a promise that the disk does not keep, and there is nothing that its socket could be offered.
  world.diskAnswers = false
  slow.sendPublish('r', 'x', { qos: 1, retain: true })
  slow.expectNothing()
  world.node.live.get('slow')?.writer(PacketType.pingresp).copy(new Uint8Array(LIMITS.outBytesMax))
  p.publish('t', 'x')
  assert.equal(fast.deliveries(), ['t=x', 'will=gone'])
  assert.ok(slow.closed)
  assert.is(world.metric('connections_closed_slow'), 1)
  assert.is(world.metric('dropped_slow_reader'), 1)
})

test('a slow reader loses its own messages of QoS 0 only', () => {
  const world = new OneNode()
  const [slow, fast] = [world.connect('slow'), world.connect('fast')]
  for (const c of [slow, fast]) {
    c.subscribe('zero', 0)
    c.subscribe('one', 1)
  }
  slow.room = 0
  const p = world.connect('p')
  for (let i = 0; i < 10; i++) {
    p.publish('zero', `${i}`.padEnd(MIB))
    p.publish('one', `${i}`.padEnd(1000), { qos: 1 })
  }
  assert.is(consume(fast).length, 20)
  assert.ok(world.metric('dropped_slow_reader') > 0)
  slow.unblock()
  const got = consume(slow)
  assert.equal(
    got.filter((text) => text.length === 1000).map((text) => text.trim()),
    numbers(0, 10),
  )
})

test('retained messages of QoS 0 beyond what a socket takes wait for it, and live ones wait behind them', () => {
  for (const fields of [{}, kept]) {
    const world = new OneNode()
    const p = world.connect('p')
    for (let i = 0; i < 12; i++) p.publish(`r/${i}`, `${i}`.padEnd(MIB), { retain: true })
    const c = world.connect('c', fields)
    c.room = 100
    c.sendSubscribe('#')
    p.publish('r/11', 'live')
    c.unblock()
    c.expect('suback')
    assert.equal(
      consume(c).map((text) => text.trim()),
      [...numbers(0, 12), 'live'],
    )
    assert.is(world.metric('dropped_slow_reader'), 0)
    // ... and are no part of the session.
    c.room = 100
    c.sendSubscribe('r/+')
    c.drop()
    assert.is(world.node.sessions.get('c')?.queue.count ?? 0, 0)
  }
})

// ---- two nodes

for (const queueFull of ['drop-oldest', 'drop-newest'] as const) {
  test(`only the owner drops, and its replica stays equal (${queueFull})`, () => {
    const world = new TwoNodes({ queuedMessagesMax: 4, queueFull })
    const c = world.connect(world.a, 'c', kept)
    c.subscribe('t', 2)
    c.drop()
    const [pa, pb] = [world.connect(world.a, 'pa'), world.connect(world.b, 'pb')]
    for (const n of numbers(0, 6)) pa.publish(`t`, n, { qos: 2 })
    for (const n of numbers(6, 12)) pb.publish(`t`, n, { qos: 1 })
    world.settle()
    assert.equal([dropped(world.a), dropped(world.b)], [8, 0])
    assert.is(digests(world, 'c')[0], digests(world, 'c')[1])
    assert.equal(
      consume(world.connect(world.b, 'c', kept)),
      queueFull === 'drop-oldest' ? numbers(8, 12) : numbers(0, 4),
    )
    world.settle()
    assert.is(digests(world, 'c')[0], digests(world, 'c')[1])
  })
}

test('order of one publisher and topic holds through overflow, resume and hand-over', () => {
  const world = new TwoNodes({ queuedMessagesMax: 5, queueFull: 'drop-oldest' })
  const fields = { ...kept, receiveMaximum: 3 }
  let c = world.connect(world.a, 'c', fields)
  c.subscribe('t', 2)
  const [pa, pb] = [world.connect(world.a, 'pa'), world.connect(world.b, 'pb')]
  const got: number[] = []
  for (let i = 0; i < 400; i++) {
    const p = i % 100 < 50 ? pa : pb
    p.publish('t', `${i}`, { qos: i % 100 < 25 ? 1 : 2 })
    if (i % 7 === 0) got.push(...consume(c).map(Number))
    if (i % 40 === 17) c.drop()
    if (i % 40 === 37) c = world.connect(i % 80 === 37 ? world.b : world.a, 'c', fields)
  }
  got.push(...consume(c).map(Number))
  assert.ok(dropped(world.a) + dropped(world.b) > 50)
  const first = got.filter((n, i) => got.indexOf(n) === i)
  // Within a stretch of one publisher and QoS; both publishers take turns.
  const stretch = (n: number): string => `${Math.floor(n / 25)}`
  for (const key of new Set(first.map(stretch))) {
    const part = first.filter((n) => stretch(n) === key)
    assert.equal(
      part,
      [...part].sort((x, y) => x - y),
    )
  }
})

// ---- time

test('[MQTT-3.3.2-5] expired messages leave the queue of an offline session by themselves, at both nodes', () => {
  const world = new TwoNodes()
  const c = world.connect(world.a, 'c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect(world.b, 'p')
  p.publish('t', 'short', { qos: 1, expiry: 5 })
  p.publish('t', 'long', { qos: 1, expiry: 50 })
  p.publish('t', 'ever', { qos: 1 })
  world.pass(5000 + 2 * LIMITS.expirySweepMs)
  assert.equal(
    [world.a, world.b].map((node) => node.sessions.get('c')?.queue.count),
    [2, 2],
  )
  assert.equal([world.a.metrics.get('dropped_expired'), world.b.metrics.get('dropped_expired')], [1, 0])
  world.pass(50_000)
  assert.equal(consume(world.connect(world.b, 'c', kept)), ['ever'])
})

test('[MQTT-3.3.2-5] in a full queue the expired make room first', () => {
  const world = new OneNode({ queuedMessagesMax: 2 })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  p.publish('t', 'stays', { qos: 1 })
  p.publish('t', 'gone', { qos: 1, expiry: 1 })
  world.pass(1000 + LIMITS.expirySweepMs / 2)
  p.publish('t', 'new', { qos: 1 })
  assert.equal(consume(world.connect('c', kept)), ['stays', 'new'])
  assert.equal([world.metric('dropped_expired'), world.metric('dropped_queue_full')], [1, 0])
})

test('[MQTT-3.3.2-5] a retained message that has expired is not sent, and leaves the store at both nodes', () => {
  const world = new TwoNodes()
  world.connect(world.a, 'p').publish('r', 'x', { retain: true, expiry: 5, qos: 1 })
  world.connect(world.a, 'p').publish('s', 'y', { retain: true, qos: 1 })
  world.pass(5001)
  for (const node of [world.a, world.b]) {
    assert.equal([node.retained.count, node.retained.bytes], [1, 2])
    const c = world.connect(node, 'c')
    c.subscribe('#')
    assert.equal(c.deliveries(), ['s=y'])
  }
  world.connect(world.b, 'p').publish('r', 'again', { retain: true, qos: 1 })
  assert.equal(
    [world.a, world.b].map((node) => node.retained.count),
    [2, 2],
  )
})

// ---- the node as a whole

test('above the memory mark publishers are paused, and go on when there is room; nobody is closed for it', () => {
  const world = new OneNode({ queuedBytesTotalMax: 4 * MIB })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const idle = world.connect('idle', { keepAlive: 10 })
  const p = world.connect('p', { keepAlive: 10 })
  for (let i = 0; i < 4; i++) p.publish('t', `${i}`.padEnd(MIB), { qos: 1 })
  assert.ok(p.reading)
  p.publish('t', '4', { qos: 1 })
  assert.not(p.reading, 'it publishes while too much is kept')
  assert.ok(idle.reading)
  idle.sendPingreq()
  idle.expect('pingresp')
  world.pass(LIMITS.pausedReadMs)
  assert.ok(p.reading, 'its acknowledgements may make room')
  p.publish('t', '5', { qos: 1 })
  assert.not(p.reading)
  const again = world.connect('c', kept)
  assert.equal(
    consume(again).map((text) => text.trim()),
    numbers(0, 6),
  )
  world.drive()
  assert.ok(p.reading)
  assert.is(world.node.queues.keptBytes, 0)
  p.publish('t', '6', { qos: 1 })
  assert.ok(p.reading)
})

test('the silence of a client that is not read from is not held against it', () => {
  const world = new OneNode({ queuedBytesTotalMax: MIB })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p', { keepAlive: 1 })
  p.publish('t', 'x'.repeat(MIB), { qos: 1 })
  for (let i = 0; i < 5; i++) {
    p.publish('t', 'x', { qos: 1 })
    assert.not(p.reading)
    world.pass(LIMITS.pausedReadMs - 1)
  }
  assert.not(p.closed)
  world.pass(4_000)
  assert.ok(p.closed, 'read from and silent')
})

test('a quarter above the mark nothing more is queued', () => {
  const world = new OneNode({ queuedBytesTotalMax: 2 * MIB })
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  for (let i = 0; i < 5; i++) p.publish('t', `${i}`.padEnd(MIB), { qos: 1 })
  assert.is(world.metric('dropped_memory_full'), 2)
  assert.is(consume(world.connect('c', kept)).length, 3)
})

test('one message for many counts once', () => {
  const world = new OneNode()
  for (let i = 0; i < 20; i++) {
    const c = world.connect(`c${i}`, kept)
    c.subscribe('t', 1)
    c.drop()
  }
  world.connect('p').publish('t', 'x'.repeat(MIB), { qos: 1, retain: true })
  assert.is(world.node.sessions.queuedBytes, 20 * (MIB + 1))
  assert.ok(world.node.queues.keptBytes < 2 * MIB)
})

test.run()
