// PUBLISH and what follows: sections 3.3.4 and 4.9 of MQTT 5.0, 3.3.4 and 3.3.5 of 3.1.1: answers, overlapping subscriptions, quotas.

import { arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.3.4 PUBLISH, flow')
const { alone, everywhere } = arrangements(test)

everywhere(
  { 5: '[MQTT-3.3.4-1]', 4: '[MQTT-3.1.1/3.3.4-1]' },
  'QoS 0 has no answer, QoS 1 PUBACK, QoS 2 PUBREC',
  (w, version) => {
    let p = w.connect('p', kept(version))
    const c = w.connect('c', { version })
    c.subscribe('t', 2)
    p.sendPublish('t', '0', { qos: 0 })
    p.expectNothing()
    p = w.move(p)
    const one = p.sendPublish('t', '1', { qos: 1 })
    assert.equal(p.takeAll(), [{ cmd: 'puback', packetId: one, reason: 0 }])
    p = w.move(p)
    const two = p.sendPublish('t', '2', { qos: 2 })
    assert.equal(p.takeAll(), [{ cmd: 'pubrec', packetId: two, reason: 0 }])
    assert.equal(c.deliveries(), ['t=0', 't=1', 't=2'])
  },
)

// ---- overlapping subscriptions

everywhere(
  { 5: '[MQTT-3.3.4-2]', 4: '[MQTT-3.1.1/3.3.5-1]' },
  'overlapping subscriptions bring one copy with the highest QoS of them',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('a/+', 0)
    c.subscribe('a/#', 2)
    c.subscribe('a/b', 1)
    c.subscribe('+/b', 0)
    for (const qos of [0, 1, 2] as const) {
      p.publish('a/b', 'x', { qos })
      assert.is(c.take().qos, qos)
      c.expectNothing()
      c = w.move(c)
    }
    c.unsubscribe('a/#')
    p.publish('a/b', 'x', { qos: 2 })
    assert.is(c.take().qos, 1)
    c.drop()
    p.publish('a/b', 'waits', { qos: 2 })
    c = w.connect('c', kept(version))
    assert.is(c.take().qos, 1)
    c.expectNothing()
  },
)

everywhere(
  '[MQTT-3.3.4-3] [MQTT-3.3.4-4]',
  'a message carries the identifiers of all subscriptions it comes by: live, waiting, retained',
  (w) => {
    const p = w.connect('p')
    let c = w.connect('c', kept(5))
    c.subscribe('a/#', 1, 7)
    c.subscribe('a/+', 2, 268_435_455)
    c.subscribe('a/b', 0)
    c.subscribe('x', 0, 3)
    const ids = (): readonly number[] => [...(c.take().subscriptionIds ?? [])].sort((a, b) => a - b)
    for (const qos of [0, 1, 2] as const) {
      p.publish('a/b', 'x', { qos })
      assert.equal(ids(), [7, 268_435_455])
      c.expectNothing()
      c = w.move(c)
    }
    c.drop()
    p.publish('a/b', 'waits', { qos: 1, retain: true })
    c = w.connect('c', kept(5))
    assert.equal(ids(), [7, 268_435_455])
    c.subscribe('a/+', 1, 9)
    assert.equal(ids(), [9], 'the retained message comes by the one subscription that was made')
    c.unsubscribe('a/#')
    c.unsubscribe('a/+')
    p.publish('a/b', 'x', { qos: 1 })
    assert.equal(ids(), [])
  },
)

alone('[MQTT-3.3.4-6]', 'a subscription identifier in a PUBLISH to the server is a protocol error', (w) => {
  const c = w.connect('c')
  c.raw(frame(0x30, 't', props([0x0b, 1]), [0x78]))
  c.expectDisconnect(0x82)
})

// ---- quotas

alone(
  '[MQTT-3.3.4-7]',
  'a client that has more under way than the server takes is told 0x93 and closed',
  (w) => {
    const c = w.open('c')
    c.sendConnect()
    assert.is(c.expect('connack').receiveMaximum, 3)
    for (let id = 1; id <= 3; id++) {
      c.sendPublish('t', 'x', { qos: 2, packetId: id })
      c.expect('pubrec')
    }
    c.sendPubrel(2)
    c.expect('pubcomp')
    c.sendPublish('t', 'x', { qos: 2, packetId: 4 })
    c.expect('pubrec')
    c.sendPublish('t', 'x', { qos: 2, packetId: 4, dup: true })
    c.expect('pubrec')
    c.sendPublish('t', 'x', { qos: 2, packetId: 5 })
    c.expectDisconnect(0x93)
  },
  { receiveMaximum: 3 },
)

/** Messages that have come, with their identifiers; nothing else must be among them. */
function came(c: SpecClient): number[] {
  return c.takeAll().map((packet) => {
    assert.is(packet.cmd, 'publish')
    return packet.cmd === 'publish' ? packet.packetId : 0
  })
}

