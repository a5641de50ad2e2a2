// Shared subscriptions between two nodes: what happens to a message whose member goes while it crosses the link, and when a node
// dies with it. Looks into the nodes. Each rule is taken out once, to see that its test can fail.

import { digest } from '../../src/core/monitor/status.ts'
import type { BrokerNode } from '../../src/core/node.ts'
import { type SpecClient, TwoNodes } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('pair shared')
const kept = { cleanStart: false, sessionExpiry: 100 }
const short = { cleanStart: false, sessionExpiry: 1 }

/** As it is, and without the rule that it rests on: then it must fail. */
function rule(name: string | null, title: string, act: (world: TwoNodes, here: BrokerNode, there: BrokerNode) => void) {
  const worlds = (off: string | null) => new TwoNodes(off === null ? {} : { mutations: new Set([off]) })
  test(title, () => {
    const one = worlds(null)
    act(one, one.a, one.b)
    const other = worlds(null)
    act(other, other.b, other.a)
  })
  if (name === null) return
  test(`${title}: not without ${name}`, () => {
    const world = worlds(name)
    let failed = false
    try {
      act(world, world.a, world.b)
    } catch {
      failed = true
    }
    assert.ok(failed, 'nobody noticed')
  })
}

function payloads(c: SpecClient): string[] {
  const got: string[] = []
  for (const packet of c.takeAll()) {
    if (packet.cmd === 'publish') got.push(new TextDecoder().decode(packet.payload))
    if (packet.cmd === 'publish' && packet.qos === 1) c.sendPuback(packet.packetId)
  }
  return got
}

function equal(world: TwoNodes): void {
  world.settle()
  const durable = (node: BrokerNode) =>
    [...node.sessions.byClient.values()].filter((s) => s.durable).map((s) => `${s.clientId} ${digest(s)}`)
  assert.equal(durable(world.a).sort(), durable(world.b).sort())
  for (const node of [world.a, world.b]) assert.is(node.forwarded.size, 0)
}

rule(null, 'a member that went while the message crossed: another one of its node takes it', (world, here, there) => {
  const [gone, other] = [world.connect(there, 'gone'), world.connect(there, 'other', kept)]
  gone.subscribe('$share/g/t', 1)
  other.subscribe('$share/g/t', 1)
  other.drop()
  const p = world.connect(here, 'p')
  world.hold(there)
  gone.disconnect()
  p.sendPublish('t', 'x', { qos: 1 })
  world.letGo(there)
  p.expect('puback')
  assert.equal(payloads(world.connect(there, 'other', kept)), ['x'])
  equal(world)
})

for (const qos of [1, 2] as const)
  rule('shareBounce', `nobody there can take it: a member here does, QoS ${qos}`, (world, here, there) => {
    const [gone, other] = [world.connect(there, 'gone'), world.connect(here, 'other', kept)]
    gone.subscribe('$share/g/t', 2)
    other.subscribe('$share/g/t', 2)
    other.drop()
    const p = world.connect(here, 'p', kept)
    world.hold(there)
    gone.disconnect()
    p.sendPublish('t', 'x', { qos })
    world.letGo(there)
    p.expect(qos === 1 ? 'puback' : 'pubrec')
    world.settle()
    assert.equal(payloads(world.connect(here, 'other', kept)), ['x'])
    equal(world)
  })

rule('shareBounceGate', 'its publisher is answered when the new place is at both nodes', (world, here, there) => {
  const [gone, other] = [world.connect(there, 'gone'), world.connect(here, 'other', kept)]
  gone.subscribe('$share/g/t', 1)
  other.subscribe('$share/g/t', 1)
  other.drop()
  const p = world.connect(here, 'p')
  world.hold(there)
  gone.disconnect()
  p.sendPublish('t', 'x', { qos: 1 })
  world.hold(here)
  world.letGo(there)
  assert.is(here.sessions.get('other')?.queue.count, 1)
  assert.is(there.sessions.get('other')?.queue.count, 0)
  p.expectNothing()
  world.letGo(here)
  p.expect('puback')
  assert.is(there.sessions.get('other')?.queue.count, 1)
  equal(world)
})

