// Quality of service: sections 4.3 and 4.4 of MQTT 5.0 and 3.1.1: both sides of each flow, and what is sent again.

import { arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.3 QoS, flows')
const { everywhere } = arrangements(test)

/** What came, in short: packet, identifier, DUP. */
function packets(c: SpecClient): [string, number, boolean?][] {
  return c.takeAll().map((packet) => {
    if (packet.cmd === 'publish') return ['publish', packet.packetId, packet.dup]
    return [packet.cmd, 'packetId' in packet ? packet.packetId : 0]
  })
}

// ---- the server receives

everywhere(
  { 5: '[MQTT-4.3.2-4]', 4: '[MQTT-3.1.1/4.3.2-2]' },
  'QoS 1: PUBACK of the identifier, and the message has an owner: it reaches who is away',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 1)
    c.drop()
    const p = w.connect('p', { version })
    p.sendPublish('t', 'x', { qos: 1, packetId: 77 })
    assert.equal(p.takeAll(), [{ cmd: 'puback', packetId: 77, reason: 0 }])
    p.drop()
    c = w.connect('c', kept(version))
    assert.equal(c.deliveries(), ['t=x'])
  },
)

everywhere(
  { 5: '[MQTT-4.3.2-5]', 4: '[MQTT-3.1.1/4.3.2-2]' },
  'QoS 1: after PUBACK the same identifier is a new message, DUP or not',
  (w, version) => {
    const c = w.connect('c', { version })
    c.subscribe('t', 1)
    let p = w.connect('p', kept(version))
    for (let i = 0; i < 4; i++) {
      p.sendPublish('t', `${i}`, { qos: 1, packetId: 7, dup: i % 2 === 1 })
      assert.is(p.expect('puback').packetId, 7)
      if (i === 1) p = w.move(p)
    }
    assert.equal(c.deliveries(), ['t=0', 't=1', 't=2', 't=3'])
  },
)

everywhere(
  { 5: '[MQTT-4.3.3-8] [MQTT-4.3.3-10]', 4: '[MQTT-3.1.1/4.3.3-2]' },
  'QoS 2: PUBREC of the identifier, as often as the message comes, but it is delivered once',
  (w, version) => {
    const c = w.connect('c', { version })
    c.subscribe('t', 2)
    let p = w.connect('p', kept(version))
    p.sendPublish('t', 'x', { qos: 2, packetId: 7 })
    assert.is(p.expect('pubrec').packetId, 7)
    c.take()
    for (const dup of [true, false]) {
      p.sendPublish('t', 'x', { qos: 2, packetId: 7, dup })
      assert.is(p.expect('pubrec').packetId, 7)
      p = w.connect('p', kept(version))
    }
    p.sendPublish('t', 'x', { qos: 2, packetId: 7, dup: true })
    assert.is(p.expect('pubrec').packetId, 7)
    c.expectNothing()
    p.sendPublish('t', 'other', { qos: 2, packetId: 8 })
    p.expect('pubrec')
    assert.equal(c.deliveries(), ['t=other'], 'another identifier is another message')
  },
)

everywhere(
  { 5: '[MQTT-4.3.3-11] [MQTT-4.3.3-12]', 4: '[MQTT-3.1.1/4.3.3-2]' },
  'QoS 2: PUBREL is answered with PUBCOMP of its identifier, which then is a new message',
  (w, version) => {
    const c = w.connect('c', { version })
    c.subscribe('t', 2)
    let p = w.connect('p', kept(version))
    for (let i = 0; i < 4; i++) {
      p.sendPublish('t', `${i}`, { qos: 2, packetId: 7, dup: i % 2 === 1 })
      assert.is(p.expect('pubrec').packetId, 7)
      p = w.move(p)
      p.sendPubrel(7)
      assert.is(p.expect('pubcomp').packetId, 7)
    }
    assert.equal(c.deliveries(), ['t=0', 't=1', 't=2', 't=3'])
    p.sendPubrel(7)
    assert.is(p.expect('pubcomp').packetId, 7, 'a PUBREL sent again is answered again')
  },
)

