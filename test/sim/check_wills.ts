// Check wills: published when a connection ended badly, once, and never for one that ended well or stands. Runs at the end.
import { matches } from '../../src/topic/name.ts'
import type { Cluster } from './cluster.ts'
import type { Account, Conn, Delivery } from './history.ts'

const NEVER = Number.POSITIVE_INFINITY

export function checkWills(cluster: Cluster): void {
  if (!cluster.promises('wills')) return
  const accounts = [...cluster.history.accounts.values()]
  for (const account of accounts) {
    for (const conn of account.conns) {
      if (conn.will === null || conn.up === NEVER) continue
      for (const subscriber of accounts) {
        falseWill(cluster, account, conn, subscriber)
        missingWill(cluster, account, conn, subscriber)
        lateWill(cluster, account, conn, subscriber)
      }
    }
  }
}

function first(subscriber: Account, conn: Conn): Delivery | null {
  return conn.will === null ? null : (subscriber.seen.get(conn.will.i)?.[0] ?? null)
}

function falseWill(cluster: Cluster, account: Account, conn: Conn, subscriber: Account): void {
  const seen = first(subscriber, conn)
  if (seen === null || account.shared) return
  const will = `will m${conn.will?.i} of ${conn.client}'s connection ${conn.number}`
  if (conn.bye === 1 && conn.byeSeen) cluster.violate('21', `${will}, which said goodbye, reached ${subscriber.id}`)
  if (conn.ended === NEVER && conn.serverEnded === NEVER)
    cluster.violate('21', `${will}, which stands, reached ${subscriber.id}`)
}

/** The node lived on and knew; the subscriber was there all the time. */
function missingWill(cluster: Cluster, account: Account, conn: Conn, subscriber: Account): void {
  const { will } = conn
  if (will === null || will.qos === 0 || conn.bye === 1 || conn.died || conn.willDelaySec > 0) return
  if (conn.ended === NEVER || conn.serverEnded === NEVER || account.shared || subscriber.shared) return
  if (!subscriber.conns.some((c) => c.lasting) || subscriber.seen.has(will.i) || subscriber.lost.has(will.i)) return
  const from = Math.min(conn.ended, conn.serverEnded)
  if (subscriber.endedAt >= from) return
  for (const s of subscriber.subs) {
    if (s.qos === 0 || s.sure > from || s.unsure !== NEVER || (s.noLocal && subscriber === account)) continue
    if (!matches(s.topics, will.topic)) continue
    const when = `ended ${conn.ended.toFixed(3)}, at the node ${conn.serverEnded.toFixed(3)}`
    cluster.violate(
      '21',
      `will m${will.i} of ${conn.client}'s connection ${conn.number} (${when}) never reached ${subscriber.id}`,
    )
    return
  }
}

/** A will comes before what the client's next connection publishes. */
function lateWill(cluster: Cluster, account: Account, conn: Conn, subscriber: Account): void {
  const seen = first(subscriber, conn)
  if (seen === null || account.shared || subscriber.shared || seen.retain) return
  for (const d of subscriber.log) {
    if (d.at >= seen.at) return
    if (d.msg.will !== null || d.retain || d.msg.client !== conn.client) continue
    if (d.qos !== seen.qos || d.msg.qos !== conn.will?.qos) continue
    const next = account.conns.find((c) => c.begun > conn.begun && c.up !== NEVER)
    if (next === undefined || d.msg.sent < next.up) continue
    cluster.violate(
      '21',
      `will m${conn.will?.i} of ${conn.client} reaches ${subscriber.id} after m${d.msg.i} of a later connection`,
    )
    return
  }
}
