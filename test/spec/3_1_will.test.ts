// The will: sections 3.1.2.5 and 3.14 of MQTT 5.0 and 3.1.1: when it is published, when not, and as what.

import { utf8 } from '../../src/base/bytes.ts'
import type { WillFields } from '../../src/wire/client_encoder.ts'
import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.1.2.5 wills')
const { everywhere } = arrangements(test)

const will = (fields: Partial<WillFields> = {}): WillFields => ({
  topic: 'will',
  payload: utf8('gone'),
  qos: 1,
  retain: false,
  ...fields,
})

/** Somebody who watches for wills, and has been at both nodes if that is the arrangement. */
function watcher(w: AnyBroker, version: 4 | 5): SpecClient {
  const watch = w.connect('watch', kept(version))
  watch.subscribe('will/#', 2)
  return w.move(watch)
}

function withWill(w: AnyBroker, version: 4 | 5, fields: Partial<WillFields> = {}): SpecClient {
  return w.connect('c', { ...kept(version), will: will(fields) })
}

/** Topics and payloads of what came, acknowledged. */
function taken(watch: SpecClient): string[] {
  const all: string[] = []
  while (watch.inbox.length > 0) {
    const d = watch.take()
    all.push(`${d.topic}=${new TextDecoder().decode(d.payload)}`)
  }
  return all
}

everywhere(
  { 5: '[MQTT-3.1.2-7] [MQTT-3.1.2-8]', 4: '[MQTT-3.1.1/3.1.2-8]' },
  'the will waits while the connection stands, and is published when it ends',
  (w, version) => {
    const watch = watcher(w, version)
    const c = withWill(w, version)
    c.publish('other', 'x', { qos: 1 })
    w.pass(20_000)
    watch.expectNothing()
    c.drop()
    assert.equal(taken(watch), ['will=gone'])
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-8] [MQTT-3.1.2-22]', 4: '[MQTT-3.1.1/3.1.2-8] [MQTT-3.1.1/3.1.2-24]' },
  'the will is published when one and a half keep alives have passed',
  (w, version) => {
    const watch = watcher(w, version)
    const c = w.connect('c', { ...kept(version), keepAlive: 10, will: will() })
    w.pass(14_500)
    watch.expectNothing()
    w.pass(1_000)
    c.expectDisconnect(0x8d)
    assert.equal(taken(watch), ['will=gone'])
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-8] [MQTT-4.13.2-1]', 4: '[MQTT-3.1.1/3.1.2-8] [MQTT-3.1.1/4.8.0-1]' },
  'the will is published when the client breaks the protocol',
  (w, version) => {
    const watch = watcher(w, version)
    const c = withWill(w, version)
    c.raw([0x36, 3, 0, 1, 0x74])
    c.expectDisconnect(0x81)
    assert.equal(taken(watch), ['will=gone'])
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-8]', 4: '[MQTT-3.1.1/3.1.2-8]' },
  'the will of a connection that is taken over is published once',
  (w, version) => {
    const watch = watcher(w, version)
    const first = withWill(w, version)
    const second = w.connect('c', kept(version))
    assert.ok(first.closed)
    assert.equal(taken(watch), ['will=gone'])
    second.drop()
    w.pass(20_000)
    watch.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-10] [MQTT-3.14.4-3]', 4: '[MQTT-3.1.1/3.1.2-10] [MQTT-3.1.1/3.14.4-3]' },
  'DISCONNECT takes the will along',
  (w, version) => {
    const watch = watcher(w, version)
    withWill(w, version).disconnect()
    w.pass(20_000)
    watch.expectNothing()
    w.connect('c', kept(version)).drop()
    w.pass(20_000)
    watch.expectNothing()
  },
)

everywhere('[MQTT-3.1.2-8]', 'DISCONNECT with 0x04 or an error leaves the will behind', (w) => {
  const watch = watcher(w, 5)
  for (const reason of [0x04, 0x80, 0x82, 0x98]) {
    withWill(w, 5).disconnect(reason)
    assert.equal(taken(watch), ['will=gone'])
  }
})

