// Shared subscriptions: their filters, the versions that have them, and who is next.

import { OneNode, type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.8.2 shared filters')
const kept = { cleanStart: false, sessionExpiry: 100 }

/** Payloads received and acknowledged to the end. */
function take(c: SpecClient): string[] {
  const got: string[] = []
  for (;;) {
    const packet = c.inbox.shift()
    if (packet === undefined) return got
    if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
    if (packet.cmd !== 'publish') continue
    got.push(new TextDecoder().decode(packet.payload))
    if (packet.qos === 1) c.sendPuback(packet.packetId)
    if (packet.qos === 2) c.sendPubrec(packet.packetId)
  }
}

function publish(p: SpecClient, n: number, qos: 0 | 1 | 2, from = 0): string[] {
  const sent: string[] = []
  for (let i = from; i < from + n; i++) {
    p.publish('t', `${i}`, { qos })
    sent.push(`${i}`)
  }
  return sent
}

test('[MQTT-4.8.2-1] [MQTT-4.8.2-2] a shared filter that is none: 0x8F, and 0x80 in 3.1.1', () => {
  for (const [version, code] of [[5, 0x8f] as const, [4, 0x80] as const]) {
    const c = new OneNode().connect('c', { version })
    for (const filter of ['$share/', '$share/g', '$share//t', '$share/g/', '$share/+/t', '$share/g#/t', '$queue/'])
      assert.equal(c.subscribe(filter, 1), [code], filter)
  }
})

test('[MQTT-3.8.3-4] no local on a shared subscription is a protocol error', () => {
  for (const filter of ['$share/g/t', '$queue/t']) {
    const c = new OneNode().connect('c')
    c.sendSubscribe([{ filter, qos: 0, noLocal: true }])
    c.expectDisconnect(0x82)
  }
})

test('3.1.1 and 3.1 clients may share too', () => {
  const world = new TwoNodes()
  const members = [3, 4, 5].map((version, i) => {
    const m = world.connect(i === 1 ? world.b : world.a, `m${i}`, { version: version as 3 | 4 | 5 })
    m.subscribe('$share/g/t', 1)
    return m
  })
  const p = world.connect(world.b, 'p', { version: 4 })
  const sent = publish(p, 6, 1)
  const got = members.map(take)
  assert.equal(got.flat().sort(), sent)
  assert.equal(
    got.map((mine) => mine.length),
    [2, 2, 2],
  )
})

test('a publisher is told when no member could take its message', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.sendPublish('t', 'x', { qos: 1 })
  assert.is(p.expect('puback').reason, 0x10)
  const m = world.connect('m')
  m.subscribe('$share/g/t', 1)
  p.sendPublish('t', 'x', { qos: 1 })
  assert.is(p.expect('puback').reason, 0)
})

test('sticky: a publisher stays with its member; random and least-inflight leave nobody out', () => {
  for (const sharedStrategy of ['sticky', 'random', 'least-inflight'] as const) {
    const world = new TwoNodes({ sharedStrategy })
    const members = [0, 1, 2, 3].map((i) => {
      const m = world.connect(i % 2 === 0 ? world.a : world.b, `m${i}`, i < 2 ? kept : {})
      m.subscribe('$share/g/t', 1)
      return m
    })
    const p = world.connect(world.a, 'p')
    const sent = publish(p, 100, 1)
    const got = members.map((m) => m.takeAll().length)
    assert.is(
      got.reduce((sum, n) => sum + n, 0),
      sent.length,
    )
    if (sharedStrategy === 'sticky') assert.equal(got.filter((n) => n > 0).length, 1)
    else
      assert.ok(
        got.every((n) => n >= 10),
        `${sharedStrategy}: ${got}`,
      )
  }
})

test.run()
