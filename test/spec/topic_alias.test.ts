// Topic aliases, both ways: MQTT 5.0 sections 3.3.2.3.4, 3.1.2.11.5 and 3.2.2.3.8.

import { LIMITS } from '../../src/base/limits.ts'
import { Prng } from '../../src/base/prng.ts'
import { text } from '../support/mqtt_client.ts'
import { OneNode, type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('topic alias')
const kept = { cleanStart: false, sessionExpiry: 100 }
const TOPIC = 'sensors/1/temperature'

/** How each of the next deliveries names its topic: `name`, `name+alias` or `alias`. */
function forms(c: SpecClient): string[] {
  return c.takeAll().map((packet) => {
    assert.is(packet.cmd, 'publish')
    if (packet.cmd !== 'publish') return ''
    const { topicAlias, aliased } = packet
    return topicAlias === 0 ? 'name' : aliased ? `${topicAlias}` : `name+${topicAlias}`
  })
}

// ---- from the client

test('[MQTT-3.3.2-12] CONNACK says how many aliases are taken, and each of them is', () => {
  const world = new OneNode()
  const p = world.open('p')
  p.sendConnect()
  assert.is(p.expect('connack').topicAliasMaximum, 65_535)
  const c = world.connect('c')
  c.subscribe('#', 1)
  for (const topicAlias of [1, 1000, 65_535]) {
    p.publish(`t/${topicAlias}`, 'named', { topicAlias })
    p.publish('', 'aliased', { topicAlias, qos: 1 })
    const got = c.takeAll().map((packet) => (packet.cmd === 'publish' ? [packet.topic, packet.topicAlias] : []))
    assert.equal(got, [
      [`t/${topicAlias}`, 0],
      [`t/${topicAlias}`, 0],
    ])
  }
})

test('an alias may be given another topic, and a topic another alias', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('#')
  const p = world.connect('p')
  p.publish('a', '1', { topicAlias: 1 })
  p.publish('b', '2', { topicAlias: 1 })
  p.publish('', '3', { topicAlias: 1 })
  p.publish('a', '4', { topicAlias: 2 })
  p.publish('', '5', { topicAlias: 1 })
  p.publish('', '6', { topicAlias: 2 })
  p.publish('c', '7')
  assert.equal(c.deliveries(), ['a=1', 'b=2', 'b=3', 'a=4', 'b=5', 'a=6', 'c=7'])
})

test('an alias comes with a QoS 2 message that is repeated as well', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('#')
  const p = world.connect('p')
  const packetId = p.sendPublish('a', '1', { qos: 2 })
  p.expect('pubrec')
  p.sendPublish('a', '1', { qos: 2, packetId, dup: true, topicAlias: 7 })
  p.expect('pubrec')
  p.publish('', '2', { topicAlias: 7 })
  assert.equal(c.deliveries(), ['a=1', 'a=2'])
})

test('[MQTT-3.3.2-8] alias 0 ends the connection with 0x94', () => {
  const c = new OneNode().connect('c')
  c.raw([0x30, 7, 0, 1, 0x74, 3, 0x23, 0, 0])
  c.expectDisconnect(0x94)
})

test('[MQTT-3.2.2-17] [MQTT-3.3.2-9] an alias above Topic Alias Maximum ends the connection with 0x94', () => {
  const world = new OneNode({ topicAliasMaximum: 10 })
  const c = world.open('c')
  c.sendConnect()
  assert.is(c.expect('connack').topicAliasMaximum, 10)
  c.publish('t', 'x', { topicAlias: 10 })
  c.sendPublish('t', 'x', { topicAlias: 11 })
  c.expectDisconnect(0x94)
})

test('[MQTT-3.2.2-18] where none are taken CONNACK does not name them, and one is refused with 0x94', () => {
  const world = new OneNode({ topicAliasMaximum: 0 })
  const c = world.open('c')
  c.sendConnect()
  assert.is(c.expect('connack').topicAliasMaximum, undefined)
  c.sendPublish('t', 'x', { topicAlias: 1 })
  c.expectDisconnect(0x94)
})

