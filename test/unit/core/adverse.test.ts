// Adverse: links that open and carry nothing, clocks that are wrong, disks that stand still, strangers and half joins: how a pair
// gets out of it, within the times it promises. For faults by the thousand there is the simulator.

import { LIMITS } from '../../../src/base/limits.ts'
import type { NodeConfig } from '../../../src/core/ports.ts'
import type { ConnectFields } from '../../../src/wire/client_encoder.ts'
import { FrameKind, OpKind } from '../../../src/wire/peer_message.ts'
import { SpecClient } from '../../support/one_node.ts'
import { type NodeName, Stage } from '../../support/stage.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('adverse')
const kept = { cleanStart: false, sessionExpiry: 1000 }
const YEAR_MS = 365 * 24 * 3600 * 1000

type Event = { node: NodeName; name: string; fields: Readonly<Record<string, unknown>> }

function stage(config: Partial<NodeConfig> = {}): { it: Stage; events: Event[] } {
  const events: Event[] = []
  const it = new Stage(
    { onEvent: (node, name, fields) => void events.push({ node, name, fields }), onFrame: () => {} },
    config,
  )
  return { it, events }
}

function client(it: Stage, node: NodeName, id: string, fields: Partial<ConnectFields> = {}): SpecClient {
  const c = new SpecClient(it, it.node(node), id, 5, true)
  c.sendConnect(fields)
  c.expect('connack')
  return c
}

const modes = (it: Stage) => [it.node('a').mode, it.node('b').mode]

test('a link that opens and carries nothing large leaves one of two nodes serving, and later both', () => {
  const { it } = stage()
  client(it, 'b', 's', kept).subscribe('t', 1)
  const p = client(it, 'a', 'p')
  it.places.a.mtu = 4_000
  p.sendPublish('t', 'x'.repeat(8_000), { qos: 1 })
  it.pass(LIMITS.stuckMs + 2_000)
  p.expect('puback')
  assert.ok(modes(it).includes('SOLO'), modes(it).join())
  it.places.a.mtu = Number.POSITIVE_INFINITY
  it.pass(LIMITS.stuckMs + 5_000)
  assert.equal(modes(it), ['SYNC', 'SYNC'])
})

test('a pair that runs goes on after a blip, however far apart its clocks have moved', () => {
  const { it } = stage()
  it.places.b.wallOff = 10 * 60_000
  it.pass(1_000)
  it.part(true)
  it.pass(1_500)
  assert.equal(modes(it), ['STALL', 'STALL'])
  it.part(false)
  it.pass(500)
  assert.equal(modes(it), ['SYNC', 'SYNC'])
})

test('a node that starts with a dead clock finds its pair', () => {
  const { it } = stage()
  for (const name of ['a', 'b'] as const) it.crash(name)
  it.places.b.wallOff = -YEAR_MS
  for (const name of ['a', 'b'] as const) it.start(name)
  it.pass(3_000)
  assert.equal(modes(it), ['SYNC', 'SYNC'])
})

test('a node that was suspended asks the other one before it acknowledges what changes nothing', () => {
  const { it } = stage()
  const p = client(it, 'a', 'p', { cleanStart: true })
  it.hold('b', true)
  it.places.a.wallOff = 60_000 // the other clock stood still meanwhile
  it.drive()
  p.sendPublish('nobody/here', 'x', { qos: 1 })
  p.expectNothing()
  it.hold('b', false)
  p.expect('puback')
})

for (const partition of ['stall', { prefer: 'a' }] as const) {
  test(`with --partition ${typeof partition === 'string' ? partition : 'prefer:a'} no restart puts two nodes to service`, () => {
    const { it } = stage({ partition })
    it.part(true)
    it.pass(10_000)
    const alone = partition === 'stall' ? 'FENCED' : 'SOLO'
    assert.equal(modes(it), [alone, 'FENCED'])
    it.crash('b')
    it.start('b')
    it.pass(LIMITS.bootWaitMs * 3)
    assert.equal(modes(it), [alone, 'WAIT_PEER'])
    it.part(false)
    it.pass(5_000)
    assert.equal(modes(it), ['SYNC', 'SYNC'])
  })
}

test('a node that began to follow and was left waits as long as one that starts', () => {
  const { it } = stage({ partition: { prefer: 'a' } })
  it.part(true)
  it.pass(10_000)
  it.cutAt = (from, frame) => from === 'a' && frame[0] === FrameKind.lead
  it.part(false)
  it.pass(100)
  it.part(true)
  assert.is(it.node('b').mode, 'WAIT_PEER')
  it.pass(LIMITS.bootWaitMs * 3)
  assert.equal(modes(it), ['SOLO', 'WAIT_PEER'])
})

test('a third node does not take the place of one that is only away', () => {
  const { it, events } = stage()
  it.part(true)
  it.crash('b')
  it.replace('b', 'c')
  it.pass(1_500)
  assert.equal(modes(it), ['STALL', 'WAIT_PEER'])
  it.part(false)
  it.pass(200)
  assert.equal(modes(it), ['STALL', 'WAIT_PEER'])
  assert.is(it.node('b').fatal, null)
  assert.ok(events.some(({ name, fields }) => name === 'link_refused' && fields['code'] === 'taken'))
  it.pass(LIMITS.soloMs + 3_000)
  assert.equal(modes(it), ['SYNC', 'SYNC'], 'it comes in once the other one is given up')
})

