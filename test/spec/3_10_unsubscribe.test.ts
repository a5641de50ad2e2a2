// UNSUBSCRIBE, UNSUBACK and PINGREQ: sections 3.10 to 3.13 of MQTT 5.0 and 3.1.1.

import { arrangements, kept } from '../support/everywhere.ts'
import { frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.10 UNSUBSCRIBE')
const { alone, everywhere } = arrangements(test)

const none = (version: 4 | 5): number[] => (version === 5 ? [0] : [])

alone(
  { 5: '[MQTT-3.10.3-2]', 4: '[MQTT-3.1.1/3.10.3-2]' },
  'UNSUBSCRIBE without a filter closes the connection',
  (w, version) => {
    const c = w.connect('c', { version })
    c.raw(frame(0xa2, [0, 1], none(version)))
    c.expectDisconnect(0x82)
  },
)

everywhere(
  { 5: '[MQTT-3.10.4-1]', 4: '[MQTT-3.1.1/3.10.4-1]' },
  'a filter is unsubscribed by its characters, not by what it matches',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('a/b', 1)
    c.subscribe('a/+', 1)
    c = w.move(c)
    const absent = ['a/#', 'a/B', 'a/b/', '#', 'a/c', '/a/b', 'a/b ']
    assert.equal(c.unsubscribe(...absent), version === 5 ? absent.map(() => 0x11) : [])
    p.publish('a/b', 'x', { qos: 1 })
    assert.is(c.take().topic, 'a/b')
    c.expectNothing()
    assert.equal(c.unsubscribe('a/+'), version === 5 ? [0] : [])
    p.publish('a/c', 'x', { qos: 1 })
    c.expectNothing()
    p.publish('a/b', 'x', { qos: 1 })
    assert.is(c.take().topic, 'a/b')
    c = w.move(c)
    c.unsubscribe('a/b')
    c = w.move(c)
    p.publish('a/b', 'x', { qos: 1 })
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.10.4-2]', 4: '[MQTT-3.1.1/3.10.4-2]' },
  'after UNSUBACK nothing new comes, nor is kept for later',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    c = w.move(c)
    p.publish('t', 'before', { qos: 1 })
    c.take()
    c.unsubscribe('t')
    for (const qos of [0, 1, 2] as const) p.publish('t', 'after', { qos })
    c.expectNothing()
    c.drop()
    for (const qos of [1, 2] as const) p.publish('t', 'after', { qos })
    c = w.connect('c', kept(version))
    assert.is(c.present, true)
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.10.4-3]', 4: '[MQTT-3.1.1/3.10.4-3]' },
  'what is under way when UNSUBSCRIBE comes is completed',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    p.publish('t', 'one', { qos: 1 })
    p.publish('t', 'two', { qos: 2 })
    p.publish('t', 'three', { qos: 2 })
    const [one, two, three] = [c.expect('publish'), c.expect('publish'), c.expect('publish')]
    c.unsubscribe('t')
    c.sendPubrec(three.packetId)
    assert.is(c.expect('pubrel').packetId, three.packetId)
    c.sendPubcomp(three.packetId)
    c.drop()
    c = w.connect('c', kept(version))
    assert.equal([c.expect('publish').packetId, c.expect('publish').packetId], [one.packetId, two.packetId])
    c.sendPuback(one.packetId)
    c.sendPubrec(two.packetId)
    assert.is(c.expect('pubrel').packetId, two.packetId)
    c.sendPubcomp(two.packetId)
    c.expectNothing()
  },
)

alone(
  {
    5: '[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.11.3-2]',
    4: '[MQTT-3.1.1/3.10.4-4] [MQTT-3.1.1/3.10.4-5]',
  },
  'UNSUBSCRIBE is answered with an UNSUBACK of its identifier, also where there is nothing to delete',
  (w, version) => {
    const c = w.connect('c', { version })
    c.subscribe('t')
    for (const [id, codes] of [
      [0x0a0b, [0]],
      [7, [0x11]],
    ] as const) {
      c.raw(frame(0xa2, [id >> 8, id & 0xff], none(version), 't'))
      assert.equal(c.takeAll(), [{ cmd: 'unsuback', packetId: id, codes: version === 5 ? codes : [] }])
    }
  },
)

alone(
  { 5: '[MQTT-3.10.4-6] [MQTT-3.11.3-1]', 4: '[MQTT-3.1.1/3.10.4-6]' },
  'many filters have one UNSUBACK, with a code for each in their order',
  (w, version) => {
    const c = w.connect('c', { version })
    c.subscribe([
      { filter: 'a', qos: 0 },
      { filter: 'b', qos: 0 },
      { filter: 'c', qos: 0 },
    ])
    const codes = c.unsubscribe('a', 'x', 'b', 'a')
    assert.equal(codes, version === 5 ? [0, 0x11, 0, 0x11] : [])
    c.expectNothing()
    for (const topic of ['a', 'b', 'c']) c.publish(topic, 'x')
    assert.equal(c.deliveries(), ['c=x'])
  },
)

alone({ 5: '[MQTT-3.12.4-1]', 4: '[MQTT-3.1.1/3.12.4-1]' }, 'each PINGREQ is answered with PINGRESP', (w, version) => {
  const c = w.connect('c', { version })
  c.raw([0xc0, 0, 0xc0, 0])
  assert.equal(c.takeAll(), [{ cmd: 'pingresp' }, { cmd: 'pingresp' }])
})

test.run()
