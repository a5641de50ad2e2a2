// Check delivery: what was acknowledged arrived, once and in order, at every session that was subscribed. Runs at the end.
import { matches } from '../../src/topic/name.ts'
import type { Cluster } from './cluster.ts'
import type { Account, Delivery, Msg } from './history.ts'

const NEVER = Number.POSITIVE_INFINITY

export function checkDelivery(cluster: Cluster): void {
  if (cluster.promises('delivery')) nothingLost(cluster)
  if (cluster.promises('once')) onlyOnce(cluster)
  if (cluster.promises('order')) inOrder(cluster)
  notExpired(cluster)
}

function lastingAccounts(cluster: Cluster): Account[] {
  return [...cluster.history.accounts.values()].filter((a) => a.conns.some((c) => c.lasting))
}

/** Invariant 2. */
function nothingLost(cluster: Cluster): void {
  for (const account of lastingAccounts(cluster)) {
    if (cluster.usedBothSides(account.id)) continue
    for (const msg of cluster.history.msgs) {
      if (msg.acked === NEVER || msg.will !== null || msg.deletes || msg.qos === 0 || msg.expiry >= 0) continue
      const sub = account.owed(msg, msg.sent, msg.acked)
      if (sub === null || account.seen.has(msg.i) || account.lost.has(msg.i) || !cluster.couldKnow(sub.sure, msg.sent))
        continue
      if (msg.qos === 2 && cluster.usedBothSides(msg.client)) continue
      // Behind a cut nobody knows of a session that ends with its connection.
      if (cluster.faults.split > 0 && account.conns.findLast((c) => c.begun <= sub.asked)?.lasting === false) continue
      const what = `m${msg.i} (qos ${msg.qos}, ${msg.topic}, of ${msg.client}, sent ${msg.sent.toFixed(3)}, acked ${msg.acked.toFixed(3)})`
      cluster.violate('2', `${what} never delivered to ${account.id} (${sub.filter}, sure ${sub.sure.toFixed(3)})`)
    }
  }
}

/** Deliveries that are no answer to a SUBSCRIBE. */
function live(deliveries: readonly Delivery[]): Delivery[] {
  return deliveries.filter((d) => !d.retain)
}

/** Invariant 3, and no duplicates where nobody had a reason for one. */
function onlyOnce(cluster: Cluster): void {
  for (const account of cluster.history.accounts.values()) {
    if (account.shared) continue
    for (const [i, all] of account.seen) {
      const msg = cluster.history.msgs[i] as Msg
      const seen = live(all)
      if (seen.length < 2) continue
      const times = `${seen.length} times to ${account.id} (${seen.map((d) => `${d.at.toFixed(3)} qos ${d.qos}`).join(', ')})`
      if (msg.will !== null) {
        if (seen.every((d) => d.qos === 2)) cluster.violate('21', `will m${i} delivered ${times}`)
        continue
      }
      if (account.shaken(msg.sent) || cluster.history.account(msg.client).shaken(msg.sent)) continue
      const lasting = seen.every((d) => d.conn.lasting)
      if (msg.qos === 2 && msg.lasting && lasting && seen.every((d) => d.qos === 2)) {
        cluster.violate('3', `m${i} of qos 2 delivered ${times}`)
      }
      if (msg.qos === 0) cluster.violate('3', `m${i} of qos 0 delivered ${times}`)
      const oneConn = seen.every((d) => d.conn === (seen[0] as Delivery).conn)
      if (oneConn && !msg.resent) cluster.violate('3', `m${i}, sent once, delivered ${times} on one connection`)
    }
  }
}

/** Invariant 7: first deliveries, by publisher, topic, QoS of both sides. */
function inOrder(cluster: Cluster): void {
  // QoS 0 is promised nothing across a fault.
  const { crash, cut, pause, drain } = cluster.faults
  const calm = crash + cut + pause + drain === 0
  for (const account of cluster.history.accounts.values()) {
    // What a member takes over from another one comes when that one ends.
    if (account.shared || account.member !== null) continue
    const last = new Map<string, Msg>()
    const known = new Set<number>()
    for (const d of account.log) {
      const { msg } = d
      const first = !known.has(msg.i)
      known.add(msg.i)
      if (!first || d.retain || msg.will !== null || cluster.history.account(msg.client).shared) continue
      // What was published again may come for the first time by its repetition, where QoS 0 or a full queue lost the first one.
      if (d.qos === 0 && (!calm || msg.resent)) continue
      if (msg.resent && msg.expiry >= 0) continue // ... or where the first one expired
      if (msg.resent && account.lost.has(msg.i)) continue
      // A filter that would have brought it with this QoS from the first time it was sent.
      const steady = account.subs.some(
        (s) =>
          s.sure <= msg.sent &&
          s.unsure > d.at &&
          s.qos >= d.qos &&
          !(s.noLocal && msg.client === account.id) &&
          matches(s.topics, msg.topic),
      )
      if (!steady || account.explains(msg).length === 0) continue
      const key = `${msg.client} ${msg.topic} ${msg.qos} ${d.qos}`
      const before = last.get(key)
      if (before !== undefined && before.i > msg.i)
        cluster.violate('7', `${account.id} gets m${msg.i} after m${before.i} (qos ${msg.qos} as ${d.qos})`)
      if (before === undefined || before.i < msg.i) last.set(key, msg)
    }
  }
}

/** Seconds are rounded up at every hop. */
const EXPIRY_SLACK_MS = 3500

/** Invariant 24. */
function notExpired(cluster: Cluster): void {
  const { faults, socketBytes } = cluster.profile
  if (faults.clockStep > 0 || faults.clientFreeze > 0 || socketBytes < 65_536) return
  for (const account of cluster.history.accounts.values()) {
    for (const d of account.log) {
      // A delivery that was begun in time may be repeated later.
      if (d.msg.expiry < 0 || d.msg.released === NEVER || d.dup) continue
      const due = d.msg.released + d.msg.expiry * 1000 + EXPIRY_SLACK_MS
      if (d.at > due) cluster.violate('24', `m${d.msg.i} delivered ${(d.at - due).toFixed(0)} ms after its expiry`)
    }
  }
}
