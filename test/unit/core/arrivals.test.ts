// Arrivals: what joins the sessions that a leaving node gives away, beside the plain way of finding it: every message for every session.

import { Prng } from '../../../src/base/prng.ts'
import type { BrokerNode } from '../../../src/core/node.ts'
import { append } from '../../../src/core/ownership/promote.ts'
import type { Forward } from '../../../src/pair/out_stream.ts'
import { Message } from '../../../src/session/message.ts'
import type { Session } from '../../../src/session/session.ts'
import { TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('arrivals')
const SESSIONS = 40
const FORWARDS = 60
const FILTERS = ['#', '+/+', 'a/#', 'a/+', '+/1', 'a/1', 'b/2', 'b', '$share/g/a/#', '$share/g/+/+', '$share/h/#']
const TOPICS = ['a/1', 'a/2', 'b/1', 'b/2', 'b', 'c', '$x/1']

/** Sessions that have just been given to node b, which has forwarded messages that some of them have already. */
function drawn(seed: number): { node: BrokerNode; sessions: Session[] } {
  const prng = new Prng(seed)
  const { b: node } = new TwoNodes()
  const sessions = Array.from({ length: SESSIONS }, (_, i) => {
    const token = { epoch: 1, minter: node.boot, n: i + 1 }
    const session = node.sessions.create(`c${i}`, true, true, token, 1000)
    // QoS, No Local, Retain As Published; a subscription identifier for some.
    for (let k = prng.int(0, 4); k > 0; k--) {
      const filter = prng.pick(FILTERS)
      const options = prng.int(0, 2) | (!filter.startsWith('$share') && prng.chance(0.2) ? 4 : 0) | prng.pick([0, 8])
      node.sessions.subscribe(session, filter, options, prng.pick([0, 0, 1, 2]))
    }
    return session
  })
  for (let seq = 1; seq <= FORWARDS; seq++) {
    const origin = prng.chance(0.8) ? node.boot : (node.pairing.peerBoot as typeof node.boot)
    const topic = node.topics.intern(prng.pick(TOPICS))
    const publisher = `c${prng.int(0, SESSIONS - 1)}`
    const qos = prng.pick([1, 2] as const)
    const hlc = node.tickHlc()
    const message = new Message(
      origin,
      seq,
      hlc,
      topic,
      new Uint8Array(1),
      qos,
      prng.chance(0.3),
      null,
      Infinity,
      publisher,
    )
    const member = prng.pick(sessions)
    const share = [...member.subscriptions.keys()].find((filter) => filter.startsWith('$share'))
    const picks: Forward['picks'] = share !== undefined && prng.chance(0.5) ? [[share, member.clientId]] : null
    node.forwarded.set(seq, {
      ref: seq,
      message,
      routed: prng.chance(0.9),
      targets: null,
      picks,
      again: false,
      keepers: null,
    })
    for (const session of sessions) {
      if (!prng.chance(0.1)) continue
      const want = { qos, retain: false, ids: null }
      append(node, session, message, want, session === member && picks !== null ? (share as string) : null)
    }
  }
  return { node, sessions }
}

/** The plain way. */
function foldOneByOne(node: BrokerNode, session: Session): void {
  for (const { message, routed, picks } of node.forwarded.values()) {
    const want = routed ? node.router.wanted(session, message) : null
    if (want !== null && !node.sessions.has(session, message, null)) append(node, session, message, want, null)
    for (const [share, client] of picks ?? []) {
      const picked = client === session.clientId ? node.claims.wanted(session, message, share) : null
      if (picked !== null && !node.sessions.has(session, message, share)) append(node, session, message, picked, share)
    }
  }
}

/** A line for each session. The order of subscription identifiers means nothing, and is another one in a tree. */
function queues(sessions: readonly Session[]): string[] {
  return sessions.map((session) =>
    [...session.queue]
      .map((e) => [e.pos, e.message.seq, `qos${e.qos}`, e.retain, e.subscriptionIds?.toSorted(), e.share].join('/'))
      .join(' '),
  )
}

const count = (sessions: readonly Session[]) => sessions.reduce((n, session) => n + session.queue.count, 0)

test('every session gets what it would get alone, in the same order', () => {
  let joined = 0
  for (let seed = 1; seed <= 30; seed++) {
    const plain = drawn(seed)
    const before = count(plain.sessions)
    for (const session of plain.sessions) foldOneByOne(plain.node, session)
    const together = drawn(seed)
    const { arrivals } = together.node.claims
    for (const session of together.sessions) arrivals.add(session)
    arrivals.fold()
    assert.equal(queues(together.sessions), queues(plain.sessions), `seed ${seed}`)
    joined += count(plain.sessions) - before
    arrivals.fold()
    assert.equal(queues(together.sessions), queues(plain.sessions), 'and once')
  }
  assert.ok(joined > 1000, `${joined}`)
})

test('a session that ended in the same group gets nothing', () => {
  const { node, sessions } = drawn(1)
  const [first, second] = sessions.filter((session) => session.subscriptions.has('#')) as [Session, Session]
  for (const session of [first, second]) node.claims.arrivals.add(session)
  node.sessions.end(first)
  node.claims.arrivals.fold()
  assert.is(first.queue.count, 0)
  assert.ok(second.queue.count > 0)
})

test.run()
