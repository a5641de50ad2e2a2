// DISCONNECT and errors: sections 3.14 and 4.13 of MQTT 5.0, 3.14 and 4.8 of 3.1.1: how a connection ends, from either side.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.14 DISCONNECT, both ways')
const { alone, everywhere } = arrangements(test)

/** Reasons a client may give, and those of the server; table 3-10 of 5.0. */
const OF_CLIENT = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
const OF_SERVER = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]

/** Packets that no client may send, and the reason for each. */
function faults(version: 4 | 5): readonly (readonly [string, number[], number])[] {
  const none = version === 5 ? [0] : []
  const common: (readonly [string, number[], number])[] = [
    ['reserved type 0', [0x00, 0], 0x81],
    ['CONNACK', [0x20, 2, 0, 0], 0x82],
    ['SUBACK', frame(0x90, [0, 1], none, [0]), 0x82],
    ['UNSUBACK', frame(0xb0, [0, 1], none), 0x82],
    ['PINGRESP', [0xd0, 0], 0x82],
    ['a length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01], 0x81],
    ['PUBACK cut short', [0x40, 1, 0], 0x81],
    ['a filter cut short', frame(0x82, [0, 1], none, [0, 9, 0x74], [0]), 0x81],
    ['PINGREQ with a body', [0xc0, 1, 0], 0x81],
    ['PUBLISH cut short', [0x32, 3, 0, 1, 0x74], 0x81],
  ]
  if (version === 4) return [...common, ['AUTH', [0xf0, 0], 0x82], ['DISCONNECT with a body', [0xe0, 1, 0], 0x81]]
  return [
    ...common,
    ['a property twice', frame(0x30, 't', props([0x01, 1, 0x01, 1]), [0x78]), 0x82],
    ['a property that is not one of PUBLISH', frame(0x30, 't', props([0x21, 0, 1]), [0x78]), 0x81],
    ['a property that nobody knows', frame(0x30, 't', props([0x7e, 0]), [0x78]), 0x81],
    ['payload format 2', frame(0x30, 't', props([0x01, 2]), [0x78]), 0x82],
  ]
}

everywhere(
  { 5: '[MQTT-4.13.1-1] [MQTT-3.14.4-2]', 4: '[MQTT-3.1.1/4.8.0-1]' },
  'what breaks the protocol is told its reason and closed; the session and everybody else go on',
  (w, version) => {
    const other = w.connect('other', { version })
    other.subscribe('t', 1)
    let c = w.connect('c', kept(version))
    c.subscribe('t', 1)
    for (const [what, packet, reason] of faults(version)) {
      c.raw(packet)
      if (version === 5) assert.is(c.expect('disconnect').reason, reason, what)
      c.expectNothing()
      assert.ok(c.closed, what)
      c = w.connect('c', kept(version))
      assert.is(c.present, true)
    }
    w.connect('p', { version }).publish('t', 'x', { qos: 1 })
    assert.equal(other.deliveries(), ['t=x'])
    assert.equal(c.deliveries(), ['t=x'])
  },
)

alone('[MQTT-3.14.1-1]', 'DISCONNECT with a flag that is set is told 0x81', (w) => {
  for (let flags = 1; flags < 16; flags++) {
    const c = w.connect('c')
    c.raw([0xe0 | flags, 0])
    c.expectDisconnect(0x81)
  }
})

alone('[MQTT-3.14.2-1]', 'a client may leave with its own reasons, others are a protocol error', (w) => {
  for (let reason = 0; reason < 256; reason++) {
    const c = w.connect('c')
    c.raw([0xe0, 1, reason])
    if (OF_CLIENT.includes(reason)) {
      c.expectNothing()
      assert.ok(c.closed)
    } else c.expectDisconnect(0x82)
  }
})

/** Connections that the server ends, with DISCONNECT where the version has it. */
function endings(w: AnyBroker): SpecClient[] {
  const first = w.connect('c', kept(5))
  w.connect('c', kept(5)).disconnect()
  const silent = w.connect('silent', { ...kept(5), keepAlive: 1 })
  w.pass(1_600)
  const faulty = faults(5).map(([, packet]) => {
    const c = w.connect('faulty', kept(5))
    c.raw(packet)
    return c
  })
  return [first, silent, ...faulty]
}

everywhere('[MQTT-3.14.2-1]', 'reasons of the server are those of DISCONNECT', (w) => {
  for (const c of endings(w)) assert.ok(OF_SERVER.includes(c.expect('disconnect').reason))
})

everywhere('[MQTT-3.14.2-2]', 'no DISCONNECT of the server has a session expiry', (w) => {
  for (const c of endings(w)) assert.is(c.expect('disconnect').sessionExpiry, undefined)
})

everywhere(
  '[MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1]',
  'DISCONNECT is the last that the server says, and it closes',
  (w) => {
    const p = w.connect('p')
    for (const c of endings(w)) {
      c.expect('disconnect')
      p.publish('t', 'x', { qos: 1 })
      c.expectNothing()
      assert.ok(c.closed)
    }
  },
)

everywhere(
  { 5: '[MQTT-3.14.4-1]', 4: '[MQTT-3.1.1/3.14.4-2]' },
  'what a client sends behind its DISCONNECT is not looked at, and its connection ends',
  (w, version) => {
    let watch = w.connect('watch', kept(version))
    watch.subscribe('#', 2)
    watch = w.move(watch)
    const c = w.connect('c', kept(version))
    const none = version === 5 ? [0] : []
    c.raw([0xe0, 0, ...frame(0x32, 't', [0, 1], none, [0x78]), ...frame(0x82, [0, 2], none, 'u', [0])])
    c.expectNothing()
    assert.ok(c.closed)
    c.sendPublish('t', 'y')
    watch.expectNothing()
  },
)

test.run()
