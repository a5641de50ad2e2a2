// CONNECT, its form: section 3.1 of MQTT 5.0 and 3.1.1: what is refused, and that the rest of it is understood.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import { connectFrame, field, frame, type Part, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1 CONNECT, form')
const { alone, everywhere } = arrangements(test)

const WILL = 0x04
const RETAIN = 0x20
const PASSWORD = 0x40
const USER = 0x80
const CLEAN = 0x02

/** Closed, and not answered as if anything were right. With 3.1.1 not answered at all. */
function refused(w: AnyBroker, version: 4 | 5, what: string, packet: number[]): void {
  const c = w.open('c', version)
  c.raw(packet)
  const answers = c.takeAll()
  if (version === 4) assert.equal(answers, [], what)
  for (const answer of answers) assert.ok(answer.cmd === 'connack' && answer.reason >= 0x80, what)
  assert.ok(c.closed, what)
}

function taken(w: AnyBroker, version: 4 | 5, what: string, packet: number[]): void {
  const c = w.open('c', version)
  c.raw(packet)
  assert.is(c.expect('connack').reason, 0, what)
  c.disconnect()
}

/** The properties of a will, of which 3.1.1 has none. */
const willProps = (version: 4 | 5): Part => (version === 5 ? [0] : [])

alone({ 5: '[MQTT-3.1.0-1]', 4: '[MQTT-3.1.1/3.1.0-1]' }, 'the first packet must be CONNECT', (w, version) => {
  const none = version === 5 ? [0] : []
  for (const packet of [
    frame(0x30, 't', none, [0x78]),
    frame(0x32, 't', [0, 1], none, [0x78]),
    [0x62, 2, 0, 1],
    frame(0x82, [0, 1], none, 't', [0]),
    [0xc0, 0],
    [0xe0, 0],
    frame(0xf0, [0x18], props([0x15], 'm')),
    [0x20, 2, 0, 0],
    [0x00, 0],
  ]) {
    const c = w.open('c', version)
    c.raw(packet)
    c.expectNothing()
    assert.ok(c.closed)
  }
})

everywhere(
  { 5: '[MQTT-3.1.0-2] [MQTT-3.2.0-2]', 4: '[MQTT-3.1.1/3.1.0-2]' },
  'a second CONNECT ends the connection, is not answered with CONNACK, and leaves the session',
  (w, version) => {
    let c = w.connect('c', kept(version))
    c.subscribe('t', 1)
    c.sendConnect({ ...kept(version), cleanStart: true })
    c.expectDisconnect(0x82)
    c = w.connect('c', kept(version))
    assert.ok(c.present)
    w.connect('p', { version }).publish('t', 'x', { qos: 1 })
    assert.equal(c.deliveries(), ['t=x'])
  },
)

alone(
  { 5: '[MQTT-3.1.2-1]', 4: '[MQTT-3.1.1/3.1.2-1]' },
  'another protocol name closes the connection',
  (w, version) => {
    for (const name of ['mqtt', 'MQTT5', 'MQT', '', 'MQIsdp', 'HTTP'])
      for (const rest of [[version, CLEAN, 0, 0, ...(version === 5 ? [0] : [])]]) {
        const c = w.open('c', 4)
        c.raw(frame(0x10, name, rest, 'c'))
        for (const answer of c.takeAll()) assert.is(answer.cmd === 'connack' && answer.reason, 1)
        assert.ok(c.closed, name)
      }
  },
)

alone('[MQTT-3.1.2-2]', 'a version that nobody has heard of closes the connection', (w) => {
  for (const level of [0, 1, 2, 6, 0x84, 0x85, 255]) {
    const c = w.open('c', 4)
    c.raw(frame(0x10, 'MQTT', [level, CLEAN, 0, 0, 0], 'c'))
    for (const answer of c.takeAll()) assert.is(answer.cmd === 'connack' && answer.reason, 1)
    assert.ok(c.closed, `${level}`)
  }
})

alone({ 4: '[MQTT-3.1.1/3.1.2-2]' }, 'an unknown protocol level is answered with 0x01, and closed', (w) => {
  for (const level of [2, 6, 7, 0x84]) {
    const c = w.open('c', 4)
    c.raw(frame(0x10, 'MQTT', [level, CLEAN, 0, 0], 'c'))
    assert.equal(c.takeAll(), [{ cmd: 'connack', sessionPresent: false, reason: 1 }])
    assert.ok(c.closed)
  }
})

