// Prng test: the same seed gives the same run, for ever; the numbers are spread well enough for a simulator.
import { Prng } from '../../../src/base/prng.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/prng')

const draw = (seed: number, n: number) => {
  const prng = new Prng(seed)
  return Array.from({ length: n }, () => prng.next())
}

test('equal seeds give equal numbers, neighbouring seeds others', () => {
  assert.equal(draw(42, 50), draw(42, 50))
  const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => draw(seed, 1)[0]))
  assert.ok(firsts.size > 990, 'seeds lead apart')
})

test('next stays in [0, 1) and is spread evenly', () => {
  const tenths = new Array<number>(10).fill(0)
  for (const x of draw(3, 100_000)) {
    assert.ok(x >= 0 && x < 1)
    tenths[Math.floor(x * 10)]!++
  }
  for (const n of tenths) assert.ok(Math.abs(n - 10_000) < 500, `${tenths}`)
})

test('int reaches both ends and nothing beyond', () => {
  const prng = new Prng(5)
  const seen = new Set<number>()
  for (let i = 0; i < 1000; i++) seen.add(prng.int(-2, 3))
  assert.equal(
    [...seen].sort((a, b) => a - b),
    [-2, -1, 0, 1, 2, 3],
  )
  assert.is(prng.int(7, 7), 7)
})

test('chance keeps to its odds; 0 is never, 1 always', () => {
  const prng = new Prng(9)
  let hits = 0
  for (let i = 0; i < 10_000; i++) {
    assert.not(prng.chance(0))
    assert.ok(prng.chance(1))
    if (prng.chance(0.25)) hits++
  }
  assert.ok(Math.abs(hits - 2500) < 250, `${hits} of 10 000`)
})

test('pick reaches every item', () => {
  const prng = new Prng(11)
  const seen = new Set<string>()
  for (let i = 0; i < 200; i++) seen.add(prng.pick(['a', 'b', 'c']))
  assert.is(seen.size, 3)
})

test.run()
