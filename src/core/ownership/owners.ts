// Owners: the session that a CONNECT leads to, and what becomes of it when its connection ends. Each row of the table in DESIGN.md
// is one method here, in claims.ts (what lies with the other node is asked for) or in grants.ts (given away). Knows no bytes.
import { type ConnId, sameConn, type Token } from '../../base/identity.ts'
import { LIMITS } from '../../base/limits.ts'
import { Timers } from '../../base/timers.ts'
import type { Connection } from '../../connection/connection.ts'
import { pump, resume } from '../../connection/send.ts'
import { writeConnackAccept } from '../../connection/send_connack.ts'
import type { Session } from '../../session/session.ts'
import { type Connect, SESSION_NEVER_EXPIRES } from '../../wire/packet.ts'
import { OpKind } from '../../wire/peer_message.ts'
import { Reason } from '../../wire/reason.ts'
import { Presence } from '../clients/presence.ts'
import type { BrokerNode } from '../node.ts'
import { tokenToWire } from '../pairing/convert.ts'
import { Endings } from './endings.ts'
import { nextToken, promote } from './promote.ts'

export class Owners {
  /** Offline sessions by the time they end. */
  readonly expiry = new Timers<string>()
  /** Sessions ended while the peer could not be told. */
  readonly endings = new Endings()
  /** Most clients that were connected at once. */
  connectionsPeak = 0
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  // ---- CONNECT

  /** A checked CONNECT: answered now, or when the peer has. */
  connect(c: Connection, packet: Connect): void {
    const { node } = this
    const client = packet.clientId
    c.connId = { boot: node.boot, n: ++node.connections }
    this.cutLeaving(client)
    node.presences.due.clear(client) // back within the grace; a will that waits is decided below
    // Nobody is asked, but whoever waits is served as soon as this node may serve alone.
    if (node.pairing.mode === 'DECIDE') return node.claims.ask(c, packet)
    if (node.sessions.get(client)?.mine) return this.connectLocal(c)
    if (node.pairing.mode === 'SOLO') {
      node.claims.drop(client)
      const session = node.sessions.get(client)
      if (session !== undefined) promote(node, session)
      return this.connectLocal(c)
    }
    node.claims.ask(c, packet)
  }

  /** The session is here (or nowhere): it goes on with this connection. */
  connectLocal(c: Connection): void {
    const { node } = this
    const packet = c.connect as Connect
    const client = packet.clientId
    const old = node.live.get(client)
    let session = node.sessions.get(client)
    // A session without expiry ends with the connection that is cut here; one whose time is over was kept for the other node only.
    const ends = packet.cleanStart || (session !== undefined && (session.expiry === 0 || session.expiresAt <= node.now))
    if (old !== undefined && old !== c) {
      // [MQTT-3.1.4-3]: the first connection is closed
      node.presences.replaced(client, ends)
      this.detach(old)
      old.cut(Reason.sessionTakenOver, 'another connection took over')
      node.metrics.add('takeovers')
      node.ports.log.event('takeover', { client, address: old.socket.address, by: c.socket.address })
    } else {
      const p = node.presences.get(client)
      if (p !== undefined && !p.up) node.presences.replaced(client, ends)
    }
    if (session !== undefined && ends) {
      this.end(session) // [MQTT-3.1.4-4]
      session = undefined
    }
    const present = session !== undefined // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
    if (session === undefined) {
      session = this.create(client, packet.sessionExpiry, true, nextToken(node, null))
      this.endings.succeed(session)
    }
    const presence = new Presence(client, c.connId as ConnId, true, packet.sessionExpiry, packet.will)
    node.presences.set(presence)
    node.presences.emit(presence)
    this.online(session, packet.sessionExpiry)
    // What a former connection did may still be on its way to the disk; what is sent again rests on it.
    const rests = present && !node.config.mutations.has('reackNeed')
    this.attach(c, session, present, rests ? node.soFar : node.need())
  }

  /** A new session. @param expiry seconds it outlives its connection; 0: known to this node alone  @param mine this node owns it */
  create(client: string, expiry: number, mine: boolean, token: Token): Session {
    const { node } = this
    const durable = expiry > 0
    const session = node.sessions.create(client, durable, mine, token, expiry)
    if (durable && mine) {
      session.snapshot = node.emitter.snapshot
      node.emitter.emit([OpKind.new, client, tokenToWire(token), expiry])
    }
    return session
  }

