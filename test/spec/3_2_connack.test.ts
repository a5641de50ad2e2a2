// CONNACK: section 3.2 of MQTT 5.0 and 3.1.1: when it comes, what it says, and that its limits are kept to.

import { utf8 } from '../../src/base/bytes.ts'
import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { connectFrame, frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.2 CONNACK')
const { alone, everywhere } = arrangements(test)
const will = { topic: 'will', payload: utf8('gone'), qos: 1, retain: false } as const

everywhere(
  { 5: '[MQTT-3.2.0-1]', 4: '[MQTT-3.1.1/3.2.0-1]' },
  'CONNACK is the first that a client hears, whatever waits for it',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    const p = w.connect('p', { version })
    p.publish('t', 'unacknowledged', { qos: 1 })
    p.publish('t', 'received', { qos: 2 })
    c.expect('publish')
    c.sendPubrec(c.expect('publish').packetId)
    c.expect('pubrel')
    c.drop()
    p.publish('t', 'waits', { qos: 1 })
    c = w.open('c', version)
    c.sendConnect(kept(version))
    const [first, ...rest] = c.takeAll()
    assert.is(first?.cmd, 'connack')
    assert.equal(rest.map((packet) => packet.cmd).sort(), ['publish', 'publish', 'pubrel'])
  },
)

everywhere(
  { 5: '[MQTT-3.2.0-2] [MQTT-3.2.2-1]', 4: '[MQTT-3.1.1/3.2.0-1]' },
  'one CONNACK, its flags 0 but for session present',
  (w, version) => {
    const flags = (fields: object): number => {
      const c = w.open('c', version)
      c.heard = []
      c.sendConnect(fields)
      c.sendPingreq()
      assert.equal(
        c.takeAll().map((packet) => packet.cmd),
        ['connack', 'pingresp'],
      )
      c.drop()
      const bytes = c.heard[0] as Uint8Array
      assert.is(bytes[0], 0x20)
      return bytes[2] as number
    }
    assert.is(flags(kept(version)), 0)
    assert.is(flags(kept(version)), 1)
    assert.is(flags({ ...kept(version), cleanStart: true }), 0)
  },
)

// ---- refusals

/** Reason codes of CONNACK: table 3-1 of 5.0. */
const CONNECT_REASONS = [
  0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
  0x9d, 0x9f,
]

/** Clients that are refused, each for another reason. */
function refusals(w: AnyBroker, version: 4 | 5): readonly SpecClient[] {
  const long = w.open('x'.repeat(5000), version)
  long.sendConnect(kept(version))
  const stranger = w.open('c', version, false)
  stranger.sendConnect(kept(version))
  const level = w.open('c', version === 5 ? 4 : version)
  level.raw(frame(0x10, 'MQTT', [9, 0, 0, 0], 'c'))
  const empty = w.open('', version)
  if (version === 4) empty.sendConnect({ cleanStart: false })
  const method = w.open('c', version)
  if (version === 5) method.sendConnect({ ...kept(version), authMethod: 'no such method' })
  return [long, stranger, level, ...(version === 4 ? [empty] : [method])]
}

everywhere(
  { 5: '[MQTT-3.2.2-6] [MQTT-3.2.2-7]', 4: '[MQTT-3.1.1/3.2.2-4] [MQTT-3.1.1/3.2.2-5]' },
  'a refusal says session present 0, also where a session waits, and the connection ends',
  (w, version) => {
    let c = w.connect('c', kept(version))
    for (const refused of refusals(w, version)) {
      const connack = refused.expect('connack')
      assert.ok(connack.reason !== 0)
      assert.is(connack.sessionPresent, false)
      refused.expectNothing()
      assert.ok(refused.closed)
    }
    assert.not(c.closed)
    c = w.connect('c', kept(version))
    assert.is(c.present, true, 'nothing of the session is lost')
  },
)

alone('[MQTT-3.2.2-8]', 'reason codes are those of CONNACK', (w) => {
  for (const refused of refusals(w, 5))
    if (refused.version === 5) assert.ok(CONNECT_REASONS.includes(refused.expect('connack').reason))
})

