// Node: one broker node as a pure machine: events in, then one drain out. Reads no clock, draws no randomness, waits for nothing.
import { BootId, HLC_TICKS_PER_MS, type Hlc, type Turn } from '../base/brand.ts'
import type { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import { Prng } from '../base/prng.ts'
import { Timers } from '../base/timers.ts'
import type { Broker, ConnectionPolicy } from '../connection/broker.ts'
import { Connection } from '../connection/connection.ts'
import { type Rules, rulesWithout } from '../connection/rules.ts'
import { Traffic } from '../connection/traffic.ts'
import { Writers } from '../connection/writers.ts'
import type { Forward } from '../pair/out_stream.ts'
import type { EntryState, Image, NodeRecord } from '../session/image.ts'
import { Journal } from '../session/journal.ts'
import type { Entry } from '../session/queue.ts'
import { Session } from '../session/session.ts'
import { Sessions } from '../session/sessions.ts'
import { TopicTable } from '../topic/topics.ts'
import type { Connect, PublishView, SubscribeRequest } from '../wire/packet.ts'
import { Accesses } from './clients/accesses.ts'
import { Authentications } from './clients/authentications.ts'
import { changeExpiry, subscribe, unsubscribe } from './clients/changes.ts'
import { randomClientId } from './clients/client_id.ts'
import { Presences } from './clients/presence.ts'
import { Drainer } from './drain.ts'
import { Flusher } from './flusher.ts'
import { addGauges } from './monitor/gauges.ts'
import { Listing, type ListName, type ListQuery, type Page } from './monitor/listing.ts'
import { Metrics } from './monitor/metrics.ts'
import { inspect, statusOf } from './monitor/status.ts'
import { SysTree } from './monitor/sys_tree.ts'
import { Claims } from './ownership/claims.ts'
import { Grants } from './ownership/grants.ts'
import { Owners } from './ownership/owners.ts'
import { Applier } from './pairing/applier.ts'
import { BackPressure } from './pairing/back_pressure.ts'
import { Emitter } from './pairing/emitter.ts'
import { Interest } from './pairing/interest.ts'
import { Pairing } from './pairing/pairing.ts'
import { Snapshots } from './pairing/snapshots.ts'
import type { ClientSocket, NodeConfig, Ports } from './ports.ts'
import { loadImage } from './recovery.ts'
import { Queues } from './routing/queues.ts'
import { replayRetained } from './routing/replay.ts'
import { Retained } from './routing/retained.ts'
import { Router } from './routing/router.ts'
import { Shares } from './routing/shares.ts'
import { Turns } from './turns.ts'

export class BrokerNode implements Broker {
  readonly config: NodeConfig
  readonly policy: ConnectionPolicy
  readonly rules: Rules
  readonly ports: Ports
  /** Of the events at hand: monotonic ms, and ms since 1970. */
  now: number
  wall: number
  readonly boot: BootId
  readonly topics = new TopicTable(LIMITS.topicNamesMax, LIMITS.topicNamesBytesMax)
  readonly journal: Journal
  readonly sessions: Sessions
  readonly retained: Retained
  readonly presences: Presences
  readonly emitter = new Emitter()
  readonly turns = new Turns()
  readonly router: Router
  readonly owners: Owners
  readonly queues: Queues
  readonly claims: Claims
  readonly grants: Grants
  readonly applier: Applier
  readonly snapshots: Snapshots
  readonly interest: Interest
  readonly shares: Shares
  readonly pairing: Pairing
  readonly flusher: Flusher
  readonly sys: SysTree
  private readonly listing = new Listing(this)
  readonly metrics = new Metrics()
  readonly traffic = new Traffic()
  readonly backPressure = new BackPressure(this.metrics)
  readonly writers: Writers
  readonly authentication = new Authentications(this)
  readonly access = new Accesses(this)
  /** Stands in the subscription tree for all sessions without expiry at the peer. */
  readonly peerInterest: Session
  /** Open connections by client id. */
  readonly live = new Map<string, Connection>()
  /** Connections whose DISCONNECT waits for the peer before the socket closes. */
  readonly leaving = new Map<string, Connection>()
  readonly all = new Set<Connection>()
  readonly keepAlive = new Timers<Connection>()
  /** Monotonic ms at which this node last went on after standing still itself: what came meanwhile may lie unread. */
  awakeSince = 0
  /** Messages the peer may refer to by number: forwarded and not acknowledged. */
  readonly forwarded = new Map<number, Forward>()
  /** Why this node cannot go on as configured; the host ends the process with it. */
  fatal: OperatorFault | null = null
  /** Why the peer was refused last. */
  refusal = ''
  /** Counted since the start: publishes that began here, tokens made, CONNECTs. */
  sequence = 0
  minted = 0
  connections = 0
  /** Round trip of the last heartbeat. */
  lagMs = 0
  /** Hybrid clock: wall ms in ticks, never behind what was seen of the peer. */
  hlc: number
  /** Decisions that must not run inside the handler that made them. */
  readonly afterTurn: (() => void)[] = []
  /** Frames that must follow the group of this turn. */
  readonly afterSeal: (() => void)[] = []
  readonly prng: Prng
  /** Connections with bytes to write, sessions that may have something to send: until the next drain. */
  private readonly toWrite: Connection[] = []
  private readonly toPump: Session[] = []
  private readonly drainer: Drainer
  /** Changes counted when the packet at hand began. */
  private begunAt = 0

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
    this.writers = new Writers(config.queuedBytesTotalMax / 4)
    this.rules = rulesWithout(config.mutations)
    this.ports = ports
    this.now = now
    this.wall = wall
    const counter = (record?.bootCounter ?? 0) + 1
    this.boot = BootId(counter, config.mutations.has('bootNonce') ? 1 : config.nonce)
    this.prng = new Prng(config.seed)
    this.hlc = Math.floor(wall) * HLC_TICKS_PER_MS
    this.journal = new Journal(1 + (image?.messages.reduce((max, m) => Math.max(max, m.id), 0) ?? 0))
    this.sessions = new Sessions(this.journal)
    this.retained = new Retained(this.journal, () => this.now)
    this.retained.remember = config.paired
    this.presences = new Presences(this)
    this.router = new Router(this)
    this.owners = new Owners(this)
    this.queues = new Queues(this)
    this.claims = new Claims(this)
    this.grants = new Grants(this)
    this.applier = new Applier(this)
    this.snapshots = new Snapshots(this)
    this.interest = new Interest(this)
    this.shares = new Shares(this)
    this.flusher = new Flusher(this)
    this.drainer = new Drainer(this, this.toWrite, this.toPump)
    this.peerInterest = new Session('', false, false, { epoch: 0, minter: this.boot, n: 0 }, 0)
    this.pairing = new Pairing(this, record)
    addGauges(this)
    this.sys = new SysTree(this)
    if (image !== null) loadImage(this, image)
    this.pairing.start()
  }

  /** The time of the events that follow. @param now monotonic ms  @param wall ms since 1970 */
  at(now: number, wall: number): void {
    this.pairing.link.stepped(wall - this.wall - (now - this.now))
    if (now > this.now) this.now = now
    this.wall = wall
  }

  /** A time later than all before. */
  tickHlc(): Hlc {
    this.hlc = Math.max(this.hlc + 1, Math.floor(this.wall) * HLC_TICKS_PER_MS)
    return this.hlc as Hlc
  }

  /** A time that the peer has given out. */
  ratchet(hlc: number): void {
    if (hlc > this.hlc && !this.config.mutations.has('hlcRatchet')) this.hlc = hlc
  }

  /** Monotonic ms to ms since 1970; 0: never. */
  wallOf = (at: number): number =>
    at === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.round(this.wall + at - this.now))

  assignClientId(): string {
    return randomClientId(this.prng)
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

  get admitting(): boolean {
    return this.pairing.admitting
  }

  get elsewhere(): string | null {
    return this.pairing.link.up ? this.config.serverReference : null
  }

  fullFor(clientId: string): boolean {
    return this.live.size >= this.config.connectionsMax && !this.live.has(clientId)
  }

  // ---- clients' events

  accept(socket: ClientSocket): Connection {
    const c = new Connection(socket, this, this.now)
    this.all.add(c)
    this.keepAlive.set(c, this.now + this.config.connectTimeoutMs)
    this.metrics.add('accepts')
    return c
  }

  /** @param bytes borrowed until it returns */
  data(c: Connection, bytes: Uint8Array): void {
    this.traffic.bytesIn += bytes.length
    c.data(bytes)
    if (this.emitter.bytes > LIMITS.groupBytes) this.drainer.seal()
  }

  closed(c: Connection): void {
    this.begin()
    this.all.delete(c)
    this.keepAlive.clear(c)
    this.drainer.forget(c)
    this.backPressure.forget(c)
    if (this.leaving.get(c.clientId) === c) this.leaving.delete(c.clientId)
    c.onClosed()
  }

  writable(c: Connection): void {
    c.writable()
  }

  // ---- the link's and the store's events

  /** An authenticated transport to the peer; replaces a former one. */
  linkOpened(info: { peerName: string }): void {
    this.pairing.link.opened(info.peerName)
  }

  /** @param bytes borrowed until it returns */
  linkData(bytes: Uint8Array): void {
    this.metrics.add('link_bytes_in', bytes.length)
    this.begin()
    this.pairing.link.data(bytes)
  }

  linkWritable(): void {}

  linkClosed(reason: string): void {
    this.begin()
    this.pairing.link.lost(reason)
  }

  /** @param refused nobody listens there: the peer's process is dead */
  dialFailed(refused: boolean): void {
    this.begin()
    this.pairing.link.dialFailed(refused)
  }

  stored(turn: Turn): void {
    this.flusher.stored(turn)
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
    // Nothing changed, but this node may have been replaced in its sleep: only the peer's answer shows what it does not know.
    if (this.pairing.unheard && this.emitter.ask()) return this.turns.current
    return this.journal.count + this.emitter.count !== this.begunAt ? this.turns.current : 0
  }

  /** The turn with which all that was changed until now is released. */
  get soFar(): number {
    return this.drainer.soFar
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
    if (this.backPressure.memoryFull || this.pairing.out.behind) this.backPressure.pause(c)
    return this.router.publishFrom(c, view, packetId)
  }

  subscribe(session: Session, r: SubscribeRequest, id: number): void {
    subscribe(this, session, r, id)
  }

  replayRetained(session: Session, filter: string): void {
    replayRetained(this, session, filter)
  }

  unsubscribe(session: Session, filter: string): boolean {
    return unsubscribe(this, session, filter)
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
    changeExpiry(this, session, expiry)
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
    this.drainer.pumpAfter(session, turn)
  }

  count(name: string): void {
    this.metrics.add(name)
  }

  log(name: string, fields: Record<string, unknown>): void {
    this.ports.log.event(name, fields)
  }

  // ---- what the host asks

  /** After a batch of events: everything that follows from them, in one go (drain.ts). */
  drain(): void {
    this.drainer.run()
  }

  /** Monotonic ms at which drain() must run again at the latest. */
  deadline(): number {
    return this.drainer.deadline()
  }

  /** `tandemq drain`, SIGTERM: hands everything over; mode GONE when the process may end. */
  drainAway(): void {
    this.begin()
    this.pairing.leave.go()
  }

  status(): Record<string, unknown> {
    return statusOf(this)
  }

  page(list: ListName, query: ListQuery): Page | null {
    return this.listing.page(list, query)
  }

  inspect(): ReturnType<typeof inspect> {
    return inspect(this)
  }
}
