// Keep alive: whose silence counts, and from when on.

import { LIMITS } from '../../../src/base/limits.ts'
import { Reason } from '../../../src/wire/reason.ts'
import { OneNode } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('keep alive')

test('a node that stood still itself has heard nobody: their time begins anew', () => {
  const world = new OneNode()
  const c = world.connect('c', { keepAlive: 2 })
  const will = { topic: 'gone', payload: new Uint8Array(0), qos: 0 as const, retain: false }
  const d = world.connect('d', { keepAlive: 2, will })
  world.sleep(60_000)
  assert.not(c.closed || d.closed)
  c.sendPingreq()
  c.expect('pingresp')
  world.pass(2_900)
  c.sendPingreq()
  world.pass(200)
  assert.not(c.closed)
  d.expectDisconnect(Reason.keepAliveTimeout)
  assert.is(world.metric('keep_alive_timeouts'), 1)
})

test('the same for who has not said CONNECT yet', () => {
  const world = new OneNode()
  const c = world.open('c')
  world.drive()
  world.sleep(60_000)
  assert.not(c.closed)
  world.pass(LIMITS.connectTimeoutMs - 100)
  assert.not(c.closed)
  world.pass(200)
  assert.ok(c.closed)
  const late = world.open('late')
  world.drive()
  world.pass(LIMITS.connectTimeoutMs + 1)
  assert.ok(late.closed)
})

test.run()