rule(null, 'a message comes back for a member that is on its way there: it goes after it', (world, here, there) => {
  const [gone, other] = [world.connect(there, 'gone'), world.connect(here, 'other', kept)]
  gone.subscribe('$share/g/t', 1)
  other.subscribe('$share/g/t', 1)
  other.drop()
  const p = world.connect(here, 'p')
  // `gone` goes and `other` comes, there, before anything of the publish arrives; its GRANT is behind the publish.
  world.hold(there)
  world.hold(here)
  gone.disconnect()
  p.sendPublish('t', 'x', { qos: 1 })
  const moving = world.open(there, 'other')
  moving.sendConnect(kept)
  world.letGo(here)
  world.letGo(there)
  world.settle()
  p.expect('puback')
  moving.expect('connack')
  assert.equal(payloads(moving), ['x'])
  equal(world)
})

rule('shareHold', 'a message for a member that is moving comes with it, once', (world, here, there) => {
  const other = world.connect(there, 'other', kept)
  const second = world.connect(there, 'second', kept)
  other.subscribe('$share/g/t', 1)
  other.drop()
  const p = world.connect(here, 'p')
  const moving = world.open(here, 'other')
  world.hold(here)
  moving.sendConnect(kept)
  p.sendPublish('t', 'x', { qos: 1 })
  // There, somebody else could take it; but it was given, and goes where its member goes.
  second.sendSubscribe('$share/g/t', 1)
  world.letGo(here)
  p.expect('puback')
  moving.expect('connack')
  second.expect('suback')
  assert.equal([payloads(moving), payloads(second)], [['x'], []])
  equal(world)
})

rule(
  'shareReroute',
  'a node dies with a message on its way to its member: another one takes it',
  (world, here, there) => {
    const [gone, other] = [world.connect(there, 'gone'), world.connect(here, 'other', kept)]
    gone.subscribe('$share/g/t', 2)
    other.subscribe('$share/g/t', 2)
    other.drop()
    const p = world.connect(here, 'p', kept)
    world.hold(here)
    p.sendPublish('t', 'one', { qos: 1 })
    p.sendPublish('t', 'two', { qos: 2 })
    world.kill(there)
    p.expect('puback')
    p.expect('pubrec')
    assert.equal(payloads(world.connect(here, 'other', kept)), ['one', 'two'])
  },
)

rule(
  'shareReroute',
  'a node dies with a message on its way to a session that lasts: it is there for it',
  (world, here, there) => {
    const [mine, theirs] = [world.connect(here, 'mine', kept), world.connect(there, 'theirs', kept)]
    theirs.subscribe('$share/g/t', 2)
    const p = world.connect(here, 'p', kept)
    world.hold(here)
    p.sendPublish('t', 'x', { qos: 2 })
    mine.sendSubscribe('$share/g/t', 2)
    world.kill(there)
    p.expect('pubrec')
    mine.expect('suback')
    assert.equal(payloads(world.connect(here, 'theirs', kept)), ['x'])
    mine.expectNothing()
  },
)

for (const [qos, granted, fields] of [
  [0, 2, {}],
  [1, 0, kept],
] as const)
  rule(
    null,
    `a node dies after it sent a message with QoS 0 (of ${qos}, granted ${granted}): nobody else gets it`,
    (world, here, there) => {
      const [had, other] = [world.connect(there, 'had', fields), world.connect(here, 'other')]
      had.subscribe('$share/g/t', granted)
      const p = world.connect(here, 'p')
      world.hold(there)
      p.sendPublish('t', 'x', { qos })
      assert.equal(payloads(had), ['x'])
      other.sendSubscribe('$share/g/t', 2)
      world.kill(there)
      other.expect('suback')
      other.expectNothing()
    },
  )

