// Roles: for every pair of greetings that two nodes can send, both come to the same answer, each from its own side.

import type { BootId } from '../../../src/base/brand.ts'
import { GENERATION_NONE, type Generation } from '../../../src/base/identity.ts'
import type { Mode } from '../../../src/pair/modes.ts'
import { type Greeting, type Role, roleOf } from '../../../src/pair/roles.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('roles')

const STATUSES = ['NEW', 'SOLO', 'INSYNC', 'OUTDATED'] as const
const MODES: readonly Mode[] = ['BOOT', 'WAIT_PEER', 'JOINING', 'SYNC', 'STALL', 'SOLO', 'FENCED']
const gen = (n: number, minter = 1): Generation => ({ n, minter: minter as BootId })

/** How the two nodes' generations stand to each other: own generation and history of a, then of b. */
const RELATIONS: Readonly<Record<string, readonly [Generation, Generation[], Generation, Generation[]]>> = {
  equal: [gen(3), [gen(1), gen(2)], gen(3), [gen(1), gen(2)]],
  'b is an ancestor of a': [gen(4), [gen(2), gen(3)], gen(3), [gen(2)]],
  'a is an ancestor of b': [gen(3), [gen(2)], gen(4), [gen(2), gen(3)]],
  forked: [gen(4, 1), [gen(3)], gen(4, 2), [gen(3)]],
  strangers: [gen(2, 1), [gen(1, 1)], gen(2, 2), [gen(1, 2)]],
  'each is an ancestor of the other': [gen(4, 1), [gen(4, 2)], gen(4, 2), [gen(4, 1)]],
}
const STREAMS: readonly (readonly [a: [number, number], b: [number, number]])[] = [
  [
    [0, 0],
    [0, 0],
  ],
  [
    [11, 22],
    [22, 11],
  ],
  [
    [11, 22],
    [22, 12],
  ],
  [
    [11, 22],
    [0, 0],
  ],
]
const OPPOSITE: Readonly<Record<Role, Role>> = {
  resume: 'resume',
  lead: 'follow',
  follow: 'lead',
  'merge-lead': 'merge-follow',
  'merge-follow': 'merge-lead',
}

function greeting(name: string, fields: Partial<Greeting>): Greeting {
  return {
    name,
    boot: 1,
    generation: gen(1),
    history: [],
    status: 'INSYNC',
    mode: 'STALL',
    streamIn: 0,
    streamOut: 0,
    applied: 0,
    ...fields,
  }
}

/** A new node has no generation yet. */
const past = (status: string, generation: Generation, history: Generation[]) =>
  status === 'NEW' ? { generation: GENERATION_NONE, history: [] } : { generation, history }

/** Every pair of greetings the table knows. */
function* pairs(): Generator<{ a: Greeting; b: Greeting; same: boolean; title: string }> {
  for (const [relation, [genA, historyA, genB, historyB]] of Object.entries(RELATIONS))
    for (const statusA of STATUSES)
      for (const statusB of STATUSES)
        for (const modeA of MODES)
          for (const modeB of MODES)
            for (const [[inA, outA], [inB, outB]] of STREAMS)
              for (const same of [true, false]) {
                const a = greeting('a', {
                  ...past(statusA, genA, historyA),
                  status: statusA,
                  mode: modeA,
                  streamIn: inA,
                  streamOut: outA,
                })
                const b = greeting('b', {
                  ...past(statusB, genB, historyB),
                  status: statusB,
                  mode: modeB,
                  streamIn: inB,
                  streamOut: outB,
                })
                yield {
                  a,
                  b,
                  same,
                  title: `${relation}; a ${statusA} ${modeA}, b ${statusB} ${modeB}, streams ${inA}/${outA}`,
                }
              }
}

/** Greetings one node cannot send: its generation cannot be in the other's past and the other's in its own. */
const impossible = (title: string) => title.startsWith('each is an ancestor')

