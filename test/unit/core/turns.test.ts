// Turns: what is released on which basis: the peer's acknowledgement, the own disk, both; and what a block holds back.

import { Prng } from '../../../src/base/prng.ts'
import { type Basis, Turns } from '../../../src/core/turns.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('turns')

/** Turns 1 to n, each with a group of stream 1 and the same number. */
function ended(n: number): Turns {
  const turns = new Turns()
  for (let i = 1; i <= n; i++) turns.end(i, 1)
  return turns
}

test('on the peer’s basis a turn is released when its group is acknowledged', () => {
  const turns = ended(3)
  assert.is(turns.current, 4)
  assert.not(turns.advance('peer', 1, 0))
  assert.ok(turns.advance('peer', 1, 2))
  assert.is(turns.released, 2)
  assert.ok(turns.waiting)
  turns.advance('peer', 1, 3)
  assert.is(turns.released, 3)
  assert.not(turns.waiting)
})

test('a turn that replicated nothing waits for nobody, but for those before it', () => {
  const turns = new Turns()
  turns.end(0, 1)
  turns.advance('peer', 1, 0)
  assert.is(turns.released, 1)
  turns.end(1, 1)
  turns.end(0, 1)
  turns.advance('peer', 1, 0)
  assert.is(turns.released, 1)
  turns.advance('peer', 1, 1)
  assert.is(turns.released, 3)
})

test('on the disk’s basis the peer’s word counts nothing', () => {
  const turns = ended(3)
  assert.not(turns.advance('disk', 1, 3))
  turns.synced = 2
  turns.advance('disk', 1, 0)
  assert.is(turns.released, 2)
})

test('on both bases the slower one decides', () => {
  const turns = ended(4)
  turns.synced = 3
  turns.advance('both', 1, 1)
  assert.is(turns.released, 1)
  turns.advance('both', 1, 4)
  assert.is(turns.released, 3)
  turns.synced = 4
  turns.advance('both', 1, 4)
  assert.is(turns.released, 4)
})

test('on hold nothing is released, whatever is known', () => {
  const turns = ended(3)
  turns.synced = 3
  assert.not(turns.advance('hold', 1, 3))
  assert.is(turns.released, 0)
})

test('a turn of an older stream counts by its place on disk: the peer’s numbers are of another stream', () => {
  const turns = ended(2)
  turns.end(1, 2)
  assert.not(turns.advance('peer', 2, 1), 'acknowledging group 1 of stream 2 says nothing of stream 1')
  turns.synced = 2
  turns.advance('peer', 2, 1)
  assert.is(turns.released, 3)
})

test('a block holds its turn and all later ones until what it names is released', () => {
  const turns = ended(2)
  const block = turns.block(2)
  turns.end(3, 1)
  turns.advance('peer', 1, 3)
  assert.is(turns.released, 1)
  turns.end(4, 1)
  turns.resolve(block, 4)
  turns.advance('peer', 1, 3)
  assert.is(turns.released, 1)
  turns.advance('peer', 1, 4)
  assert.is(turns.released, 4)
})

test('a block that is resolved by what is released already holds nothing', () => {
  const turns = ended(3)
  const block = turns.block(3)
  turns.resolve(block, 0)
  turns.advance('peer', 1, 3)
  assert.is(turns.released, 3)
})

test('random runs: never back, never past what is covered, everything in the end', () => {
  const prng = new Prng(5)
  for (let run = 0; run < 500; run++) {
    const turns = new Turns()
    const made: { lsn: number; stream: number }[] = []
    let stream = 1
    let lsn = 0
    let acked = 0
    let basis: Basis = 'peer'
    const blocks: { from: number; until: number; block: ReturnType<Turns['block']> }[] = []
    for (let step = 0; step < 80; step++) {
      const dice = prng.int(0, 9)
      if (dice < 4) {
        const group = prng.chance(0.8) ? ++lsn : 0
        turns.end(group, stream)
        made.push({ lsn: group, stream })
      } else if (dice < 6) acked = prng.int(acked, lsn)
      else if (dice === 6) turns.synced = prng.int(turns.synced, made.length)
      else if (dice === 7) basis = prng.pick(['peer', 'disk', 'both', 'hold'] as const)
      else if (dice === 8 && prng.chance(0.3)) {
        stream++
        lsn = 0
        acked = 0
      } else if (dice === 9) {
        const waiting = blocks.find((b) => b.until === Number.POSITIVE_INFINITY)
        if (waiting !== undefined) {
          waiting.until = prng.int(0, turns.current - 1)
          turns.resolve(waiting.block, waiting.until)
        } else if (turns.current > turns.released) {
          const from = turns.current
          blocks.push({ from, until: Number.POSITIVE_INFINITY, block: turns.block(from) })
        }
      }
      const before = turns.released
      const more = turns.advance(basis, stream, acked)
      assert.ok(turns.released >= before)
      assert.is(more, turns.released > before)
      for (let turn = before + 1; turn <= turns.released; turn++) {
        for (const { from, until } of blocks) assert.ok(turn < from || until !== Number.POSITIVE_INFINITY, 'blocked')
      }
      if (basis === 'hold') assert.is(turns.released, before)
    }
    for (const { block, until } of blocks) if (until === Number.POSITIVE_INFINITY) turns.resolve(block, 0)
    turns.synced = made.length
    turns.advance('disk', stream, lsn)
    assert.is(turns.released, made.length)
  }
})

test.run()
