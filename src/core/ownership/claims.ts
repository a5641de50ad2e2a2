// Claims: what this node asks the other one for: sessions that are not here while a client waits for them, and the publishes held
// for them meanwhile. The other side is grants.ts. Knows no bytes.
import { type ConnId, sameConn, sameToken } from '../../base/identity.ts'
import { LIMITS } from '../../base/limits.ts'
import { turnAway } from '../../connection/admit.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Claim } from '../../pair/claims.ts'
import type { Message } from '../../session/message.ts'
import type { Session } from '../../session/session.ts'
import type { Connect } from '../../wire/packet.ts'
import { type DenyOp, type GrantOp, OpKind, willToWire } from '../../wire/peer_message.ts'
import { Reason } from '../../wire/reason.ts'
import { Presence } from '../clients/presence.ts'
import type { Histogram } from '../monitor/histogram.ts'
import type { BrokerNode } from '../node.ts'
import { lineageFromWire, tokenFromWire } from '../pairing/convert.ts'
import type { Want } from '../routing/route.ts'
import { wantOf } from '../routing/shares.ts'
import { Arrivals } from './arrivals.ts'
import { append, nextToken, promote } from './promote.ts'

export class Claims {
  /** Asked and not answered, by client id. */
  readonly open = new Map<string, Claim<Connection>>()
  /** Given away by the peer, unasked. */
  readonly arrivals: Arrivals
  private readonly seconds: Histogram
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
    this.arrivals = new Arrivals(node)
    this.seconds = node.metrics.histogram('handover_seconds', 'from asking the peer for a session to having it')
  }

  private off(rule: string): boolean {
    return this.node.config.mutations.has(rule)
  }

  // ---- asking

  /** The session of this CONNECT lies with the peer, or is unknown: asks for it, at most once at a time for each client id. */
  ask(c: Connection, packet: Connect): void {
    const { node } = this
    const client = packet.clientId
    const open = this.open.get(client)
    if (open !== undefined) {
      if (open.pending !== null) open.pending.cut(Reason.sessionTakenOver, 'another connection took over')
      open.pending = c
      if (this.off('oneClaim')) this.send({ ...open, connId: c.connId as ConnId, hlc: node.tickHlc() }, c)
      return
    }
    if (this.open.size >= LIMITS.claimsMax) return c.refuse(Reason.serverBusy, 'too many sessions on their way')
    const replica = node.sessions.get(client)
    const held = replica !== undefined && !packet.cleanStart ? [] : null
    const claim = {
      client,
      connId: c.connId as ConnId,
      hlc: node.tickHlc(),
      since: node.now,
      pending: c,
      held,
      heldBytes: 0,
    }
    this.open.set(client, claim)
    this.send(claim, c)
  }

  private send(claim: Claim<Connection>, c: Connection): void {
    const { node } = this
    const packet = c.connect as Connect
    node.metrics.add('claims_sent')
    const { connId, hlc, client } = claim
    node.emitter.emit([
      OpKind.claim,
      client,
      connId.boot,
      connId.n,
      hlc,
      packet.cleanStart ? 1 : 0,
      packet.sessionExpiry,
      willToWire(packet.will),
    ])
  }

  /** @returns whether the connection that ended was waiting for a claim: the GRANT is still good, the session comes here, offline */
  giveUp(c: Connection): boolean {
    const claim = this.open.get(c.clientId)
    if (claim?.pending !== c) return false
    claim.pending = null
    return true
  }

  /** Who has waited too long is refused; the claim stays open. */
  tick(): void {
    const { node } = this
    for (const claim of this.open.values()) {
      if (claim.pending === null || node.now - claim.since < node.config.claimTimeoutMs) continue
      claim.pending.refuse(Reason.serverUnavailable, 'the other node does not answer')
      claim.pending = null
      node.metrics.add('claims_timed_out')
    }
  }

  // ---- the hold queue

  /** A publish of this node that may belong to a session on its way here. The peer, which is given it too, holds it likewise (grants.ts). */
  hold(claim: Claim<Connection>, message: Message, share: string | null): void {
    const { node } = this
    if (!node.queues.admitsHeld(claim, message)) return
    claim.held?.push({ message, share })
    claim.heldBytes += message.bytes
    node.journal.hold(message)
  }

  /** Nobody waits for what was held any more. */
  private clearHeld(claim: Claim<Connection>): void {
    const { node } = this
    for (const { message } of claim.held ?? []) node.journal.release(message)
    claim.held = null
    claim.heldBytes = 0
  }

  /** The hold queue joins the session that has arrived; matched again, for its subscriptions may have changed on the way. */
  private foldHeld(claim: Claim<Connection>, session: Session | undefined, present: boolean): void {
    const { node } = this
    const held = claim.held ?? []
    if (session !== undefined && present) {
      for (const { message, share } of held) {
        const want = this.off('rematchH')
          ? { qos: 1 as const, retain: false, ids: null }
          : this.wanted(session, message, share)
        if (want !== null && !node.sessions.has(session, message, share)) append(node, session, message, want, share)
      }
    }
    for (const { message } of held) node.journal.release(message)
    claim.held = null
  }

  /**
   * What a session that arrives takes of a message that was held for it, or forwarded to it. As a member that it is no more it takes nothing: the peer saw that
   * too and has found another one.
   */
  wanted(session: Session, message: Message, share: string | null): Want | null {
    if (share === null) return this.node.router.wanted(session, message)
    const sub = session.subscriptions.get(share)
    return sub === undefined ? null : wantOf(sub, message)
  }

  /** The claims' hold queues become shadows: nobody will answer. */
  heldToShadows(): void {
    const { node } = this
    for (const claim of this.open.values()) {
      const session = node.sessions.get(claim.client)
      for (const { message, share } of claim.held ?? []) {
        const want = session === undefined ? null : this.wanted(session, message, share)
        if (session !== undefined && want !== null) node.router.shadow(session, message, want, share)
      }
      this.clearHeld(claim)
    }
  }

  // ---- the peer answers

  /** The session comes here: owned, routable and attached in one turn; without a claim, a node that leaves gives it away. */
  onGrant(op: GrantOp): void {
    const { node } = this
    const [, client, boot, n, tokenWire, present, lineage, packetIds, expiry] = op
    const connId: ConnId = { boot: boot as ConnId['boot'], n }
    const claim = this.open.get(client)
    let session = node.sessions.get(client)
    const token = tokenWire === null ? null : tokenFromWire(tokenWire)
    // It answers a claim that another GRANT, unasked, has answered before; what has become of the session since then stands.
    if (claim === undefined && session?.mine) return
    if (claim === undefined && session !== undefined && token !== null && sameToken(session.token, token)) return
    this.open.delete(client)
    if (token !== null) {
      if (present === 0 && session !== undefined) {
        node.sessions.end(session)
        session = undefined
      }
      if (session === undefined) session = node.sessions.create(client, true, true, token, expiry)
      else {
        session.setToken(token)
        session.lineage = lineageFromWire(lineage)
        node.sessions.setMine(session, true)
        session.packetIds = packetIds.slice()
        session.expiry = expiry
        node.journal.session(session)
      }
      session.snapshot = node.emitter.snapshot
    } else if (session !== undefined) {
      node.sessions.end(session)
      session = undefined
    }
    const asked = claim !== undefined && sameConn(claim.connId, connId)
    if (session !== undefined && present === 1 && !asked) this.arrivals.add(session)
    if (claim !== undefined) this.arrivals.fold()
    if (claim?.held) this.foldHeld(claim, session, present === 1)
    const pending = claim?.pending ?? null
    node.metrics.add('handovers_in')
    if (claim !== undefined) this.seconds.observe((node.now - claim.since) / 1000)
    if (claim === undefined) {
      // a drain gives it away unasked: offline here, its presence as it was
      if (session !== undefined && session.expiresAt !== Number.POSITIVE_INFINITY)
        node.owners.expiry.set(client, session.expiresAt)
      return
    }
    const alive = pending !== null && pending.state === 'claiming'
    const named = alive && pending.connId !== null && sameConn(pending.connId, connId)
    if (named || (alive && this.off('oneClaim'))) {
      const packet = pending.connect as Connect
      node.presences.set(new Presence(client, pending.connId as ConnId, true, packet.sessionExpiry, packet.will))
      session ??= node.owners.create(client, 0, true, nextToken(node, null))
      node.owners.online(session, packet.sessionExpiry)
      node.owners.attach(pending, session, present === 1, node.need())
      return
    }
    node.presences.set(new Presence(client, connId, true, expiry, null))
    if (alive) return node.owners.connectLocal(pending)
    node.presences.delete(client)
    node.presences.emitGone(client, connId, true)
    if (session !== undefined) node.owners.offline(session)
  }

  /** The peer is busy: so is this node. */
  onDeny(op: DenyOp): void {
    const claim = this.open.get(op[1])
    if (claim === undefined) return
    this.close(claim)
    claim.pending?.refuse(Reason.serverBusy, 'the other node is busy')
  }

  /** The peer's claim has crossed this one and wins. */
  concede(claim: Claim<Connection>): void {
    const { node } = this
    const { pending } = claim
    this.close(claim)
    if (pending === null) return
    // a CONNECT newer than the claim asks anew, behind the GRANT
    if (pending.connId !== null && sameConn(pending.connId, claim.connId))
      pending.cut(Reason.sessionTakenOver, 'another connection took over')
    else
      node.afterTurn.push(
        () => pending.state === 'claiming' && node.owners.connect(pending, pending.connect as Connect),
      )
  }

  // ---- nobody will answer

  private close(claim: Claim<Connection>): void {
    this.open.delete(claim.client)
    this.clearHeld(claim)
  }

  /** Alone: the CONNECT at hand is served from the replica. */
  drop(client: string): void {
    const claim = this.open.get(client)
    if (claim === undefined) return
    this.close(claim)
    if (claim.pending !== null) claim.pending.cut(Reason.sessionTakenOver, 'another connection took over')
  }

  /** Alone for certain: whoever waited for a claim is served from the replica. */
  serve(): void {
    const { node } = this
    for (const claim of [...this.open.values()]) {
      this.close(claim)
      const session = node.sessions.get(claim.client)
      if (session !== undefined) promote(node, session)
      const { pending } = claim
      if (pending !== null && pending.state === 'claiming') node.owners.connectLocal(pending)
    }
  }

  /** Closed by a follower: whoever waits here must ask the other node. */
  refuse(): void {
    for (const claim of [...this.open.values()]) {
      this.close(claim)
      if (claim.pending !== null) turnAway(claim.pending, 'this node follows the other one')
    }
  }
}
