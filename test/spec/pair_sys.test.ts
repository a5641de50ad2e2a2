// $SYS of a pair: what each node tells of itself and of the other, and what telling costs. Looks into the nodes.

import type { BrokerNode } from '../../src/core/node.ts'
import type { Delivery } from '../../src/wire/client_decoder.ts'
import { text } from '../support/mqtt_client.ts'
import { OneNode, type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('pair $SYS')
const INTERVAL_MS = 10_000
/** What came since the last look, by topic; nothing but values of $SYS may be among it. */
function values(c: SpecClient): Map<string, Delivery> {
  const found = new Map<string, Delivery>()
  for (const packet of c.takeAll()) {
    if (packet.cmd !== 'publish' || !packet.topic.startsWith('$SYS/')) throw new Error(`got ${JSON.stringify(packet)}`)
    assert.not(found.has(packet.topic), `${packet.topic} came twice`)
    found.set(packet.topic, packet)
  }
  return found
}

const PAIR_TOPICS = '$SYS/broker/pair/#'

function pairValues(c: SpecClient): Record<string, string> {
  return Object.fromEntries(
    [...values(c)].map(([topic, { payload }]) => [topic.slice('$SYS/broker/pair/'.length), text(payload)]),
  )
}

test('each node of a pair tells of itself, and of the pair', () => {
  const world = new TwoNodes()
  world.connect(world.a, 'other', { sessionExpiry: 60 })
  const look = (node: BrokerNode, id: string) => {
    const c = world.connect(node, id)
    c.subscribe(PAIR_TOPICS)
    return pairValues(c)
  }
  const a = look(world.a, 'at a')
  const b = look(world.b, 'at b')
  assert.equal([a['node'], a['peer'], a['mode'], a['synced'], a['ready']], ['a', 'b', 'SYNC', '1', '1'])
  assert.equal([b['node'], b['peer'], b['mode'], b['synced'], b['ready']], ['b', 'a', 'SYNC', '1', '1'])
  assert.equal([a['clients/here'], a['clients/peer']], ['2', '0'])
  assert.equal([b['clients/here'], b['clients/peer']], ['1', '2'])
  assert.equal([a['link/up'], a['alarm/possibly stale']], ['1', '0'])
  assert.is(a['generation'], b['generation'])
  assert.match(a['link/lag'] ?? '', /^\d+\.\d\d ms$/)
})

test('a session that has moved is told of the node it has come to', () => {
  const world = new TwoNodes()
  const c = world.connect(world.a, 'c', { sessionExpiry: 60 })
  c.subscribe(PAIR_TOPICS)
  assert.is(pairValues(c)['node'], 'a')
  world.pass(INTERVAL_MS)
  values(c)
  const moved = world.connect(world.b, 'c', { cleanStart: false, sessionExpiry: 60 })
  assert.ok(moved.present)
  world.pass(INTERVAL_MS)
  const told = pairValues(moved)
  assert.equal([told['node'], told['peer'], told['handovers/in'], told['clients/peer']], ['b', 'a', '1', '0'])
})

test('a node whose peer falls silent tells that it is alone, and counts the sessions it has inherited', () => {
  const world = new TwoNodes()
  world.connect(world.a, 'at a', { sessionExpiry: 600 }).drop()
  const c = world.connect(world.b, 'c')
  c.subscribe([
    { filter: PAIR_TOPICS, qos: 0 },
    { filter: '$SYS/broker/clients/total', qos: 0 },
  ])
  const before = Object.fromEntries([...values(c)].map(([topic, { payload }]) => [topic, text(payload)]))
  assert.is(before['$SYS/broker/pair/mode'], 'SYNC')
  assert.is(before['$SYS/broker/clients/total'], '1')
  world.silence()
  world.pass(5_000)
  for (let i = 0; i < 3; i++) world.b.dialFailed(false)
  world.pass(INTERVAL_MS)
  const after = Object.fromEntries(c.deliveries().map((delivery) => delivery.split('=')))
  assert.is(after['$SYS/broker/pair/mode'], 'SOLO')
  assert.is(after['$SYS/broker/pair/synced'], '0')
  assert.is(after['$SYS/broker/pair/link/up'], '0')
  assert.is(after['$SYS/broker/clients/total'], '2')
})

test('a lone node tells nothing of a pair', () => {
  const c = new OneNode().connect('c')
  c.subscribe(PAIR_TOPICS)
  c.expectNothing()
})

test('telling costs the pair nothing: no change to keep, no op for the peer', () => {
  const world = new TwoNodes()
  const c = world.connect(world.a, 'c')
  world.settle()
  const before = { journal: world.a.journal.count, ops: world.a.emitter.count, peers: world.b.sessions.tree.size }
  c.subscribe('$SYS/#', 2)
  world.pass(3 * INTERVAL_MS)
  assert.ok(c.takeAll().length > 100)
  c.sendPublish('$SYS/x', 'x', { qos: 2, retain: true })
  world.pass(INTERVAL_MS)
  assert.equal(
    { journal: world.a.journal.count, ops: world.a.emitter.count, peers: world.b.sessions.tree.size },
    before,
  )
})

test('a lone idle node is woken for $SYS only while somebody asks', () => {
  const world = new OneNode()
  const c = world.connect('c')
  world.pass(2 * INTERVAL_MS)
  assert.is(world.node.deadline(), Number.POSITIVE_INFINITY)
  c.subscribe('$SYS/broker/uptime')
  world.settle()
  assert.ok(world.node.deadline() < Number.POSITIVE_INFINITY)
  values(c)
  c.unsubscribe('$SYS/broker/uptime')
  world.settle()
  assert.is(world.node.deadline(), Number.POSITIVE_INFINITY)
})

test.run()
