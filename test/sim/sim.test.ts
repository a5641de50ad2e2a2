// Sim test: the pair under every class of faults: fixed seeds, every seed that ever failed, and fresh ones.
// timeout: 180 s
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { assert, suite } from '../support/suite.ts'
import type { ProfileName } from './profile.ts'
import { type RunResult, runSeed } from './run_seed.ts'

const test = suite('sim')
const NOTHING: ReadonlySet<string> = new Set()

const FIXED = 200
const FRESH = 15
/** Fresh seeds give way when the machine is slow. */
const FRESH_MS = 10_000

function run(seed: number, profile: ProfileName | null = null, wide = false): RunResult {
  return runSeed({ seed, profile, off: NOTHING, ignored: NOTHING, wide, print: null })
}

function good(result: RunResult, wide = false): void {
  const first = result.violations[0]
  if (first === undefined) return
  const again = `npm run sim -- --seed ${result.seed} --seeds 1 --trace --profile ${result.profile.name}${wide ? ' --wide' : ''}`
  assert.unreachable(`seed ${result.seed}: invariant ${first.inv}: ${first.text}\n${again}`)
}

/** Lines of `seed [profile] # why`. */
function knownSeeds(): { seed: number; profile: ProfileName | null }[] {
  const text = readFileSync(new URL('../../fixtures/seeds.txt', import.meta.url), 'utf8')
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [seed, profile] = line.split(/\s+/)
      return { seed: Number(seed), profile: (profile as ProfileName | undefined) ?? null }
    })
}

test('a seed decides everything: twice the same transcript', () => {
  for (let seed = 1; seed <= 10; seed++) assert.is(run(seed).hash, run(seed).hash, `seed ${seed}`)
})

test('another seed, another transcript', () => {
  assert.is.not(run(1).hash, run(2).hash)
})

test(`seeds 1 to ${FIXED}`, () => {
  for (let seed = 1; seed <= FIXED; seed++) good(run(seed))
})

test('every seed that ever failed', () => {
  for (const { seed, profile } of knownSeeds()) good(run(seed, profile, true), true)
})

test('fresh seeds', () => {
  const first = Number(process.env['SIM_SEED'] ?? Date.now() % 1_000_000_000)
  console.log(`fresh seeds from ${first}`)
  const started = performance.now()
  for (let seed = first; seed < first + FRESH && performance.now() - started < FRESH_MS; seed++) good(run(seed))
})

test.run()
