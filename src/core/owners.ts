// Owners: which node owns a session: CONNECT, claim and grant, promotion, the end of sessions. Each row of the table in
// DESIGN.md is one method here. Knows no bytes.
import type { Hlc } from '../base/brand.ts'
import { type ConnId, sameConn, sameToken, type Token } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import { Timers } from '../base/timers.ts'
import type { Connection } from '../connection/connection.ts'
import { pump, resume } from '../connection/send.ts'
import { writeConnackAccept } from '../connection/send_connack.ts'
import type { Claim } from '../pair/claims.ts'
import type { Message } from '../session/message.ts'
import { jumpPacketIds } from '../session/packet_ids.ts'
import type { Entry } from '../session/queue.ts'
import { NO_POSITIONS, NO_SHADOWS, type Session } from '../session/session.ts'
import { type Connect, SESSION_NEVER_EXPIRES } from '../wire/packet.ts'
import { type ClaimOp, type DenyOp, type GrantOp, OpKind, willFromWire, willToWire } from '../wire/peer_message.ts'
import { Reason } from '../wire/reason.ts'
import { lineageFromWire, lineageToWire, messageToWire, tokenFromWire, tokenToWire } from './convert.ts'
import type { BrokerNode } from './node.ts'
import { Presence } from './presence.ts'

type Block = ReturnType<BrokerNode['turns']['block']>

export class Owners {
  readonly claims = new Map<string, Claim<Connection>>()
  private readonly blocks = new Map<Claim<Connection>, Block>()
  /** The granter's hold: clients whose session went to the peer, by the turn of the GRANT, until the peer is known to have it. */
  readonly granted = new Map<string, { turn: number; lsn: number }>()
  /** Offline sessions by the time they end. */
  readonly expiry = new Timers<string>()
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  private off(rule: string): boolean {
    return this.node.config.mutations.has(rule)
  }

  private nextToken(old: Token | null): Token {
    const { node } = this
    return { epoch: (old?.epoch ?? 0) + 1, minter: node.boot, n: this.off('tokenUnique') ? 0 : ++node.minted }
  }

  // ---- CONNECT

  connect(c: Connection, packet: Connect): void {
    const { node } = this
    const client = packet.clientId
    c.connId = { boot: node.boot, n: ++node.connections }
    this.cutLeaving(client)
    node.presences.due.clear(client) // back within the grace; a will that waits is decided below
    if (node.sessions.get(client)?.mine) return this.connectLocal(c)
    if (node.pairing.mode === 'SOLO') {
      this.dropClaim(client)
      const session = node.sessions.get(client)
      if (session !== undefined) this.promote(session)
      return this.connectLocal(c)
    }
    const open = this.claims.get(client)
    if (open !== undefined) {
      if (open.pending !== null) open.pending.cut(Reason.sessionTakenOver, 'another connection took over')
      open.pending = c
      if (this.off('oneClaim')) this.sendClaim({ ...open, connId: c.connId, hlc: node.tickHlc() }, c)
      return
    }
    if (this.claims.size >= LIMITS.claimsMax) return c.refuse(Reason.serverBusy, 'too many sessions on their way')
    const replica = node.sessions.get(client)
    const held = replica !== undefined && (!packet.cleanStart || this.off('holdEnd')) ? [] : null
    const claim = { client, connId: c.connId, hlc: node.tickHlc(), since: node.now, pending: c, held }
    this.claims.set(client, claim)
    this.sendClaim(claim, c)
  }

