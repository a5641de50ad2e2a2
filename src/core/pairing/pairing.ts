// Pairing: what this node is to the other one: its mode, its record, what its promises hang on, and what time alone decides (pair.md
// 1.1 to 1.3). The parts are in link.ts, hello.ts, join.ts, solo.ts and leave.ts; what they do to sessions is not known here.
import type { BootId } from '../../base/brand.ts'
import { OperatorFault } from '../../base/fault.ts'
import { GENERATION_NONE, type Generation } from '../../base/identity.ts'
import { LIMITS } from '../../base/limits.ts'
import { InStream } from '../../pair/in_stream.ts'
import { type Mode, moveMode, serves } from '../../pair/modes.ts'
import { type Forward, OutStream } from '../../pair/out_stream.ts'
import type { NodeRecord } from '../../session/image.ts'
import { Feature, FrameKind } from '../../wire/peer_message.ts'
import { closeClients } from '../clients/clients.ts'
import type { BrokerNode } from '../node.ts'
import type { Basis } from '../turns.ts'
import { Hello } from './hello.ts'
import { Join } from './join.ts'
import { Leave } from './leave.ts'
import { Link } from './link.ts'
import { Merge } from './merge.ts'
import { Solo } from './solo.ts'

export class Pairing {
  readonly node: BrokerNode
  mode: Mode = 'BOOT'
  /** As it is on disk. */
  record: NodeRecord
  /** Record writes asked and not yet durable, with what follows. */
  private writes: { record: NodeRecord; then: () => void }[] = []
  /** What follows a write is being done: it may ask for the next one. */
  private following = false
  readonly out: OutStream
  readonly in = new InStream()
  readonly link: Link
  readonly hello: Hello
  readonly join: Join
  readonly solo: Solo
  readonly leave: Leave
  readonly merge: Merge
  peerName = ''
  peerBoot = 0
  peerAck = 'peer-ram'
  peerVersion = ''
  /** Bits of what both nodes can do (wire/peer_message.ts). */
  features = 0
  /** Since its start this node has been nothing but what its disk said. */
  fresh = true
  /** The peer may hold newer state than what is served here. */
  possiblyStale = false
  /** When the link was lost, monotonic ms. */
  lostAt: number
  /** When the stream or the join went on last, monotonic ms. */
  progressAt: number
  /** Since when this node waits for the peer without serving, monotonic ms. */
  private waitingAt: number

  constructor(node: BrokerNode, record: NodeRecord | null) {
    this.node = node
    const { now, config } = node
    this.record = record ?? {
      clusterId: '',
      name: config.name,
      bootCounter: 0,
      generation: GENERATION_NONE,
      history: [],
      status: 'NEW',
      peerName: '',
      witnessIncarnation: 0,
    }
    this.record = { ...this.record, name: config.name, bootCounter: this.record.bootCounter + 1 }
    this.out = new OutStream(config.groupBytesMost)
    this.link = new Link(this)
    this.hello = new Hello(this)
    this.join = new Join(this)
    this.solo = new Solo(this)
    this.leave = new Leave(this)
    this.merge = new Merge(node)
    this.waitingAt = now
    this.lostAt = now
    this.progressAt = now
  }

  /** A rule of the protocol that the simulator has taken out. */
  off(rule: string): boolean {
    return this.node.config.mutations.has(rule)
  }

  to(mode: Mode): void {
    if (this.mode === mode) return
    this.node.ports.log.event('mode', {
      from: this.mode,
      to: mode,
      peer: this.peerName,
      generation: this.record.generation.n,
    })
    this.mode = moveMode(this.mode, mode)
    if (mode === 'SYNC') {
      this.link.heardAt = this.node.now
      this.node.owners.endings.clear()
    }
    if (mode === 'WAIT_PEER') this.waitingAt = this.node.now
  }

  // ---- start

  start(): void {
    this.write(this.record, () => this.booted())
  }

  private booted(): void {
    const { config } = this.node
    const { status } = this.record
    if (status === 'OUTDATED' && !config.paired) {
      this.node.fatal = new OperatorFault(
        '--data: this state was left behind by a pair and is outdated; start with --peer',
      )
      return
    }
    if (status === 'SOLO') {
      this.to('SOLO')
      this.solo.certain = !config.paired
      this.fresh = false
      this.solo.newIncarnations()
      this.node.presences.dead(() => true, config.willGraceMs)
      return
    }
    this.to('WAIT_PEER')
    // A node that has lost its disk must not found a second pair while the first one is there.
    const first = config.bootstrap && status === 'NEW' && !this.link.up
    if (!config.paired || first) this.solo.go(config.paired ? 'bootstrap' : 'unpaired')
  }

  // ---- the record

