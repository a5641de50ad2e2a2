// Status: a node in plain JSON, for operators and for the simulator's checks. Changes nothing.
import type { Session } from '../../session/session.ts'
import type { BrokerNode } from '../node.ts'

export function statusOf(node: BrokerNode): Record<string, unknown> {
  const { pairing, config } = node
  const { record } = pairing
  return {
    node: config.name,
    version: config.version,
    mode: pairing.mode,
    ready: node.ready,
    synced: node.synced,
    paired: config.paired,
    peer: pairing.describe(),
    generation: record.generation.n,
    record: record.status,
    clusterId: record.clusterId,
    ack: config.ack,
    possiblyStale: pairing.possiblyStale,
    refusal: node.refusal,
    connections: node.live.size,
    sessions: node.sessions.byClient.size,
    subscriptions: node.sessions.subscriptionCount,
    sharedSubscriptions: node.sessions.sharedCount,
    queued: node.sessions.queuedMessages,
    queuedBytes: node.sessions.queuedBytes,
    retained: node.retained.count,
    retainedBytes: node.retained.bytes,
    publishersWaiting: node.backPressure.count,
    dropped: node.metrics.droppedByReason,
  }
}

/** What must be equal on owner and replica once the stream is drained. */
export function digest(session: Session): string {
  const subs = [...session.subscriptions.values()]
    .map((s) => [s.filter, s.options, s.id])
    .sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1))
  const queue: unknown[] = []
  for (const e of session.queue)
    if (!e.passing) queue.push([e.pos, e.qos, e.message.origin, e.message.seq, e.state, e.packetId, e.share])
  return JSON.stringify([subs, queue, [...session.inbound].sort((a, b) => a - b)])
}

export function inspect(node: BrokerNode) {
  const { pairing } = node
  return {
    name: node.config.name,
    boot: node.boot,
    mode: pairing.mode,
    record: pairing.record.status,
    generation: pairing.record.generation,
    deciding: pairing.solo.deciding,
    offering: pairing.join.offering,
    released: node.turns.released,
    turn: node.turns.current,
    synced: node.turns.synced,
    streamOut: pairing.out.id,
    streamIn: pairing.in.id,
    acked: pairing.out.acked,
    nextLsn: pairing.out.next,
    applied: pairing.in.applied,
    ringGroups: pairing.out.ring.length,
    claims: [...node.claims.open.keys()],
    holds: [...node.grants.holds.keys()],
    forwarded: node.forwarded.size,
    live: node.live.size,
    owned: node.sessions.ownedCount,
    upAtPeer: node.presences.upAtPeer,
    sessions: [...node.sessions.byClient.values()].map((s) => ({
      client: s.clientId,
      durable: s.durable,
      mine: s.mine,
      token: s.token,
      ver: s.ver,
      attached: s.attachment !== null,
      shadows: s.shadows.length,
      queued: s.queue.count,
      waiting: s.queue.waiting,
      digest: digest(s),
      settled: node.emitter.settled(s),
    })),
    retained: [...node.retained.tree.entries()].map(
      ([topic, r]) => [topic, r.message === null ? null : `${r.message.origin}.${r.message.seq}`, r.hlc] as const,
    ),
    presence: [...node.presences.byClient.values()].map(
      (p) => [p.client, `${p.connId.boot}.${p.connId.n}`, p.up, p.mine] as const,
    ),
  }
}
