// Metrics: the Prometheus text, read back by a parser of its format that takes nothing on trust; and that every count has its help.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { COUNTER_FAMILIES, COUNTERS } from '../../../src/core/monitor/counters.ts'
import { Metrics } from '../../../src/core/monitor/metrics.ts'
import { OneNode, TwoNodes } from '../../support/one_node.ts'
import { parseMetrics } from '../../support/prometheus.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('metrics')

test('the text of a node that has worked is well formed, and every family has help and a type', () => {
  const world = new TwoNodes()
  const a = world.connect(world.a, 'a', { sessionExpiry: 60 })
  a.subscribe('x', 1)
  world.connect(world.b, 'b').publish('x', 'payload', { qos: 1 })
  const open = world.open(world.a, 'bad')
  open.sendSubscribe('x')
  for (const node of [world.a, world.b]) {
    const families = parseMetrics(node.metrics.render())
    for (const family of families.values()) {
      assert.ok(family.samples.length > 0, `${family.name} has no value`)
      assert.match(family.name, /^(tandemq|process)_[a-z0-9_]+$/)
      assert.is(family.name.endsWith('_total'), family.type === 'counter', family.name)
      assert.not.match(family.name, /_(ms|us|kb|mb|milliseconds|minutes)(_total)?$/, 'base units: seconds, bytes')
    }
  }
})

test('the parser refuses what Prometheus refuses', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c\\"\\\\\\n"} 1\n'
  assert.is(parseMetrics(good).get('a_total')?.samples[0]?.labels['b'], 'c"\\\n')
  for (const [text, why] of [
    [good.slice(0, -1), 'ends without a newline'],
    ['a 1\n', 'no type'],
    ['# HELP a x\n# TYPE a gauge\na 1\na 1\n', 'twice the same'],
    ['# HELP a x\n# TYPE a gauge\n# TYPE a gauge\na 1\n', 'two types'],
    ['# HELP a x\n# TYPE a gauge\na one\n', 'no number'],
    ['# HELP a x\n# TYPE a gauge\na{b="c} 1\n', 'a label without its end'],
    ['# HELP a x\n# TYPE a gauge\na{b="\\x"} 1\n', 'an unknown escape'],
    ['# HELP a x\n# TYPE a gauge\nb 1\n', 'a stranger in the family'],
    ['# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n', 'shrinking'],
    ['# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n', 'no +Inf'],
  ] as const)
    assert.throws(() => parseMetrics(text), undefined, why)
})

test('labels and help may hold any character', () => {
  const metrics = new Metrics()
  const odd = 'a "quoted" back\\slash\nand a line'
  metrics.labelled('gauge', 'odd', 'label', odd, () => [[odd, 1]])
  const family = parseMetrics(metrics.render()).get('tandemq_odd')
  assert.is(family?.help, odd)
  assert.is(family?.samples[0]?.labels['label'], odd)
})

test('a histogram counts each value under every bound that it is not above', () => {
  const metrics = new Metrics()
  const histogram = metrics.histogram('h_seconds', 'h', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value)
  const samples = parseMetrics(metrics.render()).get('tandemq_h_seconds')?.samples ?? []
  const value = (name: string, le?: string) => samples.find((s) => s.name === name && s.labels['le'] === le)?.value
  assert.is(value('tandemq_h_seconds_bucket', '0.1'), 2)
  assert.is(value('tandemq_h_seconds_bucket', '1'), 3)
  assert.is(value('tandemq_h_seconds_bucket', '+Inf'), 4)
  assert.is(value('tandemq_h_seconds_count'), 4)
  assert.is(value('tandemq_h_seconds_sum'), 7.65)
})

test('packets, bytes and payloads are counted in both directions', () => {
  const world = new OneNode()
  const sub = world.connect('sub')
  sub.subscribe('x', 1)
  const pub = world.connect('pub')
  pub.publish('x', '12345', { qos: 1 })
  pub.publish('nobody', '123', { qos: 2 })
  const families = parseMetrics(world.node.metrics.render())
  const packets = (direction: string, type: string) =>
    families.get(`tandemq_packets_${direction}_total`)?.samples.find((s) => s.labels['type'] === type)?.value
  assert.is(packets('received', 'connect'), 2)
  assert.is(packets('sent', 'connack'), 2)
  assert.is(packets('received', 'publish'), 2)
  assert.is(packets('sent', 'publish'), 1)
  assert.is(packets('sent', 'puback'), 1)
  assert.is(packets('sent', 'pubrec'), 1)
  assert.is(packets('received', 'pubrel'), 1)
  assert.is(packets('sent', 'pubcomp'), 1)
  assert.is(packets('received', 'auth'), 0)
  const one = (name: string) => families.get(name)?.samples[0]?.value
  assert.is(one('tandemq_publish_bytes_received_total'), 8)
  assert.is(one('tandemq_publish_bytes_sent_total'), 5)
  assert.is(one('tandemq_bytes_received_total'), sub.bytesSent + pub.bytesSent)
  assert.is(one('tandemq_bytes_sent_total'), sub.bytesReceived + pub.bytesReceived)
})