test('a peer whose disk stands still is given up, where acknowledgements hang on its disk', () => {
  const { it } = stage({ ack: 'peer-disk' })
  const p = client(it, 'a', 'p', kept)
  p.subscribe('t', 1)
  it.places.b.diskHeld = true
  p.sendPublish('t', 'x', { qos: 1 })
  it.pass(LIMITS.stuckMs - 2_000)
  p.expectNothing()
  it.pass(4_000)
  assert.is(it.node('a').mode, 'SOLO')
  p.expect('puback')
})

test('clients closed for a join that did not come about are not taken for connected', () => {
  const { it } = stage()
  it.part(true)
  it.pass(10_000)
  assert.equal(modes(it), ['SOLO', 'SOLO'])
  const gone = {
    ...kept,
    sessionExpiry: 60,
    will: { topic: 'will', payload: new Uint8Array(1), qos: 1 as const, retain: true },
  }
  client(it, 'b', 'c', gone)
  it.cutAt = (from, frame) => from === 'a' && frame[0] === FrameKind.merge
  it.part(false)
  it.pass(100)
  it.part(true)
  assert.is(it.node('b').mode, 'SOLO')
  it.pass(LIMITS.willGraceMs + LIMITS.willMaxHoldMs)
  assert.is(it.node('b').retained.count, 1, 'its will is published')
  it.pass(60_000 + LIMITS.partedExpiryMs)
  assert.is(it.node('b').sessions.get('c'), undefined, 'its session has expired')
})

test('a merge that breaks off and begins again loses nothing of a session that had come in part', () => {
  const { it } = stage()
  it.places.a.diskHeld = true // it holds in memory alone what follows
  const payload = 'x'.repeat(10_000)
  client(it, 'b', 's', kept).subscribe('t', 1)
  const p = client(it, 'b', 'p', kept)
  for (let i = 0; i < 30; i++) p.sendPublish('t', payload, { qos: 1 })
  it.pass(1_000)
  for (const name of ['a', 'b'] as const) it.crash(name)
  it.places.a.diskHeld = false
  for (const name of ['a', 'b'] as const) it.start(name)
  let parts = 0
  it.cutAt = (from, frame) =>
    from === 'b' && frame[0] === FrameKind.merge && frame[1].some((op) => op[0] === OpKind.snapPart) && ++parts === 2
  it.pass(5_000)
  assert.equal(modes(it), ['SYNC', 'SYNC'])
  const s = client(it, 'a', 's', { ...kept, receiveMaximum: 100 })
  assert.is(s.inbox.filter(({ cmd }) => cmd === 'publish').length, 30)
})

function split(): Stage {
  const { it } = stage()
  const s = client(it, 'a', 's', kept)
  s.subscribe('old/#', 1)
  s.drop()
  const p = client(it, 'a', 'p', kept)
  p.publish('old/1', 'x', { qos: 1 })
  it.pass(500)
  it.part(true)
  it.pass(10_000)
  assert.equal(modes(it), ['SOLO', 'SOLO'])
  return it
}

for (const side of ['a', 'b'] as const) {
  const other = side === 'a' ? 'b' : 'a'

  test(`a session that was ended at ${side} during a split does not come back from ${other}`, () => {
    const it = split()
    client(it, side, 's', { cleanStart: true }).disconnect()
    // What b keeps for a session of a is no life of its own; what a session's owner takes for it is.
    if (other === 'b') client(it, other, 'p2', kept).publish('old/2', 'for nobody', { qos: 1 })
    it.part(false)
    it.pass(5_000)
    assert.equal(modes(it), ['SYNC', 'SYNC'])
    for (const name of ['a', 'b'] as const) assert.is(it.node(name).sessions.get('s'), undefined)
  })

  test(`a session begun clean at ${side} during a split has nothing of the one before it`, () => {
    const it = split()
    const clean = client(it, side, 's', { ...kept, cleanStart: true })
    clean.subscribe('new', 1)
    clean.drop()
    if (other === 'b') client(it, other, 'p2', kept).publish('old/2', 'for the former one', { qos: 1 })
    client(it, side, 'p3', kept).publish('new', 'y', { qos: 1 })
    it.part(false)
    it.pass(5_000)
    assert.equal(modes(it), ['SYNC', 'SYNC'])
    const s = client(it, other, 's', kept)
    assert.equal(s.deliveries(), ['new=y'])
    assert.equal([...(it.node(other).sessions.get('s')?.subscriptions.keys() ?? [])], ['new'])
  })
}

test('a session that goes on at one side of a split outlives its end at the other', () => {
  const it = split()
  client(it, 'a', 's', kept).sendSubscribe('more', 1)
  client(it, 'b', 's', { cleanStart: true }).disconnect()
  it.part(false)
  it.pass(5_000)
  const s = client(it, 'b', 's', kept)
  assert.is(it.node('b').sessions.get('s')?.subscriptions.has('more'), true)
  assert.ok(s.deliveries().includes('old/1=x'))
})

test.run()