everywhere(
  { 5: '[MQTT-3.1.2-10]', 4: '[MQTT-3.1.1/3.1.2-10] [MQTT-3.1.1/3.1.2-12]' },
  'a will is gone once published: a later connection without one leaves none',
  (w, version) => {
    const watch = watcher(w, version)
    withWill(w, version).drop()
    assert.equal(taken(watch), ['will=gone'])
    for (let i = 0; i < 2; i++) w.connect('c', kept(version)).drop()
    w.pass(20_000)
    watch.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-3.1.2-14] [MQTT-3.1.2-15]', 4: '[MQTT-3.1.1/3.1.2-16] [MQTT-3.1.1/3.1.2-17]' },
  'a will is retained exactly if it says so',
  (w, version) => {
    const watch = watcher(w, version)
    withWill(w, version, { topic: 'will/kept', retain: true }).drop()
    withWill(w, version, { topic: 'will/passing' }).drop()
    assert.equal(taken(watch), ['will/kept=gone', 'will/passing=gone'])
    const late = w.connect('late', { version })
    late.subscribe('will/#')
    const d = late.expect('publish')
    assert.equal([d.topic, d.retain], ['will/kept', true])
    late.expectNothing()
  },
)

// ---- what only 5.0 has

everywhere('[MQTT-3.1.3-9]', 'who is back within the will delay takes the will back', (w) => {
  const watch = watcher(w, 5)
  withWill(w, 5, { delay: 10 }).drop()
  w.pass(8_000)
  const again = w.connect('c', kept(5))
  w.pass(30_000)
  watch.expectNothing()
  again.drop()
  w.pass(30_000)
  watch.expectNothing()
})

everywhere('[MQTT-3.1.3-9]', 'also when the former connection still stands, its will delay not begun', (w) => {
  const watch = watcher(w, 5)
  withWill(w, 5, { delay: 10 })
  w.connect('c', kept(5))
  w.pass(30_000)
  watch.expectNothing()
})

everywhere('[MQTT-3.1.2-8]', 'a will with a delay comes when it is over', (w) => {
  const watch = watcher(w, 5)
  withWill(w, 5, { delay: 10 }).drop()
  w.pass(9_500)
  watch.expectNothing()
  w.pass(1_000)
  assert.equal(taken(watch), ['will=gone'])
  w.pass(30_000)
  watch.expectNothing()
})

everywhere('[MQTT-3.1.2-8]', 'a will with a delay comes when its session ends before', (w) => {
  const watch = watcher(w, 5)
  w.connect('c', { cleanStart: false, sessionExpiry: 5, will: will({ delay: 60 }) }).drop()
  w.pass(4_500)
  watch.expectNothing()
  w.pass(1_500)
  assert.equal(taken(watch), ['will=gone'])
  w.connect('d', { will: will({ delay: 60 }) }).drop()
  assert.equal(taken(watch), ['will=gone'], 'at once where it ends with the connection')
  w.connect('e', { ...kept(5), will: will({ delay: 60 }) }).drop()
  w.connect('e', { cleanStart: true })
  assert.equal(taken(watch), ['will=gone'], 'and where Clean Start ends it')
})

everywhere('[MQTT-3.1.3-10]', 'a will carries its properties, the order of user properties kept', (w) => {
  const watch = watcher(w, 5)
  const userProperties: [string, string][] = [
    ['b', '2'],
    ['a', '1'],
    ['b', '1'],
  ]
  const fields = {
    payloadFormat: 1 as const,
    contentType: 'text/plain',
    responseTopic: 'answer',
    correlationData: utf8('data'),
    userProperties,
  }
  withWill(w, 5, { ...fields, expiry: 60 }).drop()
  const d = watch.take()
  assert.equal(d.userProperties, userProperties)
  assert.equal(
    [d.payloadFormat, d.contentType, d.responseTopic, d.correlationData, d.expiry],
    [1, 'text/plain', 'answer', utf8('data'), 60],
  )
})

everywhere({ 4: '[MQTT-3.1.1/3.1.2-12]' }, 'without a will none is published', (w) => {
  const watch = watcher(w, 4)
  w.connect('c', kept(4)).drop()
  w.pass(20_000)
  watch.expectNothing()
})

test.run()
