// Gates: which bytes of an output may leave, and where the gates stand once some have gone.

import { addGate, firstShut, gatesFrom, NO_GATES } from '../../../src/connection/gates.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('gates')

test('a gate is added only where it opens later than the last one', () => {
  let gates = addGate(NO_GATES, 10, 3)
  gates = addGate(gates, 20, 3)
  gates = addGate(gates, 30, 2)
  gates = addGate(gates, 40, 5)
  assert.equal(gates, [10, 3, 40, 5])
  assert.is(NO_GATES.length, 0)
})

test('the first gate that is shut is found; without one, the end', () => {
  const gates = [10, 3, 40, 5]
  assert.equal(
    [2, 3, 4, 5].map((released) => firstShut(gates, released)),
    [0, 2, 2, 4],
  )
  assert.is(firstShut(NO_GATES, 0), 0)
})

test('what remains moves forward with the bytes that have gone', () => {
  assert.equal(gatesFrom([10, 3, 40, 5], 0, 10), [0, 3, 30, 5])
  assert.equal(gatesFrom([10, 3, 40, 5], 2, 25), [15, 5])
  assert.is(gatesFrom([10, 3], 2, 10), NO_GATES)
  assert.is(gatesFrom(NO_GATES, 0, 10), NO_GATES)
})

test.run()
