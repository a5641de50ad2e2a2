// PUBLISH and RETAIN: section 3.3.1.3 of MQTT 5.0 and 3.1.1: what is kept for later subscribers, and how it comes to them.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.3.1.3 RETAIN')
const { everywhere } = arrangements(test)

/** What new subscribers get, one at each place where clients connect: `topic=payload`, all with RETAIN 1. */
function retained(w: AnyBroker, version: 4 | 5, filter = '#'): string[] {
  const seen = ['looks here', 'looks there'].map((name) => {
    const c = w.connect(name, { version })
    c.subscribe(filter, 2)
    const all: string[] = []
    while (c.inbox.length > 0) {
      const d = c.take()
      assert.is(d.retain, true)
      all.push(`${d.topic}=${new TextDecoder().decode(d.payload)}`)
    }
    c.disconnect()
    return all.sort()
  })
  assert.equal(seen[0], seen[1])
  return seen[0] as string[]
}

everywhere(
  { 5: '[MQTT-3.3.1-5]', 4: '[MQTT-3.1.1/3.3.1-5] [MQTT-3.1.1/3.3.1-6] [MQTT-3.1.1/3.3.1-7]' },
  'the last message with RETAIN of a topic is kept with its QoS, and replaces the one before',
  (w, version) => {
    let p = w.connect('p', kept(version))
    p.publish('t', 'first', { retain: true, qos: 1 })
    p.publish('u', 'other', { retain: true, qos: 2 })
    assert.equal(retained(w, version), ['t=first', 'u=other'])
    p = w.move(p)
    p.publish('t', 'second', { retain: true, qos: 2 })
    assert.equal(retained(w, version), ['t=second', 'u=other'])
    const c = w.connect('c', { version })
    c.subscribe('#', 2)
    assert.equal([c.take().qos, c.take().qos], [2, 2])
    p.publish('u', 'replaced', { retain: true, qos: 0 })
    c.takeAll()
    assert.equal(retained(w, version), ['t=second', 'u=replaced'], 'QoS 0 replaces as well')
  },
)

everywhere(
  { 5: '[MQTT-3.3.1-6] [MQTT-3.3.1-7]', 4: '[MQTT-3.1.1/3.3.1-10] [MQTT-3.1.1/3.3.1-11]' },
  'an empty message with RETAIN removes what was kept, goes to subscribers, and is not kept itself',
  (w, version) => {
    let p = w.connect('p', kept(version))
    const c = w.connect('c', { version })
    c.subscribe('#', 1)
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'x', { retain: true, qos })
      p.publish('u', 'stays', { retain: true, qos })
      assert.equal(retained(w, version), ['t=x', 'u=stays'])
      p = w.move(p)
      p.publish('t', '', { retain: true, qos })
      assert.equal(c.deliveries(), ['t=x', 'u=stays', 't='])
      assert.equal(retained(w, version), ['u=stays'])
    }
    p.publish('never/there', '', { retain: true, qos: 1 })
    assert.equal(retained(w, version), ['u=stays'])
  },
)

everywhere(
  { 5: '[MQTT-3.3.1-8]', 4: '[MQTT-3.1.1/3.3.1-12]' },
  'a message without RETAIN neither stores, nor replaces, nor removes',
  (w, version) => {
    let p = w.connect('p', kept(version))
    p.publish('t', 'kept', { retain: true, qos: 1 })
    p = w.move(p)
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'passes', { qos })
      p.publish('t', '', { qos })
      p.publish('u', 'passes', { qos })
    }
    assert.equal(retained(w, version), ['t=kept'])
  },
)

everywhere(
  { 4: '[MQTT-3.1.1/3.3.1-6] [MQTT-3.1.1/3.3.1-8]' },
  'a new subscription brings the retained messages of all its topics, with RETAIN 1',
  (w) => {
    let p = w.connect('p', kept(4))
    for (const topic of ['a/b', 'a/c', 'a/b/c', 'b', '$x/b']) p.publish(topic, 'x', { retain: true, qos: 1 })
    p = w.move(p)
    p.publish('a/d', 'x', { retain: true })
    assert.equal(retained(w, 4, 'a/+'), ['a/b=x', 'a/c=x', 'a/d=x'])
    assert.equal(retained(w, 4, 'a/#'), ['a/b/c=x', 'a/b=x', 'a/c=x', 'a/d=x'])
    assert.equal(retained(w, 4, '+'), ['b=x'])
  },
)

