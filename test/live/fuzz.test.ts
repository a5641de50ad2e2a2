// Fuzz, live: a short run of `npm run fuzz`: damaged packets over TCP and WebSocket into a real node, and into one of a pair, beside
// well-behaved clients.
// timeout: 180 s

import { Prng } from '../../src/base/prng.ts'
import { HARSH, MILD } from '../fuzz/mutate.ts'
import { DEFAULTS, runFuzz } from '../fuzz/run.ts'
import { makeScript } from '../fuzz/script.ts'
import { Seeds, VERSIONS } from '../fuzz/seeds.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('fuzz')
const SHORT = { ...DEFAULTS, seed: 7, warmUp: 1_500, restMs: 500 }

test('a script depends on the seed and its number alone', () => {
  const script = (seed: number, number: number) =>
    JSON.stringify(makeScript(new Seeds(new Prng(seed)), seed, number, number % 2 === 0, 2))
  for (const number of [0, 1, 77]) assert.is(script(5, number), script(5, number))
  assert.is.not(script(5, 1), script(5, 3))
  assert.is.not(script(5, 1), script(6, 1))
})

for (const [name, mutation] of [...Object.entries(MILD), ...Object.entries(HARSH)])
  test(`damage: ${name} changes most packets and needs no more than one`, () => {
    const prng = new Prng(3)
    const seeds = new Seeds(prng)
    let changed = 0
    for (let i = 0; i < 600; i++) {
      const version = prng.pick(VERSIONS)
      const packet = prng.chance(0.9) ? seeds.packet(prng, version) : seeds.connect(prng, version)
      const before = packet.slice()
      const after = mutation(prng, packet, version, seeds.packet(prng, version))
      assert.equal(packet, before, 'the seed stays as it was')
      if (after.length !== before.length || after.some((byte, j) => byte !== before[j])) changed++
    }
    assert.ok(changed > 300, `${changed} of 600`)
  })

test('damaged packets over TCP and WebSocket: the node stands, nothing is left, nobody is disturbed', async () => {
  const { problems } = await runFuzz({ ...SHORT, packets: 20_000 }, () => {})
  assert.equal(problems, [])
})

test('damaged packets into one node of a pair: the link stands and both hold the same', async () => {
  const { problems } = await runFuzz({ ...SHORT, packets: 3_000, pair: true }, () => {})
  assert.equal(problems, [])
})

test.run()
