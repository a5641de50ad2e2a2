// Data and packet format: chapters 1 and 2 of MQTT 5.0 and 3.1.1.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { bytesOf, connectFrame, field, frame, type Part, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('1 and 2 data')
const { alone, everywhere } = arrangements(test)

const ILL_FORMED: readonly (readonly [string, readonly number[]])[] = [
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['an overlong form', [0xc1, 0x81]],
  ['a sequence cut short', [0x61, 0xe2, 0x82]],
  ['a continuation without a beginning', [0x80]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
]

/** Packets with that text in each place a client may put some. */
function packetsWith(text: Part, version: 4 | 5): readonly (readonly [string, number[]])[] {
  const none = version === 5 ? [0] : []
  return [
    ['topic name', frame(0x30, text, none, [0x78])],
    ['topic filter', frame(0x82, [0, 1], none, text, [0])],
    ['filter to unsubscribe', frame(0xa2, [0, 1], none, text)],
  ]
}

function connectsWith(text: Part, version: 4 | 5): readonly (readonly [string, number[]])[] {
  const none = version === 5 ? [0] : []
  return [
    ['client identifier', connectFrame(version, 0x02, text)],
    ['will topic', connectFrame(version, 0x06, 'c', none, text, 'gone')],
    ['user name', connectFrame(version, 0x82, 'c', text)],
  ]
}

/** Closed for it, told why where that can be told. */
function refusedEach(w: AnyBroker, version: 4 | 5, text: Part): void {
  for (const [where, packet] of packetsWith(text, version)) {
    const c = w.connect('c', { version })
    c.raw(packet)
    if (version === 5) assert.is(c.expect('disconnect').reason, 0x81, where)
    c.expectNothing()
    assert.ok(c.closed, where)
  }
  for (const [where, packet] of connectsWith(text, version)) {
    const c = w.open('c', version)
    c.raw(packet)
    for (const answer of c.takeAll()) assert.ok(answer.cmd === 'connack' && answer.reason >= 0x80, where)
    assert.ok(c.closed, where)
  }
}

for (const [what, bytes] of ILL_FORMED)
  alone({ 5: '[MQTT-1.5.4-1]', 4: '[MQTT-3.1.1/1.5.3-1]' }, `text with ${what} closes the connection`, (w, version) =>
    refusedEach(w, version, field(...bytes)),
  )

alone({ 5: '[MQTT-1.5.4-2]', 4: '[MQTT-3.1.1/1.5.3-2]' }, 'text with U+0000 closes the connection', (w, version) =>
  refusedEach(w, version, 'a\0b'),
)

alone(
  {
    5: '[MQTT-1.5.4-1] [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12] [MQTT-3.3.2-1] [MQTT-3.8.3-1] [MQTT-3.10.3-1]',
    4: '[MQTT-3.1.1/1.5.3-1] [MQTT-3.1.1/3.1.3-4] [MQTT-3.1.1/3.1.3-10] [MQTT-3.1.1/3.1.3-11] [MQTT-3.1.1/3.3.2-1] [MQTT-3.1.1/3.8.3-1] [MQTT-3.1.1/3.10.3-1]',
  },
  'every name, filter and topic is checked, and proper ones of all planes are taken',
  (w, version) => {
    refusedEach(w, version, field(0x61, 0xff))
    const text = 'aé€𝄞\u{10ffff}'
    for (const [where, packet] of connectsWith(text, version)) {
      const c = w.open('c', version)
      c.raw(packet)
      assert.is(c.expect('connack').reason, 0, where)
      c.disconnect()
    }
    const c = w.connect('c', { version })
    c.subscribe(text)
    c.publish(text, 'x')
    assert.equal(c.deliveries(), [`${text}=x`])
  },
)

alone({ 5: '[MQTT-1.5.4-3]', 4: '[MQTT-3.1.1/1.5.3-3]' }, 'U+FEFF is neither skipped nor stripped', (w, version) => {
  const c = w.connect('c', { version })
  for (const name of ['\ufeffa', 'a\ufeffb', 'b\ufeff']) {
    c.subscribe(name)
    c.heard = []
    c.publish(name, 'x')
    c.publish(name.replace('\ufeff', ''), 'y')
    assert.equal(
      c.heard.flatMap((bytes) => [...bytes]),
      frame(0x30, name, version === 5 ? [0] : [], [0x78]),
    )
    c.takeAll()
  }
})

alone('[MQTT-1.5.5-1]', 'lengths that take more bytes than they need are malformed', (w) => {
  for (const packet of [
    [0xc0, 0x80, 0x00],
    [0x30, 0x87, 0x00, 0, 1, 0x74, 0, 0x61, 0x62, 0x63],
    frame(0x30, 't', [0x80, 0x00], 'x'),
    frame(0x82, [0, 1], props([0x0b, 0x81, 0x00]), 't', [0]),
  ]) {
    const c = w.connect('c')
    c.raw(packet)
    c.expectDisconnect(0x81)
  }
})

alone('[MQTT-1.5.5-1]', 'lengths that the server writes take as few bytes as they can', (w) => {
  const c = w.connect('c')
  c.subscribe('t')
  for (const size of [122, 123, 124, 16_378, 16_379, 16_380]) {
    c.heard = []
    const payload = new Uint8Array(size).fill(0x78)
    c.sendPublish('t', payload)
    assert.equal(
      c.heard.flatMap((bytes) => [...bytes]),
      frame(0x30, 't', [0], payload),
    )
  }
})

alone('[MQTT-1.5.7-1]', 'both halves of a user property are checked', (w) => {
  for (const [name, value] of [
    [field(0xff), 'v'],
    ['n', field(0xff)],
    ['a\0', 'v'],
    ['n', 'v\0'],
    ['n', field(0xed, 0xbf, 0xbf)],
  ] as const) {
    const c = w.connect('c')
    c.raw(frame(0x30, 't', props([0x26], name, value), [0x78]))
    c.expectDisconnect(0x81)
  }
})

// ---- flags

/** One of each packet a client may send, with its type and proper flags in the first byte. */
function packetsOf(version: 4 | 5): readonly (readonly [string, number[]])[] {
  const none = version === 5 ? [0] : []
  return [
    ['PUBACK', [0x40, 2, 0, 1]],
    ['PUBREC', [0x50, 2, 0, 1]],
    ['PUBREL', [0x62, 2, 0, 1]],
    ['PUBCOMP', [0x70, 2, 0, 1]],
    ['SUBSCRIBE', frame(0x82, [0, 1], none, 't', [0])],
    ['UNSUBSCRIBE', frame(0xa2, [0, 1], none, 't')],
    ['PINGREQ', [0xc0, 0]],
    ['DISCONNECT', [0xe0, 0]],
    ...(version === 5 ? [['AUTH', frame(0xf0, [0x19], props([0x15], 'm'))] as const] : []),
  ]
}

alone(
  {
    5: '[MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]',
    4: '[MQTT-3.1.1/2.2.2-1] [MQTT-3.1.1/2.2.2-2] [MQTT-3.1.1/3.6.1-1] [MQTT-3.1.1/3.8.1-1] [MQTT-3.1.1/3.10.1-1] [MQTT-3.1.1/3.14.1-1]',
  },
  'any other than the reserved flags closes the connection, for each packet',
  (w, version) => {
    for (const [name, packet] of packetsOf(version))
      for (let flags = 0; flags < 16; flags++) {
        if (flags === ((packet[0] as number) & 0xf)) continue
        const c = w.connect('c', { version })
        c.raw([((packet[0] as number) & 0xf0) | flags, ...packet.slice(1)])
        if (version === 5) assert.is(c.expect('disconnect').reason, 0x81, `${name} ${flags}`)
        c.expectNothing()
        assert.ok(c.closed, `${name} ${flags}`)
      }
    for (let flags = 1; flags < 16; flags++) {
      const c = w.open('c', version)
      c.raw([0x10 | flags, ...connectFrame(version, 2, 'c').slice(1)])
      assert.ok(c.takeAll().every((packet) => packet.cmd === 'connack' && packet.reason !== 0))
      assert.ok(c.closed, `CONNECT ${flags}`)
    }
  },
)

alone({ 5: '[MQTT-2.1.3-1]', 4: '[MQTT-3.1.1/2.2.2-1]' }, 'what the server sends has its flags', (w, version) => {
  const c = w.connect('c', { version })
  const first = (act: () => void): number => {
    c.heard = []
    act()
    return (c.heard[0] as Uint8Array)[0] as number
  }
  assert.is(
    first(() => c.sendSubscribe('t', 2)),
    0x90,
  )
  assert.is(
    first(() => c.sendPingreq()),
    0xd0,
  )
  assert.is(
    first(() => c.sendPublish('u', 'x', { qos: 1, packetId: 9 })),
    0x40,
  )
  assert.is(
    first(() => c.sendPublish('u', 'x', { qos: 2, packetId: 9 })),
    0x50,
  )
  assert.is(
    first(() => c.sendPubrel(9)),
    0x70,
  )
  assert.is(
    first(() => c.sendPublish('t', 'x')),
    0x30,
  )
  c.takeAll()
  c.sendPublish('t', 'x', { qos: 2, packetId: 8 })
  const d = c.expect('publish')
  assert.is(
    first(() => c.sendPubrec(d.packetId)),
    0x62,
  )
  assert.is(
    first(() => c.sendUnsubscribe('t')),
    0xb0,
  )
})

// ---- packet identifiers

alone({ 5: '[MQTT-2.2.1-2]', 4: '[MQTT-3.1.1/2.3.1-5]' }, 'a QoS 0 PUBLISH has no packet identifier', (w, version) => {
  const c = w.connect('c', { version })
  c.subscribe('t', 2)
  c.heard = []
  c.raw(frame(0x30, 't', version === 5 ? [0] : [], [1, 2, 3]))
  assert.equal(
    c.heard.flatMap((bytes) => [...bytes]),
    frame(0x30, 't', version === 5 ? [0] : [], [1, 2, 3]),
  )
})

alone({ 5: '[MQTT-2.2.1-3]', 4: '[MQTT-3.1.1/2.3.1-1]' }, 'packet identifier 0 closes the connection', (w, version) => {
  const none = version === 5 ? [0] : []
  for (const packet of [
    frame(0x32, 't', [0, 0], none, [0x78]),
    frame(0x34, 't', [0, 0], none, [0x78]),
    frame(0x82, [0, 0], none, 't', [0]),
    frame(0xa2, [0, 0], none, 't'),
  ]) {
    const c = w.connect('c', { version })
    c.raw(packet)
    c.expectDisconnect(0x82)
  }
})

/** Of all messages received and not acknowledged. */
function idsOf(c: SpecClient): number[] {
  return c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet.packetId] : []))
}