test('an alias that stands for nothing is a protocol error: 0x82', () => {
  const world = new OneNode()
  for (const before of [false, true]) {
    const c = world.connect('c')
    if (before) c.publish('t', 'x', { topicAlias: 2 })
    c.sendPublish('', 'x', { topicAlias: 1 })
    c.expectDisconnect(0x82)
  }
})

test('neither topic nor alias is a protocol error: 0x82', () => {
  const c = new OneNode().connect('c')
  c.sendPublish('', 'x')
  c.expectDisconnect(0x82)
})

test('[MQTT-3.3.2-7] an alias of one connection is unknown to the next of the same session', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.publish('t', 'x', { topicAlias: 1 })
  c.drop()
  const again = world.connect('c', kept)
  assert.ok(again.present)
  again.sendPublish('', 'x', { topicAlias: 1 })
  again.expectDisconnect(0x82)
})

test('names of more bytes than a connection may keep end it with 0x97', () => {
  const world = new OneNode()
  const c = world.connect('c')
  const name = (i: number) => `${i}`.padEnd(65_535, 'x')
  const fit = Math.floor(LIMITS.aliasBytesMax / 65_535)
  for (let i = 1; i <= fit; i++) c.publish(name(i), '', { topicAlias: i })
  c.publish(name(0), '', { topicAlias: 1 })
  c.sendPublish(name(0), '', { topicAlias: fit + 1 })
  c.expectDisconnect(0x97)
})

test('retained messages and offline sessions get the topic of an alias', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p')
  p.publish('t', 'x', { topicAlias: 1 })
  p.publish('', 'y', { topicAlias: 1, qos: 1, retain: true })
  assert.equal(world.connect('c', kept).deliveries(), ['t=y'])
  const late = world.connect('late')
  late.subscribe('#')
  assert.equal(late.deliveries(), ['t=y'])
})

// ---- towards the client

test('[MQTT-3.1.2-27] a client that names no Topic Alias Maximum is never sent an alias', () => {
  const world = new OneNode()
  const p = world.connect('p')
  for (const topicAliasMaximum of [undefined, 0]) {
    const c = world.connect('c', { topicAliasMaximum })
    c.subscribe('#')
    for (let i = 0; i < 4; i++) p.publish(TOPIC, 'x')
    assert.equal(forms(c), ['name', 'name', 'name', 'name'])
    c.disconnect()
  }
})

test('a topic comes with an alias at first, and later goes by it alone', () => {
  for (const qos of [0, 1, 2] as const)
    for (const fields of [{}, kept]) {
      const world = new OneNode()
      const c = world.connect('c', { ...fields, topicAliasMaximum: 5 })
      c.subscribe('#', qos)
      const p = world.connect('p')
      for (const payload of ['1', '2', '3', '4']) p.publish(TOPIC, payload, { qos, expiry: 60, contentType: 'x' })
      const packets = [...c.inbox]
      assert.equal(forms(c), ['name+1', '1', '1', '1'])
      packets.forEach((packet, i) => {
        if (packet.cmd !== 'publish') throw new Error(packet.cmd)
        assert.is(packet.topic, TOPIC)
        assert.equal([...packet.payload], [0x31 + i])
        assert.equal([packet.qos, packet.expiry, packet.contentType], [qos, 60, 'x'])
        assert.is(packet.packetId > 0, qos > 0)
      })
    }
})

test('[MQTT-3.1.2-26] never is an alias above what the client takes', () => {
  const world = new OneNode()
  const c = world.connect('c', { topicAliasMaximum: 2 })
  c.subscribe('#')
  const p = world.connect('p')
  for (let i = 0; i < 60; i++) {
    const topic = `${TOPIC}/${Math.floor(i / 4) % 5}`
    p.publish(topic, 'x')
    assert.is(c.fault, null)
    const d = c.expect('publish')
    assert.is(d.topic, topic)
    assert.ok(d.topicAlias <= 2)
  }
})

