// Silence of the peer: when it is suspected, when this node goes on alone, and what does not count.

import { LIMITS } from '../../../src/base/limits.ts'
import type { BrokerNode } from '../../../src/core/node.ts'
import { TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('silence')
const { suspectMs, soloMs, heartbeatMs, failedDialsMin } = LIMITS

/** A heartbeat comes back with the peer's next one: when it arrives it is at most this old, as long again until the following. */
const ECHO_MS = 2 * heartbeatMs

/** A pair whose link falls silent. */
function silenced(): TwoNodes {
  const pair = new TwoNodes()
  pair.pass(10 * heartbeatMs)
  pair.silence()
  return pair
}

function failDials(node: BrokerNode, count: number): void {
  for (let i = 0; i < count; i++) node.dialFailed(false)
}

test('suspicion and going alone count from the same moment, the last heartbeat that came back', () => {
  const pair = silenced()
  pair.pass(suspectMs - ECHO_MS - 10)
  assert.is(pair.a.mode, 'SYNC')
  pair.pass(ECHO_MS + 20)
  assert.is(pair.a.mode, 'STALL')
  failDials(pair.a, failedDialsMin)
  pair.pass(soloMs - suspectMs - ECHO_MS - 20)
  assert.is(pair.a.mode, 'STALL')
  pair.pass(ECHO_MS + 20)
  assert.is(pair.a.mode, 'SOLO')
})

test('silence alone is no proof: without enough failed dials of its own a node waits', () => {
  const pair = silenced()
  pair.pass(suspectMs + 10)
  failDials(pair.a, failedDialsMin - 1)
  pair.pass(3 * soloMs)
  assert.is(pair.a.mode, 'STALL')
  failDials(pair.a, 1)
  pair.drive()
  assert.is(pair.a.mode, 'SOLO')
})

test('failed dials from before the link was lost do not count', () => {
  const pair = silenced()
  failDials(pair.a, failedDialsMin)
  pair.pass(soloMs + heartbeatMs)
  assert.is(pair.a.mode, 'STALL')
})

test('a node that stood still itself begins anew, with dials and with time', () => {
  const pair = silenced()
  pair.pass(suspectMs + 10)
  failDials(pair.a, failedDialsMin)
  pair.sleep(2 * soloMs)
  assert.is(pair.a.mode, 'STALL')
  pair.pass(soloMs + 10)
  assert.is(pair.a.mode, 'STALL', 'its dials from before the pause are forgotten')
  pair.sleep(2 * soloMs)
  failDials(pair.a, failedDialsMin)
  pair.pass(soloMs - 100)
  assert.is(pair.a.mode, 'STALL', 'and so is the silence')
  pair.pass(200)
  assert.is(pair.a.mode, 'SOLO')
})

test('a node that wakes finds its link in order first', () => {
  const pair = new TwoNodes()
  pair.sleep(2 * soloMs)
  assert.is(pair.a.mode, 'SYNC')
  pair.pass(soloMs)
  assert.is(pair.a.mode, 'SYNC')
  assert.is(pair.b.mode, 'SYNC')
})

test.run()
