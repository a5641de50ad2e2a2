// SUBSCRIBE and SUBACK: sections 3.8 and 3.9 of MQTT 5.0 and 3.1.1.

import { arrangements, kept } from '../support/everywhere.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.8 SUBSCRIBE')
const { alone, everywhere } = arrangements(test)

const none = (version: 4 | 5): number[] => (version === 5 ? [0] : [])

alone(
  { 5: '[MQTT-3.8.3-2]', 4: '[MQTT-3.1.1/3.8.3-3] [MQTT-3.1.1/4.8.0-1]' },
  'SUBSCRIBE without a filter closes the connection',
  (w, version) => {
    const c = w.connect('c', { version })
    c.raw(frame(0x82, [0, 1], none(version)))
    c.expectDisconnect(0x82)
  },
)

alone(
  { 5: '[MQTT-3.8.3-5]', 4: '[MQTT-3.1.1/3.8.3-4]' },
  'reserved bits of the options, or QoS 3, close the connection',
  (w, version) => {
    const reserved = version === 5 ? [0x40, 0x80, 0xc1] : [0x04, 0x08, 0x10, 0x20, 0x40, 0x80]
    for (const options of [...reserved, 0x03]) {
      const c = w.connect('c', { version })
      c.raw(frame(0x82, [0, 1], none(version), 'a', [0], 't', [options]))
      c.expectDisconnect(0x81)
      const other = w.connect('c', { version })
      other.sendPublish('a', 'x')
      other.expectNothing()
      other.disconnect()
    }
    const c = w.connect('c', { version })
    c.raw(frame(0x82, [0, 1], none(version), 't', []))
    c.expectDisconnect(0x81)
  },
)

alone('[MQTT-3.8.3-5]', 'retain handling 3 closes the connection', (w) => {
  const c = w.connect('c')
  c.raw(frame(0x82, [0, 1], [0], 't', [0x30]))
  c.expectDisconnect(0x82)
})

everywhere('[MQTT-3.8.3-3]', 'no local: a client’s own messages do not come back, those of others do', (w) => {
  const other = w.connect('other')
  let c = w.connect('c', kept(5))
  c.subscribe([{ filter: 't', qos: 2, noLocal: true }])
  other.subscribe([{ filter: 't', qos: 2, noLocal: true }])
  for (const qos of [0, 1, 2] as const) {
    c.publish('t', 'mine', { qos })
    c.expectNothing()
    assert.equal(other.deliveries(), ['t=mine'])
    other.publish('t', 'theirs', { qos })
    assert.is(c.take().qos, qos)
    c = w.move(c)
  }
  c.subscribe([{ filter: 't', qos: 1, noLocal: false }])
  c.publish('t', 'mine')
  assert.equal(c.deliveries(), ['t=mine'])
})

alone('[MQTT-3.8.3-4]', 'no local on a shared subscription is a protocol error', (w) => {
  const c = w.connect('c')
  c.sendSubscribe([
    { filter: 't', qos: 0 },
    { filter: '$share/g/t', qos: 0, noLocal: true },
  ])
  c.expectDisconnect(0x82)
})

alone(
  { 5: '[MQTT-3.8.4-1] [MQTT-3.8.4-2]', 4: '[MQTT-3.1.1/3.8.4-1] [MQTT-3.1.1/3.8.4-2]' },
  'each SUBSCRIBE is answered with a SUBACK of its identifier, in their order',
  (w, version) => {
    const c = w.connect('c', { version })
    c.raw([
      ...frame(0x82, [0x12, 0x34], none(version), 'a', [1]),
      ...frame(0x82, [0, 1], none(version), 'b/#/c', [0]),
      ...frame(0x82, [0, 2], none(version), 'c', [2]),
    ])
    const refusal = version === 5 ? 0x8f : 0x80
    const answers = c
      .takeAll()
      .map((packet) => (packet.cmd === 'suback' ? [packet.packetId, packet.codes] : packet.cmd))
    assert.equal(answers, [
      [0x1234, [1]],
      [1, [refusal]],
      [2, [2]],
    ])
  },
)

