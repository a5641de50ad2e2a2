// What MQTT 5.0 says of a subscription, a message or a will survives a change of node: by hand-over, by drain, and twice.

import { utf8 } from '../../src/base/bytes.ts'
import type { BrokerNode } from '../../src/core/node.ts'
import { text } from '../support/mqtt_client.ts'
import { type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('pair properties')
const kept = { cleanStart: false, sessionExpiry: 1000 }
const will = {
  topic: 'will',
  payload: utf8('gone'),
  qos: 2,
  retain: true,
  delay: 30,
  expiry: 60,
  payloadFormat: 1,
  contentType: 'text/plain',
  responseTopic: 'answer',
  correlationData: utf8('42'),
  userProperties: [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
  ],
} as const

/** Each way round: the session begins `here` and goes `there`. */
function both(title: string, act: (world: TwoNodes, here: BrokerNode, there: BrokerNode) => void): void {
  test(title, () => {
    const one = new TwoNodes()
    act(one, one.a, one.b)
    const other = new TwoNodes()
    act(other, other.b, other.a)
  })
}

function isTheWill(c: SpecClient): void {
  const {
    topic,
    payload,
    qos,
    retain,
    expiry,
    payloadFormat,
    contentType,
    responseTopic,
    correlationData,
    userProperties,
  } = c.expect('publish')
  assert.equal(
    { topic, payload, qos, expiry, payloadFormat, contentType, responseTopic, correlationData, userProperties },
    {
      topic: 'will',
      payload: will.payload,
      qos: 2,
      expiry: 60,
      payloadFormat: 1,
      contentType: will.contentType,
      responseTopic: will.responseTopic,
      correlationData: will.correlationData,
      userProperties: will.userProperties,
    },
  )
  assert.is(retain, false)
  c.expectNothing()
}

both(
  '[MQTT-3.3.1-10] Retain Handling 1 knows at the other node which subscriptions were there',
  (world, here, there) => {
    world.connect(there, 'p').publish('t', 'kept', { retain: true, qos: 1 })
    const ask = [{ filter: 't', qos: 1, retainHandling: 1 }] as const
    let c = world.connect(here, 'c', kept)
    c.subscribe(ask)
    const d = c.expect('publish')
    c.sendPuback(d.packetId)
    for (const node of [there, here]) {
      c = world.connect(node, 'c', kept)
      c.subscribe(ask)
      c.expectNothing()
    }
    c.unsubscribe('t')
    c = world.connect(there, 'c', kept)
    c.subscribe(ask)
    assert.equal(c.deliveries(), ['t=kept'])
  },
)

both(
  '[MQTT-3.3.4-4] [MQTT-3.8.3-3] [MQTT-3.3.1-13] options and identifiers of subscriptions move along, twice',
  (world, here, there) => {
    let c = world.connect(here, 'c', kept)
    c.subscribe([{ filter: 'a/#', qos: 2, noLocal: true, retainAsPublished: true }], 0, 268_435_455)
    c.subscribe([{ filter: 'a/+', qos: 1, noLocal: true, retainAsPublished: true }], 0, 7)
    for (const node of [there, here]) {
      c = world.connect(node, 'c', kept)
      c.publish('a/b', 'own', { qos: 1, retain: true })
      c.expectNothing()
      for (const from of [here, there]) {
        const p = world.connect(from, 'p')
        p.publish('a/b', 'x', { qos: 2, retain: true })
        const live = c.expect('publish')
        assert.equal([live.qos, live.retain, [...(live.subscriptionIds ?? [])].sort()], [2, true, [268_435_455, 7]])
        c.sendPubrec(live.packetId)
        c.expect('pubrel')
        c.sendPubcomp(live.packetId)
      }
    }
  },
)

both(
  '[MQTT-3.3.4-4] a message that waits keeps its identifiers, also those of a subscription that has gone since',
  (world, here, there) => {
    const c = world.connect(here, 'c', kept)
    c.subscribe('a/#', 1, 9)
    c.subscribe('a/+', 1, 7)
    c.drop()
    world.connect(there, 'p').publish('a/b', 'x', { qos: 1 })
    const moved = world.connect(there, 'c', kept)
    const first = moved.expect('publish')
    assert.equal([...(first.subscriptionIds ?? [])].sort(), [7, 9])
    moved.unsubscribe('a/+')
    const back = world.connect(here, 'c', kept)
    const again = back.expect('publish')
    assert.ok(again.dup)
    assert.equal([...(again.subscriptionIds ?? [])].sort(), [7, 9])
  },
)

both(
  '[MQTT-3.3.2-6] the expiry of a waiting message runs on at whichever node, and only once',
  (world, here, there) => {
    const c = world.connect(here, 'c', { ...kept, receiveMaximum: 1 })
    c.subscribe('t', 1)
    const p = world.connect(there, 'p')
    p.publish('t', 'first', { qos: 1 })
    p.publish('t', 'waits', { qos: 1, expiry: 100 })
    p.publish('t', 'short', { qos: 1, expiry: 25 })
    c.expect('publish')
    world.pass(10_000)
    const moved = world.connect(there, 'c', { ...kept, receiveMaximum: 1 })
    moved.expect('publish')
    world.pass(10_000)
    const back = world.connect(here, 'c', { ...kept, receiveMaximum: 1 })
    const first = back.expect('publish')
    world.pass(10_000)
    back.sendPuback(first.packetId)
    const waits = back.expect('publish')
    assert.equal([waits.expiry, text(waits.payload)], [70, 'waits'])
    back.sendPuback(waits.packetId)
    back.expectNothing()
    assert.is(here.metrics.get('dropped_expired'), 1)
  },
)

both('[MQTT-3.3.2-6] a retained message expires on both nodes alike', (world, here, there) => {
  world.connect(here, 'p').publish('t', 'x', { qos: 1, retain: true, expiry: 60 })
  world.pass(20_000)
  for (const node of [here, there]) {
    const c = world.connect(node, `c ${node.config.name}`)
    c.subscribe('t', 1)
    assert.is(c.expect('publish').expiry, 40)
  }
  world.pass(41_000)
  for (const node of [here, there]) {
    const c = world.connect(node, `d ${node.config.name}`)
    c.subscribe('t', 1)
    c.expectNothing()
  }
})

both(
  '[MQTT-3.1.2-8] a will with all its properties comes after its delay, its expiry counted from then',
  (world, here, there) => {
    const watch = world.connect(there, 'watch', kept)
    watch.subscribe('will', 2)
    world.connect(here, 'c', { ...kept, will }).drop()
    world.pass(29_000)
    watch.expectNothing()
    world.pass(1_100)
    isTheWill(watch)
    const late = world.connect(there, 'late')
    late.subscribe('will', 0)
    const d = late.expect('publish')
    assert.equal([d.retain, d.contentType, d.userProperties], [true, will.contentType, will.userProperties])
  },
)

both(
  '[MQTT-3.1.2-8] the node with a waiting will is drained: the other one publishes it when it is due',
  (world, here, there) => {
    const watch = world.connect(there, 'watch', kept)
    watch.subscribe('will', 2)
    world.connect(here, 'c', { ...kept, will }).drop()
    world.pass(5_000)
    here.drainAway()
    world.pass(20_000)
    assert.is(there.mode, 'SOLO')
    watch.expectNothing()
    world.pass(10_000)
    isTheWill(watch)
  },
)

both(
  '[MQTT-3.1.3-9] a will waits here, its client comes back there: the will is gone, and the next one holds',
  (world, here, there) => {
    const watch = world.connect(here, 'watch', kept)
    watch.subscribe('will', 2)
    world.connect(here, 'c', { ...kept, will }).drop()
    world.pass(10_000)
    const back = world.connect(there, 'c', { ...kept, will: { ...will, payload: utf8('next'), delay: 5 } })
    assert.ok(back.present)
    world.pass(60_000)
    watch.expectNothing()
    back.drop()
    world.pass(5_100)
    assert.equal(watch.deliveries(), ['will=next'])
  },
)

both('[MQTT-3.1.2-8] a session expiry that DISCONNECT changes here holds for the will there', (world, here, there) => {
  const watch = world.connect(there, 'watch', kept)
  watch.subscribe('will', 2)
  world.connect(here, 'c', { cleanStart: false, sessionExpiry: 10, will }).disconnect(0x04, 300)
  world.pass(2_000)
  here.drainAway()
  world.pass(20_000)
  watch.expectNothing()
  world.pass(10_000)
  isTheWill(watch)
  assert.ok(world.connect(there, 'c', kept).present)
})

test.run()
