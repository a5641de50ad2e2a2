// DISCONNECT and the will: MQTT 5.0 sections 3.14 and 3.1.2.5.

import { utf8 } from '../../src/base/bytes.ts'
import type { ConnectFields, WillFields } from '../../src/wire/client_encoder.ts'
import { OneNode, type SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.14 DISCONNECT')

const will = (fields: Partial<WillFields> = {}): WillFields => ({
  topic: 'will',
  payload: utf8('gone'),
  qos: 1,
  retain: false,
  ...fields,
})
const kept = { cleanStart: false, sessionExpiry: 100 }

/** A world with somebody who watches for wills. */
function watched(): { world: OneNode; watch: SpecClient } {
  const world = new OneNode()
  const watch = world.connect('watch')
  watch.subscribe('will/#', 2)
  return { world, watch }
}

function withWill(world: OneNode, fields: Partial<WillFields> = {}, more: Partial<ConnectFields> = {}): SpecClient {
  return world.connect('c', { ...kept, ...more, will: will(fields) })
}

// ---- when the will is sent

test('[MQTT-3.1.2-8] the will is published when the connection ends without DISCONNECT', () => {
  const { world, watch } = watched()
  withWill(world).drop()
  const d = watch.expect('publish')
  assert.is(d.topic, 'will')
  assert.is(d.qos, 1)
  assert.is(d.retain, false)
  watch.expectNothing()
})

test('[MQTT-3.1.2-8] the will is published when the keep alive has passed', () => {
  const { world, watch } = watched()
  withWill(world, {}, { keepAlive: 10 })
  world.pass(14_000)
  watch.expectNothing()
  world.pass(2_000)
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('[MQTT-3.1.2-8] the will is published when the client breaks the protocol', () => {
  const { world, watch } = watched()
  withWill(world).raw([0x36, 4, 0, 1, 0x74, 0])
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('[MQTT-3.1.2-8] the will is published when another connection takes over, unless it has a delay', () => {
  const { world, watch } = watched()
  withWill(world)
  const second = withWill(world, { delay: 20 })
  assert.equal(watch.deliveries(), ['will=gone'])
  const third = world.connect('c', kept)
  assert.ok(second.closed)
  world.pass(30_000)
  watch.expectNothing()
  third.drop()
  watch.expectNothing()
})

test('[MQTT-3.14.4-3] DISCONNECT with 0x00 takes the will along', () => {
  for (const version of [4, 5] as const) {
    const { world, watch } = watched()
    const c = withWill(world, {}, { version })
    c.disconnect()
    assert.ok(c.closed)
    world.pass(200_000)
    watch.expectNothing()
  }
})

test('[MQTT-3.1.2-8] DISCONNECT with 0x04 leaves the will behind', () => {
  const { world, watch } = watched()
  const c = withWill(world)
  c.disconnect(0x04)
  assert.ok(c.closed)
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('[MQTT-3.1.2-10] a will is published once', () => {
  const { world, watch } = watched()
  withWill(world).drop()
  assert.equal(watch.deliveries(), ['will=gone'])
  world.connect('c', kept).drop()
  world.pass(200_000)
  watch.expectNothing()
  assert.is(world.node.presences.byClient.size, 1, 'only the watcher is there')
})

// ---- delay

test('[MQTT-3.1.3-9] a client that comes back within the delay takes its will back', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 10 }).drop()
  world.pass(9_000)
  const again = world.connect('c', kept)
  world.pass(60_000)
  watch.expectNothing()
  again.drop()
  watch.expectNothing()
})

test('[MQTT-3.1.2-8] a will with a delay comes when it is over', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 10 }).drop()
  world.pass(9_900)
  watch.expectNothing()
  world.pass(200)
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('[MQTT-3.1.2-8] a will does not outlast its session: it comes when that ends', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 50 }, { sessionExpiry: 10 }).drop()
  world.pass(9_000)
  watch.expectNothing()
  world.pass(1_100)
  assert.equal(watch.deliveries(), ['will=gone'])
  const short = world.connect('d', { will: will({ delay: 50 }) })
  short.drop()
  assert.equal(watch.deliveries(), ['will=gone'], 'at once where the session ends with its connection')
})

