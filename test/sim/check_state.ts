// Check state: what two nodes hold, compared: one owner, one state per version, equal replicas at rest. Looks inside.
import { sameToken, type Token } from '../../src/base/identity.ts'
import type { Cluster } from './cluster.ts'
import type { Inspection } from './core.ts'
import type { SimNode } from './sim_node.ts'

const EVERY_MS = 50

export class StateChecks {
  private readonly cluster: Cluster
  /** Digest by client, token and version: over all nodes and lives. */
  private readonly versions = new Map<string, string>()
  /** Messages that waited when a session was first seen under its token. */
  private readonly taken = new Map<string, number>()
  private readonly sampledAt = new Map<SimNode, number>()

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  start(): void {
    for (const node of this.cluster.nodes) {
      node.onDrained = (n) => {
        this.cluster.heat(n)
        this.sample(n)
      }
      node.onLog = (name, fields) => {
        if (name === 'session_expired') this.expired(node, String(fields['client']))
        if (name === 'disconnect' && fields['clean'] === false) this.cluster.failed.add(String(fields['address']))
        if (name === 'takeover') this.cluster.failed.add(String(fields['address']))
        if (name === 'handover') this.tookAway(node, String(fields['client']))
      }
    }
  }

  /** The node has closed it for the other one: a DISCONNECT that comes now comes too late. */
  private tookAway(node: SimNode, client: string): void {
    const { conns } = this.cluster.history.account(client)
    const conn = conns.findLast((c) => c.node === node.name && c.serverEnded >= this.cluster.world.now)
    if (conn !== undefined) this.cluster.failed.add(`client:${conn.number}`)
  }

  /** Invariant 27: only the owner's clock ends a session. */
  private expired(node: SimNode, client: string): void {
    const own = node.core?.pairing
    const other = this.cluster.other(node).core
    if (own?.mode !== 'SYNC' || other?.mode !== 'SYNC' || other.boot !== own.peerBoot) return
    const session = other.sessions.get(client)
    if (session?.durable && session.mine)
      this.cluster.violate('27', `${node.name} lets ${client} expire, which the other node owns`)
  }

  /** Between two turns of the node, now and then. */
  private sample(node: SimNode): void {
    const { now } = this.cluster.world
    if (now < (this.sampledAt.get(node) ?? 0) + EVERY_MS) return
    this.sampledAt.set(node, now)
    const inspection = look(node)
    if (inspection === null) return
    this.oneState(node, inspection)
    this.counted(node, inspection)
    this.bounded(node, inspection)
    const other = look(this.cluster.other(node))
    if (other !== null) this.oneOwner(inspection, other)
  }

  /** What is counted as it changes is what a recount gives. */
  private counted(node: SimNode, { sessions, presence, live, owned, upAtPeer }: Inspection): void {
    const mine = sessions.filter((s) => s.mine).length
    if (owned !== mine) this.cluster.violate('counts', `${node.name} counts ${owned} own sessions and has ${mine}`)
    const attached = sessions.filter((s) => s.attached && s.mine).length
    if (live !== attached)
      this.cluster.violate('counts', `${node.name} serves ${live} clients and ${attached} sessions`)
    const up = presence.filter(([, , isUp, isMine]) => isUp && !isMine).length
    if (upAtPeer !== up) this.cluster.violate('counts', `${node.name} counts ${upAtPeer} at its peer and knows ${up}`)
  }

  /** Invariant 8. */
  private oneOwner(a: Inspection, b: Inspection): void {
    if (!this.cluster.promises('unique')) return
    const stream = (i: Inspection): boolean => i.mode === 'SYNC' || i.mode === 'STALL'
    if (!stream(a) || !stream(b) || a.generation.n !== b.generation.n || a.generation.minter !== b.generation.minter)
      return
    const mine = new Set(a.sessions.filter((s) => s.mine && s.durable).map((s) => s.client))
    for (const s of b.sessions)
      if (s.mine && s.durable && mine.has(s.client)) this.cluster.violate('8', `both nodes own ${s.client}`)
  }

