// Promises of a lone node: what it acknowledges is on its disk. Looks into the node.

import { OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.3 promises')
const kept = { cleanStart: false, sessionExpiry: 100 }
test('a lone node acknowledges only what is on disk', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p', kept)
  world.settle()
  world.diskAnswers = false
  p.sendPublish('t', 'one', { qos: 1 })
  p.expectNothing()
  const d = world.connect('d', { cleanStart: true })
  d.sendPublish('nobody', 'x', { qos: 1 })
  assert.is(d.expect('puback').reason, 0x10, 'what leaves nothing on disk waits for nothing')
  p.sendPublish('t', 'two', { qos: 2, packetId: 77 })
  c.sendSubscribe('u', 1)
  p.expectNothing()
  assert.not(c.inbox.some((packet) => packet.cmd === 'suback'))
  const e = world.open('e')
  e.sendConnect(kept)
  e.expectNothing()
  world.diskAnswers = true
  world.settle()
  p.expect('puback')
  p.expect('pubrec')
  assert.ok(c.inbox.some((packet) => packet.cmd === 'suback'))
  e.expect('connack')
})

test('a client that goes before its acknowledgement is written finds its message kept', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p', kept)
  world.settle()
  world.diskAnswers = false
  p.sendPublish('t', 'x', { qos: 1 })
  p.drop()
  world.diskAnswers = true
  world.settle()
  assert.equal(world.connect('c', kept).deliveries(), ['t=x'])
})

test('the socket closes when DISCONNECT is carried out: a client that sees it close knows its will to be gone', () => {
  const world = new OneNode()
  const c = world.connect('c', { ...kept, will: { topic: 'w', payload: new Uint8Array([1]), qos: 1, retain: false } })
  world.settle()
  world.diskAnswers = false
  c.sendDisconnect()
  world.settle()
  assert.not(c.closed, 'the will is still on the disk')
  world.diskAnswers = true
  world.settle()
  assert.ok(c.closed)
})

test.run()
