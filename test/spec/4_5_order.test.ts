// Delivery and order: sections 4.5 and 4.6 of MQTT 5.0 and 3.1.1.

import { Prng } from '../../src/base/prng.ts'
import { arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.5 delivery, 4.6 order')
const { everywhere } = arrangements(test)

everywhere(
  { 5: '[MQTT-4.5.0-1]', 4: '[MQTT-3.1.1/4.5.0-1]' },
  'a message goes to the session of every client with a matching subscription, there or away, and to no other',
  (w, version) => {
    const names = ['a', 'b', 'c', 'd']
    const matching = ['t/+', 't/#', '#', 't/x']
    for (const [i, name] of names.entries()) w.connect(name, kept(version)).subscribe(matching[i] as string, 2)
    const other = w.connect('other', kept(version))
    other.subscribe('t', 2)
    const clean = w.connect('clean', { version })
    clean.subscribe('t/x', 2)
    const away = names.map((name) => w.connect(name, kept(version))).slice(0, 2)
    for (const c of away) c.drop()
    const p = w.connect('p', { version })
    for (const qos of [1, 2] as const) p.publish('t/x', `${qos}`, { qos })
    assert.equal(clean.deliveries(), ['t/x=1', 't/x=2'])
    for (const name of names) {
      const c = w.connect(name, kept(version))
      assert.equal([c.take().qos, c.take().qos].sort(), [1, 2], name)
      c.expectNothing()
    }
    other.expectNothing()
  },
)

/** Payloads in the order of their first coming, everything acknowledged; repetitions must be marked as such. */
function read(c: SpecClient, seen: string[]): void {
  for (let packet = c.inbox.shift(); packet !== undefined; packet = c.inbox.shift()) {
    if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
    if (packet.cmd !== 'publish') continue
    const text = new TextDecoder().decode(packet.payload)
    if (!packet.dup || !seen.includes(text)) seen.push(text)
    if (packet.qos === 1) c.sendPuback(packet.packetId)
    if (packet.qos === 2) c.sendPubrec(packet.packetId)
  }
}

for (const qos of [0, 1, 2] as const)
  everywhere(
    {
      5: '[MQTT-4.6.0-5] [MQTT-4.6.0-6]',
      4: '[MQTT-3.1.1/4.6.0-5] [MQTT-3.1.1/4.6.0-6]',
    },
    `QoS ${qos} messages of two publishers keep each one’s order, while the subscriber comes and goes`,
    (w, version) => {
      const publishers = ['p', 'q'].map((name) => w.connect(name, { version }))
      const fields = { ...kept(version), ...(version === 5 ? { receiveMaximum: 5 } : {}) }
      let c = w.connect('c', fields)
      c.subscribe('t', qos)
      const seen: string[] = []
      for (let i = 0; i < 60; i++) {
        for (const p of publishers) p.publish('t', `${p.clientId}${i}`, { qos })
        if (i % 7 === 3) read(c, seen)
        if (i % 20 === 9 && qos > 0) c.drop()
        if (i % 20 === 14 || (qos === 0 && i % 20 === 9)) {
          if (qos === 0) read(c, seen)
          c = w.connect('c', fields)
        }
      }
      read(c, seen)
      for (const p of publishers)
        assert.equal(
          seen.filter((text) => text.startsWith(p.clientId)),
          Array.from({ length: 60 }, (_, i) => `${p.clientId}${i}`),
        )
    },
  )

everywhere(
  { 5: '[MQTT-4.6.0-6]', 4: '[MQTT-3.1.1/4.6.0-5]' },
  'messages of one publisher to many topics keep their order as well',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('#', 1)
    c = w.move(c)
    const sent: string[] = []
    for (let i = 0; i < 50; i++) {
      const topic = `t/${(i * 7) % 5}`
      p.publish(topic, `${i}`, { qos: 1 })
      sent.push(`${topic}=${i}`)
    }
    assert.equal(c.deliveries(), sent)
  },
)

everywhere(
  { 5: '[MQTT-4.5.0-1] [MQTT-4.3.3-10]', 4: '[MQTT-3.1.1/4.5.0-1] [MQTT-3.1.1/4.3.3-2]' },
  'a random run: every message reaches every session that lasts, exactly once with QoS 2',
  (w, version) => {
    const prng = new Prng(20_260_101)
    const fields = { ...kept(version), ...(version === 5 ? { receiveMaximum: 5 } : {}) }
    const clients = ['c0', 'c1', 'c2'].map((name) => w.connect(name, fields))
    for (const c of clients) c.subscribe('q/#', 2)
    const p = w.connect('p', kept(version))
    const got = clients.map(() => new Map<string, number>())
    const held = clients.map(() => new Set<number>())
    /** Reads what has come, and drops off at any packet with this probability. */
    const read = (i: number, drops: number): void => {
      const c = clients[i] as SpecClient
      for (let packet = c.inbox.shift(); packet !== undefined; packet = c.inbox.shift()) {
        if (packet.cmd === 'publish') {
          const payload = new TextDecoder().decode(packet.payload)
          if (!held[i]?.has(packet.packetId)) got[i]?.set(payload, (got[i]?.get(payload) ?? 0) + 1)
          if (packet.qos === 2) held[i]?.add(packet.packetId)
        } else if (packet.cmd === 'pubrel') held[i]?.delete(packet.packetId)
        if (prng.next() < drops) return c.drop()
        if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
        else if (packet.cmd === 'publish' && packet.qos === 1) c.sendPuback(packet.packetId)
        else if (packet.cmd === 'publish') c.sendPubrec(packet.packetId)
      }
    }
    const rounds = 120
    for (let n = 0; n < rounds; n++) {
      p.publish('q/x', `${n}`, { qos: n % 2 === 0 ? 1 : 2 })
      for (const [i, c] of clients.entries()) {
        if (c.closed && prng.next() < 0.5) clients[i] = w.connect(c.clientId, fields)
        if (!(clients[i] as SpecClient).closed) read(i, 0.15)
      }
    }
    for (const [i, c] of clients.entries()) {
      clients[i] = w.connect(c.clientId, fields)
      read(i, 0)
      assert.is(got[i]?.size, rounds)
      for (const [payload, count] of got[i] ?? []) if (Number(payload) % 2 === 1) assert.is(count, 1, payload)
    }
  },
)

test.run()
