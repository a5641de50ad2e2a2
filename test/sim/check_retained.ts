// Check retained: both nodes answer a new subscriber alike, with a value nothing acknowledged has overtaken. Runs at the end.

import { matches } from '../../src/topic/name.ts'
import type { Cluster } from './cluster.ts'
import type { Msg, Sub } from './history.ts'

const NEVER = Number.POSITIVE_INFINITY

/** @param a retained messages a new subscriber of one node sees: topic to number of the message; @param b those of the other */
export function checkRetained(cluster: Cluster, a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): void {
  for (const topic of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(topic) !== b.get(topic))
      cluster.violate('18', `retained ${topic} is m${a.get(topic)} here, m${b.get(topic)} there`)
  }
  if (!cluster.promises('retained')) return
  const written = cluster.history.msgs.filter((m) => m.retain && m.will === null)
  for (const topic of new Set(written.map((m) => m.topic))) {
    const number = a.get(topic)
    const all = written.filter((m) => m.topic === topic)
    if (number === undefined) noValue(cluster, topic, all)
    else notOvertaken(cluster, all, cluster.history.msgs[number] as Msg)
  }
  for (const topic of new Set(written.map((m) => m.topic)))
    valuesInForce(
      cluster,
      written.filter((m) => m.topic === topic),
    )
  for (const [topic, number] of a) {
    if (topic.startsWith('r/')) everybodySaw(cluster, topic, cluster.history.msgs[number] as Msg)
  }
}

/** QoS 0 may regress: only acknowledged writes count. */
function notOvertaken(cluster: Cluster, all: readonly Msg[], value: Msg): void {
  // A resent message may have been taken twice, the second time after the later one.
  if (value.acked === NEVER || value.resent) return
  for (const m of all) {
    if (m !== value && m.acked !== NEVER && m.sent > value.acked) {
      cluster.violate('20', `retained ${m.topic} is m${value.i}, though m${m.i} came later and was acknowledged`)
    }
  }
}

function noValue(cluster: Cluster, topic: string, all: readonly Msg[]): void {
  for (const m of all) {
    if (m.deletes || m.acked === NEVER) continue
    const taken = all.some((d) => d.deletes && (d.acked === NEVER || d.resent || d.acked > m.sent))
    if (!taken) cluster.violate('20', `retained ${topic} is gone, though m${m.i} was acknowledged and not deleted`)
  }
}

function everybodySaw(cluster: Cluster, topic: string, value: Msg): void {
  if (value.qos === 0 || value.acked === NEVER) return
  for (const account of cluster.history.accounts.values()) {
    const lasting = account.conns.some((c) => c.lasting)
    if (!lasting || account.seen.has(value.i) || account.lost.has(value.i)) continue
    for (const s of account.subs) {
      if (s.qos === 0 || s.unsure !== NEVER || s.sure === NEVER || s.retainHandling !== 0) continue
      if (account.endedAt >= s.asked || (s.noLocal && value.client === account.id)) continue
      if (s.filter !== topic && s.filter !== 'r/#' && s.filter !== '#') continue
      cluster.violate(
        '20',
        `${account.id} (${s.filter}, sure ${s.sure.toFixed(3)}) never saw the final retained m${value.i} of ${topic}`,
      )
      return
    }
  }
}

/** The value in force when a SUBSCRIBE was answered: it reached the subscriber from the store, or live. */
function valuesInForce(cluster: Cluster, written: readonly Msg[]): void {
  for (const value of written) {
    if (value.qos === 0 || value.deletes || value.acked === NEVER || value.expiry >= 0) continue
    const others = written.filter((m) => m !== value)
    // Alone between what came before and what comes after.
    if (others.some((m) => m.sent <= value.acked && (m.acked === NEVER || m.resent || m.acked > value.sent))) continue
    const next = others.reduce((min, m) => (m.sent > value.sent ? Math.min(min, m.sent) : min), NEVER)
    for (const account of cluster.history.accounts.values()) {
      if (account.shared || account.seen.has(value.i) || account.lost.has(value.i)) continue
      if (!account.conns.some((c) => c.lasting)) continue
      const missed = account.subs.find((s) => inForce(s, value, next) && account.endedAt < s.asked)
      if (missed === undefined || (missed.noLocal && value.client === account.id)) continue
      cluster.violate(
        '20',
        `${account.id} (${missed.filter}, asked ${missed.asked.toFixed(3)}, sure ${missed.sure.toFixed(3)}) never saw retained ` +
          `m${value.i}, sent ${value.sent.toFixed(3)}, acknowledged ${value.acked.toFixed(3)}`,
      )
    }
  }
}

function inForce(s: Sub, value: Msg, next: number): boolean {
  if (s.qos === 0 || s.retainHandling !== 0 || !matches(s.filter, value.topic)) return false
  return s.sure !== NEVER && s.sure > value.sent && s.sure < next && s.unsure > Math.max(value.acked, s.sure)
}
