// Load: averages that rise and fall as exponential ones do, whatever the steps they are sampled in.
import { LOAD_SPANS, Load } from '../../../src/core/monitor/load.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('load')

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9 * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`)
}

test('a steady stream is told per minute, the shorter spans first', () => {
  const load = new Load(1000)
  for (let i = 1; i <= 6; i++) load.sample(1000 + i * 50, 10)
  for (const [i, { seconds }] of LOAD_SPANS.entries()) near(load.average(i), 300 * (1 - Math.exp(-60 / seconds)))
  for (let i = 7; i <= 6000; i++) load.sample(1000 + i * 50, 10)
  for (const i of LOAD_SPANS.keys()) near(load.average(i), 300)
})

test('in silence it fades', () => {
  const load = new Load(0)
  load.sample(10, 10)
  const before = load.average(0)
  load.sample(10, 30)
  near(load.average(0), before * Math.exp(-30 / 60))
})

test('one long step gives what short ones give while the rate stays the same', () => {
  const short = new Load(0)
  for (let i = 1; i <= 12; i++) short.sample(i * 7, 5)
  const long = new Load(0)
  long.sample(12 * 7, 60)
  for (const i of LOAD_SPANS.keys()) near(long.average(i), short.average(i))
})

test.run()