everywhere(
  { 5: '[MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]', 4: '[MQTT-3.1.1/2.3.1-4] [MQTT-3.1.1/4.3.2-1]' },
  'identifiers of what is sent are not 0 and not in use, also after coming back',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    const p = w.connect('p', { version })
    const publish = (count: number) => {
      for (let i = 0; i < count; i++) p.publish('t', 'x', { qos: i % 2 === 0 ? 1 : 2 })
    }
    publish(40)
    const first = idsOf(c)
    assert.is(new Set(first).size, 40)
    assert.not(first.includes(0))
    for (const id of first.filter((_, i) => i % 4 === 0)) c.sendPuback(id)
    c.drop()
    publish(5)
    c = w.connect('c', kept(version))
    publish(40)
    const all = idsOf(c)
    assert.is(all.length, 30 + 5 + 40)
    assert.is(new Set(all).size, all.length)
    assert.not(all.includes(0))
    for (const [i, id] of first.entries()) if (i % 4 !== 0) assert.ok(all.includes(id))
  },
)

everywhere('[MQTT-2.2.1-4] [MQTT-4.3.2-1]', 'an identifier is not given out again as long as it is in use', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', kept(5))
  c.subscribe('t', 1)
  p.publish('t', 'held', { qos: 1 })
  const held = c.expect('publish').packetId
  c.drop()
  c = w.connect('c', kept(5))
  assert.is(c.expect('publish').packetId, held)
  // More than this broker has for one QoS before they begin anew.
  for (let i = 0; i < 16_500; i++) {
    p.sendPublish('t', 'x', { qos: 1 })
    const d = c.expect('publish')
    assert.ok(d.packetId !== held && d.packetId !== 0)
    c.sendPuback(d.packetId)
  }
})

