// Node: one broker node as a pure machine: events in, then one drain out. Composes sessions, connections and the pair.
// Reads no clock, draws no randomness, waits for nothing: host and simulator drive the same code.
import { BootId, HLC_TICKS_PER_MS, type Hlc, Turn } from '../base/brand.ts'
import type { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import { Prng } from '../base/prng.ts'
import { Timers } from '../base/timers.ts'
import type { Broker, ConnectionPolicy } from '../connection/broker.ts'
import { Connection } from '../connection/connection.ts'
import { type Rules, rulesWithout } from '../connection/rules.ts'
import { pump } from '../connection/send.ts'
import { Writers } from '../connection/writers.ts'
import type { EntryState, Image, NodeRecord } from '../session/image.ts'
import { Journal } from '../session/journal.ts'
import type { Message } from '../session/message.ts'
import type { Entry } from '../session/queue.ts'
import { Session } from '../session/session.ts'
import { Sessions } from '../session/sessions.ts'
import { TopicTable } from '../topic/topics.ts'
import type { Connect, PublishView, SubscribeRequest } from '../wire/packet.ts'
import { OpKind } from '../wire/peer_message.ts'
import { Reason } from '../wire/reason.ts'
import { Applier } from './applier.ts'
import { Claims } from './claims.ts'
import { Emitter } from './emitter.ts'
import { addGauges } from './gauges.ts'
import { Grants } from './grants.ts'
import { Interest } from './interest.ts'
import { Metrics } from './metrics.ts'
import { Owners } from './owners.ts'
import { Pairing } from './pairing.ts'
import type { ClientSocket, NodeConfig, Ports } from './ports.ts'
import { Presences } from './presence.ts'
import { loadImage } from './recovery.ts'
import { replayRetained } from './replay.ts'
import { Retained } from './retained.ts'
import { Router } from './router.ts'
import { Snapshots } from './snapshots.ts'
import { clientRows, inspect, listRows, statusOf } from './status.ts'
import { Turns } from './turns.ts'

/** Topics whose routes are remembered. */
const TOPICS_MAX = 100_000

/** The turn a barrier waits for is known when the one under way ends. */
const UNSET = -1
type Barrier = { turn: number; readonly then: () => void }
type Flush = { readonly turn: number; readonly sync: boolean; readonly applied: number }

export class BrokerNode implements Broker {
  readonly config: NodeConfig
  readonly policy: ConnectionPolicy
  readonly rules: Rules
  readonly ports: Ports
  now: number
  wall: number
  readonly boot: BootId
  readonly topics = new TopicTable(TOPICS_MAX)
  readonly journal: Journal
  readonly sessions: Sessions
  readonly retained: Retained
  readonly presences: Presences
  readonly emitter = new Emitter()
  readonly turns = new Turns()
  readonly router: Router
  readonly owners: Owners
  readonly claims: Claims
  readonly grants: Grants
  readonly applier: Applier
  readonly snapshots: Snapshots
  readonly interest: Interest
  readonly pairing: Pairing
  readonly metrics = new Metrics()
  readonly writers = new Writers()
  /** Stands in the subscription tree for all sessions without expiry at the peer. */
  readonly peerInterest: Session
  /** Open connections by client id. */
  readonly live = new Map<string, Connection>()
  /** Connections whose DISCONNECT waits for the peer before the socket closes. */
  readonly leaving = new Map<string, Connection>()
  readonly all = new Set<Connection>()
  readonly keepAlive = new Timers<Connection>()
  /** Messages the peer may refer to by number: forwarded and not acknowledged. */
  readonly forwarded = new Map<number, Message>()
  /** Why this node cannot go on as configured; the host ends the process with it. */
  fatal: OperatorFault | null = null
  /** Why the peer was refused last. */
  refusal = ''
  sequence = 0
  minted = 0
  connections = 0
  lagMs = 0
  hlc: number
  /** What to do when everything up to a turn is on disk. */
  barrier: Barrier | null = null
  /** Decisions that must not run inside the handler that made them. */
  readonly afterTurn: (() => void)[] = []
  /** Frames that must follow the group of this turn. */
  readonly afterSeal: (() => void)[] = []
  private readonly prng: Prng
  private toWrite: Connection[] = []
  private gated = new Set<Connection>()
  private toPump: Session[] = []
  private waitingPump: { session: Session; turn: number }[] = []
  private flushes: Flush[] = []
  private flushedAt: number
  private begunAt = 0
  private sealedAt = 0
  private drainedAt: number
  private pausedPublishers = new Set<Connection>()
  private written = 0

  constructor(
    config: NodeConfig,
    record: NodeRecord | null,
    image: Image | null,
    ports: Ports,
    now: number,
    wall: number,
  ) {
    this.config = config
    this.policy = config
    this.rules = rulesWithout(config.mutations)
    this.ports = ports
    this.now = now
    this.wall = wall
    this.flushedAt = now
    this.drainedAt = now
    const counter = (record?.bootCounter ?? 0) + 1
    this.boot = BootId(counter, config.mutations.has('bootNonce') ? 1 : config.nonce)
    this.prng = new Prng(config.seed)
    this.hlc = Math.floor(wall) * HLC_TICKS_PER_MS
    this.journal = new Journal(1 + (image?.messages.reduce((max, m) => Math.max(max, m.id), 0) ?? 0))
    this.sessions = new Sessions(this.journal)
    this.retained = new Retained(this.journal)
    this.retained.remember = config.paired
    this.presences = new Presences(this)
    this.router = new Router(this)
    this.owners = new Owners(this)
    this.claims = new Claims(this)
    this.grants = new Grants(this)
    this.applier = new Applier(this)
    this.snapshots = new Snapshots(this)
    this.interest = new Interest(this)
    this.peerInterest = new Session('', false, false, { epoch: 0, minter: this.boot, n: 0 }, 0)
    this.pairing = new Pairing(this, record)
    addGauges(this)
    if (image !== null) loadImage(this, image)
    this.pairing.start()
  }

  // ---- time and identity

  at(now: number, wall: number): void {
    if (now > this.now) this.now = now
    this.wall = wall
  }

  tickHlc(): Hlc {
    this.hlc = Math.max(this.hlc + 1, Math.floor(this.wall) * HLC_TICKS_PER_MS)
    return this.hlc as Hlc
  }

  ratchet(hlc: number): void {
    if (hlc > this.hlc && !this.config.mutations.has('hlcRatchet')) this.hlc = hlc
  }

  wallOf = (at: number): number =>
    at === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.round(this.wall + at - this.now))

  assignClientId(): string {
    let id = 'tandemq-'
    for (let i = 0; i < 4; i++)
      id += Math.floor(this.prng.next() * 0x10000)
        .toString(16)
        .padStart(4, '0')
    return id
  }

  get mode(): string {
    return this.pairing.mode
  }

  get ready(): boolean {
    return this.pairing.serving
  }

  get synced(): boolean {
    return this.pairing.synced
  }

  get serving(): boolean {
    return this.pairing.serving
  }

  fullFor(clientId: string): boolean {
    return this.live.size >= this.config.connectionsMax && !this.live.has(clientId)
  }

  // ---- clients' events

  accept(socket: ClientSocket): Connection {
    const c = new Connection(socket, this, this.now)
    this.all.add(c)
    this.keepAlive.set(c, this.now + LIMITS.connectTimeoutMs)
    this.metrics.add('accepts')
    return c
  }

  data(c: Connection, bytes: Uint8Array): void {
    this.metrics.bytesIn += bytes.length
    c.data(bytes)
    if (this.emitter.bytes > LIMITS.groupBytes) this.seal()
  }

  closed(c: Connection): void {
    this.begin()
    this.all.delete(c)
    this.keepAlive.clear(c)
    this.gated.delete(c)
    this.pausedPublishers.delete(c)
    if (this.leaving.get(c.clientId) === c) this.leaving.delete(c.clientId)
    c.onClosed()
  }

  writable(c: Connection): void {
    c.writable()
  }

  // ---- the link's and the store's events

  linkOpened(info: { peerName: string }): void {
    this.pairing.link.opened(info.peerName)
  }

  linkData(bytes: Uint8Array): void {
    this.metrics.linkBytesIn += bytes.length
    this.begin()
    this.pairing.link.data(bytes)
  }

  linkWritable(): void {}

  linkClosed(reason: string): void {
    this.begin()
    this.pairing.link.lost(reason)
  }

  dialFailed(refused: boolean): void {
    this.begin()
    this.pairing.link.dialFailed(refused)
  }

  stored(turn: Turn): void {
    while (this.flushes.length > 0 && (this.flushes[0] as Flush).turn <= turn) {
      const flush = this.flushes.shift() as Flush
      const peer = this.pairing.peerAck
      if (flush.sync || peer === 'peer-write') this.durableUpTo(flush.applied)
      this.written = Math.max(this.written, flush.turn)
      if (flush.sync) this.turns.synced = Math.max(this.turns.synced, flush.turn)
    }
  }

  private durableUpTo(applied: number): void {
    const { in: stream } = this.pairing
    if (applied <= stream.durable || applied > stream.applied) return
    stream.durable = applied
    if (this.pairing.peerAck !== 'peer-ram') stream.ackDue = true
  }

  recordStored(): void {
    this.begin()
    this.pairing.recordStored()
  }

  // ---- what connections ask (broker.ts)

  begin(): void {
    this.begunAt = this.journal.count + this.emitter.count
  }

  need(): number {
    return this.journal.count + this.emitter.count !== this.begunAt ? this.turns.current : 0
  }

  get released(): number {
    return this.turns.released
  }

  connect(c: Connection, packet: Connect): void {
    this.begin()
    this.owners.connect(c, packet)
  }

  ended(c: Connection, clean: boolean): void {
    this.owners.ended(c, clean)
  }

  publish(c: Connection, view: PublishView, packetId: number): boolean {
    this.metrics.publishesIn++
    const { out } = this.pairing
    if (out.ringBytes > LIMITS.ringBytesMax / 2 || out.ring.length > LIMITS.ringGroupsMax) this.pausePublisher(c)
    return this.router.publishFrom(c, view, packetId)
  }

  private pausePublisher(c: Connection): void {
    if (this.pausedPublishers.has(c)) return
    this.pausedPublishers.add(c)
    this.metrics.add('publishers_paused')
    c.socket.pause()
  }

  resumePublishers(): void {
    if (this.pausedPublishers.size === 0) return
    for (const c of this.pausedPublishers) c.socket.resume()
    this.pausedPublishers.clear()
  }

  subscribe(session: Session, r: SubscribeRequest, id: number): void {
    const options = r.qos | (r.noLocal ? 4 : 0) | (r.retainAsPublished ? 8 : 0) | (r.retainHandling << 4)
    const isNew = this.sessions.subscribe(session, r.filter, options, id)
    if (session.durable)
      this.emitter.about(session, () => [OpKind.sub, session.clientId, session.tag, r.filter, options, id])
    else if (isNew) this.interest.add(r.filter)
  }

  replayRetained(session: Session, filter: string): void {
    replayRetained(this, session, filter)
  }

  unsubscribe(session: Session, filter: string): boolean {
    if (!this.sessions.unsubscribe(session, filter)) return false
    if (session.durable) this.emitter.about(session, () => [OpKind.unsub, session.clientId, session.tag, filter])
    else this.interest.remove(filter)
    return true
  }

  releaseInbound(session: Session, packetId: number): void {
    this.sessions.deleteInbound(session, packetId)
    this.emitter.inboundDone(session, packetId)
  }

  sent(session: Session, entry: Entry, packetId: number, state: EntryState): void {
    this.sessions.markSent(session, entry, packetId, state)
    if (entry.qos === 2) this.emitter.sent(session, entry)
    else this.emitter.sentLazy(session, entry, this.now)
  }

  done(session: Session, entry: Entry): void {
    this.sessions.dequeue(session, entry)
    this.emitter.doneLazy(session, entry, this.now)
  }

  expiryChanged(session: Session, expiry: number): void {
    session.expiry = expiry
    if (!session.durable) return
    this.journal.session(session)
    if (expiry > 0) this.emitter.about(session, () => [OpKind.expiry, session.clientId, session.tag, expiry])
  }

  dirty(c: Connection): void {
    c.isDirty = true
    this.toWrite.push(c)
  }

  pump(session: Session): void {
    if (session.pumping) return
    session.pumping = true
    this.toPump.push(session)
  }

  pumpAfter(session: Session, turn: number): void {
    this.waitingPump.push({ session, turn })
  }

  count(name: string): void {
    this.metrics.add(name)
  }

  log(name: string, fields: Record<string, unknown>): void {
    this.ports.log.event(name, fields)
  }

  // ---- the drain

  /** After a batch of events: timers, what is released, what may be sent; then one group, one frame, one flush, one write each. */
  drain(): void {
    const { pairing } = this
    if (this.now - this.drainedAt > LIMITS.ownPauseMs && this.drainedAt > 0 && this.pausedTooLong)
      pairing.forgiveSilence()
    this.drainedAt = this.now
    this.begin()
    this.tick()
    this.advance()
    this.runAfterTurn()
    this.pumpAll()
    if (pairing.join.stage === 'snapshot') pairing.join.step()
    pairing.merge.step()
    // What is written must have its version, so lazy ops go out before a flush.
    if (this.emitter.lazySince + LIMITS.lazyMs <= this.now || this.flushDue) this.emitter.settleAllLazy()
    this.seal()
    for (const f of this.afterSeal.splice(0)) f()
    this.flushStore()
    pairing.link.drain()
    this.advance()
    this.writeAll()
    this.plannedAt = this.deadline()
  }
  private plannedAt = Number.POSITIVE_INFINITY

  /** It was asked to run long ago: the process stood still. */
  private get pausedTooLong(): boolean {
    return this.now - this.plannedAt > LIMITS.ownPauseMs
  }

  private runAfterTurn(): void {
    for (const f of this.afterTurn.splice(0)) {
      this.begin()
      f()
    }
  }

  private tick(): void {
    this.pairing.tick()
    this.presences.tick()
    this.owners.tick()
    this.claims.tick()
    for (;;) {
      const c = this.keepAlive.due(this.now)
      if (c === undefined) break
      this.keepAliveDue(c)
    }
    if (this.retained.remember && this.pairing.mode === 'SYNC' && this.now - this.forgotAt > LIMITS.willMaxHoldMs) {
      this.forgotAt = this.now
      this.retained.forgetDeleted((this.wall - LIMITS.willMaxHoldMs) * HLC_TICKS_PER_MS)
    }
  }
  private forgotAt = 0

  private keepAliveDue(c: Connection): void {
    this.begin()
    if (c.state !== 'open') {
      if (c.state === 'waiting') {
        this.metrics.add('connect_timeouts')
        c.close()
      } else if (c.state === 'claiming') this.keepAlive.set(c, this.now + LIMITS.connectTimeoutMs)
      return
    }
    if (c.keepAliveMs === 0) return
    const due = c.lastHeard + c.keepAliveMs
    if (due > this.now) return this.keepAlive.set(c, due)
    this.metrics.add('keep_alive_timeouts')
    c.disconnect(Reason.keepAliveTimeout, 'keep alive timeout', false) // [MQTT-3.1.2-22]
  }

  private advance(): void {
    if (this.flushes.length === 0 && !this.journal.changed) this.turns.synced = this.turns.current - 1
    const { barrier } = this
    if (barrier !== null && barrier.turn !== UNSET && this.turns.synced >= barrier.turn) {
      this.barrier = null
      barrier.then()
    }
    const { pairing, turns } = this
    let basis = pairing.basis
    if (this.config.mutations.has('modeBasis') && basis === 'peer') basis = 'disk'
    if (!turns.advance(basis, pairing.out.id, pairing.acked)) return
    for (const c of this.gated) if (!c.isDirty) this.dirty(c)
    this.gated.clear()
    if (this.waitingPump.length === 0) return
    const waiting = this.waitingPump
    this.waitingPump = []
    for (const w of waiting) {
      if (w.turn <= turns.released) this.pump(w.session)
      else this.waitingPump.push(w)
    }
  }

  private pumpAll(): void {
    for (let i = 0; i < this.toPump.length; i++) {
      const session = this.toPump[i] as Session
      session.pumping = false
      const c = session.attachment as Connection | null
      if (c !== null && !session.ended) pump(c, session)
    }
    this.toPump.length = 0
  }

  /** Ends the turn if it changed anything: its ops become one group. */
  private seal(): void {
    const { emitter, turns, pairing } = this
    const changed = this.journal.count + emitter.count
    if (!emitter.hasOps && changed === this.sealedAt) return
    const { ops, forwards } = emitter.take()
    this.sealedAt = this.journal.count + emitter.count
    this.begunAt = this.sealedAt
    let lsn = 0
    if (ops.length > 0 && pairing.out.id > 0) {
      lsn = pairing.out.append(ops, turns.current, forwards)
      if (this.grants.holds.size > 0) this.grants.number(turns.current, lsn)
    }
    turns.end(lsn, pairing.out.id)
    if (this.barrier !== null && this.barrier.turn === UNSET) this.barrier.turn = turns.current - 1
  }

  /** Calls back when everything up to and including the turn under way is on disk, surviving power loss. */
  atBarrier(then: () => void): void {
    this.barrier = { turn: UNSET, then }
  }

  private get flushDue(): boolean {
    if (!this.journal.changed) return false
    const due = this.now - this.flushedAt >= this.config.flushMs
    if (this.pairing.flushEagerly === 'no') return due && this.flushes.length < 2
    return this.flushes.length === 0 || (due && this.flushes.length < 2) // group commit: the rest waits for company
  }

  private flushStore(): void {
    if (this.barrier !== null && this.barrier.turn === UNSET) this.barrier.turn = this.turns.current - 1
    if (!this.journal.changed) {
      const { in: stream } = this.pairing
      if (this.flushes.length === 0) this.durableUpTo(stream.applied)
      return
    }
    if (!this.flushDue) return
    const sync = this.pairing.flushEagerly !== 'write' || this.now - this.flushedAt >= this.config.flushMs
    const batch = this.journal.take(
      this.wallOf,
      (topic) => this.retained.tree.get(topic),
      (client) => this.presences.row(client, this.wallOf),
    )
    const turn = this.turns.current - 1
    this.flushedAt = this.now
    this.flushes.push({ turn, sync, applied: this.pairing.in.applied })
    this.ports.store.flush(batch, Turn(turn), sync)
  }

  private writeAll(): void {
    const { toWrite } = this
    for (let i = 0; i < toWrite.length; i++) {
      const c = toWrite[i] as Connection
      c.isDirty = false
      if (c.flush()) this.gated.add(c)
    }
    toWrite.length = 0
  }

  /** Monotonic ms at which drain() must run again at the latest. */
  deadline(): number {
    let at = Math.min(
      this.keepAlive.next(),
      this.pairing.deadline(),
      this.presences.deadline(),
      this.owners.expiry.next(),
    )
    if (this.claims.open.size > 0) at = Math.min(at, this.now + this.config.claimTimeoutMs / 4)
    if (this.journal.changed && this.flushes.length < 2)
      at = Math.min(at, Math.max(this.now + 1, this.flushedAt + this.config.flushMs))
    if (this.emitter.lazySince !== Number.POSITIVE_INFINITY) at = Math.min(at, this.emitter.lazySince + LIMITS.lazyMs)
    if (this.toPump.length > 0 || this.afterTurn.length > 0 || this.toWrite.length > 0) at = this.now
    return at
  }

  // ---- all connections at once

  /** Nobody is served here any more: cut, without touching sessions' presence (the other node will). */
  closeClients(why: string): void {
    for (const c of [...this.all]) {
      if (c.state === 'closed') continue
      const session = c.session
      if (session !== null && session.attachment === c) {
        session.attachment = null
        this.live.delete(c.clientId)
        if (!session.durable) {
          this.interest.dropAll(session)
          this.sessions.end(session)
        }
      }
      this.keepAlive.clear(c)
      c.cut(Reason.useAnotherServer, why)
    }
    this.leaving.clear()
  }

  /** Leaving: clients are told where to go; their wills wait for whether they come back there. */
  disconnectClients(elsewhere: boolean): void {
    for (const c of [...this.all]) {
      if (c.state === 'closed') continue
      const { session } = c
      if (session !== null && session.attachment === c) {
        session.attachment = null
        this.live.delete(c.clientId)
        if (!session.durable) this.owners.end(session)
      }
      this.keepAlive.clear(c)
      c.cut(
        elsewhere ? Reason.useAnotherServer : Reason.serverShuttingDown,
        elsewhere ? 'the other node takes over' : 'shutting down',
      )
    }
    this.claims.refuse()
    this.leaving.clear()
  }

  /** `tandemq drain`, SIGTERM: hands everything over; mode GONE when the process may end. */
  drainAway(): void {
    this.begin()
    this.pairing.leave.go()
  }

  status(): Record<string, unknown> {
    return statusOf(this)
  }

  clients(): Record<string, unknown>[] {
    return clientRows(this)
  }

  rows(name: 'sessions' | 'subscriptions' | 'retained'): Record<string, unknown>[] {
    return listRows(this, name)
  }

  inspect(): ReturnType<typeof inspect> {
    return inspect(this)
  }
}
