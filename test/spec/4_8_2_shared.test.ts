// Shared subscriptions: MQTT 5.0 section 4.8.2, with everybody at one node, with the members at different nodes, and with members
// that move to the other node between two steps.

import { digest } from '../../src/core/monitor/status.ts'
import type { BrokerNode } from '../../src/core/node.ts'
import type { NodeConfig } from '../../src/core/ports.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import { OneNode, type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.8.2 shared subscriptions')
const kept = { cleanStart: false, sessionExpiry: 100 }
const none: Partial<ConnectFields> = {}

/** One of the three arrangements. */
type Scene = {
  readonly nodes: readonly BrokerNode[]
  /** The publisher, at the first node. */
  readonly p: SpecClient
  /** The `i`th member: every second one is at the other node, where there is one. */
  member(i: number, fields?: Partial<ConnectFields>): SpecClient
  /** Where members move between steps, this one does. */
  step(c: SpecClient, fields?: Partial<ConnectFields>): SpecClient
  /** Time enough for everything that is told lazily. */
  settle(): void
  pass(ms: number): void
}

function oneNode(config: Partial<NodeConfig>): Scene {
  const world = new OneNode(config)
  return {
    nodes: [world.node],
    p: world.connect('p'),
    member: (i, fields = none) => world.connect(`m${i}`, fields),
    step: (c) => c,
    settle: () => world.settle(),
    pass: (ms) => world.pass(ms),
  }
}

function twoNodes(config: Partial<NodeConfig>, moves: boolean): Scene {
  const world = new TwoNodes(config)
  const place = new Map<string, BrokerNode>()
  return {
    nodes: [world.a, world.b],
    p: world.connect(world.a, 'p'),
    member: (i, fields = none) => {
      const node = i % 2 === 0 ? world.a : world.b
      place.set(`m${i}`, node)
      return world.connect(node, `m${i}`, fields)
    },
    step: (c, fields = none) => {
      if (!moves) return c
      const node = place.get(c.clientId) === world.a ? world.b : world.a
      place.set(c.clientId, node)
      c.drop()
      return world.connect(node, c.clientId, fields)
    },
    settle: () => world.settle(),
    pass: (ms) => world.pass(ms),
  }
}

function everywhere(title: string, act: (scene: Scene) => void, config: Partial<NodeConfig> = {}): void {
  test(`${title} (one node)`, () => act(oneNode(config)))
  test(`${title} (two nodes)`, () => act(twoNodes(config, false)))
  test(`${title} (hand-over)`, () => act(twoNodes(config, true)))
}

/** Payloads received and acknowledged to the end. */
function take(c: SpecClient): string[] {
  const got: string[] = []
  for (;;) {
    const packet = c.inbox.shift()
    if (packet === undefined) return got
    if (packet.cmd === 'pubrel') c.sendPubcomp(packet.packetId)
    if (packet.cmd !== 'publish') continue
    got.push(new TextDecoder().decode(packet.payload))
    if (packet.qos === 1) c.sendPuback(packet.packetId)
    if (packet.qos === 2) c.sendPubrec(packet.packetId)
  }
}

function publish(p: SpecClient, n: number, qos: 0 | 1 | 2, from = 0): string[] {
  const sent: string[] = []
  for (let i = from; i < from + n; i++) {
    p.publish('t', `${i}`, { qos })
    sent.push(`${i}`)
  }
  return sent
}

const numbers = (got: readonly string[]) => [...got].sort((a, b) => Number(a) - Number(b))

/** Owner and replica of every durable session hold the same, and each session has one owner. */
function equal(scene: Scene): void {
  scene.settle()
  const [a, b] = scene.nodes as [BrokerNode, BrokerNode | undefined]
  if (b === undefined) return
  const durable = (node: BrokerNode) =>
    [...node.sessions.byClient.values()].filter((s) => s.durable).map((s) => `${s.clientId} ${digest(s)}`)
  assert.equal(durable(a).sort(), durable(b).sort())
  for (const s of a.sessions.byClient.values())
    if (s.durable) assert.is.not(s.mine, b.sessions.get(s.clientId)?.mine, `${s.clientId} has one owner`)
}

for (const fields of [kept, none]) {
  const what = fields === kept ? 'with' : 'without'
  everywhere(`[MQTT-4.8.2-3] each message goes to one member, sessions ${what} expiry, by turns`, (scene) => {
    for (const qos of [0, 1, 2] as const) {
      const members = [0, 1, 2].map((i) => scene.member(i, { ...fields, cleanStart: true }))
      for (const m of members) assert.equal(m.subscribe('$share/g/t', 2), [2])
      const first = publish(scene.p, 6, qos)
      const got = members.map(take)
      assert.equal(numbers(got.flat()), first)
      for (const [i, mine] of got.entries()) assert.is(mine.length, 2, `member ${i} gets its share`)
      const moved = fields === kept ? members.map((m) => scene.step(m, kept)) : members
      const second = publish(scene.p, 6, qos, 6)
      const more = moved.map(take)
      assert.equal(numbers(more.flat()), second)
      for (const [i, mine] of more.entries()) assert.is(mine.length, 2, `member ${i} gets its share again`)
      equal(scene)
      for (const m of moved) m.disconnect(0, 0)
    }
  })
}

