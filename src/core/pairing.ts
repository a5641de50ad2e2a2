// Pairing: the node's mode, its record, the link and the joins: pair.md 1.1 to 1.3. What each row does to sessions is in
// owners.ts and snapshots.ts.
import { type BootId, Lsn } from '../base/brand.ts'
import { ByteWriter } from '../base/bytes.ts'
import { OperatorFault, PeerFault } from '../base/fault.ts'
import { GENERATION_NONE, type Generation } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import { InStream } from '../pair/in_stream.ts'
import { type Mode, moveMode, serves } from '../pair/modes.ts'
import { OutStream } from '../pair/out_stream.ts'
import { type Greeting, type Role, roleOf } from '../pair/roles.ts'
import type { NodeRecord } from '../session/image.ts'
import { FrameReader, writeFrame } from '../wire/peer_codec.ts'
import { type Frame, FrameKind, type HelloFrame, LINK_PROTOCOL } from '../wire/peer_message.ts'
import { generationFromWire, generationToWire } from './convert.ts'
import { Merge } from './merge.ts'
import type { BrokerNode } from './node.ts'
import { fold, incarnate } from './promote.ts'
import type { Basis } from './turns.ts'

/** What this build can do beyond protocol version 1; none yet. */
const FEATURES = 0

export class Pairing {
  mode: Mode = 'BOOT'
  record: NodeRecord
  /** Record writes asked and not yet durable, with what follows. */
  private writes: { record: NodeRecord; then: () => void }[] = []
  readonly out = new OutStream()
  readonly in = new InStream()
  readonly merge: Merge
  private reader = new FrameReader()
  private readonly frames = new ByteWriter(4096)
  linkUp = false
  private helloSent = false
  private again: HelloFrame | null = null
  peer: Greeting | null = null
  peerBoot = 0
  peerName = ''
  peerAck = 'peer-ram'
  private peerVersion = ''
  /** Where a join stands, on the leader. */
  join: 'none' | 'wait' | 'snapshot' | 'offer' = 'none'
  /** From SNAP_END to OK the leader's promises hang on both nodes. */
  offering = false
  /** The follower's record says INSYNC: it may go on as a full member. */
  private insync = false
  deciding = false
  private wantLead = false
  private leaving = false
  private led = false
  private outdatedAt = -1
  private fresh = true
  private linkCount = 0
  private readonly bootedAt: number
  lostAt: number
  private failedDials = 0
  private progressAt: number
  private echoedAt: number
  private heartbeatAt: number
  private heartbeatSeq = 0
  private peerSeq = 0
  private sentAt = new Map<number, number>()
  private streams = 0
  possiblyStale = false
  /** The peer goes on alone when this node says LEAVE. */
  private away: 'no' | 'granting' | 'left' = 'no'
  private awaySince = 0
  private readonly node: BrokerNode

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
    this.merge = new Merge(node)
    this.bootedAt = now
    this.lostAt = now
    this.progressAt = now
    this.echoedAt = now
    this.heartbeatAt = now
  }

  private off(rule: string): boolean {
    return this.node.config.mutations.has(rule)
  }

  private to(mode: Mode): void {
    if (this.mode === mode) return
    this.node.ports.log.event('mode', {
      from: this.mode,
      to: mode,
      peer: this.peerName,
      generation: this.record.generation.n,
    })
    this.mode = moveMode(this.mode, mode)
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
      this.fresh = false
      this.newIncarnations()
      this.node.presences.dead(() => true, config.willGraceMs)
      return
    }
    this.to('WAIT_PEER')
    // A node that has lost its disk must not found a second pair while the first one is there.
    const first = config.bootstrap && status === 'NEW' && !this.linkUp
    if (!config.paired || first) this.goSolo(config.paired ? 'bootstrap' : 'unpaired')
  }

  private newIncarnations(): void {
    const { node } = this
    if (this.off('newTokenOnBoot')) return
    for (const session of node.sessions.byClient.values())
      if (session.mine && session.durable) {
        incarnate(node, session)
        fold(node, session)
      }
  }

  // ---- the record

  private write(record: NodeRecord, then: () => void): void {
    this.writes.push({ record, then })
    if (this.writes.length === 1) this.node.ports.store.writeRecord(record)
  }

  recordStored(): void {
    const write = this.writes.shift()
    if (write === undefined) return
    this.record = write.record
    write.then()
    const next = this.writes[0]
    if (next !== undefined) this.node.ports.store.writeRecord(next.record)
  }

  private get writing(): boolean {
    return this.writes.length > 0
  }

  // ---- promises

  get basis(): Basis {
    switch (this.mode) {
      case 'SYNC':
      case 'STALL':
        return this.offering || this.node.config.ack === 'both-disk' ? 'both' : 'peer'
      case 'SOLO':
        return this.offering && !this.off('offerBoth') ? 'both' : 'disk'
      default:
        return 'hold'
    }
  }

  get acked(): number {
    return this.node.config.ack === 'peer-ram' ? this.out.acked : Math.min(this.out.acked, this.out.ackedDurable)
  }

  get serving(): boolean {
    return serves(this.mode) && this.away === 'no'
  }

  get ownsAll(): boolean {
    return this.mode === 'SOLO'
  }

  /** Our changes must be on disk before they are promised, or the peer's before it is told. */
  get flushEagerly(): 'no' | 'write' | 'sync' {
    if (this.mode === 'SOLO' || this.offering || this.node.barrier !== null) return 'sync'
    if (this.mode !== 'SYNC') return 'sync'
    if (this.node.config.ack === 'both-disk' || this.peerAck === 'both-disk' || this.peerAck === 'peer-disk')
      return 'sync'
    return this.peerAck === 'peer-write' ? 'write' : 'no'
  }

  // ---- the link

  linkOpened(peerName: string): void {
    if (this.linkUp) this.linkLost('replaced by a new one')
    this.linkUp = true
    this.linkCount++
    this.helloSent = false
    this.again = null
    this.reader = new FrameReader()
    this.out.flowing = false
    this.peerName = peerName
    this.failedDials = 0
    const { now } = this.node
    this.echoedAt = now
    this.heartbeatAt = now
    this.peerSeq = 0
    this.sentAt.clear()
    this.maybeHello()
  }

  linkData(bytes: Uint8Array): void {
    const { linkCount } = this
    try {
      this.reader.feed(bytes, (frame) => {
        this.onFrame(frame)
        return this.linkUp && this.linkCount === linkCount
      })
    } catch (error) {
      if (!(error instanceof PeerFault)) throw error
      this.node.metrics.add('link_faults')
      this.drop(error.message)
    }
  }

  /** The peer broke the protocol: the link goes, the next one resynchronises. */
  private drop(why: string): void {
    if (!this.linkUp) return
    this.node.ports.log.event('link_dropped', { peer: this.peerName, why })
    this.linkLost(why)
    this.node.ports.link.close(why)
  }

  linkLost(why: string): void {
    if (!this.linkUp) return
    const { node } = this
    this.linkUp = false
    this.out.flowing = false
    this.again = null
    this.led = false
    this.lostAt = node.now
    this.failedDials = 0
    node.router.qos0 = []
    node.ports.log.event('link_lost', { peer: this.peerName, why, mode: this.mode })
    switch (this.mode) {
      case 'SYNC':
        return this.to('STALL')
      case 'JOINING':
        node.barrier = null
        this.merge.stop()
        if (this.insync) return this.to('STALL')
        this.closeStreams()
        return this.to(this.record.status === 'SOLO' ? 'SOLO' : 'WAIT_PEER')
      case 'SOLO':
        this.merge.stop()
        if (this.offering && !this.off('leaderFirst') && this.record.status === 'INSYNC') return this.to('STALL')
        if (this.join !== 'none') {
          this.join = 'none'
          this.offering = false
          node.snapshots.stop()
          node.barrier = null
          if (!this.deciding) this.closeStreams()
        }
        return
    }
  }

  dialFailed(refused: boolean): void {
    this.failedDials++
    if (refused && this.mode === 'STALL' && !this.linkUp) this.goSolo('refused')
  }

  private closeStreams(): void {
    const { node } = this
    node.emitter.close()
    this.out.close()
    this.in.close()
    node.forwarded.clear()
    node.interest.clearPeer()
    node.snapshots.stop()
    node.snapshots.stopReceiving()
  }

  private newStream(): number {
    return (this.node.boot % 0x1_0000_0000) * 0x10_0000 + ++this.streams
  }

  // ---- frames out

  private send(frame: Frame): void {
    if (!this.linkUp) return
    writeFrame(this.frames, frame)
  }

  /** One write for everything the link may take now. */
  drain(): void {
    const { node, frames } = this
    if (!this.linkUp) {
      frames.clear()
      return
    }
    this.maybeHello()
    const { link } = node.ports
    if (this.out.flowing) {
      let room = LIMITS.linkBacklogBytesMax - link.backlog()
      while (room > 0 && this.out.unsent) {
        const before = frames.length
        this.out.write(frames, this.in.applied, this.in.durable)
        this.in.ackDue = false
        room -= frames.length - before
      }
      if (this.in.ackDue && !this.out.unsent) this.sendAck()
      const { qos0 } = node.router
      if (qos0.length > 0) {
        if (room > 0) this.send([FrameKind.qos0, qos0])
        else node.metrics.add('dropped_link_busy', qos0.length / 6)
      }
    }
    node.router.qos0 = []
    node.router.qos0Bytes = 0
    if (frames.length === 0) return
    node.metrics.add('link_bytes_out', frames.length)
    link.send(frames.view())
    if (frames.buf.length > 4 * LIMITS.frameBatchBytes) frames.buf = new Uint8Array(4096)
    frames.clear()
  }

  private sendAck(): void {
    this.in.ackDue = false
    this.send([FrameKind.ack, this.in.id, this.in.applied, this.in.durable])
  }

  private maybeHello(): void {
    if (!this.linkUp || this.helloSent || this.mode === 'BOOT' || this.mode === 'GONE') return
    if ((this.deciding || this.writing) && !this.off('helloDecide')) return
    this.helloSent = true
    const { node, record } = this
    const { generation, history, status, clusterId } = record
    this.send([
      FrameKind.hello,
      LINK_PROTOCOL.min,
      LINK_PROTOCOL.max,
      FEATURES,
      clusterId,
      node.config.name,
      node.boot,
      generationToWire(generation),
      history.map(generationToWire),
      status,
      this.mode,
      this.in.id,
      this.out.id,
      this.in.applied,
      this.in.durable,
      node.tickHlc(),
      Math.round(node.wall),
      node.config.ack,
      record.witnessIncarnation,
      node.config.version,
    ])
    this.mine = this.greeting()
  }
  private mine: Greeting | null = null

  private greeting(): Greeting {
    const { node, record } = this
    return {
      name: node.config.name,
      boot: node.boot,
      generation: record.generation,
      history: record.history,
      status: record.status,
      mode: this.mode,
      streamIn: this.in.id,
      streamOut: this.out.id,
      applied: this.in.applied,
    }
  }

  // ---- frames in

  private onFrame(frame: Frame): void {
    const { node } = this
    switch (frame[0]) {
      case FrameKind.hello:
        return this.onHello(frame)
      case FrameKind.heartbeat: {
        const [, seq, echo, , durable] = frame
        this.peerSeq = seq
        const sent = this.sentAt.get(echo)
        if (sent !== undefined) {
          this.echoedAt = sent
          node.lagMs = node.now - sent
          for (const old of this.sentAt.keys()) if (old <= echo) this.sentAt.delete(old)
        }
        if (this.out.flowing && durable < this.out.next) this.acknowledge(this.out.acked, durable)
        return
      }
      case FrameKind.ops: {
        const [, stream, first, groups, ack, durable] = frame
        if (stream !== this.in.id || stream === 0) return
        if (this.off('fifoAck')) {
          this.in.applied = Math.max(this.in.applied, 0)
        }
        for (let i = 0; i < groups.length; i++) {
          if (!this.in.accept(Lsn(first + i))) continue
          if (this.off('fifoAck')) this.sendAck()
          node.applier.group(groups[i] as never)
        }
        return this.acknowledge(ack, durable)
      }
      case FrameKind.ack:
        if (frame[1] === this.out.id) this.acknowledge(frame[2], frame[3])
        return
      case FrameKind.qos0:
        return node.router.routeQos0(frame[1])
      case FrameKind.refuse:
        return this.onRefuse(frame[1], frame[2])
      default:
        return this.onJoinFrame(frame)
    }
  }

  private onJoinFrame(frame: Frame): void {
    const { node } = this
    switch (frame[0]) {
      case FrameKind.lead:
        if (this.mode !== 'JOINING') return
        this.led = true
        if (this.record.status !== 'OUTDATED' && !this.off('outdatedOnLead')) return this.outdate()
        return this.ready()
      case FrameKind.ready:
        if (this.join !== 'wait') return
        this.in.open(frame[1])
        this.out.open(this.newStream())
        this.send([FrameKind.start, this.out.id])
        this.out.flowing = true
        node.emitter.on = true
        this.join = 'snapshot'
        this.progressAt = node.now
        node.presences.dead((p) => !p.mine, node.config.willGraceMs)
        node.snapshots.begin()
        return
      case FrameKind.start:
        if (this.mode !== 'JOINING' || this.out.id === 0) return
        this.in.open(frame[1])
        this.out.flowing = true
        node.emitter.on = true
        return
      case FrameKind.offer: {
        if (this.mode !== 'JOINING') return
        const generation = generationFromWire(frame[1])
        const history = frame[2].map(generationFromWire)
        const clusterId = frame[3]
        node.atBarrier(() => {
          this.write(
            { ...this.record, clusterId, generation, history, status: 'INSYNC', peerName: this.peerName },
            () => {
              this.insync = true
              this.fresh = false
              if (this.linkUp) this.send([FrameKind.ok])
              else if (this.mode === 'WAIT_PEER') this.to('STALL')
            },
          )
        })
        return
      }
      case FrameKind.ok:
        if (!this.offering) return
        if (this.off('leaderFirst')) return this.write(this.offered as NodeRecord, () => this.joined())
        return this.joined()
      case FrameKind.live:
        if (this.mode !== 'JOINING' || !this.insync) return
        this.to('SYNC')
        this.progressAt = node.now
        return
      case FrameKind.evict:
        return this.evicted(generationFromWire(frame[1]))
      case FrameKind.leave:
        this.leaving = true
        if (this.mode === 'SYNC' || this.mode === 'STALL') this.goSolo('leave')
        return
      case FrameKind.alone:
        return this.alone()
      case FrameKind.merge:
      case FrameKind.merged:
        return this.merge.onFrame(frame)
    }
  }

  private acknowledge(ack: number, durable: number): void {
    const { node, out } = this
    if (ack >= out.next || durable >= out.next) throw new PeerFault('an acknowledgement of what was never sent')
    if (ack > out.acked) this.progressAt = node.now
    out.ack(ack, durable)
    for (let group = out.trim(); group !== undefined; group = out.trim())
      for (const f of group.forwards) node.forwarded.delete(f.message.seq)
    if (out.ring.length === 0) this.progressAt = node.now
    if (node.grants.holds.size > 0) node.grants.acked(out.acked)
    if (out.ringBytes < LIMITS.ringBytesMax / 4) node.resumePublishers()
  }

  private onHello(frame: HelloFrame): void {
    const { node, record } = this
    const [
      ,
      min,
      max,
      ,
      clusterId,
      name,
      boot,
      gen,
      history,
      status,
      mode,
      streamIn,
      streamOut,
      applied,
      ,
      hlc,
      wall,
      ack,
      ,
      version,
    ] = frame
    this.peerVersion = version
    if (min > LINK_PROTOCOL.max || max < LINK_PROTOCOL.min)
      return this.refuse(
        'version',
        `--peer: node ${name} runs ${version}, whose link protocol ${min}-${max} is not ours; run the same version on both nodes`,
      )
    if (name === node.config.name)
      return this.refuse('self', `--name: both nodes are called ${name}; give each its own name`)
    // Two nodes that each founded a pair while they could not see each other are merged; one that has another partner is not.
    const foreign = record.peerName !== '' && record.peerName !== name
    if (foreign && clusterId !== '' && record.clusterId !== '' && clusterId !== record.clusterId)
      return this.refuse(
        'cluster',
        `--data: node ${name} belongs to another pair; start one of the two with an empty data directory`,
      )
    const skew = Math.abs(wall - node.wall)
    if (skew > LIMITS.skewRefuseMs)
      return this.refuse('skew', `the clocks of the two nodes differ by ${Math.round(skew / 1000)} s; set them`)
    if (skew > LIMITS.skewAlarmMs) node.ports.log.event('clock_skew', { peer: name, ms: Math.round(skew) })
    node.ratchet(hlc)
    const same = this.peerBoot === boot
    this.peerBoot = boot as BootId
    this.peerAck = ack
    if (this.deciding || this.writing) {
      this.again = frame
      return
    }
    if (!this.helloSent) this.maybeHello()
    this.peer = {
      name,
      boot,
      generation: generationFromWire(gen),
      history: history.map(generationFromWire),
      status: status as NodeRecord['status'],
      mode: mode as Mode,
      streamIn,
      streamOut,
      applied,
    }
    const role = roleOf(
      this.mode === this.mine?.mode ? (this.mine as Greeting) : this.greeting(),
      this.peer,
      same,
      !this.off('helloMode'),
    )
    node.ports.log.event('hello', { peer: name, role, status, mode, generation: gen[0] })
    this.take(role)
  }

  private refuse(code: string, text: string): void {
    this.send([FrameKind.refuse, code, text])
    this.drain()
    this.onRefuse(code, text)
  }

  private onRefuse(code: string, text: string): void {
    const { node } = this
    node.ports.log.event('link_refused', { code, text })
    node.refusal = text
    // Before it ever served, a node that cannot pair is not what the operator asked for.
    if (this.mode === 'WAIT_PEER' && code !== 'skew') node.fatal = new OperatorFault(text)
    this.drop(text)
  }

  private take(role: Role): void {
    switch (role) {
      case 'resume':
        return this.resume()
      case 'lead':
        return this.lead()
      case 'follow':
        return this.follow(false)
      case 'merge-lead':
        this.node.metrics.add('splits_healed')
        this.merge.wanted = true
        // Both lost power: what the other kept of the same history is taken before anybody is served, and before new
        // incarnations make branches of what is one line.
        if (this.fresh && this.mode === 'WAIT_PEER') return this.merge.ask()
        return this.lead()
      case 'merge-follow':
        return this.follow(true)
    }
  }

  private resume(): void {
    const { node } = this
    const { applied } = this.peer as Greeting
    this.node.metrics.add('link_resumes')
    if (this.off('helloNoAck')) this.acknowledge(Math.max(applied, this.out.acked), this.out.ackedDurable)
    this.out.rewind(applied)
    this.in.ackDue = true
    this.progressAt = node.now
    this.offering = false
    this.join = 'none'
    node.snapshots.stop()
    this.to('SYNC')
  }

  // ---- going alone (pair.md H44: in this order)

  goSolo(why: string): void {
    const { node } = this
    if (this.deciding || this.mode === 'GONE' || this.mode === 'BOOT') return
    this.deciding = true
    this.to('DECIDE')
    node.metrics.add('solo_decisions')
    node.ports.log.event('going_alone', { why })
    if (!this.off('rerouteFirst')) this.reroute()
    const evidence = !why.startsWith('T_')
    const record = (): NodeRecord => ({
      ...this.record,
      clusterId: this.record.clusterId === '' ? node.boot.toString(16).padStart(12, '0') : this.record.clusterId,
      generation: { n: this.record.generation.n + 1, minter: node.boot as BootId },
      history: nextHistory(this.record),
      status: 'SOLO',
    })
    const then = (): void => this.write(record(), () => this.becameSolo(evidence, why))
    if (this.off('barrierFirst')) then()
    else node.atBarrier(then)
  }

  /** What the peer was to route is kept for its sessions here: ring, hold queues. */
  private reroute(): void {
    const { node } = this
    // In order of publishing: the ring first, then what only a hold queue has.
    if (!this.off('reroute')) {
      for (const group of this.out.ring) {
        for (const { op, message } of group.forwards) {
          for (const session of node.router.replicasWanting(message.topic)) {
            if (op[9]?.some((t) => t[0] === session.clientId)) continue
            const want = node.router.wanted(session, message)
            if (want !== null) node.router.shadow(session, message, want.qos, want.retain, want.ids)
          }
        }
      }
      for (const { op, message } of node.emitter.pendingForwards()) {
        for (const session of node.router.replicasWanting(message.topic)) {
          if (op[9]?.some((t) => t[0] === session.clientId)) continue
          const want = node.router.wanted(session, message)
          if (want !== null) node.router.shadow(session, message, want.qos, want.retain, want.ids)
        }
      }
    }
    node.claims.heldToShadows()
    this.closeStreams()
  }

  private becameSolo(evidence: boolean, why: string): void {
    const { node } = this
    this.deciding = false
    if (this.off('rerouteFirst')) this.reroute()
    this.to('SOLO')
    this.join = 'none'
    this.offering = false
    this.insync = false
    if (this.fresh) {
      this.fresh = false
      this.possiblyStale = why === 'T_bootWait' && this.record.history.length > 1
      if (this.possiblyStale)
        node.ports.log.event('possibly_stale', { text: 'the peer did not come; it may hold newer state' })
      node.presences.dead(() => true, node.config.willGraceMs)
      this.newIncarnations()
    }
    node.grants.holds.clear()
    node.claims.serve()
    node.presences.dead((p) => !p.mine, evidence ? node.config.willGraceMs : LIMITS.willMaxHoldMs)
    if (this.leaving && this.linkUp) {
      this.leaving = false
      this.send([FrameKind.alone])
    }
    const { again } = this
    this.again = null
    if (this.wantLead && this.linkUp) {
      this.wantLead = false
      return this.lead()
    }
    if (again !== null && this.linkUp) this.onHello(again)
  }

  // ---- joins

  private lead(): void {
    const { node } = this
    if (this.mode !== 'SOLO') {
      this.wantLead = true
      return this.goSolo('peer')
    }
    if (!this.linkUp) return
    if (this.merge.wanted) return this.merge.ask()
    this.join = 'wait'
    this.progressAt = node.now
    this.send([FrameKind.lead])
  }

  /** The other side's promises are in and durable here: it may follow. */
  merged(): void {
    this.lead()
  }

  private follow(merging: boolean): void {
    const { node } = this
    if (!this.off('followClose')) node.closeClients('this node follows the other one')
    node.claims.refuse()
    node.grants.holds.clear()
    this.closeStreams()
    this.insync = false
    this.outdatedAt = -1
    this.led = false
    this.to('JOINING')
    if (merging) return this.merge.give()
    if (this.record.status === 'OUTDATED' || this.off('outdatedOnLead')) this.outdate()
  }

  /** Written only on LEAD (pair.md H48): until then this disk is the best there is. */
  private outdate(): void {
    const { linkCount } = this
    this.write({ ...this.record, status: 'OUTDATED' }, () => {
      if (!this.linkUp || this.linkCount !== linkCount) {
        if (this.mode === 'JOINING') this.to('WAIT_PEER')
        return
      }
      this.outdatedAt = linkCount
      this.ready()
    })
  }

  private ready(): void {
    if (this.mode !== 'JOINING' || !this.led || !this.linkUp) return
    if (this.record.status === 'OUTDATED' && this.outdatedAt !== this.linkCount && this.writing) return
    this.out.open(this.newStream())
    this.send([FrameKind.ready, this.out.id])
  }
  private offered: NodeRecord | null = null

  /** A slice of the snapshot, as far as the link keeps up. */
  step(): void {
    const { node } = this
    if (this.join !== 'snapshot' || !this.linkUp) return
    if (this.out.ringBytes > 4 * LIMITS.snapshotBytesPerStep) return
    if (!node.snapshots.step()) return
    this.join = 'offer'
    this.offering = true
    this.offered = {
      ...this.record,
      generation: { n: this.record.generation.n + 1, minter: node.boot as BootId },
      history: nextHistory(this.record),
      status: 'INSYNC',
      peerName: this.peerName,
    }
    const { offered, linkCount } = this
    const offer = (): void => {
      if (!this.linkUp || this.linkCount !== linkCount) {
        if (this.mode === 'SOLO' && this.offering) this.to('STALL')
        return
      }
      this.send([
        FrameKind.offer,
        generationToWire(offered.generation),
        offered.history.map(generationToWire),
        offered.clusterId,
      ])
    }
    if (this.off('leaderFirst')) offer()
    else this.write(offered, offer)
  }

  private joined(): void {
    this.offering = false
    this.join = 'none'
    this.to('SYNC')
    this.progressAt = this.node.now
    this.possiblyStale = false
    this.send([FrameKind.live])
    this.node.metrics.add('joins')
  }

  // ---- leaving

  private evicted(generation: Generation): void {
    const { node } = this
    if (generation.n <= this.record.generation.n) return
    node.ports.log.event('evicted', { by: this.peerName })
    if (this.mode !== 'SYNC' && this.mode !== 'STALL') return
    node.closeClients('the other node went on alone')
    node.claims.refuse()
    this.closeStreams()
    this.insync = false
    this.to('WAIT_PEER')
    this.write({ ...this.record, status: 'OUTDATED' }, () => this.drop('evicted'))
    this.linkLost('evicted')
    this.node.ports.link.close('evicted')
  }

  /** The operator wants this node to go: see BrokerNode.drainAway. */
  goAway(): void {
    const { node } = this
    if (this.away !== 'no') return
    this.away = 'granting'
    this.awaySince = node.now
    node.ports.log.event('draining', { peer: this.peerName, handsOver: this.mode === 'SYNC' })
    node.disconnectClients(this.mode === 'SYNC')
  }

  private stepAway(): void {
    const { node } = this
    const late = node.now - this.awaySince > LIMITS.claimTimeoutMs
    if (this.mode === 'SYNC' && this.linkUp && !late) {
      if (this.away === 'granting' && node.grants.grantAll(LIMITS.snapshotItemsPerStep)) {
        this.away = 'left'
        node.afterSeal.push(() => this.send([FrameKind.leave, 'drain']))
      }
      return
    }
    if (this.away === 'left' && this.linkUp && !late) return
    this.away = 'left'
    if (this.mode === 'GONE' || node.barrier !== null || this.writing) return
    node.atBarrier(() => this.to('GONE'))
  }

  /** The peer is durably alone: this node's state is outdated from now on. */
  private alone(): void {
    if (this.away !== 'left') return
    this.write({ ...this.record, status: 'OUTDATED' }, () => this.to('GONE'))
  }

  // ---- time

  /** This process itself stood still: silence of the peer proves nothing (pair.md H21). */
  forgiveSilence(): void {
    const { now } = this.node
    this.echoedAt = now
    this.progressAt = now
    this.failedDials = 0
    if (this.mode === 'STALL') this.lostAt = now
  }

  tick(): void {
    const { node } = this
    const { now, config } = node
    if (this.away !== 'no' && this.mode !== 'GONE') this.stepAway()
    if (this.again !== null && !this.deciding && !this.writing && this.linkUp) {
      const { again } = this
      this.again = null
      this.onHello(again)
    }
    if (this.linkUp) {
      if (now >= this.heartbeatAt) {
        this.heartbeatAt = now + this.heartbeatMs
        const seq = ++this.heartbeatSeq
        this.sentAt.set(seq, now)
        if (this.sentAt.size > 64) this.sentAt.delete(this.sentAt.keys().next().value as number)
        this.send([FrameKind.heartbeat, seq, this.peerSeq, Math.round(node.lagMs), this.in.durable, this.mode])
      }
      if (now - this.echoedAt > config.suspectMs) return this.drop('no heartbeat came back')
      if (this.mode === 'SYNC' && this.out.ring.length > 0 && now - this.progressAt > config.stuckMs) {
        this.send([FrameKind.evict, [this.record.generation.n + 1, node.boot], 'stuck'])
        this.drain()
        this.drop('the peer acknowledges nothing')
        return this.decide('T_stuck')
      }
      if (
        (this.join === 'wait' || this.join === 'offer' || this.join === 'snapshot') &&
        now - this.progressAt > config.stuckMs
      )
        return this.drop('the join does not go on')
    } else if (this.mode === 'STALL') {
      if (now - this.lostAt >= config.soloMs && this.failedDials >= LIMITS.failedDialsMin) this.decide('T_solo')
    } else if (this.mode === 'WAIT_PEER' && this.record.status !== 'OUTDATED' && !this.deciding) {
      if (now - this.bootedAt >= config.bootWaitMs && now - this.lostAt >= config.soloMs) this.goSolo('T_bootWait')
    }
  }

  private get heartbeatMs(): number {
    return Math.min(LIMITS.heartbeatMs, this.node.config.suspectMs / 4)
  }

  private decide(why: string): void {
    const { partition, name } = this.node.config
    const may =
      partition === 'available' || (typeof partition === 'object' && partition.prefer === name) || why === 'T_stuck'
    if (may) return this.goSolo(why)
    if (this.mode !== 'STALL') return
    this.node.closeClients('the policy leaves service to the other node')
    this.node.claims.refuse()
    this.to('FENCED')
  }

  deadline(): number {
    const { config } = this.node
    if (this.away !== 'no' && this.mode !== 'GONE') return this.node.now + 20
    if (this.linkUp)
      return Math.min(this.heartbeatAt, this.join === 'snapshot' ? this.node.now + 1 : Number.POSITIVE_INFINITY)
    if (this.mode === 'STALL') return Math.max(this.node.now + 10, this.lostAt + config.soloMs)
    if (this.mode === 'WAIT_PEER') return Math.max(this.node.now + 10, this.bootedAt + config.bootWaitMs)
    return Number.POSITIVE_INFINITY
  }

  get synced(): boolean {
    return this.mode === 'SYNC' && this.linkUp
  }

  describe(): Record<string, unknown> {
    return { name: this.peerName, version: this.peerVersion, link: this.linkUp, ring: this.out.ring.length }
  }
}

function nextHistory(record: NodeRecord): readonly Generation[] {
  if (record.generation.n === 0) return record.history
  return [...record.history, record.generation].slice(-LIMITS.generationHistoryMax)
}
