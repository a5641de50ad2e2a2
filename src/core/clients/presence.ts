// Presence: which connection each client id has on the pair, and its will. Wills fire here: once, keyed by connection.

import type { BootId } from '../../base/brand.ts'
import type { ConnId } from '../../base/identity.ts'
import { sameConn } from '../../base/identity.ts'
import { Timers } from '../../base/timers.ts'
import type { PresenceRow } from '../../session/image.ts'
import type { Will } from '../../wire/packet.ts'
import { OpKind, type PresenceWire, willFromWire, willToWire } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'

/** Connections are listed behind all sessions: see listing.ts. */
const BORN_FIRST = 2 ** 48

export class Presence {
  readonly client: string
  readonly connId: ConnId
  readonly mine: boolean
  /** False: the connection has ended, its will waits. */
  up = true
  /** Seconds the session outlives the connection; DISCONNECT may change it. */
  expiry: number
  readonly will: Will | null
  /** Monotonic ms at which the will of an ended connection is due; Infinity: not scheduled. */
  dueAt = Number.POSITIVE_INFINITY
  stored = false
  /** Its place among the clients: the next connection of a client takes that of the one before. */
  born = 0

  constructor(client: string, connId: ConnId, mine: boolean, expiry: number, will: Will | null) {
    this.client = client
    this.connId = connId
    this.mine = mine
    this.expiry = expiry
    this.will = will
  }
}

export class Presences {
  readonly byClient = new Map<string, Presence>()
  /** Connections that the peer has, as it has told. */
  upAtPeer = 0
  /** Wills that this node publishes when their time comes. */
  readonly due = new Timers<string>()
  private bornLast = BORN_FIRST
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  get(client: string): Presence | undefined {
    return this.byClient.get(client)
  }

  set(p: Presence): void {
    const old = this.byClient.get(p.client)
    if (old !== undefined) {
      p.stored = old.stored
      this.due.clear(p.client)
    }
    this.restore(p)
    this.note(p)
  }

  /** As it was read from the disk, or is about to be noted for it. */
  restore(p: Presence): void {
    const old = this.byClient.get(p.client)
    if (old !== undefined) this.tally(old, -1)
    p.born = old?.born ?? ++this.bornLast
    this.byClient.set(p.client, p)
    this.tally(p, 1)
  }

  private tally(p: Presence, n: 1 | -1): void {
    if (p.up && !p.mine) this.upAtPeer += n
  }

  delete(client: string): void {
    const p = this.byClient.get(client)
    if (p === undefined) return
    this.byClient.delete(client)
    this.tally(p, -1)
    this.due.clear(client)
    if (p.stored) this.node.journal.presenceOf(client)
  }

  /** Only a will makes a presence worth a row: without one, a start learns nothing from it. */
  private note(p: Presence): void {
    if (p.will === null && !p.stored) return
    p.stored = true
    this.node.journal.presenceOf(p.client)
  }

  row(client: string, wallOf: (at: number) => number): PresenceRow | null {
    const p = this.byClient.get(client)
    if (p === undefined || p.will === null) return null
    const { connId, mine, up, expiry, will } = p
    return { client, boot: connId.boot, n: connId.n, mine, up, expiry, will, willDueAt: wallOf(p.dueAt) }
  }