test('clients of one topic each have their own aliases, or none, from one encoding', () => {
  const world = new OneNode()
  const p = world.connect('p')
  const clients = [
    world.connect('a', { topicAliasMaximum: 9 }),
    world.connect('b', { topicAliasMaximum: 9 }),
    world.connect('c'),
    world.connect('d', { version: 4 }),
    world.connect('e', { topicAliasMaximum: 9, ...kept }),
  ]
  const [a, b] = clients as [SpecClient, SpecClient]
  // so that their aliases for the topic are different ones
  b.subscribe('other')
  p.publish('other', 'x')
  b.takeAll()
  for (const c of clients) c.subscribe('sensors/#', 2)
  for (const qos of [0, 1, 2] as const)
    for (let i = 0; i < 4; i++) {
      p.publish(TOPIC, `${qos}${i}`, { qos, expiry: 60, userProperties: [['k', 'v'.repeat(200)]] })
      const d = clients.map((c) => c.expect('publish'))
      for (const packet of d) assert.equal([packet.topic, packet.qos, packet.payload.length], [TOPIC, qos, 2])
      assert.equal(
        d.map((packet) => packet.topicAlias),
        [1, 2, 0, 0, 1],
      )
      assert.equal(new Set(d.map((packet) => packet.payload.join())).size, 1)
    }
  assert.is(a.fault, null)
})

test('[MQTT-3.3.2-7] a new connection begins without aliases, also for what is sent again', () => {
  const world = new OneNode()
  const c = world.connect('c', { ...kept, topicAliasMaximum: 5 })
  c.subscribe('#', 1)
  const p = world.connect('p')
  for (let i = 0; i < 3; i++) p.publish(TOPIC, `${i}`, { qos: 1 })
  assert.equal(forms(c), ['name+1', '1', '1'])
  c.drop()
  const again = world.connect('c', { ...kept, topicAliasMaximum: 5 })
  assert.ok(again.inbox.every((packet) => packet.cmd === 'publish' && packet.dup && packet.topic === TOPIC))
  assert.equal(forms(again), ['name+1', '1', '1'])
  again.drop()
  assert.equal(forms(world.connect('c', kept)), ['name', 'name', 'name'])
})

test('a message that is dropped takes no alias with it', () => {
  const world = new OneNode()
  const c = world.connect('c', { ...kept, topicAliasMaximum: 5, receiveMaximum: 1 })
  c.subscribe('#', 1)
  const p = world.connect('p')
  p.publish('a/first', 'x', { qos: 1 })
  const first = c.expect('publish')
  for (let i = 0; i < 3; i++) p.publish(TOPIC, 'gone', { qos: 1, expiry: 5 })
  world.pass(6_000)
  for (let i = 0; i < 3; i++) p.publish(TOPIC, `${i}`, { qos: 1 })
  let id = first.packetId
  const seen: string[] = []
  for (let i = 0; i < 3; i++) {
    c.sendPuback(id)
    const d = c.expect('publish')
    assert.is(d.topic, TOPIC)
    seen.push(d.topicAlias === 0 ? 'name' : d.aliased ? 'alias' : 'both')
    id = d.packetId
  }
  assert.equal(seen, ['both', 'alias', 'alias'])
})

test('[MQTT-3.1.2-24] an alias never makes a packet too large, and may make one small enough', () => {
  const world = new OneNode()
  const p = world.connect('p')
  // fixed header 2, topic 2 + 21, properties 1, payload
  const size = (payload: number) => 2 + 2 + TOPIC.length + 1 + payload
  const c = world.connect('c', { topicAliasMaximum: 5, maximumPacketSize: size(20) })
  c.subscribe('#')
  for (let i = 0; i < 3; i++) p.publish(TOPIC, 'x'.repeat(20))
  assert.equal(forms(c), ['name', 'name', 'name'], 'no room for an alias beside the name')
  p.publish(TOPIC, 'x'.repeat(21))
  assert.is(world.metric('dropped_too_large'), 1)
  for (let i = 0; i < 2; i++) p.publish(TOPIC, 'x')
  p.publish(TOPIC, 'x'.repeat(20 + 18))
  assert.equal(forms(c), ['name+1', '1', '1'], 'the alias is 18 bytes shorter than the name')
  p.publish(TOPIC, 'x'.repeat(20 + 19))
  c.expectNothing()
  assert.is(world.metric('dropped_too_large'), 2)
})