test('both sides come out alike, for every pair of greetings', () => {
  let count = 0
  for (const { a, b, same, title } of pairs()) {
    if (impossible(title)) continue
    const roleA = roleOf(a, b, same)
    const roleB = roleOf(b, a, same)
    if (roleB !== OPPOSITE[roleA]) assert.unreachable(`${title}, same boots ${same}: a ${roleA}, b ${roleB}`)
    count++
  }
  console.log(`  ${count} pairs of greetings`)
})

test('a stream is resumed only by two nodes that stood still over one link, both in sync and of the same starts', () => {
  for (const { a, b, same } of pairs()) {
    if (roleOf(a, b, same) !== 'resume') continue
    assert.ok(same && a.mode === 'STALL' && b.mode === 'STALL' && a.status === 'INSYNC' && b.status === 'INSYNC')
    assert.equal([a.streamIn, a.streamOut], [b.streamOut, b.streamIn])
    assert.equal(a.generation, b.generation)
  }
  const stalled = { status: 'INSYNC', mode: 'STALL', streamIn: 1, streamOut: 2 } as const
  const other = { ...stalled, streamIn: 2, streamOut: 1 }
  assert.is(roleOf(greeting('a', stalled), greeting('b', other), true), 'resume')
})

test('who holds nothing that was promised never leads one who may', () => {
  for (const { a, b, same, title } of pairs()) {
    const role = roleOf(a, b, same)
    if (a.status === 'NEW' && b.status !== 'NEW' && !impossible(title) && title.startsWith('equal'))
      assert.is(role, 'follow', title)
    if (a.status === 'OUTDATED' && (b.status === 'SOLO' || b.status === 'INSYNC') && title.startsWith('equal'))
      assert.is(role, 'follow', title)
  }
})

const table: readonly [string, Partial<Greeting>, Partial<Greeting>, boolean, Role][] = [
  [
    'two new nodes: the smaller name leads',
    { status: 'NEW', mode: 'WAIT_PEER', generation: GENERATION_NONE },
    { status: 'NEW', mode: 'WAIT_PEER', generation: GENERATION_NONE },
    false,
    'lead',
  ],
  [
    'a new node follows one that serves',
    { status: 'NEW', mode: 'WAIT_PEER', generation: GENERATION_NONE },
    { status: 'SOLO', mode: 'SOLO', generation: gen(5), history: [gen(4)] },
    false,
    'follow',
  ],
  [
    'the one that stayed up leads the one that started anew',
    { status: 'INSYNC', mode: 'STALL' },
    { status: 'INSYNC', mode: 'WAIT_PEER' },
    false,
    'lead',
  ],
  [
    'both lost power in sync: neither is a superset',
    { status: 'INSYNC', mode: 'WAIT_PEER' },
    { status: 'INSYNC', mode: 'WAIT_PEER' },
    false,
    'merge-lead',
  ],
  [
    'one that went on alone leads one left behind in sync',
    { status: 'SOLO', mode: 'SOLO', generation: gen(5), history: [gen(4)] },
    { status: 'INSYNC', mode: 'WAIT_PEER', generation: gen(4), history: [gen(3)] },
    false,
    'lead',
  ],
  [
    'both went on alone: merged',
    { status: 'SOLO', mode: 'SOLO', generation: gen(5, 1), history: [gen(4)] },
    { status: 'SOLO', mode: 'SOLO', generation: gen(5, 2), history: [gen(4)] },
    true,
    'merge-lead',
  ],
  [
    'outdated follows, whatever its generation',
    { status: 'OUTDATED', mode: 'WAIT_PEER', generation: gen(4), history: [gen(3)] },
    { status: 'INSYNC', mode: 'STALL', generation: gen(5), history: [gen(4)] },
    false,
    'follow',
  ],
]
for (const [title, a, b, same, role] of table)
  test(title, () => {
    assert.is(roleOf(greeting('a', a), greeting('b', b), same), role)
    assert.is(roleOf(greeting('b', b), greeting('a', a), same), OPPOSITE[role])
  })

test.run()
