// Status: a node in plain JSON, for operators and for the simulator's checks. Changes nothing.
import type { Session } from '../session/session.ts'
import type { BrokerNode } from './node.ts'

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
    queued: node.sessions.queuedMessages,
    retained: node.retained.count,
  }
}

<<<<<<< HEAD
/** One row a client id that is connected or has a session, over both nodes. */
export function clientRows(node: BrokerNode): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = []
  const peer = node.pairing.peerName
  const seen = new Set<string>()
  const row = (client: string, session: Session | undefined): void => {
    if (seen.has(client)) return
    seen.add(client)
    const p = node.presences.get(client)
    const c = (session?.attachment ?? null) as Connection | null
    const connected = c !== null || p?.up === true
    rows.push({
      client,
      node: c !== null || (p !== undefined ? p.mine : session?.mine === true) ? node.config.name : peer,
      connected,
      address: c?.socket.address ?? null,
      transport: c?.socket.transport ?? null,
      protocol: c === null ? null : c.version === 5 ? '5.0' : c.version === 4 ? '3.1.1' : '3.1',
      expiry: session?.expiry ?? p?.expiry ?? 0,
      queued: session?.queue.count ?? 0,
      inflight: session?.inflight.size ?? 0,
      subscriptions: session === undefined ? [] : [...session.subscriptions.keys()],
    })
  }
  for (const [client, session] of node.sessions.byClient) row(client, session)
  for (const client of node.presences.byClient.keys()) row(client, undefined)
  return rows.sort((a, b) => ((a.client as string) < (b.client as string) ? -1 : 1))
}

export function listRows(node: BrokerNode, name: 'sessions' | 'subscriptions' | 'retained'): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = []
  if (name === 'retained') {
    for (const [topic, { message }] of node.retained.tree.entries())
      if (message !== null)
        rows.push({ topic, qos: message.qos, bytes: message.payload.length, publisher: message.publisher })
    return rows
  }
  for (const s of node.sessions.byClient.values()) {
    if (name === 'sessions') {
      const { clientId: client, durable, mine, token, expiry, queue, inflight, inbound } = s
      rows.push({
        client,
        durable,
        mine,
        epoch: token.epoch,
        expiry,
        queued: queue.count,
        inflight: inflight.size,
        inbound: inbound.size,
      })
    } else
      for (const sub of s.subscriptions.values()) rows.push({ client: s.clientId, filter: sub.filter, qos: sub.qos })
  }
  return rows
}

=======
>>>>>>> d0a7dbb (core: the lists of the API come in pages)
/** What must be equal on owner and replica once the stream is drained. */
export function digest(session: Session): string {
  const subs = [...session.subscriptions.values()]
    .map((s) => [s.filter, s.options, s.id])
    .sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1))
  const queue: unknown[] = []
  for (const e of session.queue)
    if (e.qos > 0) queue.push([e.pos, e.qos, e.message.origin, e.message.seq, e.state, e.packetId])
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
