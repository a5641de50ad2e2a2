// CONNECT and the session: sections 3.1.2 to 3.1.4 and 4.1 of MQTT 5.0 and 3.1.1: begun, resumed, taken over, ended.

import { arrangements, kept } from '../support/everywhere.ts'
import { connectFrame, frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1 CONNECT, session')
const { alone, everywhere } = arrangements(test)

everywhere(
  {
    5: '[MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2]',
    4: '[MQTT-3.1.1/3.1.2-6] [MQTT-3.1.1/3.1.4-3] [MQTT-3.1.1/3.2.2-1]',
  },
  'Clean Start throws the session away: subscriptions, what waits, and what is under way',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    const p = w.connect('p', { version })
    p.publish('t', 'under way', { qos: 2 })
    c.expect('publish')
    c.sendPublish('u', 'x', { qos: 2, packetId: 7 })
    c.expect('pubrec')
    c.drop()
    p.publish('t', 'waits', { qos: 1 })
    c = w.connect('c', { ...kept(version), cleanStart: true })
    assert.is(c.present, false)
    p.publish('t', 'later', { qos: 1 })
    c.expectNothing()
    c.subscribe('u', 2)
    c.sendPublish('u', 'new', { qos: 2, packetId: 7 })
    const packets = c.takeAll()
    assert.equal(packets.map((packet) => packet.cmd).sort(), ['publish', 'pubrec'], 'identifier 7 is a new message')
    c.drop()
    c = w.connect('c', kept(version))
    assert.is(c.present, version === 5, 'it began a session of its own, which 3.1.1 ends with the connection')
  },
)

everywhere(
  {
    5: '[MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-3.2.2-3]',
    4: '[MQTT-3.1.1/3.1.2-4] [MQTT-3.1.1/3.1.2-5] [MQTT-3.1.1/3.2.2-2] [MQTT-3.1.1/4.1.0-1]',
  },
  'without Clean Start the session goes on: subscriptions, what waits, and what is under way',
  (w, version) => {
    let c = w.connect('c', kept(version))
    assert.equal(c.subscribe('a', 1), [1])
    c.subscribe('b', 2)
    const p = w.connect('p', { version })
    p.publish('a', 'unacknowledged', { qos: 1 })
    p.publish('b', 'received', { qos: 2 })
    const first = c.expect('publish')
    const second = c.expect('publish')
    c.sendPubrec(second.packetId)
    c.expect('pubrel')
    c.drop()
    for (const qos of [1, 2] as const) p.publish('b', `waits ${qos}`, { qos })
    c = w.connect('c', kept(version))
    assert.is(c.present, true)
    const got = c.takeAll()
    assert.equal(
      got.flatMap((packet) => (packet.cmd === 'pubrel' ? [packet.packetId] : [])),
      [second.packetId],
    )
    assert.equal(
      got.flatMap((packet) => (packet.cmd === 'publish' ? [[packet.dup, packet.qos, packet.topic]] : [])),
      [
        [true, 1, 'a'],
        [false, 1, 'b'],
        [false, 2, 'b'],
      ],
    )
    assert.ok(got.some((packet) => packet.cmd === 'publish' && packet.packetId === first.packetId))
    p.publish('a', 'live', { qos: 1 })
    assert.equal(c.deliveries(), ['a=live'])
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-6] [MQTT-3.2.2-3]', 4: '[MQTT-3.1.1/3.1.2-4] [MQTT-3.1.1/3.2.2-3]' },
  'without Clean Start and without a session one begins, and is kept',
  (w, version) => {
    let c = w.connect('c', kept(version))
    assert.is(c.present, false)
    c.subscribe('t', 1)
    c.disconnect()
    c = w.connect('c', kept(version))
    assert.is(c.present, true)
    w.connect('p', { version }).publish('t', 'x', { qos: 1 })
    assert.equal(c.deliveries(), ['t=x'])
  },
)

everywhere(
  { 5: '[MQTT-3.1.3-2]', 4: '[MQTT-3.1.1/3.1.3-2]' },
  'a session belongs to one client identifier, to the letter',
  (w, version) => {
    const names = ['client', 'Client', 'client ', 'clien']
    for (const name of names) w.connect(name, kept(version)).subscribe(`to/${name}`, 1)
    const p = w.connect('p', { version })
    for (const name of names) p.publish(`to/${name}`, 'x', { qos: 1 })
    for (const name of names) {
      const c = w.connect(name, kept(version))
      assert.is(c.present, true)
      assert.equal(c.deliveries(), [`to/${name}=x`])
      c.drop()
    }
    assert.is(w.connect('CLIENT', kept(version)).present, false)
  },
)

