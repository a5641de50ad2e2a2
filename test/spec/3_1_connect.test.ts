// CONNECT: MQTT 5.0 section 3.1, and what 3.1.1 says differently.

import { utf8 } from '../../src/base/bytes.ts'
import { SESSION_NEVER_EXPIRES } from '../../src/wire/packet.ts'
import { CONFIG, OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1 CONNECT')
const kept = { cleanStart: false, sessionExpiry: 100 }
const will = { topic: 'will', payload: utf8('gone'), qos: 1, retain: false } as const

test('[MQTT-3.1.0-1] the first packet must be CONNECT: anything else is closed without an answer', () => {
  const world = new OneNode()
  const c = world.open('c')
  c.sendPingreq()
  c.expectNothing()
  assert.ok(c.closed)
})

test('[MQTT-3.1.0-2] a second CONNECT is a protocol error', () => {
  const c = new OneNode().connect('c')
  c.sendConnect()
  c.expectDisconnect(0x82)
})

test('[MQTT-3.1.2-1] an unknown protocol level is answered 0x01 in the format of 3.1.1, and closed', () => {
  const c = new OneNode().open('c', { version: 4 })
  c.raw([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2, 0, 0, 0, 0])
  assert.is(c.expect('connack').reason, 1)
  assert.ok(c.closed)
})

test('[MQTT-3.1.2-3] [MQTT-3.1.4-1] a CONNECT with a set reserved flag is malformed: closed without an answer', () => {
  const c = new OneNode().open('c')
  c.raw([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 3, 0, 0, 0, 0, 0])
  c.expectNothing()
  assert.ok(c.closed)
})

test('a socket that never sends CONNECT is closed', () => {
  const world = new OneNode()
  const c = world.open('c')
  world.pass(9_000)
  assert.not(c.closed)
  world.pass(2_000)
  assert.ok(c.closed)
})

// ---- client identifiers

test('[MQTT-3.1.3-6] an empty client identifier is given one, and told which', () => {
  const world = new OneNode()
  const names = ['1', '2'].map(() => {
    const c = world.open('')
    c.sendConnect()
    return c.expect('connack').assignedClientId
  })
  assert.type(names[0], 'string')
  assert.is.not(names[0], '')
  assert.is.not(names[0], names[1])
})

test('[MQTT-3.1.3-6] a 5.0 client may go on with the session of an identifier it was given', () => {
  const world = new OneNode()
  const c = world.open('')
  c.sendConnect(kept)
  const id = c.expect('connack').assignedClientId as string
  c.subscribe('t', 1)
  c.drop()
  const again = world.connect(id, kept)
  assert.ok(again.present)
  world.connect('p').publish('t', 'x', { qos: 1 })
  assert.equal(again.deliveries(), ['t=x'])
})

test('3.1.1: an empty client identifier with Clean Session is accepted without a word', () => {
  const c = new OneNode().open('', { version: 4 })
  c.sendConnect({ cleanStart: true })
  assert.equal(c.expect('connack'), { cmd: 'connack', sessionPresent: false, reason: 0 })
})

test('[MQTT-3.1.1/3.1.3-8] 3.1.1: an empty client identifier without Clean Session is refused with code 2', () => {
  const c = new OneNode().open('', { version: 4 })
  c.sendConnect({ cleanStart: false })
  assert.is(c.expect('connack').reason, 2)
  assert.ok(c.closed)
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

// ---- take-over

test('[MQTT-3.1.4-3] a second CONNECT of one identifier disconnects the first with 0x8E', () => {
  const world = new OneNode()
  const first = world.connect('c', kept)
  const second = world.connect('c', kept)
  first.expectDisconnect(0x8e)
  assert.ok(second.present)
  assert.not(second.closed)
})

test('[MQTT-3.1.4-3] a 3.1.1 connection that is taken over is closed without a word', () => {
  const world = new OneNode()
  const first = world.connect('c', { version: 4, cleanStart: false })
  const second = world.connect('c', { version: 4, cleanStart: false })
  first.expectNothing()
  assert.ok(first.closed)
  assert.ok(second.present)
})

test('[MQTT-3.1.4-4] Clean Start ends the session that was there', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  p.publish('t', 'queued', { qos: 1 })
  const again = world.connect('c', { ...kept, cleanStart: true })
  assert.not(again.present)
  p.publish('t', 'later', { qos: 1 })
  again.expectNothing()
})

test('take-over in mid flow: what is under way goes on with the new connection', () => {
  const world = new OneNode()
  const first = world.connect('c', kept)
  first.subscribe('t', 1)
  world.connect('p').publish('t', 'x', { qos: 1 })
  const sent = first.expect('publish')
  const second = world.connect('c', kept)
  first.expectDisconnect(0x8e)
  const repeated = second.expect('publish')
  assert.ok(repeated.dup)
  assert.is(repeated.packetId, sent.packetId)
})

// ---- CONNACK

test('[MQTT-3.2.2-2] Clean Start is answered with session present 0', () => {
  const world = new OneNode()
  world.connect('c', kept).drop()
  assert.not(world.connect('c', { ...kept, cleanStart: true }).present)
})

test('[MQTT-3.2.2-3] session present is 1 exactly if there is a session', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  assert.not(c.present)
  c.drop()
  assert.ok(world.connect('c', kept).present)
  const old = world.connect('d', { version: 4, cleanStart: false })
  assert.not(old.present)
  old.drop()
  assert.ok(world.connect('d', { version: 4, cleanStart: false }).present)
})

test('[MQTT-3.2.2-6] a refusal says session present 0, also where a session waits', () => {
  const world = new OneNode({ retainAvailable: false })
  world.connect('c', kept).drop()
  const c = world.open('c')
  c.sendConnect({ ...kept, will: { ...will, retain: true } })
  const connack = c.expect('connack')
  assert.is(connack.reason, 0x9a)
  assert.is(connack.sessionPresent, false)
})

test('[MQTT-3.2.0-1] CONNACK comes before anything else, then what waits', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  world.connect('p').publish('t', 'x', { qos: 1 })
  const again = world.open('c')
  again.sendConnect(kept)
  assert.is(again.expect('connack').sessionPresent, true)
  assert.is(again.expect('publish').dup, false)
  again.expectNothing()
})

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