test('[MQTT-3.1.2-8] Clean Start ends the session, and so its waiting will is due', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 50 }).drop()
  world.connect('c', { cleanStart: true })
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('[MQTT-3.1.2-8] DISCONNECT with 0x04 and a delay waits as well', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 5 }).disconnect(0x04)
  watch.expectNothing()
  world.pass(5_100)
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('DISCONNECT that ends the session with its will: the will comes at once', () => {
  const { world, watch } = watched()
  withWill(world, { delay: 50 }).disconnect(0x04, 0)
  assert.equal(watch.deliveries(), ['will=gone'])
  assert.not(world.connect('c', kept).present)
})

// ---- what the will is

test('[MQTT-3.1.2-15] a retained will is retained, [MQTT-3.1.2-14] another is not', () => {
  const { world, watch } = watched()
  withWill(world, { retain: true, topic: 'will/kept' }).drop()
  withWill(world, { topic: 'will/passing' }).drop()
  assert.equal(watch.deliveries(), ['will/kept=gone', 'will/passing=gone'])
  const late = world.connect('late')
  late.subscribe('will/#')
  assert.equal(late.deliveries(), ['will/kept=gone'])
})

test('a will carries its properties and its expiry', () => {
  const { world, watch } = watched()
  withWill(world, { expiry: 60, contentType: 'x/y', userProperties: [['a', 'b']] }).drop()
  const d = watch.expect('publish')
  assert.is(d.expiry, 60)
  assert.is(d.contentType, 'x/y')
  assert.equal(d.userProperties, [['a', 'b']])
})

test('wills of each QoS reach offline sessions of the same', () => {
  const { world } = watched()
  const c = world.connect('offline', kept)
  c.subscribe('will', 2)
  c.drop()
  for (const qos of [0, 1, 2] as const) withWill(world, { qos, payload: utf8(`${qos}`) }).drop()
  const again = world.connect('offline', kept)
  assert.equal(
    again.takeAll().map((packet) => (packet.cmd === 'publish' ? packet.qos : -1)),
    [1, 2],
  )
})

test('[MQTT-3.8.3-3] a will is its client’s own message: no local applies', () => {
  const { world } = watched()
  const c = withWill(world)
  c.subscribe([{ filter: 'will', qos: 1, noLocal: true }])
  c.drop()
  world.connect('c', kept).expectNothing()
})

// ---- DISCONNECT itself

test('a session without expiry is not given one by DISCONNECT: 0x82', () => {
  const c = new OneNode().connect('c', { cleanStart: false })
  c.disconnect(0, 10)
  c.expectDisconnect(0x82)
})

test('DISCONNECT may change the expiry of a session that has one', () => {
  const world = new OneNode()
  world.connect('c', kept).disconnect(0, 10)
  world.pass(11_000)
  assert.not(world.connect('c', kept).present)
  world.connect('c', kept).disconnect(0, 200)
  world.pass(150_000)
  assert.ok(world.connect('c', kept).present)
})

test('DISCONNECT with expiry 0 ends the session at once', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.disconnect(0, 0)
  assert.is(world.node.sessions.get('c'), undefined)
})

test('[MQTT-3.14.1-1] DISCONNECT with a set flag is malformed, and the will is sent', () => {
  const { world, watch } = watched()
  const c = withWill(world)
  c.raw([0xe1, 0])
  c.expectDisconnect(0x81)
  assert.equal(watch.deliveries(), ['will=gone'])
})

test('what follows DISCONNECT in the same bytes is not looked at', () => {
  const { world, watch } = watched()
  const c = withWill(world)
  c.raw([0xe0, 0, 0x30, 7, 0, 4, 0x77, 0x69, 0x6c, 0x6c, 0])
  assert.ok(c.closed)
  watch.expectNothing()
})

test('[MQTT-4.13.1-1] a malformed packet is answered with its reason, and the connection closed', () => {
  const c = new OneNode().connect('c')
  c.raw([0x82, 2, 0, 0])
  const { reason } = c.expect('disconnect')
  assert.ok(reason === 0x81 || reason === 0x82)
  assert.ok(c.closed)
  const old = new OneNode().connect('c', { version: 4 })
  old.raw([0x82, 2, 0, 0])
  old.expectNothing()
  assert.ok(old.closed)
})

test('[MQTT-3.12.4-1] PINGREQ with a body is malformed', () => {
  const c = new OneNode().connect('c')
  c.raw([0xc0, 1, 0])
  c.expectDisconnect(0x81)
})

test.run()
