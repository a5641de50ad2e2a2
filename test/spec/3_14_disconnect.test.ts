// DISCONNECT of a client: section 3.14 of MQTT 5.0: what becomes of its will, its session and its expiry.

import { utf8 } from '../../src/base/bytes.ts'
import type { WillFields } from '../../src/wire/client_encoder.ts'
import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.14 DISCONNECT')
const { alone, everywhere } = arrangements(test)

function will(fields: Partial<WillFields> = {}): WillFields {
  return { topic: 'will', payload: utf8('gone'), qos: 1, retain: false, ...fields }
}

function watcher(w: AnyBroker, version: 4 | 5 = 5): SpecClient {
  const watch = w.connect('watch', kept(version))
  watch.subscribe('will/#', 2)
  return w.move(watch)
}

everywhere('[MQTT-3.1.2-8]', 'a will that DISCONNECT leaves behind waits for its delay', (w) => {
  const watch = watcher(w)
  w.connect('c', { ...kept(5), will: will({ delay: 5 }) }).disconnect(0x04)
  w.pass(4_500)
  watch.expectNothing()
  w.pass(1_000)
  assert.is(watch.take().topic, 'will')
})

everywhere('[MQTT-3.1.2-8]', 'DISCONNECT that ends the session as well sends the will at once', (w) => {
  const watch = watcher(w)
  w.connect('c', { ...kept(5), will: will({ delay: 50 }) }).disconnect(0x04, 0)
  assert.is(watch.take().topic, 'will')
  assert.is(w.connect('c', kept(5)).present, false)
})

everywhere(
  { 5: '[MQTT-3.14.1-1] [MQTT-3.1.2-8]', 4: '[MQTT-3.1.1/3.14.1-1] [MQTT-3.1.1/3.1.2-8]' },
  'a DISCONNECT with a flag that is set is none: the will is sent',
  (w, version) => {
    const watch = watcher(w, version)
    const c = w.connect('c', { ...kept(version), will: will() })
    c.raw([0xe1, 0])
    c.expectDisconnect(0x81)
    assert.is(watch.take().topic, 'will')
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-8]', 4: '[MQTT-3.1.1/3.1.2-8]' },
  'wills of each QoS but 0 wait for who is away',
  (w, version) => {
    let c = w.connect('away', kept(version))
    c.subscribe('will', 2)
    c.drop()
    for (const qos of [0, 1, 2] as const) w.connect('c', { ...kept(version), will: will({ qos }) }).drop()
    c = w.connect('away', kept(version))
    assert.equal([c.take().qos, c.take().qos], [1, 2])
    c.expectNothing()
  },
)

everywhere('[MQTT-3.8.3-3]', 'a will is its client’s own message: no local applies', (w) => {
  let c = w.connect('c', { ...kept(5), will: will() })
  c.subscribe([{ filter: 'will', qos: 1, noLocal: true }])
  c.drop()
  c = w.connect('c', kept(5))
  assert.is(c.present, true)
  c.expectNothing()
})

alone('[MQTT-4.13.1-1]', 'a session without expiry is not given one by DISCONNECT: 0x82', (w) => {
  const c = w.connect('c', { cleanStart: false })
  c.disconnect(0, 10)
  c.expectDisconnect(0x82)
})

everywhere('[MQTT-4.1.0-2]', 'DISCONNECT may change the expiry of a session that has one', (w) => {
  for (const [expiry, ms, present] of [
    [10, 13_000, false],
    [200, 150_000, true],
    [0, 0, false],
  ] as const) {
    const c = w.connect('c', { ...kept(5), cleanStart: true })
    c.subscribe('t', 1)
    c.disconnect(0, expiry)
    if (ms > 0) w.pass(ms)
    assert.is(w.connect('c', kept(5)).present, present, `${expiry} s`)
  }
})

test.run()