everywhere('each group gets a copy, and so does a subscription that is not shared', (scene) => {
  const [a, b] = [scene.member(0, kept), scene.member(1, kept)]
  a.subscribe('$share/g/t', 1)
  b.subscribe('$share/g/t', 1)
  b.subscribe('$share/h/t', 1)
  b.subscribe('$share/h/#', 1)
  a.subscribe('t', 1)
  const [c, d] = [scene.step(a, kept), scene.step(b, kept)]
  const sent = publish(scene.p, 4, 1)
  const all = [...take(c), ...take(d)]
  for (const payload of sent) assert.is(all.filter((x) => x === payload).length, 4, payload)
  equal(scene)
})

everywhere('[MQTT-3.3.4-3] one client, shared and not: both deliveries, each with its own identifier', (scene) => {
  const first = scene.member(1, kept)
  first.subscribe('t', 1, 7)
  first.subscribe('$share/g/t', 1, 9)
  first.subscribe('$share/g/+', 2, 11)
  const m = scene.step(first, kept)
  for (const qos of [0, 1, 2] as const) {
    scene.p.publish('t', 'x', { qos })
    const got = []
    for (const packet of m.takeAll()) {
      if (packet.cmd !== 'publish') continue
      got.push([...(packet.subscriptionIds ?? []), packet.qos])
      if (packet.qos === 1) m.sendPuback(packet.packetId)
      if (packet.qos === 2) m.sendPubrec(packet.packetId)
    }
    got.sort((x, y) => (x[0] as number) - (y[0] as number))
    assert.equal(got, [
      [7, Math.min(qos, 1)],
      [9, Math.min(qos, 1)],
      [11, qos],
    ])
    take(m)
  }
  equal(scene)
})

everywhere('[MQTT-4.8.2-3] [MQTT-3.8.4-8] the member’s own QoS and Retain As Published decide', (scene) => {
  const members = [
    { qos: 0 as const, retainAsPublished: false },
    { qos: 1 as const, retainAsPublished: true },
    { qos: 2 as const, retainAsPublished: false },
  ].map((options, i) => {
    const m = scene.member(i, kept)
    m.subscribe([{ filter: '$share/g/t', ...options }])
    return { m: scene.step(m, kept), options }
  })
  for (let i = 0; i < 3; i++) scene.p.publish('t', `${i}`, { qos: 2, retain: true })
  for (const { m, options } of members) {
    const d = m.expect('publish')
    assert.is(d.qos, options.qos)
    assert.is(d.retain, options.retainAsPublished)
    m.inbox.unshift(d)
    take(m)
  }
  equal(scene)
})

everywhere('retained messages are not sent to a shared subscription', (scene) => {
  scene.p.publish('t', 'old', { qos: 1, retain: true })
  for (const retainHandling of [0, 1] as const) {
    const m = scene.member(1, kept)
    m.subscribe([{ filter: '$share/g/t', qos: 1, retainHandling }])
    scene.step(m, kept).expectNothing()
  }
})

everywhere('$queue/{filter} is the group $queue', (scene) => {
  const [a, b] = [scene.member(0, kept), scene.member(1, kept)]
  a.subscribe('$queue/t', 1)
  b.subscribe('$share/$queue/t', 1)
  const sent = publish(scene.p, 4, 1)
  const [c, d] = [scene.step(a, kept), scene.step(b, kept)]
  const got = [take(c), take(d)]
  assert.equal(numbers(got.flat()), sent)
  assert.equal(c.unsubscribe('$queue/t'), [0])
  assert.equal(d.unsubscribe('$queue/t', '$queue/t'), [0, 0x11])
  publish(scene.p, 1, 1)
  assert.equal([take(c), take(d)], [[], []])
})

everywhere('after UNSUBSCRIBE the others take it all; a member that subscribes again keeps one place', (scene) => {
  const [a, b] = [scene.member(0, kept), scene.member(1, kept)]
  for (const m of [a, b, b]) m.subscribe('$share/g/t', 1)
  b.subscribe('$share/g/t', 2)
  assert.equal(numbers([...take(a), ...take(b)]), [])
  publish(scene.p, 4, 1)
  assert.equal([take(a).length, take(b).length], [2, 2])
  const [c, d] = [scene.step(a, kept), scene.step(b, kept)]
  assert.equal(c.unsubscribe('$share/g/t'), [0])
  const sent = publish(scene.p, 4, 1, 4)
  assert.equal(take(c), [])
  assert.equal(take(d), sent)
  assert.equal(d.unsubscribe('$share/g/t'), [0])
  for (const node of scene.nodes) assert.is(node.sessions.groups.size, 0)
})