  /** One write at a time, in the order asked. @param then what follows once it is on disk */
  write(record: NodeRecord, then: () => void): void {
    this.writes.push({ record, then })
    if (this.writes.length === 1 && !this.following) this.node.ports.store.writeRecord(record)
  }

  recordStored(): void {
    const write = this.writes.shift()
    if (write === undefined) return
    this.record = write.record
    this.following = true
    write.then()
    this.following = false
    const next = this.writes[0]
    if (next !== undefined) this.node.ports.store.writeRecord(next.record)
  }

  get writing(): boolean {
    return this.writes.length > 0
  }

  /** The record of the next generation, minted here. */
  nextRecord(status: 'SOLO' | 'INSYNC'): NodeRecord {
    const { record } = this
    const generation = { n: record.generation.n + 1, minter: this.node.boot as BootId }
    return { ...record, generation, history: nextHistory(record), status }
  }

  // ---- promises

  get basis(): Basis {
    switch (this.mode) {
      case 'SYNC':
      case 'STALL':
        return this.join.offering || this.node.config.ack === 'both-disk' ? 'both' : 'peer'
      case 'SOLO':
        return this.join.offering && !this.off('offerBoth') ? 'both' : 'disk'
      default:
        return 'hold'
    }
  }

  /** Groups up to this one are where the configured acknowledgement wants them. */
  get acked(): number {
    return this.node.config.ack === 'peer-ram' ? this.out.acked : Math.min(this.out.acked, this.out.ackedDurable)
  }

  /** The peer owes an acknowledgement that promises hang on. */
  get owed(): boolean {
    return this.acked < this.out.next - 1
  }

  /** Serves, or will as soon as its record is durable. */
  get admitting(): boolean {
    return this.serving || (this.mode === 'DECIDE' && !this.leave.begun)
  }

  get serving(): boolean {
    return serves(this.mode) && !this.leave.begun
  }

  get ownsAll(): boolean {
    return this.mode === 'SOLO'
  }

  /** The peer knows of shared subscriptions. */
  get sharing(): boolean {
    return (this.features & Feature.shared) !== 0
  }

  /** A member of the pair that has not heard of it for so long that the other one may be going on alone (pair.md H21). */
  get unheard(): boolean {
    return (
      (this.mode === 'SYNC' || this.mode === 'STALL') &&
      this.node.now - this.link.heardAt > this.node.config.suspectMs &&
      !this.off('unheard')
    )
  }

  get synced(): boolean {
    return this.mode === 'SYNC' && this.link.up
  }

  /** Our changes must be on disk before they are promised, or the peer's before it is told. */
  get flushEagerly(): 'no' | 'write' | 'sync' {
    if (this.mode === 'SOLO' || this.join.offering || this.node.flusher.hasBarrier) return 'sync'
    if (this.mode !== 'SYNC') return 'sync'
    if (this.node.config.ack === 'both-disk' || this.peerAck === 'both-disk' || this.peerAck === 'peer-disk')
      return 'sync'
    return this.peerAck === 'peer-write' ? 'write' : 'no'
  }

  // ---- the link is gone

  linkLost(): void {
    const { node, join } = this
    // What came of a session so far is not all of it.
    this.merge.stop()
    switch (this.mode) {
      case 'SYNC':
        return this.to('STALL')
      case 'JOINING':
        node.flusher.dropBarrier()
        if (join.insync) return this.to('STALL')
        this.closeStreams()
        // What the record will say counts: OUTDATED may be on its way to the disk.
        if ((this.writes.at(-1)?.record ?? this.record).status !== 'SOLO') return this.to('WAIT_PEER')
        this.to('SOLO')
        // Its clients were closed for the join that did not come about.
        return node.presences.dead((p) => p.mine && !node.live.has(p.client), node.config.willGraceMs)
      case 'SOLO':
        if (join.offering && !this.off('leaderFirst') && this.record.status === 'INSYNC') return this.to('STALL')
        return join.brokenOff()
    }
  }

  /** Both streams end, and with them what only has a meaning on them. */
  closeStreams(): void {
    const { node } = this
    for (const group of this.out.ring) for (const forward of group.forwards) this.letGo(forward)
    for (const forward of node.emitter.pendingForwards()) this.letGo(forward)
    node.emitter.close()
    this.out.close()
    this.in.close()
    node.forwarded.clear()
    node.interest.clearPeer()
    node.snapshots.stop()
    node.snapshots.stopReceiving()
  }

  /** Acknowledged, or kept as a shadow, or the leader's now. */
  letGo(forward: Forward): void {
    const { keepers, message } = forward
    this.node.shares.sentBack.letGo(forward)
    if (keepers === null) return
    for (const session of keepers) this.node.sessions.dropForward(session, message)
  }