test('a hand-over is timed from the claim to the grant', () => {
  const world = new TwoNodes()
  const seconds = (node: typeof world.a) => parseMetrics(node.metrics.render()).get('tandemq_handover_seconds')
  const samples = (node: typeof world.a) => seconds(node)?.samples.find((s) => s.name.endsWith('_count'))?.value
  world.connect(world.a, 'c', { sessionExpiry: 60 })
  const before = [samples(world.a), samples(world.b)]
  world.connect(world.b, 'c', { cleanStart: false, sessionExpiry: 60 })
  assert.is(samples(world.a), before[0])
  assert.is(samples(world.b), (before[1] as number) + 1)
})

test('the waits for disk and peer are timed', () => {
  const world = new TwoNodes()
  const count = (node: typeof world.a, name: string) =>
    parseMetrics(node.metrics.render())
      .get(`tandemq_${name}`)
      ?.samples.find((s) => s.name.endsWith('_count'))?.value as number
  const names = ['flush_seconds', 'release_seconds']
  const before = names.map((name) => count(world.a, name))
  const c = world.connect(world.a, 'c', { sessionExpiry: 60 })
  for (let i = 0; i < 5; i++) {
    c.subscribe(`x/${i}`)
    world.settle()
  }
  for (const [i, name] of names.entries()) assert.ok(count(world.a, name) >= (before[i] as number) + 5, name)
})

test('status says what is held, how far the peer is behind, and what was dropped', () => {
  const world = new TwoNodes({ queuedMessagesMax: 2 })
  const c = world.connect(world.a, 'c', { sessionExpiry: 60 })
  c.subscribe('x', 1)
  c.subscribe('$share/g/y')
  c.disconnect()
  const publisher = world.connect(world.b, 'publisher')
  for (let i = 0; i < 5; i++) publisher.publish('x', 'four', { qos: 1 })
  publisher.publish('kept', 'seven b', { retain: true })
  world.settle()
  const { queued, queuedBytes, retained, retainedBytes, subscriptions, sharedSubscriptions, dropped, peer } =
    world.a.status()
  assert.equal([queued, queuedBytes, retained, retainedBytes], [2, 10, 1, 11])
  assert.equal([subscriptions, sharedSubscriptions], [2, 1])
  assert.equal(dropped, { queue_full: 3 })
  assert.equal(peer, { name: 'b', version: 'test', link: true, lagMs: 0, connections: 1, ring: 0, ringBytes: 0 })
  assert.is(world.a.metrics.dropped, 3)
})

test('the lag of the link is its round trip, not the pause between two heartbeats', () => {
  const world = new TwoNodes()
  world.pass(2_000)
  for (const node of [world.a, world.b]) assert.is(node.lagMs, 0)
})

test('what is held is counted as it comes and goes', () => {
  const world = new TwoNodes()
  const read = (node: typeof world.a, name: string) =>
    parseMetrics(node.metrics.render()).get(`tandemq_${name}`)?.samples[0]?.value
  const c = world.connect(world.a, 'c', { sessionExpiry: 60 })
  c.subscribe('x', 1)
  const publisher = world.connect(world.b, 'publisher')
  publisher.publish('x', 'four', { qos: 1, retain: true })
  for (const node of [world.a, world.b]) {
    assert.is(read(node, 'connections'), 1)
    assert.is(read(node, 'peer_connections'), 1)
    assert.is(read(node, 'sessions_owned'), 1)
    assert.is(read(node, 'stored_messages'), 1, 'queued and retained, one message')
    assert.is(read(node, 'stored_bytes'), 5)
  }
  assert.is(read(world.a, 'inflight_messages'), 1)
  assert.is(read(world.b, 'inflight_messages'), 0)
  c.sendPuback(c.expect('publish').packetId)
  assert.is(read(world.a, 'inflight_messages'), 0)
  publisher.publish('x', '', { qos: 0, retain: true })
  assert.is(read(world.a, 'stored_messages'), 0)
  assert.is(read(world.a, 'stored_bytes'), 0)
  c.disconnect()
  publisher.disconnect()
  assert.equal([read(world.a, 'connections'), read(world.b, 'peer_connections')], [0, 0])
  assert.equal([read(world.a, 'sessions_owned'), read(world.b, 'sessions_owned')], [1, 0])
  world.connect(world.b, 'c', { cleanStart: false, sessionExpiry: 60 })
  assert.equal([read(world.a, 'sessions_owned'), read(world.b, 'sessions_owned')], [0, 1])
  assert.is(read(world.a, 'peer_connections'), 1)
})

test('every counter that the sources name has its help, and every help its counter', () => {
  const root = fileURLToPath(new URL('../../../src', import.meta.url))
  const named = new Set<string>()
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts') || path.endsWith('counters.ts')) continue
    const text = readFileSync(`${root}/${path}`, 'utf8')
    for (const [, name] of text.matchAll(/(?:metrics\.add|\bcount)\('([a-z0-9_]+)'/g)) named.add(name as string)
  }
  assert.ok(named.size > 20)
  // Only the simulator's broken nodes count this one.
  named.delete('missing_payloads')
  assert.equal([...named].sort(), Object.keys(COUNTERS).sort())
  for (const name of named) {
    const family = COUNTER_FAMILIES[name.slice(0, name.indexOf('_'))]
    assert.ok((COUNTERS[name] ?? family?.help ?? '').length > 0)
  }
})

test.run()