everywhere(
  { 5: '[MQTT-3.1.4-3]', 4: '[MQTT-3.1.1/3.1.4-2]' },
  'a second connection of one identifier ends the first, and takes the session over',
  (w, version) => {
    const first = w.connect('c', kept(version))
    first.subscribe('t', 1)
    const second = w.connect('c', kept(version))
    first.expectDisconnect(0x8e)
    assert.is(second.present, true)
    const p = w.connect('p', { version })
    p.publish('t', 'x', { qos: 1 })
    assert.is(second.expect('publish').dup, false)
    const third = w.connect('c', { version, cleanStart: true })
    second.expectDisconnect(0x8e)
    assert.is(third.present, false)
    assert.not(third.closed)
  },
)

alone(
  { 5: '[MQTT-3.1.4-5]', 4: '[MQTT-3.1.1/3.1.4-4]' },
  'CONNECT is answered with CONNACK and success',
  (w, version) => {
    for (const fields of [{ cleanStart: true }, { cleanStart: false }, kept(version)]) {
      const c = w.open('c', version)
      c.sendConnect(fields)
      const { reason } = c.expect('connack')
      assert.is(reason, 0)
      c.expectNothing()
      assert.not(c.closed)
    }
  },
)

everywhere(
  { 5: '[MQTT-3.1.4-2] [MQTT-3.1.4-6]', 4: '[MQTT-3.1.1/3.1.4-5]' },
  'a client that may not come is closed, and what it sent behind CONNECT is not looked at',
  (w, version) => {
    let watch = w.connect('watch', kept(version))
    watch.subscribe('#', 2)
    watch = w.move(watch)
    const stranger = w.open('stranger', version, false)
    const none = version === 5 ? [0] : []
    stranger.raw([
      ...connectFrame(version, 2, 'stranger'),
      ...frame(0x30, 't', none, [0x78]),
      ...frame(0x33, 't', [0, 1], none, [0x78]),
      ...frame(0x82, [0, 2], none, 't', [0]),
      0xc0,
      0,
    ])
    assert.is(stranger.expect('connack').reason, version === 5 ? 0x87 : 5)
    stranger.expectNothing()
    assert.ok(stranger.closed)
    watch.expectNothing()
    const late = w.connect('late', { version })
    late.subscribe('t')
    late.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.1.4-3]', 4: '[MQTT-3.1.1/3.1.4-2]' },
  'what is under way when another connection takes over goes on with that',
  (w, version) => {
    const p = w.connect('p', { version })
    const first = w.connect('c', kept(version))
    first.subscribe('t', 1)
    p.publish('t', 'x', { qos: 1 })
    const sent = first.expect('publish')
    const second = w.connect('c', kept(version))
    first.expectDisconnect(0x8e)
    const again = second.expect('publish')
    assert.equal([again.dup, again.packetId], [true, sent.packetId])
  },
)

everywhere('[MQTT-3.1.2-5]', 'one session for both versions: 5.0 goes on where 3.1.1 left off, and back', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', kept(4))
  c.subscribe('t', 1)
  c.drop()
  p.publish('t', 'x', { qos: 1, userProperties: [['a', 'b']] })
  c = w.connect('c', kept(5))
  assert.is(c.present, true)
  assert.equal(c.take().userProperties, [['a', 'b']])
  c.drop()
  p.publish('t', 'y', { qos: 1, userProperties: [['a', 'b']], expiry: 60 })
  c = w.connect('c', kept(4))
  assert.equal(c.deliveries(), ['t=y'])
})

// ---- identifiers the server gives or does not take

everywhere(
  { 5: '[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]', 4: '[MQTT-3.1.1/3.1.3-6]' },
  'an empty client identifier is replaced by one that is nobody else’s',
  (w, version) => {
    let other = w.connect('other', kept(version))
    other = w.move(other)
    const clients = [0, 1, 2, 3].map(() => {
      const c = w.open('', version)
      c.sendConnect({ cleanStart: true })
      const connack = c.expect('connack')
      assert.is(connack.reason, 0)
      c.subscribe('t', 1)
      return { c, id: connack.assignedClientId ?? '' }
    })
    const p = w.connect('p', { version })
    p.publish('t', 'x', { qos: 1 })
    for (const { c } of clients) assert.equal(c.deliveries(), ['t=x'], 'each has a session of its own')
    assert.not(other.closed)
    if (version === 4) return
    assert.is(new Set(clients.map(({ id }) => id)).size, 4)
    for (const { c, id } of clients) {
      assert.ok(id.length > 0)
      w.connect(id)
      c.expectDisconnect(0x8e)
    }
  },
)

everywhere('[MQTT-3.1.3-7]', 'a session of an assigned identifier can be had again by it', (w) => {
  let c = w.open('')
  c.sendConnect(kept(5))
  const id = c.expect('connack').assignedClientId as string
  c.subscribe('t', 1)
  c.drop()
  w.connect('p').publish('t', 'x', { qos: 1 })
  for (let i = 0; i < 2; i++) {
    c = w.connect(id, kept(5))
    assert.is(c.present, true)
    assert.is(c.expect('publish').dup, i === 1)
    c.drop()
  }
})