everywhere('[MQTT-3.3.1-9]', 'retain handling 0: retained messages come at each SUBSCRIBE', (w) => {
  w.connect('p').publish('t', 'x', { retain: true, qos: 1 })
  let c = w.connect('c', kept(5))
  for (let i = 0; i < 3; i++) {
    c.subscribe([{ filter: 't', qos: 1, retainHandling: 0 }])
    assert.is(c.take().retain, true)
    c = w.move(c)
  }
})

everywhere('[MQTT-3.3.1-10]', 'retain handling 1: they come only if the subscription is new', (w) => {
  w.connect('p').publish('t', 'x', { retain: true, qos: 1 })
  let c = w.connect('c', kept(5))
  c.subscribe([{ filter: 't', qos: 1, retainHandling: 1 }])
  assert.is(c.take().retain, true)
  for (let i = 0; i < 2; i++) {
    c.subscribe([{ filter: 't', qos: 0, retainHandling: 1 }])
    c.expectNothing()
    c = w.move(c)
  }
  c.unsubscribe('t')
  c.subscribe([{ filter: 't', qos: 1, retainHandling: 1 }])
  assert.is(c.take().retain, true)
})

everywhere('[MQTT-3.3.1-11]', 'retain handling 2: they do not come', (w) => {
  w.connect('p').publish('t', 'x', { retain: true, qos: 1 })
  let c = w.connect('c', kept(5))
  for (let i = 0; i < 2; i++) {
    c.subscribe([{ filter: 't', qos: 1, retainHandling: 2 }])
    c.expectNothing()
    c = w.move(c)
  }
})

everywhere(
  { 5: '[MQTT-3.3.1-12]', 4: '[MQTT-3.1.1/3.3.1-9]' },
  'an established subscription brings messages with RETAIN 0, however they were published',
  (w, version) => {
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c.subscribe('t', 2)
    for (const retain of [true, false])
      for (const qos of [0, 1, 2] as const) {
        p.publish('t', 'live', { qos, retain })
        assert.is(c.take().retain, false)
      }
    c.drop()
    p.publish('t', 'waits', { qos: 1, retain: true })
    c = w.connect('c', kept(version))
    assert.is(c.take().retain, false)
  },
)

everywhere('[MQTT-3.3.1-13]', 'with Retain As Published they come with RETAIN as they were published', (w) => {
  const p = w.connect('p')
  let c = w.connect('c', kept(5))
  c.subscribe([{ filter: 't', qos: 2, retainAsPublished: true }])
  for (const retain of [true, false])
    for (const qos of [0, 1, 2] as const) {
      p.publish('t', 'live', { qos, retain })
      assert.is(c.take().retain, retain)
    }
  c.drop()
  for (const retain of [true, false]) p.publish('t', 'waits', { qos: 1, retain })
  c = w.connect('c', kept(5))
  assert.equal([c.take().retain, c.take().retain], [true, false])
})

everywhere(
  { 5: '[MQTT-4.4.0-1]', 4: '[MQTT-3.1.1/4.4.0-1]' },
  'a retained message is acknowledged as any other, and sent again as retained',
  (w, version) => {
    const p = w.connect('p', { version })
    for (const qos of [1, 2] as const) {
      p.publish('t', 'x', { retain: true, qos: 2 })
      let c = w.connect(`c${qos}`, kept(version))
      c.subscribe('t', qos)
      const d = c.expect('publish')
      assert.is(d.qos, qos)
      c.drop()
      c = w.connect(`c${qos}`, kept(version))
      const again = c.take()
      assert.equal([again.dup, again.retain, again.packetId], [true, true, d.packetId])
      c.drop()
      c = w.connect(`c${qos}`, kept(version))
      c.expectNothing()
    }
  },
)

test.run()