  wire(p: Presence): PresenceWire {
    const left = p.dueAt === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(p.dueAt - this.node.now))
    return [p.client, p.connId.boot, p.connId.n, p.mine ? 1 : 0, p.up ? 1 : 2, p.expiry, willToWire(p.will), left]
  }

  emit(p: Presence): void {
    this.node.emitter.emit([OpKind.conn, this.wire(p)])
  }

  emitGone(client: string, connId: ConnId, mine: boolean): void {
    this.node.emitter.emit([OpKind.conn, [client, connId.boot, connId.n, mine ? 1 : 0, 0, 0, null, -1]])
  }

  /** What the peer says of a connection. */
  apply(w: PresenceWire): void {
    const { node } = this
    const [client, boot, n, ofSender, state, expiry, will, dueLeft] = w
    const connId = { boot: boot as BootId, n }
    const current = this.byClient.get(client)
    const session = node.sessions.get(client)
    if (state === 1) {
      this.set(new Presence(client, connId, ofSender === 0, expiry, willFromWire(will)))
      if (session?.durable) node.owners.online(session, expiry)
      return
    }
    if (state === 0) {
      if (current !== undefined && sameConn(current.connId, connId)) {
        this.delete(client)
        if (session?.durable) node.owners.offline(session)
      }
      return
    }
    const p = new Presence(client, connId, ofSender === 0, expiry, willFromWire(will))
    p.up = false
    p.dueAt = dueLeft < 0 ? Number.POSITIVE_INFINITY : node.now + dueLeft
    this.set(p)
    if (session?.durable) node.owners.offline(session)
  }

  /** A connection of this node ended. @param clean its will is not sent  @param expiry of its session now, in seconds */
  down(client: string, connId: ConnId, clean: boolean, expiry: number): void {
    const p = this.byClient.get(client)
    if (p === undefined || !sameConn(p.connId, connId)) return
    p.expiry = expiry
    const delay = p.will === null ? 0 : Math.min(p.will.delay, p.expiry)
    if (!clean && p.will !== null && delay > 0) {
      this.tally(p, -1)
      p.up = false
      p.dueAt = this.node.now + delay * 1000
      this.due.set(client, p.dueAt)
      this.note(p)
      this.emit(p)
      return
    }
    if (!clean && p.will !== null) return this.fire(p) // [MQTT-3.1.2-8]
    this.delete(client) // [MQTT-3.1.2-10]
    this.emitGone(client, p.connId, p.mine)
  }

  /**
   * Another connection of the same client takes over, or its session ends.
   * @param ends the session does not go on: a will that waits is due now
   */
  replaced(client: string, ends: boolean): void {
    const p = this.byClient.get(client)
    if (p === undefined) return
    if (p.will === null) return
    if (p.up) {
      // a live connection is cut: its will is due unless a delay gives the client time to come back [MQTT-3.1.3-9]
      if (p.mine && p.connId.boot === this.node.boot && (ends || p.will.delay === 0)) this.fire(p)
      return
    }
    if (ends) this.fire(p)
  }

  /** Publishes the will and clears it, in one group. */
  fire(p: Presence): void {
    const { node } = this
    const { will } = p
    if (this.byClient.delete(p.client)) this.tally(p, -1)
    this.due.clear(p.client)
    if (p.stored) node.journal.presenceOf(p.client)
    if (will !== null) {
      node.metrics.add('wills_published')
      node.router.publishWill(p.client, p.connId, will)
    }
    this.emitGone(p.client, p.connId, p.mine)
  }

  /** Connections of starts that are gone: their wills follow, unless the client comes back within the grace. */
  dead(which: (p: Presence) => boolean, graceMs: number): void {
    const { node } = this
    for (const p of this.byClient.values()) {
      if (!which(p)) continue
      const session = node.sessions.get(p.client)
      if (session?.durable && session.expiresAt === Number.POSITIVE_INFINITY) node.owners.offline(session)
      if (this.due.has(p.client)) continue
      const delay = p.will === null ? 0 : Math.min(p.will.delay, p.expiry) * 1000
      const at = p.up ? node.now + Math.max(graceMs, delay) : Math.max(p.dueAt, node.now + graceMs)
      this.due.set(p.client, at)
    }
  }

  tick(): void {
    const { node } = this
    if (node.pairing.mode !== 'SOLO' && node.pairing.mode !== 'SYNC') return
    for (;;) {
      const client = this.due.due(node.now)
      if (client === undefined) return
      const p = this.byClient.get(client)
      if (p !== undefined && !node.live.has(client)) this.fire(p)
    }
  }

  deadline(): number {
    const { mode } = this.node.pairing
    return mode === 'SOLO' || mode === 'SYNC' ? this.due.next() : Number.POSITIVE_INFINITY
  }
}