everywhere(
  { 5: '[MQTT-3.8.4-3]', 4: '[MQTT-3.1.1/3.8.4-3]' },
  'the same filter again replaces the subscription: its QoS and options, and no second copy',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    for (const qos of [2, 0, 1] as const) {
      c.subscribe('t/+', qos)
      p.publish('t/x', 'm', { qos: 2 })
      assert.is(c.take().qos, qos)
      c.expectNothing()
      c = w.move(c)
    }
    assert.equal(c.unsubscribe('t/+'), version === 5 ? [0] : [])
    p.publish('t/x', 'm', { qos: 1 })
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.8.4-4]', 4: '[MQTT-3.1.1/3.8.4-3]' },
  'a subscription that is replaced brings retained messages again, and loses nothing that waits or is under way',
  (w, version) => {
    const p = w.connect('p', { version })
    p.publish('t', 'kept', { retain: true, qos: 1 })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 1)
    assert.is(c.take().retain, true)
    p.publish('t', 'under way', { qos: 1 })
    const underWay = c.expect('publish')
    c.drop()
    p.publish('t', 'waits', { qos: 1 })
    c = w.open('c', version)
    c.sendConnect(kept(version))
    c.sendSubscribe('t', 1)
    p.publish('t', 'live', { qos: 1 })
    const got = c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []))
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
    assert.equal(
      got.map((d) => [text(d.payload), d.dup, d.retain]),
      [
        ['under way', true, false],
        ['waits', false, false],
        ['kept', false, true],
        ['live', false, false],
      ],
    )
    assert.is(got[0]?.packetId, underWay.packetId)
  },
)

alone(
  {
    5: '[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2]',
    4: '[MQTT-3.1.1/3.8.4-4] [MQTT-3.1.1/3.8.4-5] [MQTT-3.1.1/3.9.3-1] [MQTT-3.1.1/3.9.3-2]',
  },
  'many filters have one SUBACK with a code for each, in their order, and hold as if they came one by one',
  (w, version) => {
    const c = w.connect('c', { version })
    const codes = c.subscribe([
      { filter: 'a', qos: 2 },
      { filter: 'b/#/c', qos: 0 },
      { filter: 'c', qos: 0 },
      { filter: '', qos: 2 },
      { filter: 'a', qos: 1 },
      { filter: 'd', qos: 1 },
    ])
    const refusal = version === 5 ? 0x8f : 0x80
    assert.equal(codes, [2, refusal, 0, refusal, 1, 1])
    c.expectNothing()
    for (const topic of ['a', 'c', 'd']) c.publish(topic, 'x', { qos: 0 })
    assert.equal(c.deliveries(), ['a=x', 'c=x', 'd=x'])
    assert.equal(c.unsubscribe('a', 'a'), version === 5 ? [0, 0x11] : [], 'the second of the same replaced the first')
  },
)

everywhere(
  { 5: '[MQTT-3.8.4-3] [MQTT-3.8.4-4] [MQTT-3.8.4-5]', 4: '[MQTT-3.1.1/3.8.4-3] [MQTT-3.1.1/3.8.4-4]' },
  'a filter that one packet names again has its last options, a code each time, and its retained messages once',
  (w, version) => {
    const p = w.connect('p', { version })
    p.publish('t', 'kept', { retain: true, qos: 2 })
    let c = w.connect('c', kept(version))
    const again = ([2, 0, 2] as const).map((qos) => ({ filter: 't', qos }))
    const last = { filter: 't', qos: 1, retainHandling: version === 5 ? 2 : 0 } as const
    assert.equal(c.subscribe([...again, last]), [2, 0, 2, 1])
    const d = c.take()
    assert.equal([d.qos, d.retain], [1, true])
    c.expectNothing()
    c = w.move(c)
    p.publish('t', 'live', { qos: 2 })
    assert.is(c.take().qos, 1)
    c.expectNothing()
  },
)

alone(
  { 5: '[MQTT-3.8.4-7] [MQTT-3.9.3-2]', 4: '[MQTT-3.1.1/3.8.4-5] [MQTT-3.1.1/3.9.3-2]' },
  'the code is the granted QoS, also where the server grants less',
  (w, version) => {
    const c = w.connect('c', { version })
    for (const qos of [0, 1, 2] as const) assert.equal(c.subscribe(`t${qos}`, qos), [Math.min(qos, 1)])
  },
  { qosMax: 1 },
)

