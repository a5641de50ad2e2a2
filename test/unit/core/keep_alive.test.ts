// Keep alive: whose silence counts, and from when on.

import { LIMITS } from '../../../src/base/limits.ts'
import type { Connection } from '../../../src/connection/connection.ts'
import type { ConnectFields } from '../../../src/wire/client_encoder.ts'
import { Reason } from '../../../src/wire/reason.ts'
import { OneNode, type SpecClient } from '../../support/one_node.ts'
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

// ---- closed, and not read

/** Connected, with more waiting for it than its socket takes. */
function deaf(world: OneNode, fields: Partial<ConnectFields> = {}): SpecClient {
  const c = world.connect('c', { keepAlive: 10, ...fields })
  c.subscribe('big')
  c.room = 100
  world.connect('p').publish('big', 'x'.repeat(100_000))
  return c
}

test('[MQTT-3.1.2-22] who is silent and does not read either is closed all the same', () => {
  const world = new OneNode()
  const c = deaf(world)
  world.pass(15_000)
  assert.is(world.metric('keep_alive_timeouts'), 1)
  world.pass(LIMITS.closeTimeoutMs - 2)
  assert.not(c.closed, 'it has a moment to read why')
  world.pass(2)
  assert.ok(c.closed)
  assert.is(world.metric('connections_closed_slow'), 1)
  assert.is(world.node.all.size, 1, 'nothing is left of it')
})

test('[MQTT-4.13.1-1] who breaks the protocol and does not read is closed all the same, also if it reads a little', () => {
  const world = new OneNode()
  const c = deaf(world)
  const [connection] = world.node.all
  c.raw([0xf3, 0])
  assert.not(c.closed)
  for (let ms = 0; ms < LIMITS.closeTimeoutMs; ms += 1000) {
    assert.not(c.closed)
    c.room = 1
    world.node.writable(connection as Connection)
    world.pass(1000)
  }
  assert.ok(c.closed)
})

test('who reads the last bytes in time gets them all', () => {
  const world = new OneNode()
  const c = deaf(world)
  c.raw([0xf3, 0])
  world.pass(LIMITS.closeTimeoutMs - 1)
  c.unblock()
  assert.equal(
    c.takeAll().map(({ cmd }) => cmd),
    ['publish', 'disconnect'],
  )
  assert.ok(c.closed)
  assert.is(world.metric('connections_closed_slow'), 0)
})

test('a close that waits for a promise has its time once that is kept', () => {
  const world = new OneNode()
  const will = { topic: 'gone', payload: new Uint8Array(0), qos: 0 as const, retain: false }
  const c = deaf(world, { cleanStart: false, sessionExpiry: 100, will })
  world.settle()
  world.diskAnswers = false
  c.disconnect()
  world.pass(3 * LIMITS.closeTimeoutMs)
  assert.not(c.closed)
  world.diskAnswers = true
  world.drive()
  world.pass(LIMITS.closeTimeoutMs - 100)
  assert.not(c.closed)
  world.pass(200)
  assert.ok(c.closed)
})

test.run()