// ---- the pair

test('aliases stay with their connection when the session moves to the other node', () => {
  const world = new TwoNodes()
  const fields = { ...kept, topicAliasMaximum: 5 }
  const c = world.connect(world.a, 'c', fields)
  c.subscribe('#', 1)
  const p = world.connect(world.b, 'p', kept)
  p.publish('there/named', '0', { qos: 1, topicAlias: 3 })
  for (const payload of ['1', '2']) p.publish('', payload, { qos: 1, topicAlias: 3 })
  assert.ok(c.inbox.every((packet) => packet.cmd === 'publish' && packet.topic === 'there/named'))
  assert.equal(forms(c), ['name+1', '1', '1'])
  const moved = world.connect(world.b, 'c', fields)
  assert.ok(moved.present)
  assert.equal(forms(moved), ['name+1', '1', '1'])
  const q = world.connect(world.a, 'p', kept)
  q.sendPublish('', 'x', { qos: 1, topicAlias: 3 })
  q.expectDisconnect(0x82)
})

test('whatever comes and goes, every message comes by the topic that its payload names', () => {
  const topics = Array.from({ length: 40 }, (_, i) => `plant/hall ${i % 7}/sensor ${i}`)
  let aliased = 0
  for (let seed = 1; seed <= 15; seed++) {
    const prng = new Prng(seed)
    const world = new TwoNodes()
    const node = () => prng.pick([world.a, world.b])
    const connect = (id: string, topicAliasMaximum: number) => {
      const receiveMaximum = prng.pick([1, 3, 65_535])
      const lasting = prng.chance(0.7) ? kept : { cleanStart: true }
      const maximumPacketSize = prng.pick([60, 90, 268_435_455])
      return world.connect(node(), id, { ...lasting, topicAliasMaximum, receiveMaximum, maximumPacketSize })
    }
    const maxima = [0, 1, 4, 30, 65_535]
    const clients = maxima.map((max, i) => connect(`c${i}`, max))
    for (const c of clients) c.subscribe('plant/#', prng.pick([0, 1, 2]))
    const publishers = [world.connect(world.a, 'p0', kept), world.connect(world.b, 'p1', kept)]
    const named = [new Map<string, number>(), new Map<string, number>()]
    for (let step = 0; step < 300; step++) {
      const which = prng.int(0, 1)
      const topic = topics[Math.floor(prng.next() ** 2 * topics.length)] as string
      const known = named[which]?.get(topic)
      const alias = known ?? (prng.chance(0.3) ? prng.int(1, 5) : 0)
      if (known === undefined && alias > 0) {
        for (const [name, other] of named[which] ?? []) if (other === alias) named[which]?.delete(name)
        named[which]?.set(topic, alias)
      }
      const retain = prng.chance(0.1)
      const fields = { qos: prng.pick([0, 1, 2] as const), retain, topicAlias: alias }
      publishers[which]?.publish(known === undefined ? topic : '', topic + ' '.repeat(prng.int(0, 40)), fields)
      clients.forEach((c, i) => {
        for (const packet of c.takeAll()) {
          if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
          if (packet.cmd !== 'publish') continue
          assert.is(packet.topic, text(packet.payload).trimEnd(), `seed ${seed}`)
          if (packet.aliased) aliased++
          if (prng.chance(0.2)) continue
          if (packet.qos === 1) c.sendPuback(packet.packetId)
          if (packet.qos === 2) c.sendPubrec(packet.packetId)
        }
        assert.is(c.fault, null)
        if (!prng.chance(0.02)) return
        if (prng.chance(0.5)) c.drop()
        const again = connect(`c${i}`, maxima[i] as number)
        clients[i] = again
        if (!again.present) again.sendSubscribe('plant/#', prng.pick([0, 1, 2]))
      })
    }
  }
  assert.ok(aliased > 1000, `${aliased} came by alias alone`)
})

test.run()
