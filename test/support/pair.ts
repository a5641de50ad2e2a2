// Pair: tests of a pair in sync that look into its nodes: each way round, and what must be the same on both. Tests of what clients
// see are written with everywhere.ts.

import { digest } from '../../src/core/monitor/status.ts'
import type { BrokerNode } from '../../src/core/node.ts'
import { TwoNodes } from './one_node.ts'
import { assert, type suite } from './suite.ts'

/** `here` has the publisher, `there` the subscriber. */
type Act = (world: TwoNodes, here: BrokerNode, there: BrokerNode) => void

/** `both(title, act)` for one suite: each way round. */
export function bothWays(test: ReturnType<typeof suite>): (title: string, act: Act) => void {
  return (title, act) =>
    test(title, () => {
      const one = new TwoNodes()
      act(one, one.a, one.b)
      const other = new TwoNodes()
      act(other, other.b, other.a)
    })
}

/** Both nodes hold the same of every durable session, once nothing is under way. */
export function equal(world: TwoNodes): void {
  world.settle()
  const durable = (node: BrokerNode) =>
    [...node.sessions.byClient.values()]
      .filter((s) => s.durable)
      .map((s) => `${s.clientId} ${digest(s)}`)
      .sort()
  assert.equal(durable(world.a), durable(world.b))
  for (const s of world.a.sessions.byClient.values())
    if (s.durable) assert.is.not(s.mine, world.b.sessions.get(s.clientId)?.mine, `${s.clientId} has one owner`)
}
