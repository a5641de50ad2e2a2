// $SYS: what a broker tells of itself, through whole nodes: MQTT 5.0 section 4.7.2 and what mosquitto's users know.

import type { Delivery } from '../../src/wire/client_decoder.ts'
import { arrangements, kept } from '../support/everywhere.ts'
import { text } from '../support/mqtt_client.ts'
import { OneNode, type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.7.2 $SYS')
const { alone, everywhere } = arrangements(test)
const INTERVAL_MS = 10_000
const NOT_AUTHORIZED = 0x87

/** What came since the last look, by topic; nothing but values of $SYS may be among it. */
function values(c: SpecClient): Map<string, Delivery> {
  const found = new Map<string, Delivery>()
  for (const packet of c.takeAll()) {
    if (packet.cmd !== 'publish' || !packet.topic.startsWith('$SYS/')) throw new Error(`got ${JSON.stringify(packet)}`)
    assert.not(found.has(packet.topic), `${packet.topic} came twice`)
    found.set(packet.topic, packet)
  }
  return found
}

function told(c: SpecClient, topic: string): string | undefined {
  const packet = values(c).get(topic)
  return packet === undefined ? undefined : text(packet.payload)
}

// ---- who gets them

everywhere(
  '[MQTT-4.7.2-1]',
  'filters that begin with a wildcard get nothing of $SYS, neither at once nor later',
  (w) => {
    const c = w.connect('c', kept(5))
    for (const filter of ['#', '+/broker/#', '+/#', '+/broker/uptime', '+']) assert.equal(c.subscribe(filter), [0])
    c.expectNothing()
    w.pass(3 * INTERVAL_MS)
    const moved = w.move(c)
    w.pass(3 * INTERVAL_MS)
    moved.expectNothing()
  },
)

alone(
  '[MQTT-3.3.1-8] [MQTT-4.7.1-1]',
  'a new subscription gets the values at once, as retained messages with QoS 0',
  (w) => {
    const c = w.connect('c')
    assert.equal(c.subscribe('$SYS/#', 2), [2])
    const all = values(c)
    assert.ok(all.size > 50, `${all.size} values`)
    for (const { topic, retain, qos, payload } of all.values()) {
      assert.is(retain, true, topic)
      assert.is(qos, 0, topic)
      assert.ok(payload.length > 0, topic)
    }
    assert.is(text(all.get('$SYS/broker/version')?.payload as Uint8Array), 'tandemq version test')
    assert.is(text(all.get('$SYS/broker/clients/connected')?.payload as Uint8Array), '1')
  },
)

alone('[MQTT-4.7.1-2]', 'plain filters and those with + get their share of $SYS', (w) => {
  const c = w.connect('c')
  c.subscribe('$SYS/broker/uptime')
  assert.equal([...values(c).keys()], ['$SYS/broker/uptime'])
  c.subscribe('$SYS/broker/+')
  assert.equal([...values(c).keys()].sort(), ['$SYS/broker/uptime', '$SYS/broker/version'])
  c.subscribe('$SYS/+/clients/+')
  assert.is(values(c).size, 7)
  c.subscribe('$SYS/broker/retained messages/count')
  assert.is(values(c).size, 1)
})

alone(
  '[MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]',
  'Retain Handling decides about the values that are told at once',
  (w) => {
    const c = w.connect('c')
    const filter = '$SYS/broker/version'
    const ask = (retainHandling: 0 | 1 | 2) => {
      c.subscribe([{ filter, qos: 0, retainHandling }])
      return values(c).size
    }
    assert.is(ask(2), 0)
    assert.is(ask(1), 0, 'the subscription exists')
    assert.is(ask(0), 1)
    c.unsubscribe(filter)
    assert.is(ask(1), 1)
  },
)

alone('[MQTT-3.3.4-3]', 'the subscription identifier comes along, at once and later', (w) => {
  const c = w.connect('c')
  c.subscribe('$SYS/broker/uptime', 0, 7)
  assert.equal(values(c).get('$SYS/broker/uptime')?.subscriptionIds, [7])
  w.pass(INTERVAL_MS)
  assert.equal(values(c).get('$SYS/broker/uptime')?.subscriptionIds, [7])
})

alone(
  '[MQTT-3.3.1-12] [MQTT-3.3.1-13]',
  'later only what has changed comes, as retained only where the subscription keeps the flag',
  (w) => {
    const plain = w.connect('plain')
    const asPublished = w.connect('asPublished')
    plain.subscribe('$SYS/broker/+')
    asPublished.subscribe([{ filter: '$SYS/broker/+', qos: 0, retainAsPublished: true }])
    for (const c of [plain, asPublished]) values(c)
    w.pass(INTERVAL_MS) // the second was told another uptime than the first
    for (const c of [plain, asPublished]) values(c)
    for (let i = 0; i < 3; i++) {
      w.pass(INTERVAL_MS)
      for (const c of [plain, asPublished]) {
        const told = values(c)
        assert.equal([...told.keys()], ['$SYS/broker/uptime'])
        assert.is(told.get('$SYS/broker/uptime')?.retain, c === asPublished)
      }
    }
  },
)

test('whoever was told another value than the others at its subscription is told with them again', () => {
  const world = new OneNode()
  const topic = '$SYS/broker/clients/connected'
  const passer = world.connect('passer')
  const first = world.connect('first')
  first.subscribe(topic)
  assert.is(told(first, topic), '2')
  world.pass(INTERVAL_MS)
  first.expectNothing()
  const second = world.connect('second')
  second.subscribe(topic)
  assert.is(told(second, topic), '3')
  passer.disconnect() // it is again what the first one knows
  world.pass(INTERVAL_MS)
  assert.is(told(second, topic), '2')
  values(first)
  const third = world.connect('third')
  third.subscribe(topic) // it is the only one who knows of itself
  assert.is(told(third, topic), '3')
  world.pass(INTERVAL_MS)
  assert.is(told(first, topic), '3')
  assert.is(told(second, topic), '3')
})

test('a shared subscription: each node tells one of its own members, and all it tells as live values', () => {
  const world = new TwoNodes()
  const members = [world.a, world.a, world.b].map((node, i) => {
    const c = world.connect(node, `m${i}`, i === 0 ? { sessionExpiry: 60 } : {})
    assert.equal(c.subscribe('$share/g/$SYS/broker/pair/node', 1), [1])
    c.expectNothing()
    return c
  })
  world.pass(INTERVAL_MS)
  const [one, two, three] = members.map((c) => c.deliveries())
  assert.equal([...(one as string[]), ...(two as string[])], ['$SYS/broker/pair/node=a'])
  assert.equal(three, ['$SYS/broker/pair/node=b'])
  const watcher = world.connect(world.a, 'watcher')
  watcher.subscribe('$SYS/broker/+/count')
  const count = (name: string) => text(values(watcher).get(`$SYS/broker/${name}/count`)?.payload as Uint8Array)
  assert.is(count('shared_subscriptions'), '2')
})

// ---- who may publish

/** Nothing of it may arrive anywhere, now or later. */
function watch(w: { connect(id: string, fields?: object): SpecClient }): SpecClient {
  const c = w.connect('watcher', kept(5))
  c.subscribe([{ filter: '$SYS/mine/#', qos: 2, retainHandling: 0 }])
  return c
}

everywhere('[MQTT-4.7.2-1]', 'a 5.0 client that publishes to $SYS is told Not authorized, and nobody gets it', (w) => {
  const watcher = watch(w)
  const c = w.connect('c')
  for (const retain of [false, true]) {
    const one = c.sendPublish('$SYS/mine/x', '1', { qos: 1, retain })
    assert.equal(
      [c.expect('puback')].map((p) => [p.packetId, p.reason]),
      [[one, NOT_AUTHORIZED]],
    )
    const two = c.sendPublish('$SYS/mine/x', '2', { qos: 2, retain })
    assert.equal(
      [c.expect('pubrec')].map((p) => [p.packetId, p.reason]),
      [[two, NOT_AUTHORIZED]],
    )
    c.sendPublish('$SYS/mine/x', '0', { retain })
    c.expectNothing()
  }
  assert.not(c.closed)
  const late = w.move(watcher)
  late.expectNothing()
  late.subscribe('$SYS/mine/#', 2)
  late.expectNothing()
})

everywhere(
  { 4: '[MQTT-3.1.1/3.3.5-2]' },
  'a client that publishes to $SYS has it acknowledged, and nobody gets it',
  (w) => {
    const watcher = watch(w)
    const c = w.connect('c', { version: 4 })
    c.publish('$SYS/mine/x', '1', { qos: 1, retain: true })
    c.publish('$SYS/mine/x', '2', { qos: 2 })
    c.publish('$SYS/mine/x', '0')
    const late = w.move(watcher)
    late.subscribe('$SYS/mine/#', 2)
    late.expectNothing()
  },
)

everywhere('[MQTT-4.7.2-1]', 'a will for $SYS is published to nobody', (w) => {
  const watcher = watch(w)
  const will = {
    topic: '$SYS/mine/x',
    payload: new Uint8Array([49]),
    qos: 1,
    retain: true,
    delay: 0,
    props: null,
    expiry: -1,
  }
  w.connect('c', { will: will as never }).drop()
  const late = w.move(watcher)
  late.subscribe('$SYS/mine/#', 2)
  late.expectNothing()
})

test('what is published to $SYS is counted as dropped', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.publish('$SYS/broker/uptime', 'x')
  c.sendPublish('$SYS', 'x', { qos: 1 })
  assert.is(world.metric('dropped_sys_topic'), 2)
  c.takeAll()
  c.subscribe('$SYS/broker/publish/messages/+')
  const told = values(c)
  const value = (name: string) => text(told.get(`$SYS/broker/publish/messages/${name}`)?.payload as Uint8Array)
  assert.equal([value('received'), value('dropped')], ['2', '2'])
})