everywhere('who is online takes it; only when nobody is, it waits for who will be', (scene) => {
  const [a, b, c] = [scene.member(0, kept), scene.member(1, kept), scene.member(2)]
  for (const m of [a, b, c]) m.subscribe('$share/g/t', 1)
  a.drop()
  const sent = publish(scene.p, 4, 1)
  assert.equal(numbers([...take(b), ...take(c)]), sent)
  b.drop()
  assert.equal(publish(scene.p, 3, 1, 4), take(c))
  c.disconnect()
  const waiting = publish(scene.p, 4, 1, 7)
  equal(scene)
  const back = [scene.member(0, kept), scene.member(1, kept)]
  assert.equal(numbers(back.flatMap((m) => take(scene.step(m, kept)))), waiting)
  publish(scene.p, 1, 0)
  equal(scene)
})

everywhere('QoS 0 waits for nobody', (scene) => {
  const a = scene.member(1, kept)
  a.subscribe('$share/g/t', 2)
  a.drop()
  publish(scene.p, 2, 0)
  scene.member(1, kept).expectNothing()
})

everywhere('what a member was given stays with its session while that lives', (scene) => {
  const [a, b] = [scene.member(0, { ...kept, receiveMaximum: 1 }), scene.member(1, kept)]
  for (const m of [a, b]) m.subscribe('$share/g/t', 1)
  const sent = publish(scene.p, 6, 1)
  const others = take(b)
  assert.is(others.length, 3)
  assert.is(a.inbox.length, 1, 'its Receive Maximum')
  a.drop()
  equal(scene)
  b.expectNothing()
  const again = scene.step(scene.member(0, kept), kept)
  assert.equal(numbers([...take(again), ...others]), sent)
  b.expectNothing()
})

everywhere('QoS 1 goes to another member when the session ends, even what was under way', (scene) => {
  const [a, b] = [scene.member(0, { ...kept, receiveMaximum: 1 }), scene.member(1, kept)]
  for (const m of [a, b]) m.subscribe('$share/g/t', 1)
  const sent = publish(scene.p, 6, 1)
  const others = take(b)
  const moved = scene.step(b, kept)
  const under = a.takeAll().filter((packet) => packet.cmd === 'publish')
  assert.is(under.length, 1)
  a.disconnect(0, 0)
  assert.equal(numbers([...others, ...take(moved)]), sent)
  equal(scene)
})

everywhere('QoS 1 under way to a member without expiry goes to another one when its connection ends', (scene) => {
  for (const at of [0, 1]) {
    const [a, b] = [scene.member(at), scene.member(1 - at, { ...kept, cleanStart: true })]
    for (const m of [a, b]) m.subscribe('$share/g/t', 1)
    const sent = publish(scene.p, 4, 1)
    a.drop()
    assert.equal(numbers(take(scene.step(b, kept))), sent)
    b.disconnect(0, 0)
  }
})

everywhere('[MQTT-4.8.2-4] QoS 2 under way is completed when its member comes back', (scene) => {
  const [a, b] = [scene.member(0, kept), scene.member(1, kept)]
  a.subscribe('$share/g/t', 2)
  scene.p.publish('t', 'x', { qos: 2 })
  const d = a.expect('publish')
  b.subscribe('$share/g/t', 2)
  a.drop()
  b.expectNothing()
  const again = scene.step(scene.member(0, kept), kept)
  const e = again.expect('publish')
  assert.equal([e.packetId, e.dup], [d.packetId, true])
  again.sendPubrec(e.packetId)
  again.expect('pubrel')
  again.sendPubcomp(e.packetId)
  b.expectNothing()
  equal(scene)
})

everywhere('[MQTT-4.8.2-5] QoS 2 under way goes to nobody else, what waits behind it does', (scene) => {
  const [a, b] = [scene.member(0, { ...kept, receiveMaximum: 1 }), scene.member(1, kept)]
  a.subscribe('$share/g/t', 2)
  publish(scene.p, 3, 2)
  assert.is(a.takeAll().length, 1)
  b.subscribe('$share/g/t', 2)
  const moved = scene.step(b, kept)
  a.drop()
  moved.expectNothing()
  scene.pass(101_000)
  assert.equal(take(moved), ['1', '2'])
  equal(scene)
})

everywhere('[MQTT-4.8.2-6] what a member refuses is sent to nobody else', (scene) => {
  const [a, b] = [scene.member(0, kept), scene.member(1, kept)]
  a.subscribe('$share/g/t', 2)
  const moved = scene.step(a, kept)
  scene.p.publish('t', 'x', { qos: 1 })
  scene.p.publish('t', 'y', { qos: 2 })
  b.subscribe('$share/g/t', 2)
  moved.sendPuback(moved.expect('publish').packetId, 0x80)
  moved.sendPubrec(moved.expect('publish').packetId, 0x80)
  scene.settle()
  moved.disconnect(0, 0)
  b.expectNothing()
  equal(scene)
})

everywhere('[MQTT-3.1.4-4] a Clean Start leaves what waited to the others', (scene) => {
  const a = scene.member(0, kept)
  const b = scene.member(1, kept)
  for (const m of [a, b]) m.subscribe('$share/g/t', 1)
  b.drop()
  a.drop()
  const sent = publish(scene.p, 4, 1)
  const again = scene.member(0, { ...kept, cleanStart: true })
  assert.equal(take(again), [])
  equal(scene)
  assert.equal(numbers(take(scene.step(scene.member(1, kept), kept))), sent)
})

test.run()