  private sendClaim(claim: Claim<Connection>, c: Connection): void {
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

  /** The session is here (or nowhere): it goes on with this connection. */
  connectLocal(c: Connection): void {
    const { node } = this
    const packet = c.connect as Connect
    const client = packet.clientId
    const old = node.live.get(client)
    let session = node.sessions.get(client)
    // A session without expiry ends with the connection that is cut here.
    const ends = packet.cleanStart || session?.expiry === 0
    if (old !== undefined && old !== c) {
      // [MQTT-3.1.4-3]: the first connection is closed
      node.presences.replaced(client, ends)
      this.detach(old)
      old.cut(Reason.sessionTakenOver, 'another connection took over')
      node.metrics.add('takeovers')
    } else {
      const p = node.presences.get(client)
      if (p !== undefined && !p.up) node.presences.replaced(client, ends)
    }
    if (session !== undefined && ends) {
      this.end(session) // [MQTT-3.1.4-4]
      session = undefined
    }
    const present = session !== undefined // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
    if (session === undefined) session = this.create(client, packet.sessionExpiry, true, this.nextToken(null))
    const presence = new Presence(client, c.connId as ConnId, true, packet.sessionExpiry, packet.will)
    node.presences.set(presence)
    node.presences.emit(presence)
    this.online(session, packet.sessionExpiry)
    this.attach(c, session, present, node.need())
  }

  private create(client: string, expiry: number, mine: boolean, token: Token): Session {
    const { node } = this
    const durable = expiry > 0
    const session = node.sessions.create(client, durable, mine, token, expiry)
    if (durable && mine) {
      session.snapshot = node.emitter.snapshot
      node.emitter.emit([OpKind.new, client, tokenToWire(token), expiry])
    }
    return session
  }

  private attach(c: Connection, session: Session, present: boolean, need: number): void {
    const { node } = this
    const packet = c.connect as Connect
    c.session = session
    session.attachment = c
    node.live.set(session.clientId, c)
    c.gate(need)
    writeConnackAccept(c, present)
    c.opened()
    if (c.keepAliveMs > 0) node.keepAlive.set(c, node.now + c.keepAliveMs)
    if (present) resume(c, session)
    node.metrics.add('connects')
    node.ports.log.event('connect', {
      client: session.clientId,
      address: c.socket.address,
      protocol: c.version === 5 ? '5.0' : c.version === 4 ? '3.1.1' : '3.1',
      present,
      expiry: packet.sessionExpiry,
      subscriptions: session.subscriptions.size,
      queued: session.queue.count,
    })
    pump(c, session)
    c.decoder.resume()
  }

  private detach(c: Connection): void {
    const { node } = this
    if (c.session !== null && c.session.attachment === c) c.session.attachment = null
    if (node.live.get(c.clientId) === c) node.live.delete(c.clientId)
    node.keepAlive.clear(c)
  }

  /** A socket of this client that waits for its gated close must not stay. */
  cutLeaving(client: string): void {
    if (this.off('cutBye')) return
    const c = this.node.leaving.get(client)
    if (c === undefined) return
    this.node.leaving.delete(client)
    c.drop('taken over')
  }

  // ---- the connection ended

  ended(c: Connection, clean: boolean): void {
    const { node } = this
    const client = c.clientId
    if (c.connId === null) return
    const claim = this.claims.get(client)
    if (claim?.pending === c) {
      claim.pending = null // the GRANT is still good: the session comes here, offline
      return
    }
    const { session } = c
    if (session === null || session.attachment !== c) return
    this.detach(c)
    if (c.state === 'closing') node.leaving.set(client, c)
    node.ports.log.event('disconnect', {
      client,
      address: c.socket.address,
      clean,
      seconds: Math.round((node.now - c.openedAt) / 1000),
    })
    node.metrics.add('disconnects')
    node.presences.down(client, c.connId, clean)
    if (!session.durable || session.expiry === 0) {
      // [MQTT-4.1.0-1]: a session without expiry ends with its connection; its will does not outlive it
      const p = node.presences.get(client)
      if (p !== undefined && !p.up && sameConn(p.connId, c.connId)) node.presences.fire(p)
      this.end(session)
      return
    }
    for (const entry of session.queue) if (entry.qos === 0) node.sessions.dequeue(session, entry)
    this.offline(session)
  }

  online(session: Session, expiry: number): void {
    if (session.expiry !== expiry || session.expiresAt !== Number.POSITIVE_INFINITY) this.node.journal.session(session)
    session.expiry = expiry
    session.expiresAt = Number.POSITIVE_INFINITY
    this.expiry.clear(session.clientId)
  }

  offline(session: Session): void {
    if (session.expiry === SESSION_NEVER_EXPIRES) return
    session.expiresAt = this.node.now + session.expiry * 1000
    this.node.journal.session(session)
    this.expiry.set(session.clientId, session.expiresAt)
  }

  tick(): void {
    const { node } = this
    for (;;) {
      const client = this.expiry.due(node.now)
      if (client === undefined) break
      const session = node.sessions.get(client)
      if (session === undefined || session.expiresAt > node.now || session.attachment !== null) continue
      const alone = node.pairing.mode === 'SOLO'
      if (!session.mine && alone) this.promote(session)
      if (!session.mine || !(alone || node.pairing.mode === 'SYNC')) {
        this.expiry.set(client, node.now + 1000) // the owner decides; asked again in case it goes
        continue
      }
      const p = node.presences.get(client)
      if (p !== undefined && !p.up) node.presences.fire(p) // the will first [MQTT-3.1.2-8]
      this.end(session)
      node.metrics.add('sessions_expired')
      node.ports.log.event('session_expired', { client })
    }
    for (const claim of this.claims.values()) {
      if (claim.pending === null || node.now - claim.since < node.config.claimTimeoutMs) continue
      claim.pending.refuse(Reason.serverUnavailable, 'the other node does not answer')
      claim.pending = null
      node.metrics.add('claims_timed_out')
    }
  }

  /** A session ends here and at the peer. */
  end(session: Session): void {
    const { node } = this
    node.emitter.settle(session)
    if (session.durable) {
      if (node.emitter.visible(session)) node.emitter.emit([OpKind.end, session.clientId, session.tag])
    } else node.interest.dropAll(session)
    this.expiry.clear(session.clientId)
    node.sessions.end(session)
  }

  // ---- promotion

  /** A new owner incarnation where what the former one gave out last is not known. */
  incarnate(session: Session): void {
    if (!this.off('jumpPid')) {
      if (session.packetIds === NO_POSITIONS) session.packetIds = [0, 0, 0, 0]
      jumpPacketIds(session.packetIds)
    }
    this.node.sessions.mint(session, this.nextToken(session.token), true)
  }

  promote(session: Session): void {
    if (!session.durable) return
    if (!session.mine) {
      this.incarnate(session)
      this.node.metrics.add('promotions')
    }
    this.fold(session)
    if (session.expiresAt !== Number.POSITIVE_INFINITY) this.expiry.set(session.clientId, session.expiresAt)
  }

  /** Shadows become queue entries of the owner. */
  fold(session: Session): void {
    const { node } = this
    const shadows = node.sessions.takeShadows(session)
    for (const { message, qos, retain, subscriptionIds } of shadows) {
      if (!node.sessions.has(session, message)) this.append(session, message, qos, retain, subscriptionIds)
      node.journal.release(message)
    }
  }

  append(session: Session, message: Message, qos: 1 | 2, retain: boolean, ids: readonly number[] | null): void {
    const { node } = this
    const entry = node.sessions.enqueue(session, { message, pos: session.nextPos, qos, retain, subscriptionIds: ids })
    if (entry === null) return
    this.emitEnqueued(session, entry)
    if (session.attachment !== null) node.pump(session)
  }

  /** ENQ with the message itself. */
  emitEnqueued(session: Session, entry: Entry): void {
    const { node } = this
    if (!session.durable) return
    const { pos, qos, retain, subscriptionIds, message } = entry
    const refer = this.off('enqPayload') ? message.seq : messageToWire(message, node.now)
    node.emitter.enqueue(session, [pos, qos, retain ? 1 : 0, subscriptionIds as number[] | null, refer])
  }

  // ---- the peer claims

  onClaim(op: ClaimOp): void {
    const { node } = this
    const [, client, boot, n, hlc, cleanStart, expiry, willWire] = op
    const connId: ConnId = { boot: boot as ConnId['boot'], n }
    const mineOpen = this.claims.get(client)
    if (mineOpen !== undefined) {
      node.metrics.add('claims_crossed')
      if (mineOpen.hlc > (hlc as Hlc) || (mineOpen.hlc === hlc && node.boot > boot)) return
      const { pending } = mineOpen
      this.clearHeld(mineOpen)
      this.claims.delete(client)
      if (pending !== null) {
        // a CONNECT newer than the claim asks anew, behind the GRANT
        if (pending.connId !== null && sameConn(pending.connId, mineOpen.connId))
          pending.cut(Reason.sessionTakenOver, 'another connection took over')
        else
          node.afterTurn.push(() => pending.state === 'claiming' && this.connect(pending, pending.connect as Connect))
      }
    }
    this.cutLeaving(client)
    const old = node.live.get(client)
    let session = node.sessions.get(client)
    if (old !== undefined) {
      const { session: held } = old
      const ends = held === null || held.expiry === 0
      node.presences.replaced(client, cleanStart === 1 || ends)
      this.detach(old)
      old.cut(Reason.sessionTakenOver, 'another connection took over')
      if (held !== null && ends) {
        this.end(held)
        session = undefined
      }
    } else if (cleanStart === 1 && session?.mine) node.presences.replaced(client, true)
    node.presences.due.clear(client)
    if (cleanStart === 1 && session?.mine) {
      this.end(session)
      session = undefined
    } else if (cleanStart === 1 && session !== undefined && mineOpen !== undefined) {
      this.end(session)
      session = undefined
    }
    const present = session !== undefined ? 1 : 0
    if (session !== undefined) {
      for (const entry of session.queue) if (entry.qos === 0) node.sessions.dequeue(session, entry)
      node.emitter.settle(session)
      if (session.mine || mineOpen !== undefined) node.sessions.mint(session, this.nextToken(session.token), false)
    } else if (expiry > 0) {
      session = this.create(client, expiry, false, this.nextToken(null))
      session.snapshot = node.emitter.snapshot
    }
    const presence = new Presence(client, connId, false, expiry, willFromWire(willWire))
    node.presences.set(presence)
    if (session !== undefined) this.online(session, expiry)
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
    if (session !== undefined && !this.off('grantHold')) this.granted.set(client, { turn: node.turns.current, lsn: 0 })
  }

  /** `tandemq drain`: everything this node owns goes to the peer, unasked. */
  grantAll(max: number): boolean {
    const { node } = this
    let n = 0
    for (const session of node.sessions.byClient.values()) {
      if (!session.mine || !session.durable) continue
      if (n++ >= max) return false
      node.emitter.settle(session)
      node.sessions.mint(session, this.nextToken(session.token), false)
      const p = node.presences.get(session.clientId)
      this.grant(session.clientId, p?.connId ?? { boot: node.boot, n: 0 }, session, 1, session.expiry)
      node.metrics.add('handovers_out')
    }
    return true
  }

  // ---- the peer grants

  onGrant(op: GrantOp): void {
    const { node } = this
    const [, client, boot, n, tokenWire, present, lineage, packetIds, expiry] = op
    const connId: ConnId = { boot: boot as ConnId['boot'], n }
    const claim = this.claims.get(client)
    let session = node.sessions.get(client)
    const token = tokenWire === null ? null : tokenFromWire(tokenWire)
    if (claim === undefined && session !== undefined && token !== null && sameToken(session.token, token)) return
    this.claims.delete(client)
    if (token !== null) {
      if (present === 0 && session !== undefined) {
        node.sessions.end(session)
        session = undefined
      }
      if (session === undefined) session = node.sessions.create(client, true, true, token, expiry)
      else {
        session.setToken(token)
        session.lineage = lineageFromWire(lineage)
        session.mine = true
        session.packetIds = packetIds.slice()
        session.expiry = expiry
        node.journal.session(session)
      }
      session.snapshot = node.emitter.snapshot
    } else if (session !== undefined) {
      node.sessions.end(session)
      session = undefined
    }
    if (claim?.held) this.foldHeld(claim, session, present === 1)
    const pending = claim?.pending ?? null
    node.metrics.add('handovers_in')
    if (claim === undefined) {
      // a drain gives it away unasked: offline here, its presence as it was
      if (session !== undefined && session.expiresAt !== Number.POSITIVE_INFINITY)
        this.expiry.set(client, session.expiresAt)
      return
    }
    const alive = pending !== null && pending.state === 'claiming'
    const named = alive && pending.connId !== null && sameConn(pending.connId, connId)
    if (named || (alive && this.off('oneClaim'))) {
      const packet = pending.connect as Connect
      node.presences.set(new Presence(client, pending.connId as ConnId, true, packet.sessionExpiry, packet.will))
      session ??= this.create(client, 0, true, this.nextToken(null))
      this.online(session, packet.sessionExpiry)
      this.attach(pending, session, present === 1, node.need())
      return
    }
    node.presences.set(new Presence(client, connId, true, expiry, null))
    if (alive) return this.connectLocal(pending)
    node.presences.delete(client)
    node.presences.emitGone(client, connId, true)
    if (session !== undefined) this.offline(session)
  }

  /** The hold queue joins the session that has arrived; matched again, for its subscriptions may have changed on the way. */
  private foldHeld(claim: Claim<Connection>, session: Session | undefined, present: boolean): void {
    const { node } = this
    const held = claim.held ?? []
    if (session !== undefined && (present || this.off('holdEnd'))) {
      for (const { message } of held) {
        const want = this.off('rematchH')
          ? { qos: 1 as const, retain: false, ids: null }
          : node.router.wanted(session, message)
        if (want !== null && !node.sessions.has(session, message))
          this.append(session, message, want.qos, want.retain, want.ids)
      }
    }
    const block = this.blocks.get(claim)
    this.blocks.delete(claim)
    if (block !== undefined) node.turns.resolve(block, node.turns.current)
    for (const { message } of held) node.journal.release(message)
    claim.held = null
  }

  /** A publish of this node that may belong to a session on its way here. Its acknowledgement waits for both. */
  hold(claim: Claim<Connection>, message: Message): void {
    const { node } = this
    claim.held?.push({ message, turn: node.turns.current })
    node.journal.hold(message)
    if (!this.blocks.has(claim) && !this.off('holdGate')) this.blocks.set(claim, node.turns.block(node.turns.current))
  }

  private clearHeld(claim: Claim<Connection>): void {
    const { node } = this
    for (const { message } of claim.held ?? []) node.journal.release(message)
    claim.held = null
    const block = this.blocks.get(claim)
    this.blocks.delete(claim)
    if (block !== undefined) node.turns.resolve(block, 0)
  }

  onDeny(op: DenyOp): void {
    const claim = this.claims.get(op[1])
    if (claim === undefined) return
    this.clearHeld(claim)
    this.claims.delete(op[1])
    claim.pending?.refuse(Reason.serverBusy, 'the other node is busy')
  }

  dropClaim(client: string): void {
    const claim = this.claims.get(client)
    if (claim === undefined) return
    this.claims.delete(client)
    this.clearHeld(claim)
    if (claim.pending !== null) claim.pending.cut(Reason.sessionTakenOver, 'another connection took over')
  }

  /** The claims' hold queues become shadows: nobody will answer. */
  heldToShadows(): void {
    const { node } = this
    for (const claim of this.claims.values()) {
      const session = node.sessions.get(claim.client)
      for (const { message } of claim.held ?? []) {
        const want = session === undefined ? null : node.router.wanted(session, message)
        if (session !== undefined && want !== null)
          node.router.shadow(session, message, want.qos, want.retain, want.ids)
      }
      this.clearHeld(claim)
    }
  }

  /** Alone for certain: whoever waited for a claim is served from the replica. */
  serveClaims(): void {
    const { node } = this
    for (const claim of [...this.claims.values()]) {
      this.claims.delete(claim.client)
      this.clearHeld(claim)
      const session = node.sessions.get(claim.client)
      if (session !== undefined) this.promote(session)
      const { pending } = claim
      if (pending !== null && pending.state === 'claiming') this.connectLocal(pending)
    }
  }

  /** Closed by a follower: whoever waits here must ask the other node. */
  refuseClaims(): void {
    for (const claim of [...this.claims.values()]) {
      this.claims.delete(claim.client)
      this.clearHeld(claim)
      claim.pending?.refuse(Reason.serverUnavailable, 'this node follows the other one')
    }
  }

  // ---- the granter's hold

  /** The peer is known to have taken the session over: what was kept for it is not needed. */
  dropHold(client: string): void {
    if (!this.granted.delete(client)) return
    const session = this.node.sessions.get(client)
    if (session !== undefined && session.shadows !== NO_SHADOWS) this.node.sessions.dropShadows(session)
  }

  /** GRANTs in the group of this turn have this number. */
  numberHolds(turn: number, lsn: number): void {
    for (const hold of this.granted.values()) if (hold.turn === turn) hold.lsn = lsn
  }

  ackedHolds(lsn: number): void {
    for (const [client, hold] of this.granted) if (hold.lsn > 0 && hold.lsn <= lsn) this.dropHold(client)
  }
}
