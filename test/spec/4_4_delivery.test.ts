// Delivery: order, wildcards, and who gets what: MQTT 5.0 sections 4.5 to 4.7.

import { Prng } from '../../src/base/prng.ts'
import { OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.4 delivery')
const kept = { cleanStart: false, sessionExpiry: 100 }

test('[MQTT-4.5.0-1] a message goes to the session of every client with a matching subscription', () => {
  const world = new OneNode()
  const online = world.connect('online', kept)
  const offline = world.connect('offline', kept)
  const clean = world.connect('clean')
  const other = world.connect('other', kept)
  for (const c of [online, offline, clean]) c.subscribe('a/+', 1)
  other.subscribe('b/+', 1)
  offline.drop()
  world.connect('p').publish('a/b', 'x', { qos: 1 })
  for (const c of [online, clean, world.connect('offline', kept)]) assert.equal(c.deliveries(), ['a/b=x'])
  other.expectNothing()
})

test('[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of one topic and QoS keep their order, online and offline', () => {
  const world = new OneNode()
  const c = world.connect('c', { ...kept, receiveMaximum: 7 })
  c.subscribe('t', 2)
  const p = world.connect('p')
  for (const qos of [1, 2] as const) {
    const got: string[] = []
    let client = c.closed ? world.connect('c', { ...kept, receiveMaximum: 7 }) : c
    for (let i = 0; i < 60; i++) {
      p.publish('t', `${i}`, { qos })
      if (i === 20) client.drop()
      if (i === 40) client = world.connect('c', { ...kept, receiveMaximum: 7 })
    }
    for (;;) {
      const packet = client.inbox.shift()
      if (packet === undefined) break
      if (packet.cmd === 'publish') {
        if (!packet.dup) got.push(new TextDecoder().decode(packet.payload))
        else if (!got.includes(new TextDecoder().decode(packet.payload)))
          got.push(new TextDecoder().decode(packet.payload))
        if (packet.qos === 1) client.sendPuback(packet.packetId)
        else client.sendPubrec(packet.packetId)
      } else if (packet.cmd === 'pubrel') client.sendPubcomp(packet.packetId)
    }
    const numbers = got.map(Number)
    assert.equal(
      numbers,
      Array.from({ length: 60 }, (_, i) => i),
    )
    client.drop()
  }
})

test('a random run: every acknowledged message reaches every durable session, exactly once with QoS 2', () => {
  const prng = new Prng(20_260_101)
  const world = new OneNode()
  const names = ['c0', 'c1', 'c2']
  const fields = { ...kept, receiveMaximum: 5 }
  const clients = names.map((name) => world.connect(name, fields))
  for (const c of clients) c.subscribe('q/#', 2)
  const p = world.connect('p', kept)
  const got = names.map(() => new Map<string, number>())
  const held = names.map(() => new Set<number>())
  const read = (i: number): void => {
    const c = clients[i]!
    for (let packet = c.inbox.shift(); packet !== undefined; packet = c.inbox.shift()) {
      if (packet.cmd === 'publish') {
        const payload = new TextDecoder().decode(packet.payload)
        const again = held[i]!.has(packet.packetId)
        if (!again) got[i]!.set(payload, (got[i]!.get(payload) ?? 0) + 1)
        if (packet.qos === 2) held[i]!.add(packet.packetId)
        if (prng.next() < 0.15) {
          c.drop()
          return
        }
        if (packet.qos === 1) c.sendPuback(packet.packetId)
        else c.sendPubrec(packet.packetId)
      } else if (packet.cmd === 'pubrel') {
        held[i]!.delete(packet.packetId)
        if (prng.next() < 0.15) {
          c.drop()
          return
        }
        c.sendPubcomp(packet.packetId)
      }
    }
  }
  const rounds = 300
  for (let n = 0; n < rounds; n++) {
    p.publish('q/x', `${n}`, { qos: n % 2 === 0 ? 1 : 2 })
    for (let i = 0; i < clients.length; i++) {
      if (clients[i]!.closed && prng.next() < 0.5) clients[i] = world.connect(names[i]!, fields)
      if (!clients[i]!.closed) read(i)
    }
  }
  for (let tries = 0; tries < 1000; tries++) {
    for (let i = 0; i < clients.length; i++) {
      if (clients[i]!.closed) clients[i] = world.connect(names[i]!, fields)
      read(i)
    }
  }
  for (const seen of got) {
    assert.is(seen.size, rounds)
    for (const [payload, count] of seen)
      if (Number(payload) % 2 === 1) assert.is(count, 1, `${payload} came ${count} times`)
  }
  assert.is(world.node.sessions.queuedMessages, 0)
})

test.run()