  /** Invariant 10. */
  private oneState(node: SimNode, inspection: Inspection): void {
    // A follower holds parts of sessions until the snapshot is complete; its record says so, and it serves nobody.
    if (inspection.record === 'OUTDATED' || inspection.mode === 'JOINING') return
    for (const s of inspection.sessions) {
      // What is told lazily counts when it is told.
      if (!s.durable || lazy(node, s.client)) continue
      const key = `${s.client} ${tokenText(s.token)} ${s.ver}`
      const known = this.versions.get(key)
      if (known === undefined) this.versions.set(key, s.digest)
      else if (known !== s.digest)
        this.cluster.violate('10', `two states of ${key} (at ${node.name}): ${known} | ${s.digest}`)
    }
  }

  /** Invariant 25: a queue grows to its bound, and so do shadows; one taken over may hold more, for what had left it was told lazily. */
  private bounded(node: SimNode, inspection: Inspection): void {
    const { queuedMessagesMax } = this.cluster.profile.bounds
    if (node.core?.pairing.fresh) return // on disk, what was under way to the owner is a shadow too
    for (const s of inspection.sessions) {
      if (s.shadows > queuedMessagesMax) this.cluster.violate('25', `${s.shadows} shadows are kept for ${s.client}`)
      if (!s.mine || !s.durable) continue
      const key = `${node.name} ${node.life} ${s.client} ${tokenText(s.token)}`
      const allowed = Math.max(queuedMessagesMax, this.taken.get(key) ?? s.waiting)
      this.taken.set(key, allowed)
      if (s.waiting > allowed) this.cluster.violate('25', `${s.waiting} messages wait for ${s.client}`)
    }
  }

  /** Claims, holds, rings and shadows are empty. */
  get atRest(): boolean {
    return this.cluster.nodes.every((node) => {
      const i = look(node)
      return i === null || (i.claims.length === 0 && i.ringGroups === 0 && i.holds.length === 0 && shadowsOf(i) === 0)
    })
  }

  unrest(): string {
    return this.cluster.nodes
      .map((node) => {
        const i = look(node)
        return (
          `${node.name} ${node.mode}` +
          (i === null ? '' : ` claims ${i.claims} ring ${i.ringGroups} holds ${i.holds} shadows ${shadowsOf(i)}`)
        )
      })
      .join(', ')
  }

  /** Invariants 11 and 18, at rest. */
  equal(): void {
    const [a, b] = this.cluster.nodes
    const inA = look(a)
    const inB = look(b)
    if (inA === null || inB === null) return
    const theirs = new Map(inB.sessions.filter((s) => s.durable).map((s) => [s.client, s]))
    for (const s of inA.sessions) {
      if (!s.durable) continue
      const t = theirs.get(s.client)
      theirs.delete(s.client)
      if (t === undefined) this.cluster.violate('11', `session ${s.client} at a only`)
      else if (s.mine === t.mine)
        this.cluster.violate('11', `session ${s.client} is owned by ${s.mine ? 'both' : 'nobody'}`)
      else if (!sameToken(s.token, t.token) || s.ver !== t.ver || s.digest !== t.digest) {
        this.cluster.violate(
          '11',
          `replicas of ${s.client} differ: ${tokenText(s.token)} ${s.ver} ${s.digest} | ${tokenText(t.token)} ${t.ver} ${t.digest}`,
        )
      }
    }
    for (const client of theirs.keys()) this.cluster.violate('11', `session ${client} at b only`)
    const text = (rows: readonly (readonly string[])[]): string =>
      JSON.stringify([...rows].map((r) => r.join(' ')).sort())
    const retained = [inA, inB].map((i) => text(i.retained.map(([topic, message]) => [topic, message ?? 'deleted'])))
    if (retained[0] !== retained[1]) this.cluster.violate('18', `retained differ: ${retained.join(' | ')}`)
    const presence = [inA, inB].map((i) =>
      text(i.presence.map(([client, connId, up]) => [client, connId, up ? 'up' : 'down'])),
    )
    if (presence[0] !== presence[1]) this.cluster.violate('11', `presence differs: ${presence.join(' | ')}`)
  }
}

function look(node: SimNode): Inspection | null {
  return node.core?.inspect() ?? null
}

function tokenText(t: Token): string {
  return `${t.epoch}/${t.minter.toString(16)}/${t.n}`
}

function shadowsOf(i: Inspection): number {
  return i.sessions.reduce((sum, s) => sum + s.shadows, 0)
}

function lazy(node: SimNode, client: string): boolean {
  const session = node.core?.sessions.byClient.get(client)
  return session === undefined || session.lazyOut.length > 0 || session.lazyDeq.length > 0
}