alone('[MQTT-4.7.3-4]', '$SYSTEM, $sys and SYS are topics like others', (w) => {
  const c = w.connect('c')
  for (const name of ['$SYSTEM', '$sys', 'SYS']) {
    c.subscribe(`${name}/#`, 1)
    c.publish(`${name}/x`, 'y', {})
    assert.equal(c.deliveries(), [`${name}/x=y`])
  }
})

// ---- what they say

test('the values are those of the node, and loads rise and fall', () => {
  const world = new OneNode()
  const c = world.connect('c')
  const kept = world.connect('kept', { sessionExpiry: 1000 })
  kept.subscribe('data/#', 1)
  kept.disconnect()
  const publisher = world.connect('publisher')
  for (let i = 0; i < 60; i++) publisher.publish('data/x', 'seven b', { qos: 1 })
  publisher.publish('data/x', 'kept', { retain: true })
  world.pass(INTERVAL_MS)
  c.subscribe('$SYS/#')
  const first = values(c)
  const value = (name: string) => text(first.get(`$SYS/broker/${name}`)?.payload as Uint8Array)
  const expected: Record<string, string> = {
    'clients/total': '3',
    'clients/connected': '2',
    'clients/active': '2',
    'clients/disconnected': '1',
    'clients/inactive': '1',
    'clients/maximum': '2',
    'clients/expired': '0',
    'connections/socket/count': '3',
    'publish/messages/received': '61',
    'publish/bytes/received': String(60 * 7 + 4),
    'publish/messages/dropped': '0',
    'store/messages/count': '61',
    'messages/stored': '61',
    'store/messages/bytes': String(60 * 7 + 4 + 61 * 'data/x'.length),
    'retained messages/count': '1',
    'subscriptions/count': '2',
    'shared_subscriptions/count': '0',
    'messages/inflight': '0',
    'heap/current': String(64 << 20),
    'load/sockets/1min': (18 * (1 - Math.exp(-1 / 6))).toFixed(2),
    'load/publish/received/1min': (366 * (1 - Math.exp(-1 / 6))).toFixed(2),
    'load/publish/received/15min': (366 * (1 - Math.exp(-1 / 90))).toFixed(2),
  }
  assert.equal(Object.fromEntries(Object.keys(expected).map((name) => [name, value(name)])), expected)
  assert.match(value('uptime'), /^\d+ seconds$/)
  assert.is(value('bytes/received'), String(c.bytesSent + kept.bytesSent + publisher.bytesSent))
  world.pass(INTERVAL_MS)
  assert.is(
    told(c, '$SYS/broker/load/publish/received/1min'),
    (366 * (1 - Math.exp(-1 / 6)) * Math.exp(-1 / 6)).toFixed(2),
  )
})