everywhere(
  { 5: '[MQTT-3.8.4-8]', 4: '[MQTT-3.1.1/3.8.4-6]' },
  'a message comes with the lower of its QoS and the granted: live, waiting, retained',
  (w, version) => {
    const p = w.connect('p', { version })
    for (const granted of [0, 1, 2] as const) {
      let c = w.connect(`c${granted}`, kept(version))
      c.subscribe('t', granted)
      for (const qos of [0, 1, 2] as const) {
        p.publish('t', 'live', { qos })
        assert.is(c.take().qos, Math.min(qos, granted))
        c.expectNothing()
      }
      c.drop()
      for (const qos of [1, 2] as const) p.publish('t', 'waits', { qos })
      c = w.connect(`c${granted}`, kept(version))
      while (granted > 0 && c.inbox.length > 0) assert.ok(c.take().qos <= granted)
      for (const qos of [0, 1, 2] as const) {
        p.publish('r', 'x', { qos, retain: true })
        c.subscribe('r', granted)
        const d = c.take()
        assert.equal([d.retain, d.qos], [true, Math.min(qos, granted)])
        c.unsubscribe('r')
      }
    }
  },
)

alone('[MQTT-3.9.3-2]', 'options and identifiers of 5.0 are granted', (w) => {
  const c = w.connect('c')
  for (let options = 0; options < 0x30; options++) {
    if ((options & 3) === 3) continue
    c.raw(frame(0x82, [0, 1], props([0x0b, 0xff, 0xff, 0xff, 0x7f]), 't', [options]))
    assert.equal(c.expect('suback').codes, [options & 3])
  }
  c.raw(frame(0x82, [0, 1], props([0x0b, 0]), 't', [0]))
  c.expectDisconnect(0x82)
})

everywhere(
  '[MQTT-3.8.3-3]',
  'no local holds for one subscription: another one of the client brings the message',
  (w) => {
    let c = w.connect('c', kept(5))
    c.subscribe([{ filter: 't', qos: 2, noLocal: true }], 0, 1)
    c.subscribe([{ filter: '#', qos: 1 }], 0, 2)
    c = w.move(c)
    c.sendPublish('t', 'x', { qos: 2 })
    const got = c.takeAll()
    assert.equal(got.map((packet) => packet.cmd).sort(), ['publish', 'pubrec'])
    for (const packet of got)
      if (packet.cmd === 'publish')
        assert.equal([packet.qos, packet.subscriptionIds], [1, [2]], 'by the subscription that takes it')
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-5]', 4: '[MQTT-3.1.1/3.1.2-4]' },
  'subscriptions outlive the connection, with their options and identifiers, and end with the session',
  (w, version) => {
    const p = w.connect('p', { version })
    p.publish('t', 'kept', { retain: true })
    let c = w.connect('c', kept(version))
    c.subscribe([{ filter: 't', qos: 1, retainAsPublished: true }], 1, version === 5 ? 7 : 0)
    c.takeAll()
    c.drop()
    c = w.connect('c', kept(version))
    c.expectNothing()
    p.publish('t', 'x', { qos: 1, retain: true })
    const d = c.take()
    assert.equal([d.retain, d.subscriptionIds], version === 5 ? [true, [7]] : [false, null])
    if (version === 5) {
      c.subscribe('t', 1, 9)
      c.take()
      p.publish('t', 'y', { qos: 1 })
      assert.equal(c.take().subscriptionIds, [9], 'replaced with their subscription')
    }
    c = w.connect('c', { version, cleanStart: true })
    p.publish('t', 'z', { qos: 1 })
    c.expectNothing()
  },
)

alone(
  { 5: '[MQTT-3.8.4-1]', 4: '[MQTT-3.1.1/3.8.4-1]' },
  'SUBACK comes before the retained messages it brings',
  (w, version) => {
    const c = w.connect('c', kept(version))
    c.publish('t', 'x', { retain: true, qos: 1 })
    c.sendSubscribe('t', 1)
    assert.equal(
      c.takeAll().map((packet) => packet.cmd),
      ['suback', 'publish'],
    )
  },
)

alone('[MQTT-3.8.4-7]', 'more subscriptions than a session may have are refused with 0x97', (w) => {
  const c = w.connect('c')
  for (let i = 0; i < 10; i++) {
    const many = Array.from({ length: 1000 }, (_, k) => ({ filter: `t/${i * 1000 + k}`, qos: 0 as const }))
    assert.ok(c.subscribe(many).every((code) => code === 0))
  }
  assert.equal(c.subscribe('one/more'), [0x97])
  assert.equal(c.subscribe('t/17', 1), [1], 'one that is there may change')
})

test.run()
