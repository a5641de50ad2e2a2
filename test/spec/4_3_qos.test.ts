// Quality of service and session state: MQTT 5.0 sections 4.1 to 4.4.

import { OneNode, type SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.3 QoS')
const kept = { cleanStart: false, sessionExpiry: 100 }
const both = [
  { version: 5 as const, ...kept },
  { version: 4 as const, cleanStart: false },
]

/** Somebody with a durable session that takes everything, and a publisher with one of its own. */
function pair(fields: (typeof both)[number]): { world: OneNode; c: SpecClient; p: SpecClient } {
  const world = new OneNode()
  const c = world.connect('c', fields)
  c.subscribe('#', 2)
  return { world, c, p: world.connect('p', fields) }
}

// ---- inbound

test('[MQTT-4.3.1-1] a QoS 0 message is not answered', () => {
  const { c, p } = pair(both[0]!)
  p.sendPublish('t', 'x')
  p.expectNothing()
  assert.equal(c.deliveries(), ['t=x'])
})

test('[MQTT-4.3.2-4] a QoS 1 message is answered with PUBACK of its identifier', () => {
  for (const fields of both) {
    const { c, p } = pair(fields)
    const id = p.sendPublish('t', 'x', { qos: 1 })
    assert.equal(p.expect('puback'), { cmd: 'puback', packetId: id, reason: 0 })
    assert.is(c.expect('publish').qos, 1)
  }
})

test('[MQTT-4.3.2-5] after PUBACK the same identifier is a new message, also with DUP', () => {
  const { c, p } = pair(both[0]!)
  for (let i = 0; i < 2; i++) {
    p.sendPublish('t', `${i}`, { qos: 1, packetId: 7, dup: i === 1 })
    p.expect('puback')
  }
  assert.equal(c.deliveries(), ['t=0', 't=1'])
})

test('[MQTT-4.3.3-8] a QoS 2 message is answered with PUBREC of its identifier', () => {
  for (const fields of both) {
    const { c, p } = pair(fields)
    const id = p.sendPublish('t', 'x', { qos: 2 })
    assert.equal(p.expect('pubrec'), { cmd: 'pubrec', packetId: id, reason: 0 })
    assert.is(c.expect('publish').qos, 2)
  }
})

test('[MQTT-4.3.3-10] a repeated QoS 2 message is answered with PUBREC again, and goes to nobody', () => {
  for (const fields of both) {
    const { world, c, p } = pair(fields)
    p.sendPublish('t', 'x', { qos: 2, packetId: 7 })
    p.expect('pubrec')
    c.deliveries()
    p.sendPublish('t', 'x', { qos: 2, packetId: 7, dup: true })
    assert.is(p.expect('pubrec').packetId, 7)
    p.drop()
    const again = world.connect('p', fields)
    again.sendPublish('t', 'x', { qos: 2, packetId: 7, dup: true })
    assert.is(again.expect('pubrec').packetId, 7)
    c.expectNothing()
  }
})

test('[MQTT-4.3.3-11] PUBREL is answered with PUBCOMP of its identifier', () => {
  for (const fields of both) {
    const { p } = pair(fields)
    p.sendPublish('t', 'x', { qos: 2, packetId: 7 })
    p.expect('pubrec')
    p.sendPubrel(7)
    assert.equal(p.expect('pubcomp'), { cmd: 'pubcomp', packetId: 7, reason: 0 })
  }
})

test('[MQTT-4.3.3-12] after PUBREL the same identifier is a new message', () => {
  const { c, p } = pair(both[0]!)
  for (let i = 0; i < 2; i++) {
    p.sendPublish('t', `${i}`, { qos: 2, packetId: 7, dup: i === 1 })
    p.expect('pubrec')
    p.sendPubrel(7)
    p.expect('pubcomp')
  }
  assert.equal(c.deliveries(), ['t=0', 't=1'])
})

test('[MQTT-4.3.3-11] PUBREL of an unknown identifier is answered with PUBCOMP too, 0x92 with 5.0', () => {
  for (const fields of both) {
    const { p } = pair(fields)
    p.sendPubrel(99)
    assert.equal(p.expect('pubcomp'), { cmd: 'pubcomp', packetId: 99, reason: fields.version === 5 ? 0x92 : 0 })
    assert.not(p.closed)
  }
})

test('[MQTT-4.3.3-10] identifiers of QoS 2 outlive the connection of a durable session, not of another', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('#', 2)
  const clean = world.connect('clean')
  clean.sendPublish('t', 'one', { qos: 2, packetId: 7 })
  clean.expect('pubrec')
  clean.drop()
  const again = world.connect('clean')
  again.sendPublish('t', 'two', { qos: 2, packetId: 7 })
  again.expect('pubrec')
  assert.equal(c.deliveries(), ['t=one', 't=two'])
})