test('what clients have not acknowledged is counted anew once a second at most', () => {
  const world = new OneNode()
  const c = world.connect('c')
  c.subscribe('x', 1)
  const watcher = world.connect('watcher')
  const inflight = () => {
    watcher.subscribe('$SYS/broker/messages/inflight')
    return told(watcher, '$SYS/broker/messages/inflight')
  }
  assert.is(inflight(), '0')
  world.connect('publisher').publish('x', 'y', { qos: 1 })
  assert.is(inflight(), '0')
  world.pass(1000)
  assert.is(inflight(), '1')
  c.sendPuback(c.expect('publish').packetId)
  world.pass(1000)
  assert.is(inflight(), '0')
})

test('without an interval there is no $SYS, and nobody may publish there all the same', () => {
  const world = new OneNode({ sysIntervalMs: 0 })
  const c = world.connect('c')
  c.subscribe('$SYS/#')
  world.pass(3 * INTERVAL_MS)
  c.expectNothing()
  c.sendPublish('$SYS/x', 'x', { qos: 1 })
  assert.is(c.expect('puback').reason, NOT_AUTHORIZED)
})

test('a client that bears only small packets is not sent larger ones', () => {
  const world = new OneNode()
  const c = world.connect('c', { maximumPacketSize: 40 })
  c.subscribe('$SYS/#')
  for (const topic of values(c).keys()) assert.ok(topic.length < 40, topic)
  assert.ok(world.metric('dropped_too_large') > 10)
})

// ---- sessions and pairs

everywhere(
  '[MQTT-4.4.0-1]',
  'nothing of $SYS is kept for a session without a client; it is told anew when the client is back',
  (w) => {
    const c = w.connect('c', kept(5))
    c.subscribe('$SYS/broker/#', 2)
    assert.ok(values(c).size > 50)
    c.drop()
    w.pass(3 * INTERVAL_MS)
    const back = w.connect('c', kept(5))
    assert.ok(back.present)
    back.expectNothing()
    w.pass(INTERVAL_MS)
    const told = values(back)
    assert.ok(told.size > 50, `${told.size} values`)
    assert.is(told.get('$SYS/broker/version')?.retain, false)
  },
)

test.run()