everywhere(
  { 5: '[MQTT-2.2.1-5]', 4: '[MQTT-3.1.1/2.3.1-6]' },
  'acknowledgements carry the identifier of their PUBLISH, in both directions',
  (w, version) => {
    const c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    let p = w.connect('p', kept(version))
    p.sendPublish('t', 'x', { qos: 1, packetId: 0x1234 })
    assert.is(p.expect('puback').packetId, 0x1234)
    c.take()
    p.sendPublish('t', 'x', { qos: 2, packetId: 0xffff })
    assert.is(p.expect('pubrec').packetId, 0xffff)
    p = w.move(p)
    p.sendPubrel(0xffff)
    assert.is(p.expect('pubcomp').packetId, 0xffff)
    const d = c.expect('publish')
    c.sendPubrec(d.packetId)
    assert.is(c.expect('pubrel').packetId, d.packetId)
  },
)

alone(
  { 5: '[MQTT-2.2.1-6] [MQTT-3.8.4-2]', 4: '[MQTT-3.1.1/2.3.1-7] [MQTT-3.1.1/3.8.4-2]' },
  'SUBACK and UNSUBACK carry the identifier of their request',
  (w, version) => {
    const c = w.connect('c', { version })
    const none = version === 5 ? [0] : []
    for (const id of [1, 0x100, 0xffff]) {
      const bytes = [id >> 8, id & 0xff]
      c.raw(frame(0x82, bytes, none, 't', [0]))
      assert.is(c.expect('suback').packetId, id)
      c.raw(frame(0xa2, bytes, none, 't'))
      assert.is(c.expect('unsuback').packetId, id)
    }
  },
)

alone('[MQTT-2.2.2-1]', 'without properties a length of 0 says so', (w) => {
  const c = w.connect('c')
  c.heard = []
  c.raw(frame(0x82, [0, 7], [0], 't', [0]))
  c.raw(frame(0x30, 't', [0], [0x78]))
  c.raw(frame(0xa2, [0, 8], [0], 't'))
  assert.equal(
    c.heard.flatMap((bytes) => [...bytes]),
    [...frame(0x90, [0, 7], [0], [0]), ...frame(0x30, bytesOf('t'), [0], [0x78]), ...frame(0xb0, [0, 8], [0], [0])],
  )
  c.raw(frame(0x30, 't'))
  c.takeAll().forEach((packet) => {
    if (packet.cmd === 'disconnect') assert.is(packet.reason, 0x81)
  })
  assert.ok(c.closed, 'a PUBLISH that does not say it')
})

test.run()