  /**
   * The session goes on with this connection: CONNACK, then what waits for it.
   * @param present what CONNACK says of the session
   * @param need the turn that CONNACK waits for; 0: none
   */
  attach(c: Connection, session: Session, present: boolean, need: number): void {
    const { node } = this
    const packet = c.connect as Connect
    c.session = session
    session.attachment = c
    node.live.set(session.clientId, c)
    c.gate(need)
    writeConnackAccept(c, present)
    c.opened()
    if (c.keepAliveMs > 0) node.keepAlive.set(c, node.now + c.keepAliveMs)
    this.connectionsPeak = Math.max(this.connectionsPeak, node.live.size)
    if (present) {
      resume(c, session)
      node.sys.resumed(session)
    }
    node.metrics.add('connects')
    node.ports.log.event('connect', {
      client: session.clientId,
      username: c.username,
      address: c.socket.address,
      transport: c.socket.transport,
      protocol: c.version === 5 ? '5.0' : c.version === 4 ? '3.1.1' : '3.1',
      present,
      expiry: packet.sessionExpiry,
      subscriptions: session.subscriptions.size,
      queued: session.queue.count,
    })
    pump(c, session)
    c.readOn()
  }

  /** The session and the connection let go of each other. */
  detach(c: Connection): void {
    const { node } = this
    if (c.session !== null && c.session.attachment === c) c.session.attachment = null
    if (node.live.get(c.clientId) === c) node.live.delete(c.clientId)
    node.keepAlive.clear(c)
  }

  /** A socket of this client that waits for its gated close must not stay. */
  cutLeaving(client: string): void {
    if (this.node.config.mutations.has('cutBye')) return
    const c = this.node.leaving.get(client)
    if (c === undefined) return
    this.node.leaving.delete(client)
    c.drop('taken over')
  }

  // ---- the connection ended

  /** The connection of a client ended. @param clean by DISCONNECT without will */
  ended(c: Connection, clean: boolean): void {
    const { node } = this
    const client = c.clientId
    if (c.connId === null) return
    if (node.claims.giveUp(c)) return
    const { session } = c
    if (session === null || session.attachment !== c) return
    this.detach(c)
    if (c.state === 'closing') node.leaving.set(client, c)
    node.ports.log.event('disconnect', {
      client,
      username: c.username,
      address: c.socket.address,
      clean,
      seconds: Math.round((node.now - c.openedAt) / 1000),
    })
    node.metrics.add('disconnects')
    node.presences.down(client, c.connId, clean, session.expiry)
    if (!session.durable || session.expiry === 0) {
      // [MQTT-4.1.0-1]: a session without expiry ends with its connection; its will does not outlive it
      const p = node.presences.get(client)
      if (p !== undefined && !p.up && sameConn(p.connId, c.connId)) node.presences.fire(p)
      this.end(session)
      return
    }
    for (const entry of session.queue) if (entry.passing) node.sessions.dequeue(session, entry)
    this.offline(session)
  }

  /** Its client is connected, here or at the peer. @param expiry seconds, from its CONNECT */
  online(session: Session, expiry: number): void {
    if (session.expiry !== expiry || session.expiresAt !== Number.POSITIVE_INFINITY) this.node.journal.session(session)
    session.expiry = expiry
    session.expiresAt = Number.POSITIVE_INFINITY
    this.expiry.clear(session.clientId)
  }

  /** Its client is connected nowhere: its time runs. */
  offline(session: Session): void {
    if (session.expiry === SESSION_NEVER_EXPIRES) return
    session.expiresAt = this.node.now + session.expiry * 1000
    this.node.journal.session(session)
    this.expiry.set(session.clientId, session.expiresAt)
  }

  /** Sessions whose time is over end, their wills first. */
  tick(): void {
    const { node } = this
    for (;;) {
      const client = this.expiry.due(node.now)
      if (client === undefined) break
      const session = node.sessions.get(client)
      if (session === undefined || session.expiresAt > node.now || session.attachment !== null) continue
      const alone = node.pairing.mode === 'SOLO'
      // Across a cut link the other node may be serving this client: what is kept for it here is wanted when they meet again.
      const parted = alone && !node.pairing.solo.certain && node.now - session.expiresAt < LIMITS.partedExpiryMs
      if (!session.mine && alone && !parted) promote(node, session)
      if (!session.mine || parted || !(alone || node.pairing.mode === 'SYNC')) {
        this.expiry.set(client, node.now + 1000) // the owner decides; asked again in case it goes
        continue
      }
      const p = node.presences.get(client)
      if (p !== undefined && !p.up) node.presences.fire(p) // the will first [MQTT-3.1.2-8]
      this.end(session)
      node.metrics.add('sessions_expired')
      node.ports.log.event('session_expired', { client })
    }
  }

  /** A session ends here and at the peer. */
  end(session: Session): void {
    const { node } = this
    const left = node.shares.leftBy(session)
    node.emitter.settle(session)
    const told = node.emitter.visible(session)
    if (told) node.emitter.emit([OpKind.end, session.clientId, session.tag])
    else if (session.durable && node.config.paired) this.endings.note(session)
    if (!session.durable) node.interest.dropAll(session)
    this.expiry.clear(session.clientId)
    node.sessions.end(session)
    if (left.length > 0) node.shares.deal(left, session.durable)
  }
}
