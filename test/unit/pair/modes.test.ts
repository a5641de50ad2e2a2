// Modes: the table of pair.md: every mode but the last can be left, none that serves is entered from nowhere.

import { type Mode, moveMode, serves } from '../../../src/pair/modes.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('modes')
const ALL: readonly Mode[] = ['BOOT', 'WAIT_PEER', 'JOINING', 'SYNC', 'STALL', 'DECIDE', 'SOLO', 'FENCED', 'GONE']

function allowed(from: Mode, to: Mode): boolean {
  try {
    return moveMode(from, to) === to
  } catch {
    return false
  }
}

test('clients are served in SYNC, STALL and SOLO only', () => {
  assert.equal(ALL.filter(serves), ['SYNC', 'STALL', 'SOLO'])
})

test('every mode can end, and the end is final', () => {
  for (const mode of ALL) {
    assert.is(allowed(mode, 'GONE'), mode !== 'GONE', mode)
    assert.not(allowed('GONE', mode))
    assert.not(allowed(mode, 'BOOT'))
  }
})

test('alone only by decision, by the record of the last start, or by a join that failed', () => {
  assert.equal(
    ALL.filter((mode) => allowed(mode, 'SOLO')),
    ['BOOT', 'JOINING', 'DECIDE'],
  )
})

test('a decision to go on alone is not revoked', () => {
  assert.equal(
    ALL.filter((mode) => allowed('DECIDE', mode)),
    ['SOLO', 'GONE'],
  )
})

test('every mode can be reached from the start', () => {
  const reached = new Set<Mode>(['BOOT'])
  for (const from of reached) for (const to of ALL) if (allowed(from, to)) reached.add(to)
  assert.is(reached.size, ALL.length)
})

test.run()
