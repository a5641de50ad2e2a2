// One broker of two nodes: wills, expiry and a node that leaves.

import { utf8 } from '../../src/base/bytes.ts'
import { bothWays } from '../support/pair.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('pair sessions')
const both = bothWays(test)
const kept = { cleanStart: false, sessionExpiry: 100 }

// ---- wills and expiry

both('[MQTT-3.1.2-8] a will reaches subscribers of the other node', (world, here, there) => {
  const watch = world.connect(there, 'watch', kept)
  watch.subscribe('will', 2)
  world.connect(here, 'c', { will: { topic: 'will', payload: utf8('gone'), qos: 2, retain: true } }).drop()
  watch.take()
  watch.expectNothing()
  const late = world.connect(there, 'late')
  late.subscribe('will')
  assert.equal(late.deliveries(), ['will=gone'])
})

both(
  '[MQTT-3.1.3-9] a client that comes back to the other node within the delay takes its will back',
  (world, here, there) => {
    const watch = world.connect(there, 'watch')
    watch.subscribe('will')
    const will = { topic: 'will', payload: utf8('gone'), qos: 0 as const, retain: false, delay: 10 }
    world.connect(here, 'c', { ...kept, will }).drop()
    world.pass(5_000)
    const moved = world.connect(there, 'c', kept)
    world.pass(60_000)
    watch.expectNothing()
    moved.drop()
    watch.expectNothing()
    world.connect(here, 'c', { ...kept, will }).drop()
    world.pass(9_800)
    watch.expectNothing()
    world.pass(500)
    assert.equal(watch.deliveries(), ['will=gone'])
    world.pass(60_000)
    watch.expectNothing()
  },
)

both(
  '[MQTT-3.1.2-8] the will of a connection that is taken over by the other node comes before the new one’s messages',
  (world, here, there) => {
    const watch = world.connect(there, 'watch')
    watch.subscribe('#', 1)
    const first = world.connect(here, 'c', {
      ...kept,
      will: { topic: 'state', payload: utf8('offline'), qos: 1, retain: true },
    })
    world.connect(there, 'c', kept).publish('state', 'online', { qos: 1, retain: true })
    assert.ok(first.closed)
    assert.equal(watch.deliveries(), ['state=offline', 'state=online'])
    const late = world.connect(here, 'late')
    late.subscribe('state')
    assert.equal(late.deliveries(), ['state=online'])
  },
)

both('[MQTT-3.14.4-3] DISCONNECT takes the will along on both nodes', (world, here, there) => {
  const watch = world.connect(there, 'watch')
  watch.subscribe('will')
  world.connect(here, 'c', { ...kept, will: { topic: 'will', payload: utf8('x'), qos: 0, retain: false } }).disconnect()
  world.pass(200_000)
  watch.expectNothing()
  assert.is(there.presences.get('c'), undefined)
})

both('[MQTT-4.1.0-2] a session ends on both nodes when its expiry has passed', (world, here, there) => {
  const c = world.connect(here, 'c', { cleanStart: false, sessionExpiry: 10 })
  c.subscribe('t', 1)
  c.drop()
  world.pass(9_500)
  const moved = world.connect(there, 'c', { cleanStart: false, sessionExpiry: 10 })
  assert.ok(moved.present)
  moved.drop()
  world.pass(11_500)
  assert.is(here.sessions.get('c'), undefined)
  assert.is(there.sessions.get('c'), undefined)
  assert.not(world.connect(here, 'c', kept).present)
})

both('a change of expiry with DISCONNECT holds on the other node', (world, here, there) => {
  world.connect(here, 'c', { cleanStart: false, sessionExpiry: 10 }).disconnect(0, 300)
  world.pass(200_000)
  assert.ok(world.connect(there, 'c', kept).present)
})

// ---- a node that leaves

both(
  'a drained node takes nothing along: what its clients were sent comes again with DUP, what they acknowledged does not',
  (world, here, there) => {
    const names = ['c', 'd', 'e']
    const p = world.connect(there, 'p', kept)
    const clients = names.map((name) => {
      const c = world.connect(here, name, kept)
      c.subscribe('t', 2)
      return c
    })
    for (let i = 0; i < 6; i++) p.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const sent = clients.map((c) => c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : [])))
    for (const [i, c] of clients.entries()) {
      assert.is(sent[i]!.length, 6)
      c.sendPuback(sent[i]![0]!.packetId)
      c.sendPubrec(sent[i]![1]!.packetId)
      c.expect('pubrel')
    }
    here.drainAway()
    world.drive()
    for (const c of clients) c.expectDisconnect(0x8b)
    world.pass(100)
    assert.is(here.mode, 'GONE')
    assert.is(there.mode, 'SOLO')
    for (const [i, name] of names.entries()) {
      const packets = world.connect(there, name, kept).takeAll()
      assert.equal(
        packets.map((packet) => (packet.cmd === 'publish' ? [packet.packetId, packet.dup] : packet.cmd)),
        ['pubrel', ...sent[i]!.slice(2).map((d) => [d.packetId, true])],
      )
    }
  },
)

both('a drain under way loses nothing that is published meanwhile', (world, here, there) => {
  const names = Array.from({ length: 500 }, (_, i) => `c${i}`)
  for (const name of names) {
    const c = world.connect(here, name, kept)
    c.subscribe('t', 1)
    c.drop()
  }
  const p = world.connect(there, 'p', kept)
  p.publish('t', '0', { qos: 1 })
  here.drainAway()
  p.publish('t', '1', { qos: 1 })
  p.publish('t', '2', { qos: 1 })
  world.pass(200)
  p.publish('t', '3', { qos: 1 })
  assert.is(here.mode, 'GONE')
  for (const name of names) assert.equal(world.connect(there, name, kept).deliveries(), ['t=0', 't=1', 't=2', 't=3'])
})

test.run()