test('[MQTT-3.2.2-9] a server of QoS 0 or 1 says so', () => {
  for (const qosMax of [0, 1] as const) {
    const c = new OneNode({ qosMax }).open('c')
    c.sendConnect()
    assert.is(c.expect('connack').maximumQos, qosMax)
  }
})

test('[MQTT-3.2.2-12] a will above Maximum QoS is refused with 0x9B', () => {
  const world = new OneNode({ qosMax: 0 })
  const c = world.open('c')
  c.sendConnect({ will })
  assert.is(c.expect('connack').reason, 0x9b)
  assert.ok(c.closed)
})

test('[MQTT-3.2.2-13] a retained will is refused with 0x9A where there is no RETAIN', () => {
  const c = new OneNode({ retainAvailable: false }).open('c')
  c.sendConnect({ will: { ...will, retain: true } })
  assert.is(c.expect('connack').reason, 0x9a)
  assert.ok(c.closed)
})

test('a server without RETAIN says so', () => {
  const c = new OneNode({ retainAvailable: false }).open('c')
  c.sendConnect()
  assert.is(c.expect('connack').retainAvailable, false)
})

test('[MQTT-3.2.2-16] the identifier that was assigned is not one that a client uses', () => {
  const world = new OneNode()
  const taken = world.connect('tandemq-0')
  const c = world.open('')
  c.sendConnect()
  const { assignedClientId } = c.expect('connack')
  assert.is.not(assignedClientId, 'tandemq-0')
  assert.not(taken.closed)
  assert.ok(world.node.live.has(assignedClientId as string))
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

test('a session expiry above the maximum is cut, and the client told', () => {
  const world = new OneNode({ sessionExpiryMax: 50 })
  const c = world.open('c')
  c.sendConnect({ cleanStart: false, sessionExpiry: 100 })
  assert.is(c.expect('connack').sessionExpiry, 50)
  c.drop()
  world.pass(49_000)
  assert.ok(world.connect('c', kept).present)
})

// ---- keep alive

test('[MQTT-3.1.2-22] a silent client is closed after one and a half keep alives', () => {
  const world = new OneNode()
  const c = world.connect('c', { keepAlive: 10 })
  world.pass(14_900)
  assert.not(c.closed)
  world.pass(200)
  c.expectDisconnect(0x8d)
  const old = world.connect('d', { version: 4, keepAlive: 10 })
  world.pass(15_100)
  old.expectNothing()
  assert.ok(old.closed)
})

test('[MQTT-3.1.2-22] any packet counts as a sign of life', () => {
  const world = new OneNode()
  const c = world.connect('c', { keepAlive: 10 })
  for (let i = 0; i < 5; i++) {
    world.pass(10_000)
    if (i % 2 === 0) {
      c.sendPingreq()
      c.expect('pingresp')
    } else c.sendPublish('t', 'x')
  }
  assert.not(c.closed)
})

test('keep alive 0 never ends', () => {
  const world = new OneNode()
  const c = world.connect('c', { keepAlive: 0 })
  world.pass(200_000)
  assert.not(c.closed)
})

test('[MQTT-3.12.4-1] PINGREQ is answered with PINGRESP', () => {
  for (const version of [3, 4, 5] as const) {
    const c = new OneNode().connect('c', { version })
    c.sendPingreq()
    c.expect('pingresp')
    c.expectNothing()
  }
})

// ---- session expiry

test('[MQTT-4.1.0-1] a session is kept while its connection is open, whatever its expiry', () => {
  const world = new OneNode()
  const c = world.connect('c', { cleanStart: false, sessionExpiry: 1 })
  c.subscribe('t', 1)
  world.pass(10_000)
  world.connect('p').publish('t', 'x', { qos: 1 })
  assert.equal(c.deliveries(), ['t=x'])
})

test('[MQTT-4.1.0-2] a session without expiry ends with its connection', () => {
  for (const fields of [{ cleanStart: false }, { version: 4, cleanStart: true }] as const) {
    const world = new OneNode()
    const c = world.connect('c', fields)
    c.subscribe('t', 1)
    c.drop()
    assert.is(world.node.sessions.byClient.size, 0)
    assert.not(world.connect('c', { ...fields, cleanStart: false }).present)
  }
})

test('[MQTT-4.1.0-2] a session ends when its expiry has passed, not before', () => {
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

test('3.1.1: a session without Clean Session never expires', () => {
  const world = new OneNode()
  world.connect('c', { version: 4, cleanStart: false }).drop()
  world.pass(100_000)
  assert.is(world.node.sessions.get('c')?.expiry, SESSION_NEVER_EXPIRES)
  assert.ok(world.connect('c', { version: 4, cleanStart: false }).present)
})

test('one session for both versions: 5.0 goes on where 3.1.1 left off', () => {
  const world = new OneNode()
  const old = world.connect('c', { version: 4, cleanStart: false })
  old.subscribe('t', 1)
  old.drop()
  world.connect('p').publish('t', 'x', { qos: 1, userProperties: [['a', 'b']] })
  const c = world.connect('c', kept)
  assert.ok(c.present)
  assert.equal(c.expect('publish').userProperties, [['a', 'b']])
})

// ---- maximum packet size

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

test('[MQTT-3.1.2-24] a message sent to a former connection is not repeated to one that takes less', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p')
  p.publish('t', 'x'.repeat(100), { qos: 1 })
  c.expect('publish')
  c.drop()
  const again = world.connect('c', { ...kept, maximumPacketSize: 100 })
  again.expectNothing()
  p.publish('t', 'small', { qos: 1 })
  assert.equal(again.deliveries(), ['t=small'])
})

test('the server takes no packet above its own maximum', () => {
  const world = new OneNode({ packetBytesMax: 1000 })
  const c = world.connect('c')
  c.sendPublish('t', 'x'.repeat(1000))
  c.expectDisconnect(0x95)
})

test('without problem information no reason string is sent', () => {
  const c = new OneNode({ packetBytesMax: 1000 }).connect('c', { requestProblemInformation: false })
  c.sendPublish('t', 'x'.repeat(1000))
  assert.equal(c.expect('disconnect'), { cmd: 'disconnect', reason: 0x95 })
})

test.run()