test('a message that nobody takes is acknowledged with 0x10', () => {
  const world = new OneNode()
  const p = world.connect('p')
  p.sendPublish('t', 'x', { qos: 1 })
  assert.is(p.expect('puback').reason, 0x10)
  p.sendPublish('t', 'x', { qos: 2 })
  assert.is(p.expect('pubrec').reason, 0x10)
  const old = world.connect('old', { version: 4 })
  old.sendPublish('t', 'x', { qos: 1 })
  assert.is(old.expect('puback').reason, 0)
})

test('one identifier may be under way in both directions at once', () => {
  const { c, p } = pair(both[0]!)
  p.publish('t', 'x', { qos: 2 })
  const d = c.expect('publish')
  c.sendPublish('u', 'mine', { qos: 2, packetId: d.packetId })
  assert.is(c.expect('pubrec').packetId, d.packetId)
  assert.is(c.expect('publish').topic, 'u')
  c.sendPubrec(d.packetId)
  assert.is(c.expect('pubrel').packetId, d.packetId)
  c.sendPubrel(d.packetId)
  assert.is(c.expect('pubcomp').packetId, d.packetId)
})

// ---- outbound

test('[MQTT-4.3.2-1] [MQTT-4.3.3-1] each message under way has an identifier of its own', () => {
  const { c, p } = pair(both[0]!)
  for (let i = 0; i < 500; i++) p.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
  const ids = c.takeAll().map((packet) => (packet.cmd === 'publish' ? packet.packetId : 0))
  assert.is(ids.length, 500)
  assert.is(new Set(ids).size, 500)
  assert.not(ids.includes(0))
})

test('[MQTT-4.3.3-2] a message sent for the first time has DUP 0, also after waiting', () => {
  for (const fields of both) {
    const { world, c, p } = pair(fields)
    c.drop()
    p.publish('t', 'x', { qos: 2 })
    assert.is(world.connect('c', fields).expect('publish').dup, false)
  }
})

test('[MQTT-4.3.3-4] PUBREC is answered with PUBREL of its identifier, once more when it comes again', () => {
  for (const fields of both) {
    const { c, p } = pair(fields)
    p.publish('t', 'x', { qos: 2 })
    const { packetId } = c.expect('publish')
    for (let i = 0; i < 2; i++) {
      c.sendPubrec(packetId)
      assert.equal(c.expect('pubrel'), { cmd: 'pubrel', packetId, reason: 0 })
    }
    c.sendPubcomp(packetId)
    c.expectNothing()
  }
})

test('[MQTT-4.3.3-4] [MQTT-4.4.0-2] PUBREC of 0x80 or more ends the flow: no PUBREL, no repetition', () => {
  const { world, c, p } = pair(both[0]!)
  p.publish('t', 'x', { qos: 2 })
  const { packetId } = c.expect('publish')
  c.sendPubrec(packetId, 0x97)
  c.expectNothing()
  c.drop()
  world.connect('c', kept).expectNothing()
})

test('[MQTT-4.4.0-2] PUBACK of 0x80 or more is an acknowledgement as well', () => {
  const { world, c, p } = pair(both[0]!)
  p.publish('t', 'x', { qos: 1 })
  c.sendPuback(c.expect('publish').packetId, 0x97)
  c.drop()
  world.connect('c', kept).expectNothing()
})

test('[MQTT-4.3.3-6] after PUBREC the message is never sent again, only its PUBREL', () => {
  for (const fields of both) {
    const { world, c, p } = pair(fields)
    p.publish('t', 'x', { qos: 2 })
    const { packetId } = c.expect('publish')
    c.sendPubrec(packetId)
    c.expect('pubrel')
    c.drop()
    const again = world.connect('c', fields)
    assert.is(again.expect('pubrel').packetId, packetId)
    again.expectNothing()
    again.sendPubcomp(packetId)
    again.drop()
    world.connect('c', fields).expectNothing()
  }
})