alone(
  { 5: '[MQTT-3.1.2-3] [MQTT-3.1.4-1]', 4: '[MQTT-3.1.1/3.1.2-3] [MQTT-3.1.1/3.1.4-1]' },
  'a reserved connect flag that is set closes the connection',
  (w, version) => {
    taken(w, version, 'as it should be', connectFrame(version, CLEAN, 'c'))
    refused(w, version, 'reserved flag', connectFrame(version, CLEAN | 1, 'c'))
  },
)

alone(
  { 5: '[MQTT-3.1.4-1] [MQTT-4.13.1-1]', 4: '[MQTT-3.1.1/3.1.4-1] [MQTT-3.1.1/3.2.2-6]' },
  'a CONNECT that is too short, too long or not what it says closes the connection',
  (w, version) => {
    const whole = connectFrame(version, CLEAN | USER, 'client', 'user')
    for (let length = 2; length < whole.length - 2; length++)
      refused(w, version, `cut to ${length}`, frame(0x10, whole.slice(2, 2 + length)))
    refused(w, version, 'a byte too many', frame(0x10, [...whole.slice(2), 0]))
    if (version === 4) return
    for (const [what, list] of [
      ['an unknown property', [0x7f, 1]],
      ['a property of another packet', [0x23, 0, 1]],
      ['a property twice', [0x21, 0, 1, 0x21, 0, 1]],
      ['Receive Maximum 0', [0x21, 0, 0]],
      ['Maximum Packet Size 0', [0x27, 0, 0, 0, 0]],
      ['a flag that is neither 0 nor 1', [0x17, 2]],
      ['data without a method', [0x16, 0, 1, 7]],
      ['a property cut short', [0x11, 0, 0]],
    ] as const)
      refused(w, 5, what, frame(0x10, 'MQTT', [5, CLEAN, 0, 0], props(list), 'c'))
  },
)

everywhere(
  { 5: '[MQTT-3.1.3-3]', 4: '[MQTT-3.1.1/3.1.3-3]' },
  'the client identifier must be there, and is the first field',
  (w, version) => {
    refused(w, version, 'no payload', connectFrame(version, CLEAN))
    refused(w, version, 'half a length', connectFrame(version, CLEAN, [0]))
    const first = w.open('first', version)
    first.raw(connectFrame(version, CLEAN | USER, 'first', 'second'))
    assert.is(first.expect('connack').reason, 0)
    const again = w.connect('first', { version })
    assert.ok(first.closed, 'another connection of that identifier takes its place')
    w.connect('second', { version })
    assert.not(again.closed, 'and nothing else does')
  },
)

// ---- flags and fields

alone(
  { 5: '[MQTT-3.1.2-9]', 4: '[MQTT-3.1.1/3.1.2-9]' },
  'Will Flag 1 without the fields of a will closes the connection',
  (w, version) => {
    const flags = CLEAN | WILL
    taken(w, version, 'a will', connectFrame(version, flags, 'c', willProps(version), 'will', 'gone'))
    taken(w, version, 'an empty message', connectFrame(version, flags, 'c', willProps(version), 'will', ''))
    refused(w, version, 'nothing', connectFrame(version, flags, 'c'))
    refused(w, version, 'no topic', connectFrame(version, flags, 'c', willProps(version)))
    refused(w, version, 'no message', connectFrame(version, flags, 'c', willProps(version), 'will'))
    if (version === 5) refused(w, version, 'no properties', connectFrame(version, flags, 'c', 'will', 'gone'))
  },
)

