// Goal: what we read and write is what mqtt-packet, an independent codec, writes and reads.
// Method: random packets of every kind, with every property, through both, in both directions. A million of each version:
// bun test/sim/differential.ts --count 1000000
import { differential } from '../../sim/differential.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('wire against mqtt-packet')

const KINDS = [
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
]
/** Of MQTT 5.0. */
const PROPERTIES = 27

for (const version of [3, 4, 5] as const)
  test(`version ${version}: the same fields both ways, the same bytes but for what is named`, () => {
    const { packets, sameBytes, differences, kinds, properties } = differential({ count: 6000, version, seed: 1 })
    const { shorter, onlyTheirs } = differences
    assert.is(packets, sameBytes + shorter + onlyTheirs)
    const expected = version === 5 ? [...KINDS, 'auth'] : KINDS
    assert.equal(Object.keys(kinds).sort(), expected.sort())
    assert.is(Object.keys(properties).length, version === 5 ? PROPERTIES : 0)
    if (version !== 5) assert.is(sameBytes, packets)
  })

test.run()