alone('[MQTT-3.14.0-1]', 'who is refused is not told with DISCONNECT', (w) => {
  for (const packet of [
    [0xc0, 0],
    connectFrame(5, 1, 'c'),
    connectFrame(5, 2),
    frame(0x10, 'MQTT', [5, 2, 0, 0], [0], 'x'.repeat(5000)),
    frame(0x10, 'nonsense', [5, 2, 0, 0], [0], 'x'),
  ]) {
    const c = w.open('c')
    c.heard = []
    c.raw(packet)
    assert.ok(c.closed)
    for (const bytes of c.heard) assert.is((bytes[0] as number) >> 4, 2)
  }
  for (const refused of refusals(w, 5)) assert.not(refused.takeAll().some((packet) => packet.cmd === 'disconnect'))
})

// ---- a server that does less

for (const qosMax of [0, 1] as const)
  everywhere(
    '[MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-11] [MQTT-3.2.2-12]',
    `Maximum QoS ${qosMax} is told, SUBSCRIBE of any QoS is taken, what is above is refused`,
    (w) => {
      let c = w.open('c')
      c.sendConnect(kept(5))
      assert.is(c.expect('connack').maximumQos, qosMax)
      for (const qos of [0, 1, 2] as const) assert.equal(c.subscribe(`t${qos}`, qos), [Math.min(qos, qosMax)])
      for (let qos = qosMax + 1; qos <= 2; qos++) {
        const p = w.connect('p')
        p.sendPublish('t2', 'x', { qos: qos as 1 | 2 })
        p.expectDisconnect(0x9b)
        const heir = w.open('heir')
        heir.sendConnect({ will: { ...will, qos: qos as 1 | 2 } })
        assert.is(heir.expect('connack').reason, 0x9b)
        assert.ok(heir.closed)
      }
      c.expectNothing()
      c.drop()
      c = w.connect('c', kept(5))
      for (const qos of [0, 1] as const) if (qos <= qosMax) w.connect('q').publish('t2', 'x', { qos })
      while (c.inbox.length > 0) assert.ok(c.take().qos <= qosMax)
    },
    { qosMax },
  )

alone(
  '[MQTT-3.2.2-13] [MQTT-3.2.2-14]',
  'a server that retains nothing says so, and refuses what is to be retained',
  (w) => {
    const c = w.open('c')
    c.sendConnect()
    assert.is(c.expect('connack').retainAvailable, false)
    c.sendPublish('t', 'x', { retain: true })
    c.expectDisconnect(0x9a)
    const heir = w.open('heir')
    heir.sendConnect({ will: { ...will, retain: true } })
    assert.is(heir.expect('connack').reason, 0x9a)
    assert.ok(heir.closed)
  },
  { retainAvailable: false },
)

alone(
  { 4: '[MQTT-3.1.1/3.2.2-6]' },
  'a refusal for which there is no return code is no CONNACK',
  (w) => {
    const heir = w.open('heir', 4)
    heir.sendConnect({ will: { ...will, retain: true } })
    heir.expectNothing()
    assert.ok(heir.closed)
    const brave = w.open('brave', 4)
    brave.sendConnect({ will: { ...will, qos: 2 } })
    brave.expectNothing()
    assert.ok(brave.closed)
  },
  { retainAvailable: false, qosMax: 1 },
)

everywhere(
  '[MQTT-3.2.2-15]',
  'a packet larger than the server said it takes: 0x95, closed, and nobody hears of it',
  (w) => {
    let other = w.connect('other', kept(5))
    other.subscribe('t')
    other = w.move(other)
    const c = w.open('c')
    c.sendConnect()
    assert.is(c.expect('connack').maximumPacketSize, 200)
    c.publish('t', 'x'.repeat(200 - 7))
    assert.is(other.deliveries().length, 1, 'the last byte that fits')
    c.sendPublish('t', 'x'.repeat(200 - 6))
    c.expectDisconnect(0x95)
    other.expectNothing()
  },
  { packetBytesMax: 200 },
)

test.run()