for (const qos of [1, 2] as const)
  everywhere(
    '[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]',
    `never more QoS ${qos} messages are under way than the client takes, from the first on; each acknowledgement makes room`,
    (w) => {
      const p = w.connect('p')
      const q = w.connect('q')
      let c = w.connect('c', { ...kept(5), receiveMaximum: 3 })
      c.subscribe('t', qos)
      for (let i = 0; i < 5; i++) for (const from of [p, q]) from.publish('t', `${i}`, { qos })
      const sent = came(c)
      assert.is(sent.length, 3)
      const acknowledge = (id: number): void => {
        if (qos === 1) return c.sendPuback(id)
        c.sendPubrec(id)
        c.expect('pubrel')
        c.expectNothing()
        c.sendPubcomp(id)
      }
      for (let seen = 3; seen < 8; seen++) {
        acknowledge(sent.shift() as number)
        const more = came(c)
        assert.is(more.length, 1)
        sent.push(...more)
      }
      c.drop()
      c = w.connect('c', { ...kept(5), receiveMaximum: 1 })
      const rest: number[] = []
      for (;;) {
        const again = came(c)
        if (again.length === 0) break
        assert.is(again.length, 1, 'as few as the new connection takes')
        rest.push(...again)
        acknowledge(again[0] as number)
      }
      assert.is(rest.length, 5)
    },
  )

for (const qos of [1, 2] as const)
  everywhere(
    '[MQTT-3.3.4-9] [MQTT-4.9.0-2]',
    `what is acknowledged of a former connection makes no room for QoS ${qos} beside what is sent again`,
    (w) => {
      const p = w.connect('p')
      let c = w.connect('c', kept(5))
      c.subscribe('t', qos)
      for (let i = 0; i < 5; i++) p.publish('t', `${i}`, { qos })
      const sent = came(c)
      assert.is(sent.length, 5)
      c.drop()
      c = w.connect('c', { ...kept(5), receiveMaximum: 1 })
      assert.equal(came(c), [sent[0]])
      for (const id of [sent[2], sent[4]] as [number, number]) {
        if (qos === 1) c.sendPuback(id)
        else {
          c.sendPubrec(id)
          c.expect('pubrel')
          c.expectNothing()
          c.sendPubcomp(id)
        }
        c.expectNothing()
      }
      // Nothing of the two is sent again, and nothing else is left behind.
      for (const id of [sent[0], sent[1], sent[3]] as [number, number, number]) {
        if (qos === 1) c.sendPuback(id)
        else c.sendPubrec(id, 0x80)
      }
      p.publish('t', 'next', { qos })
      assert.equal(came(c).slice(0, 2), [sent[1], sent[3]])
    },
  )

everywhere('[MQTT-3.3.4-9] [MQTT-4.9.0-2]', 'retained messages keep to the quota as well', (w) => {
  const p = w.connect('p')
  for (let i = 0; i < 8; i++) p.publish(`t/${i}`, 'x', { qos: 1, retain: true })
  let c = w.connect('c', { ...kept(5), receiveMaximum: 3 })
  c.subscribe('t/+', 1)
  const sent = came(c)
  assert.is(sent.length, 3)
  c.drop()
  c = w.connect('c', { ...kept(5), receiveMaximum: 2 })
  let seen = 0
  for (;;) {
    const now = came(c)
    if (now.length === 0) break
    assert.ok(now.length <= 2)
    seen += now.length
    for (const id of now) c.sendPuback(id)
  }
  assert.is(seen, 8)
})

everywhere('[MQTT-3.3.4-9]', 'a message that the client refuses makes room as well', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', { ...kept(5), receiveMaximum: 1 })
  c.subscribe('t', 2)
  c = w.move(c)
  p.publish('t', '0', { qos: 1 })
  for (let i = 1; i < 4; i++) p.publish('t', `${i}`, { qos: 2 })
  c.sendPuback(c.expect('publish').packetId, 0x80)
  for (let i = 1; i < 3; i++) c.sendPubrec(c.expect('publish').packetId, 0x83)
  assert.is(came(c).length, 1)
})

everywhere('[MQTT-3.3.4-10] [MQTT-4.9.0-3]', 'at quota 0 all other packets come and are answered', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', { ...kept(5), receiveMaximum: 1 })
  c.subscribe('t', 2)
  c = w.move(c)
  c.subscribe('zero', 0)
  for (let i = 0; i < 3; i++) p.publish('t', 'x', { qos: 2 })
  const first = c.expect('publish')
  c.expectNothing()
  p.publish('zero', 'y')
  assert.equal(c.deliveries(), ['zero=y'])
  c.sendPingreq()
  c.expect('pingresp')
  assert.equal(c.subscribe('u', 1), [1])
  assert.equal(c.unsubscribe('u'), [0])
  c.publish('mine', 'x', { qos: 1 })
  c.publish('mine', 'x', { qos: 2 })
  c.sendPubrec(first.packetId)
  c.expect('pubrel')
  c.expectNothing()
  c.sendPubcomp(first.packetId)
  assert.is(came(c).length, 1)
})

everywhere(
  { 4: '[MQTT-3.1.1/3.3.5-2]' },
  'a PUBLISH that is not allowed closes the connection, and goes to nobody',
  (w) => {
    let c = w.connect('c', kept(4))
    c.subscribe('#', 1)
    c = w.move(c)
    const p = w.connect('p', { version: 4 })
    p.sendPublish('t', 'x', { qos: 1, retain: true })
    p.expectNothing()
    assert.ok(p.closed)
    const q = w.connect('q', { version: 4 })
    q.sendPublish('t', 'x', { qos: 2 })
    q.expectNothing()
    assert.ok(q.closed)
    c.expectNothing()
  },
  { retainAvailable: false, qosMax: 1 },
)

test.run()