  // ---- time

  /** This process itself stood still: silence of the peer proves nothing (pair.md H21). */
  forgiveSilence(): void {
    const { now } = this.node
    this.link.forgive()
    this.progressAt = now
    if (this.mode === 'STALL') this.lostAt = now
  }

  tick(): void {
    const { node, link } = this
    const { now, config } = node
    if (this.leave.begun && this.mode !== 'GONE') this.leave.step()
    this.hello.retry()
    if (link.up) {
      link.beat()
      if (link.silent) return link.drop('no heartbeat came back')
      if (!link.greeted) {
        // Whoever decides something itself has a HELLO that waits, and says none: only the other one can be the reason.
        if (now - link.openedAt > config.stuckMs) this.ungreeted()
      } else if (now - this.progressAt > config.stuckMs) this.stuck()
    } else if (this.mode === 'STALL') {
      const silent = now >= this.soloAt && link.failedDials >= LIMITS.failedDialsMin
      // Links that open and carry nothing are no better than none.
      const fruitless = this.owed && now - this.progressAt > config.stuckMs
      // Who leaves does not go on alone: the other one does.
      if (!this.leave.begun && (silent || fruitless)) this.decide('T_solo')
    } else if (this.mode === 'WAIT_PEER' && this.record.status !== 'OUTDATED' && !this.solo.deciding) {
      if (now - this.waitingAt >= config.bootWaitMs && now - this.lostAt >= config.soloMs) this.decide('T_bootWait')
    }
  }

  /**
   * Monotonic ms at which silence is long enough to go on alone. It began with the last heartbeat that came back; where more was
   * forgiven than suspicion takes, as in a join, the dials since the loss still have the time that suspicion leaves them.
   */
  get soloAt(): number {
    const { soloMs, suspectMs } = this.node.config
    return Math.max(this.link.echoedAt, this.lostAt - suspectMs) + soloMs
  }

  /** The link is up and the peer has not said HELLO for too long. */
  private ungreeted(): void {
    this.link.drop('the peer does not say HELLO')
    if (this.mode === 'STALL' && !this.leave.begun) this.decide('T_solo')
  }

  /** The link is up and nothing has gone on for too long. */
  private stuck(): void {
    const { link } = this
    if (this.mode === 'SYNC' && this.owed) {
      link.send([FrameKind.evict, [this.record.generation.n + 1, this.node.boot], 'stuck'])
      link.drain()
      link.drop('the peer acknowledges nothing')
      return this.decide('T_stuck')
    }
    if (this.join.stage !== 'none' || this.merge.waiting) link.drop('the join does not go on')
  }

  /** Alone or not: what the operator's policy says about a peer that is not seen. */
  private decide(why: string): void {
    const { partition, name } = this.node.config
    const preferred = typeof partition === 'object' && partition.prefer === name
    // The policy is about a peer that may be serving.
    const alone = why === 'T_stuck' || (why === 'T_bootWait' && this.link.peerDead)
    if (partition === 'available' || preferred || alone) return this.solo.go(why)
    if (this.mode !== 'STALL') return this.waitOn()
    closeClients(this.node, 'the policy leaves service to the other node')
    this.node.claims.refuse()
    this.to('FENCED')
  }

  /** Whoever may not serve says why, once. */
  private waitOn(): void {
    const text = '--partition leaves service to the other node, which does not answer'
    if (this.node.refusal === text) return
    this.node.refusal = text
    this.node.ports.log.event('waiting', { text })
  }

  /** Monotonic ms at which tick() must run again at the latest. */
  deadline(): number {
    const { node, link } = this
    const { config, now } = node
    if (this.leave.begun && this.mode !== 'GONE') return now + 20
    if (link.up) return Math.min(link.deadline(), this.join.stage === 'snapshot' ? now + 1 : Number.POSITIVE_INFINITY)
    if (this.mode === 'STALL') return Math.max(now + 10, this.soloAt)
    if (this.mode === 'WAIT_PEER') return Math.max(now + 100, this.waitingAt + config.bootWaitMs)
    return Number.POSITIVE_INFINITY
  }

  describe(): Record<string, unknown> {
    const { link, out } = this
    const lagMs = Math.round(this.node.lagMs * 1000) / 1000
    const connections = this.node.presences.upAtPeer
    const behind = { ring: out.ring.length, ringBytes: out.ringBytes }
    return { name: this.peerName, version: this.peerVersion, link: link.up, lagMs, connections, ...behind }
  }
}

function nextHistory(record: NodeRecord): readonly Generation[] {
  if (record.generation.n === 0) return record.history
  return [...record.history, record.generation].slice(-LIMITS.generationHistoryMax)
}