rule(
  'shareReplicated',
  'what the dead node gave its member goes to another one when the session ends',
  (world, here, there) => {
    const [theirs, mine] = [
      world.connect(there, 'theirs', { ...short, receiveMaximum: 1 }),
      world.connect(here, 'mine', kept),
    ]
    theirs.subscribe('$share/g/t', 1)
    const p = world.connect(here, 'p')
    for (const text of ['one', 'two', 'three']) p.publish('t', text, { qos: 1 })
    world.settle()
    world.kill(there)
    mine.subscribe('$share/g/t', 1)
    world.pass(15_000)
    assert.is(here.sessions.get('theirs'), undefined)
    assert.equal(payloads(mine), ['one', 'two', 'three'])
  },
)

rule('shareDealGate', 'what another member takes over is sent when both nodes know', (world, here) => {
  const [ends, other] = [
    world.connect(here, 'ends', { ...kept, receiveMaximum: 1 }),
    world.connect(here, 'other', kept),
  ]
  ends.subscribe('$share/g/t', 1)
  const p = world.connect(here, 'p')
  p.publish('t', 'one', { qos: 1 })
  p.publish('t', 'two', { qos: 1 })
  other.subscribe('$share/g/t', 1)
  world.settle()
  world.hold(here)
  world.hold(here === world.a ? world.b : world.a)
  ends.disconnect(0, 0)
  other.expectNothing()
  for (const node of [world.a, world.b]) world.letGo(node)
  assert.equal(payloads(other), ['one', 'two'])
  equal(world)
})

rule('shareDeal', 'members without expiry at one node, their messages go on to the other', (world, here, there) => {
  const ends = world.connect(here, 'ends', { receiveMaximum: 2 })
  ends.subscribe('$share/g/t', 1)
  const p = world.connect(there, 'p')
  for (let i = 0; i < 5; i++) p.publish('t', `${i}`, { qos: 1 })
  const other = world.connect(there, 'other')
  other.subscribe('$share/g/t', 1)
  ends.drop()
  assert.equal(payloads(other), ['0', '1', '2', '3', '4'])
  equal(world)
})

rule(null, 'a drained node leaves nothing behind', (world, here, there) => {
  const members = [
    world.connect(here, 'a', { receiveMaximum: 1 }),
    world.connect(here, 'b', { ...kept, receiveMaximum: 1 }),
  ]
  for (const m of members) m.subscribe('$share/g/t', 1)
  const p = world.connect(there, 'p')
  const sent = Array.from({ length: 8 }, (_, i) => `${i}`)
  for (const text of sent) p.publish('t', text, { qos: 1 })
  const last = world.connect(there, 'c')
  last.subscribe('$share/g/t', 1)
  here.drainAway()
  world.pass(1000)
  assert.is(here.mode, 'GONE')
  const got = [...payloads(last), ...payloads(world.connect(there, 'b', kept))]
  assert.equal(got.sort(), sent)
})

rule(null, 'what a session leaves is bounded by what the link takes at once', (world, here, there) => {
  const [ends, other] = [world.connect(here, 'ends', kept), world.connect(there, 'other', kept)]
  ends.subscribe('$share/g/t', 1)
  ends.drop()
  const p = world.connect(here, 'p')
  const big = 'x'.repeat(1 << 20)
  for (let i = 0; i < 40; i++) p.publish('t', big, { qos: 1 })
  other.subscribe('$share/g/t', 1)
  world.settle()
  world.pass(101_000)
  assert.is(here.sessions.get('ends'), undefined)
  assert.is(other.inbox.length, 31)
  assert.is(here.metrics.get('dropped_dealt_full'), 9)
  assert.is(here.mode, 'SYNC')
  equal(world)
})

test('beside a node of a release without shared subscriptions each one shares among its own members', () => {
  const world = new TwoNodes()
  const { a, b } = world
  for (const node of [a, b]) node.pairing.features = 0
  const [here, there] = [world.connect(a, 'here'), world.connect(b, 'there')]
  here.subscribe('$share/g/t', 1)
  there.subscribe('$share/g/t', 1)
  assert.is(a.sessions.groups.get('$share/g/t')?.size, 1, 'it is not told of members')
  const p = world.connect(a, 'p')
  for (const text of ['1', '2', '3']) p.publish('t', text, { qos: 1 })
  assert.equal([payloads(here), payloads(there)], [['1', '2', '3'], []])
})

test.run()