alone({ 4: '[MQTT-3.1.1/3.1.3-7] [MQTT-3.1.1/3.1.3-8]' }, 'an empty identifier without Clean Session: 0x02', (w) => {
  const c = w.open('', 4)
  c.sendConnect({ cleanStart: false })
  assert.equal(c.takeAll(), [{ cmd: 'connack', sessionPresent: false, reason: 2 }])
  assert.ok(c.closed)
})

alone(
  { 5: '[MQTT-3.1.3-8]', 4: '[MQTT-3.1.1/3.1.3-9]' },
  'an identifier that is too long: refused, closed',
  (w, version) => {
    const c = w.open('x'.repeat(5000), version)
    c.sendConnect()
    assert.is(c.expect('connack').reason, version === 5 ? 0x85 : 2)
    assert.ok(c.closed)
  },
)

// ---- how long a session lasts

everywhere(
  { 5: '[MQTT-4.1.0-1]', 4: '[MQTT-3.1.1/4.1.0-1] [MQTT-3.1.1/4.1.0-2]' },
  'a session is kept as long as its connection is open, whatever its expiry',
  (w, version) => {
    let c = w.connect('c', version === 5 ? { cleanStart: false, sessionExpiry: 1 } : kept(4))
    c.subscribe('t', 2)
    const short = w.connect('short', { version, cleanStart: true })
    short.subscribe('t', 2)
    w.pass(30_000)
    const p = w.connect('p', { version })
    p.publish('t', 'x', { qos: 2 })
    for (const one of [c, short]) {
      const d = one.expect('publish')
      one.sendPubrec(d.packetId)
      assert.is(one.expect('pubrel').packetId, d.packetId)
      one.sendPubcomp(d.packetId)
    }
    c = w.move(c)
    p.publish('t', 'y', { qos: 1 })
    assert.equal(c.deliveries(), ['t=y'])
  },
)

everywhere('[MQTT-4.1.0-2] [MQTT-3.1.2-23]', 'a session ends when its expiry has passed, and not before', (w) => {
  const short = { cleanStart: false, sessionExpiry: 20 }
  let c = w.connect('c', short)
  c.subscribe('t', 1)
  c.drop()
  w.pass(18_000)
  c = w.connect('c', short)
  assert.is(c.present, true)
  c.drop()
  w.pass(23_000)
  w.connect('p').publish('t', 'x', { qos: 1 })
  c = w.connect('c', short)
  assert.is(c.present, false)
  c.expectNothing()
})

everywhere(
  { 5: '[MQTT-4.1.0-2]', 4: '[MQTT-3.1.1/3.1.2-6]' },
  'a session without expiry ends with its connection',
  (w, version) => {
    let other = w.connect('other', kept(version))
    other = w.move(other)
    const c = w.connect('c', { version, cleanStart: version === 4 })
    c.subscribe('t', 1)
    c.drop()
    w.connect('p', { version }).publish('t', 'x', { qos: 1 })
    const again = w.connect('c', { version, cleanStart: false })
    assert.is(again.present, false)
    again.expectNothing()
    other.expectNothing()
  },
)

everywhere({ 4: '[MQTT-3.1.1/3.1.2-4]' }, 'a session without Clean Session is kept with no end', (w) => {
  let c = w.connect('c', kept(4))
  c.subscribe('t', 1)
  c.drop()
  w.pass(300_000)
  w.connect('p', { version: 4 }).publish('t', 'x', { qos: 1 })
  c = w.connect('c', kept(4))
  assert.is(c.present, true)
  assert.equal(c.deliveries(), ['t=x'])
})

everywhere({ 4: '[MQTT-3.1.1/3.1.2-7]' }, 'retained messages outlive the session that published them', (w) => {
  let c = w.connect('c', kept(4))
  c.publish('t', 'x', { retain: true, qos: 1 })
  c.drop()
  c = w.connect('c', { version: 4, cleanStart: true })
  c.disconnect()
  const late = w.connect('late', { version: 4 })
  late.subscribe('t')
  assert.equal(late.deliveries(), ['t=x'])
})

everywhere(
  '[MQTT-4.1.0-2]',
  'a session expiry above the maximum is cut, the client told, and the session ended by it',
  (w) => {
    let c = w.open('c')
    c.sendConnect(kept(5))
    assert.is(c.expect('connack').sessionExpiry, 20)
    c.drop()
    w.pass(18_000)
    c = w.connect('c', kept(5))
    assert.is(c.present, true)
    c.drop()
    w.pass(23_000)
    c = w.connect('c', kept(5))
    assert.is(c.present, false)
  },
  { sessionExpiryMax: 20 },
)

test.run()