test('acknowledgements of nothing are ignored; PUBREC is answered with PUBREL 0x92', () => {
  for (const fields of both) {
    const { world, c, p } = pair(fields)
    c.sendPuback(5)
    c.sendPubcomp(6)
    c.expectNothing()
    c.sendPubrec(7)
    assert.equal(c.expect('pubrel'), { cmd: 'pubrel', packetId: 7, reason: fields.version === 5 ? 0x92 : 0 })
    assert.not(c.closed)
    p.publish('t', 'x', { qos: 1 })
    const { packetId } = c.expect('publish')
    c.sendPubcomp(packetId)
    c.drop()
    assert.is(world.connect('c', fields).expect('publish').packetId, packetId, 'PUBCOMP acknowledges no QoS 1 message')
  }
})

test('an acknowledgement of the wrong kind does not end a QoS 2 flow', () => {
  const { world, c, p } = pair(both[0]!)
  p.publish('t', 'x', { qos: 2 })
  const { packetId } = c.expect('publish')
  c.sendPuback(packetId)
  c.sendPubcomp(packetId)
  c.drop()
  const again = world.connect('c', kept)
  assert.is(again.expect('publish').packetId, packetId)
})

// ---- delivery again

test('[MQTT-4.4.0-1] what is not acknowledged is sent again with DUP, its own identifier and in order', () => {
  for (const fields of both) {
    const { world, c, p } = pair(fields)
    for (let i = 0; i < 6; i++) p.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const first = c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []))
    c.sendPuback(first[2]!.packetId)
    c.sendPubrec(first[3]!.packetId)
    c.expect('pubrel')
    c.drop()
    p.publish('t', 'new', { qos: 1 })
    const again = world.connect('c', fields)
    const packets = again.takeAll()
    const sent = packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []))
    const left = [first[0]!, first[1]!, first[4]!, first[5]!]
    assert.equal(
      sent.map((d) => [d.packetId, d.dup, d.qos]),
      [...left.map((d) => [d.packetId, true, d.qos]), [sent[4]!.packetId, false, 1]],
    )
    assert.equal(
      packets.filter((packet) => packet.cmd === 'pubrel').map((packet) => ('packetId' in packet ? packet.packetId : 0)),
      [first[3]!.packetId],
    )
  }
})

test('[MQTT-4.4.0-1] nothing is sent again while the connection stands', () => {
  const { world, c, p } = pair(both[0]!)
  p.publish('t', 'x', { qos: 1 })
  c.expect('publish')
  world.pass(300_000)
  c.expectNothing()
})

test('a session without expiry forgets what it sent', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('#', 2)
  world.connect('p').publish('t', 'x', { qos: 2 })
  c.expect('publish')
  c.drop()
  world.connect('c', { cleanStart: false }).expectNothing()
})

// ---- promises of a lone node

test('a lone node acknowledges only what is on disk', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  const p = world.connect('p', kept)
  world.settle()
  world.diskAnswers = false
  p.sendPublish('t', 'one', { qos: 1 })
  p.expectNothing()
  const d = world.connect('d', { cleanStart: true })
  d.sendPublish('nobody', 'x', { qos: 1 })
  assert.is(d.expect('puback').reason, 0x10, 'what leaves nothing on disk waits for nothing')
  p.sendPublish('t', 'two', { qos: 2, packetId: 77 })
  c.sendSubscribe('u', 1)
  p.expectNothing()
  assert.not(c.inbox.some((packet) => packet.cmd === 'suback'))
  const e = world.open('e')
  e.sendConnect(kept)
  e.expectNothing()
  world.diskAnswers = true
  world.settle()
  p.expect('puback')
  p.expect('pubrec')
  assert.ok(c.inbox.some((packet) => packet.cmd === 'suback'))
  e.expect('connack')
})

test('a client that goes before its acknowledgement is written finds its message kept', () => {
  const world = new OneNode()
  const c = world.connect('c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect('p', kept)
  world.settle()
  world.diskAnswers = false
  p.sendPublish('t', 'x', { qos: 1 })
  p.drop()
  world.diskAnswers = true
  world.settle()
  assert.equal(world.connect('c', kept).deliveries(), ['t=x'])
})

test.run()
