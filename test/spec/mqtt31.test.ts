// MQTT 3.1 (MQIsdp, level 3), where it differs from 3.1.1.

import { utf8 } from '../../src/base/bytes.ts'
import { OneNode, TwoNodes } from '../support/one_node.ts'
import { frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('MQTT 3.1')
const old = { version: 3 } as const
const kept = { version: 3, cleanStart: false } as const

/** A CONNECT of 3.1 with these flags and fields. */
const connect = (flags: number, ...fields: (string | number[])[]) => frame(0x10, 'MQIsdp', [3, flags, 0, 0], ...fields)

test('MQIsdp with level 3 is 3.1; either with another is answered with code 1', () => {
  const world = new OneNode()
  const code = (bytes: number[]) => {
    const c = world.open('c', old)
    c.raw(bytes)
    return c.expect('connack').reason
  }
  assert.is(code(connect(2, 'c')), 0)
  assert.is(code(frame(0x10, 'MQIsdp', [4, 2, 0, 0], 'c')), 1)
  assert.is(code(frame(0x10, 'MQTT', [3, 2, 0, 0], 'c')), 1)
  assert.is(code(frame(0x10, 'mqisdp', [3, 2, 0, 0], 'c')), 1)
})

test('CONNACK of 3.1 has no session present, though the session is', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  world.connect('p', old).publish('t', 'x', { qos: 1 })
  const again = world.connect('c', kept)
  assert.not(again.present)
  assert.equal(again.deliveries(), ['t=x'])
})

test('client identifiers of more than 23 characters are taken, none is refused with code 2', () => {
  const world = new OneNode()
  world.connect('x'.repeat(24), old)
  world.connect('x'.repeat(1000), old)
  for (const cleanStart of [true, false]) {
    const c = world.open('', old)
    c.sendConnect({ cleanStart })
    assert.is(c.expect('connack').reason, 2)
    assert.ok(c.closed)
  }
})

test('a User Name or Password flag may be set without its field: the length of the packet has precedence', () => {
  const world = new OneNode()
  for (const bytes of [
    connect(0x82, 'c'),
    connect(0xc2, 'c'),
    connect(0xc2, 'c', 'user'),
    connect(0xc2, 'c', 'user', 'password'),
    connect(0xc6, 'c', 'topic', 'payload', 'user'),
  ]) {
    const c = world.open('c', old)
    c.raw(bytes)
    assert.is(c.expect('connack').reason, 0, `${bytes}`)
    assert.is(world.node.live.get('c')?.username ?? '', bytes.length > 20 ? 'user' : '')
    c.sendPingreq()
    c.expect('pingresp')
  }
  for (const bytes of [
    connect(0xc2, 'c', [0, 9, 0x75]),
    connect(0xc2, 'c', 'user', [0]),
    connect(0x42, 'c', 'password'),
  ]) {
    const c = world.open('c', old)
    c.raw(bytes)
    c.expectNothing()
    assert.ok(c.closed, 'cut off within a field, or a password without a user name')
  }
})

test('3.1.1 knows no such thing: there a missing field is a fault', () => {
  const c = new OneNode().open('c', { version: 4 })
  c.raw(frame(0x10, 'MQTT', [4, 0x82, 0, 0], 'c'))
  c.expectNothing()
  assert.ok(c.closed)
})

test('SUBACK of 3.1 has no code for a refusal: the filter looks granted, and brings nothing', () => {
  const world = new OneNode()
  const c = world.connect('c', old)
  const codes = c.subscribe([
    { filter: 'a', qos: 2 },
    { filter: 'b/#/c', qos: 1 },
  ])
  assert.equal(codes, [2, 1])
  assert.is(world.node.sessions.subscriptionCount, 1)
})

test('what is sent again has DUP, also PUBREL, SUBSCRIBE and UNSUBSCRIBE', () => {
  const world = new OneNode()
  const c = world.connect('c', old)
  c.raw(frame(0x8a, [0, 1], 't', [2]))
  assert.equal(c.expect('suback').codes, [2])
  const packetId = c.sendPublish('t', 'x', { qos: 2 })
  const d = c.expect('publish')
  c.expect('pubrec')
  c.sendPublish('t', 'x', { qos: 2, packetId, dup: true })
  c.expect('pubrec')
  c.raw([0x6a, 2, packetId >> 8, packetId & 255])
  c.expect('pubcomp')
  c.sendPubrec(d.packetId)
  c.expect('pubrel')
  c.raw(frame(0xaa, [0, 2], 't'))
  c.expect('unsuback')
  c.expectNothing()
})

test('no DISCONNECT, no reasons: a fault ends the connection without a word', () => {
  for (const fault of [[0x36, 5, 0, 1, 0x74, 0, 1], frame(0x30, 'a/#'), [0x82, 2, 0, 1], [0xf0, 0]]) {
    const c = new OneNode().connect('c', old)
    c.raw(fault)
    c.expectNothing()
    assert.ok(c.closed)
  }
})

test('publishes of 3.1 reach 5.0 and back, across the pair and a hand-over, with wills and retained messages', () => {
  const world = new TwoNodes()
  const modern = world.connect(world.b, 'modern', { cleanStart: false, sessionExpiry: 100 })
  modern.subscribe('#', 2)
  const c = world.connect(world.a, 'c', {
    ...kept,
    will: { topic: 'will', payload: utf8('gone'), qos: 2, retain: true },
  })
  c.subscribe('to/c', 1)
  c.publish('from/c', 'x', { qos: 2, retain: true })
  const d = modern.expect('publish')
  assert.equal([d.topic, d.qos, d.props, d.expiry], ['from/c', 2, null, -1])
  modern.sendPublish('to/c', 'y', { qos: 1, expiry: 60, contentType: 'x', userProperties: [['a', 'b']], topicAlias: 1 })
  const got = c.expect('publish')
  assert.equal([got.topic, got.qos, got.retain], ['to/c', 1, false])
  const moved = world.connect(world.b, 'c', kept)
  assert.ok(c.closed)
  const again = moved.expect('publish')
  assert.ok(again.dup && again.packetId === got.packetId)
  moved.drop()
  const late = world.connect(world.a, 'late', old)
  late.subscribe('#', 1)
  assert.equal(late.deliveries().sort(), ['from/c=x', 'will=gone'])
})

test.run()