everywhere('[MQTT-4.3.3-13]', 'QoS 2: the flow of a message that has expired goes on', (w) => {
  let c = w.connect('c', kept(5))
  c.subscribe('t', 2)
  c.drop()
  let p = w.connect('p', kept(5))
  p.sendPublish('t', 'x', { qos: 2, packetId: 7, expiry: 2 })
  p.expect('pubrec')
  w.pass(4_000)
  p = w.connect('p', kept(5))
  p.sendPublish('t', 'x', { qos: 2, packetId: 7, expiry: 2, dup: true })
  assert.is(p.expect('pubrec').packetId, 7)
  p.sendPubrel(7)
  assert.is(p.expect('pubcomp').reason, 0)
  c = w.connect('c', kept(5))
  c.expectNothing()
})

// ---- the server sends

for (const qos of [1, 2] as const)
  everywhere(
    qos === 1
      ? { 5: '[MQTT-4.3.2-2] [MQTT-4.3.2-3]', 4: '[MQTT-3.1.1/4.3.2-1]' }
      : { 5: '[MQTT-4.3.3-2] [MQTT-4.3.3-3]', 4: '[MQTT-3.1.1/4.3.3-1]' },
    `QoS ${qos}: PUBLISH with DUP 0 at first, and unacknowledged until ${qos === 1 ? 'PUBACK' : 'PUBREC'}`,
    (w, version) => {
      const p = w.connect('p', { version })
      let c = w.connect('c', kept(version))
      c.subscribe('t', qos)
      p.publish('t', 'x', { qos })
      const d = c.expect('publish')
      assert.equal([d.qos, d.dup], [qos, false])
      for (let i = 0; i < 3; i++) {
        c.drop()
        c = w.connect('c', kept(version))
        assert.equal(packets(c), [['publish', d.packetId, true]])
      }
      if (qos === 1) c.sendPuback(d.packetId)
      else {
        c.sendPubrec(d.packetId)
        c.expect('pubrel')
        c.sendPubcomp(d.packetId)
      }
      c.drop()
      c = w.connect('c', kept(version))
      c.expectNothing()
    },
  )

everywhere(
  { 5: '[MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6]', 4: '[MQTT-3.1.1/4.3.3-1]' },
  'QoS 2: PUBREC is answered with PUBREL, which is unacknowledged until PUBCOMP; no PUBLISH after it',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    p.publish('t', 'x', { qos: 2 })
    const { packetId } = c.expect('publish')
    for (let i = 0; i < 2; i++) {
      c.sendPubrec(packetId)
      assert.equal(packets(c), [['pubrel', packetId]])
    }
    for (let i = 0; i < 3; i++) {
      c.drop()
      c = w.connect('c', kept(version))
      assert.equal(packets(c), [['pubrel', packetId]])
    }
    c.sendPubcomp(packetId)
    c.drop()
    c = w.connect('c', kept(version))
    c.expectNothing()
  },
)

everywhere(
  '[MQTT-4.3.3-4] [MQTT-4.3.3-9] [MQTT-4.4.0-2]',
  'PUBACK or PUBREC of 0x80 or more ends the flow: no PUBREL, nothing again, the identifier free',
  (w) => {
    const p = w.connect('p')
    let c = w.connect('c', kept(5))
    c.subscribe('t', 2)
    for (const reason of [0x80, 0x83, 0x87, 0x97, 0x99]) {
      p.publish('t', 'one', { qos: 1 })
      p.publish('t', 'two', { qos: 2 })
      const [one, two] = [c.expect('publish'), c.expect('publish')]
      c.sendPuback(one.packetId, reason)
      c.sendPubrec(two.packetId, reason)
      c.expectNothing()
      c.drop()
      c = w.connect('c', kept(5))
      c.expectNothing()
    }
    for (let i = 0; i < 3; i++) p.publish('t', `${i}`, { qos: 2 })
    assert.is(packets(c).length, 3)
  },
)

