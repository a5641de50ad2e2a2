import { fuzzDecoder } from '../../sim/fuzz_decoder.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('wire decoder fuzz')

test('20 000 random and damaged streams: no throw, bounded memory, one answer for every chunking', () => {
  const report = fuzzDecoder({ count: 20_000, seed: 1 })
  assert.is(report.streams, 20_000)
  assert.ok(report.packets > 15_000, `too few packets get through to mean much: ${report.packets}`)
  assert.ok(report.faults > 5_000, `too few faults: ${report.faults}`)
})

test.run()
