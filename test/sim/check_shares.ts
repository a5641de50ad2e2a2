// Check shares: each message went to one member of each shared subscription, and to one where there was one throughout. Runs at
// the end. Members have no other subscription, so that all they got, they got as members.
import { canonicalFilter, matches, topicFilter } from '../../src/topic/name.ts'
import type { Cluster } from './cluster.ts'
import type { Account, Delivery, Msg, Sub } from './history.ts'

const NEVER = Number.POSITIVE_INFINITY

type Got = { readonly account: Account; readonly seen: readonly Delivery[] }

/** Invariant 22. */
export function checkShares(cluster: Cluster): void {
  for (const { core } of cluster.nodes)
    for (const what of ['shared_bounced', 'shared_dealt'] as const)
      if ((core?.metrics.get(what) ?? 0) > 0) cluster.world.mark(what)
  if (!cluster.promises('once')) return
  const groups = new Map<string, Account[]>()
  for (const account of cluster.history.accounts.values()) {
    if (account.member === null) continue
    const members = groups.get(account.member)
    if (members === undefined) groups.set(account.member, [account])
    else members.push(account)
  }
  for (const [filter, members] of groups) {
    const topics = topicFilter(canonicalFilter(filter))
    for (const msg of cluster.history.msgs) {
      if (msg.will !== null || msg.deletes || msg.sent === NEVER || !matches(topics, msg.topic)) continue
      const got = members.flatMap((account): Got[] => {
        const seen = account.seen.get(msg.i)
        return seen === undefined ? [] : [{ account, seen }]
      })
      if (got.length > 0) cluster.world.mark('a message at a member')
      if (got.length > 1) cluster.world.mark('a message at two members')
      if (got.length > 0) atMostOne(cluster, filter, msg, got)
      else atLeastOne(cluster, filter, msg, members)
    }
  }
}

/** Only what a member had with QoS 1 and could not acknowledge before its session ended goes to another one, too. */
function atMostOne(cluster: Cluster, filter: string, msg: Msg, got: readonly Got[]): void {
  // Published twice, and QoS 1, or QoS 2 by a session that ended, promises no better.
  if (msg.resent && !(msg.qos === 2 && msg.lasting)) return
  const kept = got.filter(({ account, seen }) => !passedOn(account, seen))
  if (kept.length < 2) return
  const who = got.map(({ account, seen }) => `${account.id} (${seen.map((d) => `${d.at.toFixed(3)} qos ${d.qos}`)})`)
  cluster.violate('22', `m${msg.i} (qos ${msg.qos}, of ${msg.client}) of ${filter} at ${who.join(' and ')}`)
}

function passedOn(account: Account, seen: readonly Delivery[]): boolean {
  return seen.every((d) => {
    // Its node died with it, and nobody else knew whom it was given to.
    if (d.msg.qos > 0 && !d.conn.lasting && d.conn.died) return true
    return d.qos === 1 && account.endedAt >= d.at
  })
}

/** The node may have given it to this member. */
function mayHaveHad(account: Account, s: Sub, msg: Msg): boolean {
  if (s.gone !== -1) return s.gone >= msg.sent
  const conn = account.conns.findLast((c) => c.begun <= s.asked)
  return conn === undefined || conn.lasting || conn.serverEnded >= msg.sent
}

/** Somebody was a member all the time, and nobody who may have taken it along. */
function atLeastOne(cluster: Cluster, filter: string, msg: Msg, members: readonly Account[]): void {
  if (msg.acked === NEVER || msg.qos === 0 || msg.expiry >= 0) return
  const steady = members.find((a) =>
    a.subs.some((s) => s.qos > 0 && s.sure <= msg.sent && s.unsure === NEVER && a.endedAt < msg.sent),
  )
  if (steady === undefined) return
  for (const account of members) {
    if (account.lost.has(msg.i)) return
    const after = account.subs.filter((s) => mayHaveHad(account, s, msg))
    if (after.some((s) => s.qos === 0)) return
    // QoS 2 under way to a session that ends is sent to nobody else.
    if (msg.qos === 2 && account.endedAt >= msg.sent && after.some((s) => s.qos === 2)) return
    // What a session without expiry was given, its node alone knew.
    if (account.conns.some((c) => !c.lasting && c.died && c.serverEnded >= msg.sent)) return
  }
  const what = `m${msg.i} (qos ${msg.qos}, ${msg.topic}, of ${msg.client}, sent ${msg.sent.toFixed(3)}, acked ${msg.acked.toFixed(3)})`
  cluster.violate('22', `${what} of ${filter} at no member, though ${steady.id} was one`)
}
