// Back pressure: two reasons to stand still, and when publishers go on.

import { LIMITS } from '../../../src/base/limits.ts'
import type { Connection } from '../../../src/connection/connection.ts'
import { Metrics } from '../../../src/core/monitor/metrics.ts'
import { BackPressure } from '../../../src/core/pairing/back_pressure.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('back pressure')
const MARK = 1_000

/** As much of a connection as is looked at. */
function publisher() {
  const state = { reads: true }
  const socket = {
    pause: () => {
      state.reads = false
    },
    resume: () => {
      state.reads = true
    },
  }
  return { state, c: { socket } as unknown as Connection }
}

test('who is paused for the link goes on when the peer has caught up, or is gone', () => {
  const pressure = new BackPressure(new Metrics())
  const { c, state } = publisher()
  pressure.pause(c)
  pressure.tick(1, 0, MARK, false)
  assert.not(state.reads)
  assert.is(pressure.deadline(), Number.POSITIVE_INFINITY, 'the link will say so')
  pressure.tick(2, 0, MARK, true)
  assert.ok(state.reads)
  assert.is(pressure.count, 0)
})

test('above the mark everybody stays paused, but for one look a second, until an eighth is free', () => {
  const pressure = new BackPressure(new Metrics())
  const { c, state } = publisher()
  pressure.tick(0, MARK + 1, MARK, true)
  assert.ok(pressure.memoryFull)
  pressure.pause(c)
  assert.is(pressure.deadline(), LIMITS.pausedReadMs)
  pressure.tick(LIMITS.pausedReadMs - 1, MARK - 1, MARK, true)
  assert.not(state.reads)
  pressure.tick(LIMITS.pausedReadMs, MARK - 1, MARK, true)
  assert.ok(state.reads)
  pressure.pause(c)
  assert.is(pressure.deadline(), 2 * LIMITS.pausedReadMs)
  pressure.tick(LIMITS.pausedReadMs + 1, MARK - MARK / 8 - 1, MARK, false)
  assert.not(pressure.memoryFull)
  assert.not(state.reads, 'the link is still behind')
  pressure.tick(LIMITS.pausedReadMs + 2, 0, MARK, true)
  assert.ok(state.reads)
})

test('nothing is queued from a quarter above the mark on', () => {
  const pressure = new BackPressure(new Metrics())
  pressure.tick(0, MARK + MARK / 4, MARK, true)
  assert.not(pressure.dropping)
  pressure.tick(1, MARK + MARK / 4 + 1, MARK, true)
  assert.ok(pressure.dropping)
  pressure.tick(2, MARK, MARK, true)
  assert.not(pressure.dropping)
})

test('a connection that is gone is not told to read', () => {
  const pressure = new BackPressure(new Metrics())
  const { c, state } = publisher()
  pressure.pause(c)
  pressure.forget(c)
  pressure.tick(1, 0, MARK, true)
  assert.not(state.reads)
})

test.run()
