// Queues: what becomes of messages that a client does not take fast enough, where the standards leave it free. Looks into the node.

import { OneNode, type SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('queues')
const kept = { cleanStart: false, sessionExpiry: 100 }

/** QoS 1 or 2 messages sent to the client and not acknowledged by it. */
function underWay(c: SpecClient): number[] {
  return c.takeAll().map((packet) => {
    assert.is(packet.cmd, 'publish')
    return packet.cmd === 'publish' ? packet.packetId : 0
  })
}

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
