// Grants: sessions of this node that go to the other one, asked for or because this node leaves, and the hold on them until they
// are known to have arrived. The other side is claims.ts. Knows no bytes.
import type { Hlc } from '../../base/brand.ts'
import type { ConnId } from '../../base/identity.ts'
import { NO_SHADOWS, type Session } from '../../session/session.ts'
import { type ClaimOp, type GrantOp, OpKind, willFromWire } from '../../wire/peer_message.ts'
import { Reason } from '../../wire/reason.ts'
import { Presence } from '../clients/presence.ts'
import type { BrokerNode } from '../node.ts'
import { lineageToWire, tokenToWire } from '../pairing/convert.ts'
import { nextToken } from './promote.ts'

export class Grants {
  /** Clients whose session went to the peer, by the turn and the group of the GRANT, until the peer is known to have it. */
  readonly holds = new Map<string, { turn: number; lsn: number }>()
  /** Holds of the turn under way: their group has no number yet. */
  private fresh: string[] = []
  /** Where a drain stands in the sessions. */
  private giving: Iterator<Session> | null = null
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  // ---- the peer claims

  /** One turn: cut, will, lazy ops out, new token for the peer, GRANT, hold for it. */
  onClaim(op: ClaimOp): void {
    const { node } = this
    const [, client, boot, n, hlc, cleanStart, expiry, willWire] = op
    const connId: ConnId = { boot: boot as ConnId['boot'], n }
    const mineOpen = node.claims.open.get(client)
    if (mineOpen !== undefined) {
      node.metrics.add('claims_crossed')
      if (mineOpen.hlc > (hlc as Hlc) || (mineOpen.hlc === hlc && node.boot > boot)) return
      node.claims.concede(mineOpen)
    }
    node.owners.cutLeaving(client)
    const old = node.live.get(client)
    let session = node.sessions.get(client)
    if (old !== undefined) {
      const { session: held } = old
      const ends = held === null || held.expiry === 0
      node.presences.replaced(client, cleanStart === 1 || ends)
      node.owners.detach(old)
      old.cut(Reason.sessionTakenOver, 'another connection took over')
      if (held !== null && ends) {
        node.owners.end(held)
        session = undefined
      }
    } else if (cleanStart === 1 && session?.mine) node.presences.replaced(client, true)
    node.presences.due.clear(client)
    if (cleanStart === 1 && session?.mine) {
      node.owners.end(session)
      session = undefined
    } else if (cleanStart === 1 && session !== undefined && mineOpen !== undefined) {
      node.owners.end(session)
      session = undefined
    }
    const present = session !== undefined ? 1 : 0
    if (session !== undefined) {
      for (const entry of session.queue) if (entry.passing) node.sessions.dequeue(session, entry)
      node.emitter.settle(session)
      if (session.mine || mineOpen !== undefined) node.sessions.mint(session, nextToken(node, session.token), false)
    } else if (expiry > 0) {
      session = node.owners.create(client, expiry, false, nextToken(node, null))
      session.snapshot = node.emitter.snapshot
    }
    const presence = new Presence(client, connId, false, expiry, willFromWire(willWire))
    node.presences.set(presence)
    if (session !== undefined) node.owners.online(session, expiry)
    this.grant(client, connId, session, present, expiry)
    node.ports.log.event('handover', {
      client,
      to: node.pairing.peerName,
      queued: session?.queue.count ?? 0,
      present: present === 1,
    })
    node.metrics.add('handovers_out')
  }

  private grant(client: string, connId: ConnId, session: Session | undefined, present: number, expiry: number): void {
    const { node } = this
    const token = session === undefined ? null : tokenToWire(session.token)
    const lineage = session === undefined ? [] : lineageToWire(session.lineage)
    const op: GrantOp = [
      OpKind.grant,
      client,
      connId.boot,
      connId.n,
      token,
      present,
      lineage,
      session === undefined ? [] : session.packetIds.slice(),
      expiry,
    ]
    node.emitter.emit(op)
    if (session === undefined || node.config.mutations.has('grantHold')) return
    this.holds.delete(client) // in the order of their groups: see acked()
    this.holds.set(client, { turn: node.turns.current, lsn: 0 })
    this.fresh.push(client)
  }

  /** `tandemq drain`: everything this node owns goes to the peer, unasked. @param max sessions in one go  @returns whether all are gone */
  grantAll(max: number): boolean {
    const { node } = this
    const all = () => node.sessions.byClient.values()
    const given = (session: Session): boolean => !session.mine || !session.durable
    this.giving ??= all()
    for (let n = 0; n < max; ) {
      const { value: session, done } = this.giving.next()
      if (done) {
        this.giving = null
        return all().every(given) // some may have come here meanwhile
      }
      if (given(session)) continue
      n++
      node.emitter.settle(session)
      node.sessions.mint(session, nextToken(node, session.token), false)
      const p = node.presences.get(session.clientId)
      this.grant(session.clientId, p?.connId ?? { boot: node.boot, n: 0 }, session, 1, session.expiry)
      node.metrics.add('handovers_out')
    }
    return false
  }

  // ---- the hold

  /** The peer is known to have taken the session over: what was kept for it is not needed. */
  drop(client: string): void {
    if (!this.holds.delete(client)) return
    const session = this.node.sessions.get(client)
    if (session !== undefined && session.shadows !== NO_SHADOWS) this.node.sessions.dropShadows(session)
  }

  /** GRANTs in the group of this turn have this number. */
  number(turn: number, lsn: number): void {
    for (const client of this.fresh) {
      const hold = this.holds.get(client)
      if (hold?.turn === turn) hold.lsn = lsn
    }
    this.fresh = []
  }

  /** The peer has applied everything up to this group. */
  acked(lsn: number): void {
    for (const [client, hold] of this.holds) {
      if (hold.lsn === 0 || hold.lsn > lsn) return
      this.drop(client)
    }
  }
}
