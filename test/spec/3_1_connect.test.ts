// CONNECT, where the standards leave the choice to the broker: who may come, what is bounded, what is told. Looks into the node.

import { utf8 } from '../../src/base/bytes.ts'
import { CONFIG } from '../support/member.ts'
import { OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1 CONNECT, choices')
const kept = { cleanStart: false, sessionExpiry: 100 }

test('a socket that never sends CONNECT is closed', () => {
  const world = new OneNode()
  const c = world.open('c')
  world.pass(9_000)
  assert.not(c.closed)
  world.pass(2_000)
  assert.ok(c.closed)
})

// ---- client identifiers

test('3.1.1: an empty client identifier with Clean Session is accepted without a word', () => {
  const c = new OneNode().open('', { version: 4 })
  c.sendConnect({ cleanStart: true })
  assert.equal(c.expect('connack'), { cmd: 'connack', sessionPresent: false, reason: 0 })
})

test('3.1 knows no empty client identifier', () => {
  const c = new OneNode().open('', { version: 3 })
  c.sendConnect({ cleanStart: true })
  assert.is(c.expect('connack').reason, 2)
  assert.ok(c.closed)
})

test('[MQTT-3.1.3-8] a client identifier that is too long is refused with 0x85 and closed', () => {
  const world = new OneNode()
  const c = world.open('x'.repeat(5000))
  c.sendConnect()
  assert.is(c.expect('connack').reason, 0x85)
  assert.ok(c.closed)
  world.connect('x'.repeat(4096))
})

// ---- who may come

test('anonymous clients come from this machine only, unless allowed', () => {
  for (const [version, code] of [
    [5, 0x87],
    [4, 5],
  ] as const) {
    const c = new OneNode().open('c', { version, loopback: false })
    c.sendConnect()
    assert.is(c.expect('connack').reason, code)
    assert.ok(c.closed)
  }
  const c = new OneNode({ allowAnonymous: true }).open('c', { loopback: false })
  c.sendConnect()
  assert.is(c.expect('connack').reason, 0)
})

test('a client too many is told Server busy', () => {
  const world = new OneNode({ connectionsMax: 1 })
  world.connect('a')
  const c = world.open('b')
  c.sendConnect()
  assert.is(c.expect('connack').reason, 0x89)
  assert.ok(c.closed)
  const old = world.open('c', { version: 4 })
  old.sendConnect()
  assert.is(old.expect('connack').reason, 3)
})

test('a client that comes back takes its own place, even where all places are taken', () => {
  const world = new OneNode({ connectionsMax: 1 })
  world.connect('a', kept)
  const c = world.open('a')
  c.sendConnect(kept)
  assert.is(c.expect('connack').reason, 0)
})

test('a node that is not ready refuses with 0x88', () => {
  const world = new OneNode({ paired: true })
  for (const [version, code] of [
    [5, 0x88],
    [4, 3],
  ] as const) {
    const c = world.open('c', { version })
    c.sendConnect()
    assert.is(c.expect('connack').reason, code)
    assert.ok(c.closed)
  }
})

test('a password and its user name are taken (and not judged yet)', () => {
  const c = new OneNode().open('c')
  c.sendConnect({ username: 'u', password: utf8('p') })
  assert.is(c.expect('connack').reason, 0)
})

// ---- CONNACK

test('CONNACK tells a 5.0 client what this server can and cannot do', () => {
  const c = new OneNode().open('c')
  c.sendConnect()
  assert.equal(c.expect('connack'), {
    cmd: 'connack',
    sessionPresent: false,
    reason: 0,
    receiveMaximum: CONFIG.receiveMaximum,
    maximumPacketSize: CONFIG.packetBytesMax,
    topicAliasMaximum: CONFIG.topicAliasMaximum,
  })
})

test('[MQTT-3.2.2-21] a keep alive above the maximum is replaced, and the client told', () => {
  const world = new OneNode({ keepAliveMax: 10 })
  for (const keepAlive of [0, 60]) {
    const c = world.open(`c${keepAlive}`)
    c.sendConnect({ keepAlive })
    assert.is(c.expect('connack').serverKeepAlive, 10)
    world.pass(15_100)
    c.expectDisconnect(0x8d)
  }
  const modest = world.open('modest')
  modest.sendConnect({ keepAlive: 5 })
  assert.is(modest.expect('connack').serverKeepAlive, undefined)
})

test('3.1.1: no keep alive of the server is imposed on a client that cannot be told', () => {
  const world = new OneNode({ keepAliveMax: 10 })
  const c = world.connect('c', { version: 4, keepAlive: 60 })
  world.pass(80_000)
  assert.not(c.closed)
  world.pass(11_000)
  assert.ok(c.closed)
})

// ---- what is left behind

test('[MQTT-4.1.0-2] a session without expiry leaves nothing behind', () => {
  for (const fields of [{ cleanStart: false }, { version: 4, cleanStart: true }] as const) {
    const world = new OneNode()
    const c = world.connect('c', fields)
    c.subscribe('t', 1)
    c.drop()
    assert.is(world.node.sessions.byClient.size, 0)
    assert.not(world.connect('c', { ...fields, cleanStart: false }).present)
  }
})

test('[MQTT-4.1.0-2] a session that has expired is counted', () => {
  const world = new OneNode()
  const c = world.connect('c', { cleanStart: false, sessionExpiry: 10 })
  c.subscribe('t', 1)
  c.drop()
  world.pass(9_900)
  const again = world.connect('c', { cleanStart: false, sessionExpiry: 10 })
  assert.ok(again.present)
  again.drop()
  world.pass(10_100)
  assert.not(world.connect('c', kept).present)
  assert.is(world.metric('sessions_expired'), 1)
})

test('[MQTT-3.1.2-24] [MQTT-3.1.2-25] what is larger than the client takes is dropped as if it had been delivered', () => {
  const world = new OneNode()
  for (const qos of [0, 1, 2] as const) {
    const c = world.connect('c', { ...kept, cleanStart: true, maximumPacketSize: 100, receiveMaximum: 1 })
    c.subscribe('t', qos)
    const p = world.connect('p')
    p.publish('t', 'x'.repeat(100), { qos })
    c.expectNothing()
    p.publish('t', 'small', { qos })
    assert.equal(c.deliveries(), ['t=small'])
    assert.is(world.node.sessions.get('c')?.queue.count, qos === 0 ? 0 : 1)
    c.drop()
  }
  assert.is(world.metric('dropped_too_large'), 3)
})

test('without problem information no reason string is sent', () => {
  const c = new OneNode({ packetBytesMax: 1000 }).connect('c', { requestProblemInformation: false })
  c.sendPublish('t', 'x'.repeat(1000))
  assert.equal(c.expect('disconnect'), { cmd: 'disconnect', reason: 0x95 })
})

test.run()