everywhere(
  { 5: '[MQTT-4.4.0-1]', 4: '[MQTT-3.1.1/4.4.0-1]' },
  'what is not acknowledged is sent again when the session is resumed: same identifiers, in order, before what is new',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    for (let i = 0; i < 8; i++) p.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const ids = packets(c).map(([, id]) => id)
    c.sendPuback(ids[0] as number)
    c.sendPubrec(ids[1] as number)
    c.sendPubrec(ids[5] as number)
    c.sendPuback(ids[6] as number)
    c.takeAll()
    c.drop()
    p.publish('t', 'new', { qos: 1 })
    c = w.connect('c', kept(version))
    const got = packets(c)
    const released = got.filter(([cmd]) => cmd === 'pubrel').map(([, id]) => id)
    assert.equal(released.sort(), [ids[1], ids[5]].sort())
    const sent = got.filter(([cmd]) => cmd === 'publish')
    assert.equal(
      sent.slice(0, -1).map(([, id, dup]) => [id, dup]),
      [2, 3, 4, 7].map((i) => [ids[i], true]),
    )
    assert.is(sent.at(-1)?.[2], false)
  },
)

everywhere(
  { 5: '[MQTT-4.4.0-1]', 4: '[MQTT-3.1.1/4.4.0-1]' },
  'nothing is sent again while the connection stands, nor to a session that has begun anew',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    for (const qos of [1, 2] as const) p.publish('t', 'x', { qos })
    const [, two] = [c.expect('publish'), c.expect('publish')]
    c.sendPubrec(two.packetId)
    c.expect('pubrel')
    w.pass(200_000)
    c.expectNothing()
    c = w.connect('c', { version, cleanStart: true })
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-4.3.3-10]', 4: '[MQTT-3.1.1/4.3.3-2]' },
  'identifiers of QoS 2 end with their session',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('#', 2)
    c = w.move(c)
    for (const payload of ['one', 'two']) {
      const p = w.connect('p', { version, cleanStart: true })
      p.sendPublish('t', payload, { qos: 2, packetId: 7 })
      p.expect('pubrec')
      p.drop()
    }
    assert.equal(c.deliveries(), ['t=one', 't=two'])
  },
)

everywhere(
  { 5: '[MQTT-2.2.1-5]', 4: '[MQTT-3.1.1/2.3.1-6]' },
  'one identifier may be under way in both directions at once',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    c = w.move(c)
    p.publish('t', 'x', { qos: 2 })
    const { packetId } = c.expect('publish')
    c.sendPublish('u', 'mine', { qos: 2, packetId })
    assert.is(c.expect('pubrec').packetId, packetId)
    c.sendPubrec(packetId)
    assert.is(c.expect('pubrel').packetId, packetId)
    c.sendPubrel(packetId)
    assert.is(c.expect('pubcomp').packetId, packetId)
    c.sendPubcomp(packetId)
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-4.3.2-3] [MQTT-4.3.3-3]', 4: '[MQTT-3.1.1/4.3.2-1] [MQTT-3.1.1/4.3.3-1]' },
  'acknowledgements of nothing, or of the wrong kind, end no flow and no connection',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    for (const qos of [1, 2] as const) p.publish('t', 'x', { qos })
    const [one, two] = [c.expect('publish'), c.expect('publish')]
    for (const id of [5, 6]) c.sendPuback(id)
    c.sendPubcomp(7)
    c.expectNothing()
    c.sendPubrec(8)
    assert.equal(packets(c), [['pubrel', 8]])
    c.sendPubrel(9)
    assert.equal(packets(c), [['pubcomp', 9]])
    c.sendPubcomp(one.packetId)
    c.sendPuback(two.packetId)
    c.sendPubcomp(two.packetId)
    c.expectNothing()
    assert.not(c.closed)
    c.drop()
    c = w.connect('c', kept(version))
    assert.equal(
      packets(c).map(([cmd, id]) => [cmd, id]),
      [
        ['publish', one.packetId],
        ['publish', two.packetId],
      ],
    )
  },
)

test.run()