alone(
  {
    5: '[MQTT-3.1.2-11] [MQTT-3.1.2-13]',
    4: '[MQTT-3.1.1/3.1.2-11] [MQTT-3.1.1/3.1.2-13] [MQTT-3.1.1/3.1.2-15]',
  },
  'Will Flag 0 with anything of a will closes the connection',
  (w, version) => {
    for (const qos of [1, 2, 3]) refused(w, version, `will QoS ${qos}`, connectFrame(version, CLEAN | (qos << 3), 'c'))
    refused(w, version, 'will retain', connectFrame(version, CLEAN | RETAIN, 'c'))
    refused(w, version, 'fields', connectFrame(version, CLEAN, 'c', willProps(version), 'will', 'gone'))
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-12]', 4: '[MQTT-3.1.1/3.1.2-14]' },
  'a will has QoS 0, 1 or 2, and is published with it; 3 closes the connection',
  (w, version) => {
    let watch = w.connect('watch', kept(version))
    watch.subscribe('will', 2)
    watch = w.move(watch)
    for (const qos of [0, 1, 2]) {
      const c = w.open('c', version)
      c.raw(connectFrame(version, CLEAN | WILL | (qos << 3), 'c', willProps(version), 'will', 'gone'))
      c.expect('connack')
      c.drop()
      assert.is(watch.take().qos, qos)
    }
    refused(w, version, 'QoS 3', connectFrame(version, CLEAN | WILL | 0x18, 'c', willProps(version), 'will', 'gone'))
    watch.expectNothing()
  },
)

alone(
  {
    5: '[MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19]',
    4: '[MQTT-3.1.1/3.1.2-18] [MQTT-3.1.1/3.1.2-19] [MQTT-3.1.1/3.1.2-20] [MQTT-3.1.1/3.1.2-21]',
  },
  'user name and password are there exactly if their flags say so',
  (w, version) => {
    taken(w, version, 'both', connectFrame(version, CLEAN | USER | PASSWORD, 'c', 'user', 'secret'))
    taken(w, version, 'a user name', connectFrame(version, CLEAN | USER, 'c', 'user'))
    taken(w, version, 'empty ones', connectFrame(version, CLEAN | USER | PASSWORD, 'c', '', ''))
    taken(w, version, 'binary password', connectFrame(version, CLEAN | USER | PASSWORD, 'c', 'u', field(0xff, 0)))
    refused(w, version, 'a user name without its flag', connectFrame(version, CLEAN, 'c', 'user'))
    refused(w, version, 'no user name', connectFrame(version, CLEAN | USER, 'c'))
    refused(w, version, 'a password without its flag', connectFrame(version, CLEAN | USER, 'c', 'user', 'secret'))
    refused(w, version, 'no password', connectFrame(version, CLEAN | USER | PASSWORD, 'c', 'user'))
  },
)

alone({ 4: '[MQTT-3.1.1/3.1.2-22]' }, 'a password without a user name closes the connection', (w) =>
  refused(w, 4, 'lone password', connectFrame(4, CLEAN | PASSWORD, 'c', 'secret')),
)

everywhere(
  { 5: '[MQTT-3.1.3-1]', 4: '[MQTT-3.1.1/3.1.3-1]' },
  'the fields are read in their order: identifier, will, user name, password',
  (w, version) => {
    let watch = w.connect('watch', kept(version))
    watch.subscribe('#', 2)
    watch = w.move(watch)
    const c = w.open('id', version)
    const willProperties = version === 5 ? props([0x03], 'type', [0x02, 0, 0, 0, 9]) : []
    c.raw(
      connectFrame(
        version,
        CLEAN | WILL | RETAIN | USER | PASSWORD,
        'id',
        willProperties,
        'will/topic',
        'will message',
        'user',
        'secret',
      ),
    )
    assert.is(c.expect('connack').reason, 0)
    w.connect('id', { version })
    assert.ok(c.closed, 'it was known by its identifier')
    const d = watch.take()
    assert.equal([d.topic, new TextDecoder().decode(d.payload)], ['will/topic', 'will message'])
    if (version === 5) assert.equal([d.contentType, d.expiry], ['type', 9])
  },
)

alone(
  { 5: '[MQTT-3.1.3-5]', 4: '[MQTT-3.1.1/3.1.3-5]' },
  'identifiers of 1 to 23 letters and digits are taken',
  (w, version) => {
    const letters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
    for (const letter of letters) w.connect(letter, { version })
    for (let length = 1; length <= 23; length++) w.connect('Z'.repeat(length), { version })
    w.connect(letters.slice(0, 23), { version })
    w.connect(letters.slice(-23), { version })
  },
)

test.run()
