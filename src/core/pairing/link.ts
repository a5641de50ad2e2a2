// Link: the transport to the other node: frames out and in, acknowledgements, heartbeats. Knows which part a frame is for, not what
// it makes of it.
import { Lsn } from '../../base/brand.ts'
import { ByteWriter } from '../../base/bytes.ts'
import { PeerFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import { FrameReader, writeFrame } from '../../wire/peer_codec.ts'
import { type Frame, FrameKind, type Op } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import type { Pairing } from './pairing.ts'

export class Link {
  up = false
  /** Links so far: what began on one does not go on with the next. */
  count = 0
  /** Dials in a row that failed while there is no link. */
  failedDials = 0
  private reader = new FrameReader()
  private readonly frames = new ByteWriter(4096)
  /** Monotonic ms at which the next heartbeat is sent. */
  private heartbeatAt: number
  private heartbeatSeq = 0
  private peerSeq = 0
  /** Monotonic ms at which it came. */
  private peerSeqAt = 0
  /** When heartbeats that have not come back were sent, monotonic ms by number. */
  private readonly sentAt = new Map<number, number>()
  /** The peer has said HELLO on this link, and nothing speaks against going together. */
  greeted = false
  /** Monotonic ms at which this link opened. */
  openedAt = 0
  /** What `failedDials` and `echoedAt` were then: a link that leads nowhere changes neither. */
  private before = { failedDials: 0, echoedAt: 0 }
  /** The last dial found nobody listening: no process of the peer runs. */
  peerDead = false
  /** When the last heartbeat that came back had been sent, monotonic ms; later where silence was forgiven. */
  echoedAt: number
  /** ... while both were in step: until then the other one is known not to have gone on alone. */
  heardAt: number
  private readonly pairing: Pairing
  private readonly node: BrokerNode

  constructor(pairing: Pairing) {
    this.pairing = pairing
    this.node = pairing.node
    this.heartbeatAt = this.node.now
    this.echoedAt = this.node.now
    this.heardAt = this.node.now
  }

  // ---- its life

  opened(peerName: string): void {
    const { pairing } = this
    if (this.up) this.lost('replaced by a new one')
    this.up = true
    this.count++
    this.frames.clear() // what was written for a former link has no meaning on this one
    pairing.hello.renew()
    this.reader = new FrameReader()
    pairing.out.flowing = false
    pairing.peerName = peerName
    const { now } = this.node
    const { failedDials, echoedAt } = this
    this.before = { failedDials, echoedAt }
    this.greeted = false
    this.openedAt = now
    this.peerDead = false
    this.failedDials = 0
    this.echoedAt = now
    this.heartbeatAt = now
    this.peerSeq = 0
    this.peerSeqAt = this.node.now
    this.sentAt.clear()
    pairing.hello.send()
  }

  /** The peer broke the protocol, or is silent: the link goes, the next one resynchronises. */
  drop(why: string): void {
    if (!this.up) return
    this.node.ports.log.event('link_dropped', { peer: this.pairing.peerName, why })
    this.lost(why)
    this.node.ports.link.close(why)
  }

  lost(why: string): void {
    if (!this.up) return
    const { node, pairing } = this
    this.up = false
    pairing.out.flowing = false
    pairing.hello.again = null
    pairing.join.led = false
    if (this.greeted) {
      pairing.lostAt = node.now
      if (!pairing.owed) pairing.progressAt = node.now
      this.failedDials = 0
    } else {
      // No more than a dial that failed: what counts as silence goes on.
      this.failedDials = this.before.failedDials + 1
      this.echoedAt = this.before.echoedAt
    }
    this.dropQos0()
    node.ports.log.event('link_lost', { peer: pairing.peerName, why, mode: pairing.mode })
    pairing.linkLost()
  }

  /** @param refused nobody listens there: the peer's process is dead */
  dialFailed(refused: boolean): void {
    const { pairing } = this
    this.failedDials++
    this.peerDead = refused
    if (refused && pairing.mode === 'STALL' && !this.up) pairing.solo.go('refused')
  }

  // ---- frames out

  /** Goes out with the next drain; dropped where there is no link. */
  send(frame: Frame): void {
    if (!this.up) return
    writeFrame(this.frames, frame)
  }

  /** Bytes that leave with the next drain. */
  get waitingBytes(): number {
    return this.frames.length
  }

  /** One write for everything the link may take now. */
  drain(): void {
    const { node, pairing, frames } = this
    if (!this.up) {
      frames.clear()
      return this.dropQos0()
    }
    pairing.hello.send()
    const { link } = node.ports
    const { out, in: stream } = pairing
    if (out.flowing) {
      let room = LIMITS.linkBacklogBytesMax - link.backlog()
      while (room > 0 && out.unsent) {
        const before = frames.length
        if (out.write(frames, stream.durable) === stream.applied) stream.ackDue = false
        room -= frames.length - before
      }
      // Never ahead of what was derived from it: neither of groups that wait nor of ops that are not a group yet (pair.md H5).
      if (stream.ackDue && !out.unsent && !node.emitter.hasOps) this.sendAck()
      const { qos0 } = node.router
      if (room > 0 && qos0.length > 0) {
        this.send([FrameKind.qos0, qos0])
        node.router.qos0 = []
      }
    }
    this.dropQos0()
    if (frames.length === 0) return
    node.metrics.add('link_bytes_out', frames.length)
    link.send(frames.view())
    if (frames.buf.length > 4 * LIMITS.frameBatchBytes) frames.buf = new Uint8Array(4096)
    frames.clear()
  }

  /** What no frame has taken by now is not kept. */
  private dropQos0(): void {
    const { router, metrics } = this.node
    if (router.qos0.length === 0) return
    metrics.add('dropped_link_busy', router.qos0.length / 6)
    router.qos0 = []
  }

  private sendAck(): void {
    const { in: stream } = this.pairing
    stream.ackDue = false
    this.send([FrameKind.ack, stream.id, stream.applied, stream.durable])
  }

  // ---- frames in

  data(bytes: Uint8Array): void {
    const { count } = this
    try {
      this.reader.feed(bytes, (frame) => {
        this.onFrame(frame)
        return this.up && this.count === count
      })
    } catch (error) {
      if (!(error instanceof PeerFault)) throw error
      this.node.metrics.add('link_faults')
      this.drop(error.message)
    }
  }

  private onFrame(frame: Frame): void {
    const { node, pairing } = this
    switch (frame[0]) {
      case FrameKind.hello:
        if (pairing.hello.heard) throw new PeerFault('second HELLO')
        pairing.hello.heard = true
        return pairing.hello.onHello(frame)
      case FrameKind.heartbeat: {
        const [, seq, echo, heldUs, durable] = frame
        this.echoed(seq, echo, heldUs)
        if (pairing.out.flowing && durable < pairing.out.next) this.acknowledge(pairing.out.acked, durable)
        return
      }
      case FrameKind.ops: {
        const [, id, first, groups, ack, durable] = frame
        const { in: stream } = pairing
        if (id !== stream.id || id === 0) return
        for (let i = 0; i < groups.length; i++) {
          if (!stream.accept(Lsn(first + i))) continue
          if (pairing.off('fifoAck')) this.sendAck()
          this.apply(groups[i] as Op[])
        }
        return this.acknowledge(ack, durable)
      }
      case FrameKind.ack:
        if (frame[1] === pairing.out.id) this.acknowledge(frame[2], frame[3])
        return
      case FrameKind.qos0:
        return node.router.routeQos0(frame[1])
      case FrameKind.refuse:
        return pairing.hello.onRefuse(frame[1], frame[2])
      case FrameKind.evict:
        return pairing.leave.onEvict(frame[1])
      case FrameKind.leave:
        return pairing.solo.onLeave()
      case FrameKind.alone:
        return pairing.leave.onAlone()
      case FrameKind.merge:
      case FrameKind.merged:
        return pairing.merge.onFrame(frame)
      default:
        return pairing.join.onFrame(frame)
    }
  }

  /** A group that cannot be applied as a whole leaves a state that no resume may build on: both nodes synchronise anew. */
  private apply(ops: readonly Op[]): void {
    try {
      this.node.applier.group(ops)
    } catch (error) {
      this.pairing.in.close()
      throw error
    }
  }

  /** @param ack the peer has applied our groups up to this one  @param durable and has these on disk */
  acknowledge(ack: number, durable: number): void {
    const { node, pairing } = this
    const { out } = pairing
    if (ack >= out.next || durable >= out.next) throw new PeerFault('an acknowledgement of what was never sent')
    const { acked } = pairing
    out.ack(ack, durable)
    // By what promises hang on: a peer whose disk stands still does not go on.
    if (pairing.acked > acked || !pairing.owed) pairing.progressAt = node.now
    for (let group = out.trim(); group !== undefined; group = out.trim())
      for (const f of group.forwards) {
        node.forwarded.delete(f.ref)
        pairing.letGo(f)
      }
    if (node.grants.holds.size > 0) node.grants.acked(out.acked)
  }

  // ---- heartbeats

  /** Sends a heartbeat when it is time for one. */
  beat(): void {
    const { node, pairing } = this
    const { now } = node
    if (now < this.heartbeatAt) return
    this.heartbeatAt = now + Math.min(LIMITS.heartbeatMs, node.config.suspectMs / 4)
    const seq = ++this.heartbeatSeq
    this.sentAt.set(seq, now)
    if (this.sentAt.size > 64) this.sentAt.delete(this.sentAt.keys().next().value as number)
    const heldUs = Math.round((now - this.peerSeqAt) * 1000)
    this.send([FrameKind.heartbeat, seq, this.peerSeq, heldUs, pairing.in.durable, pairing.mode])
  }

  /** @param seq the peer's heartbeat  @param echo the last of ours that it has seen  @param heldUs how long ago */
  private echoed(seq: number, echo: number, heldUs: number): void {
    this.peerSeq = seq
    this.peerSeqAt = this.node.now
    const sent = this.sentAt.get(echo)
    if (sent === undefined) return
    // What was forgiven stays so: the first echo after a pause of our own is of a heartbeat from before it.
    this.echoedAt = Math.max(this.echoedAt, sent)
    if (this.pairing.mode === 'SYNC') this.heardAt = sent
    this.node.lagMs = Math.max(0, this.node.now - sent - heldUs / 1000)
    for (const old of this.sentAt.keys()) if (old <= echo) this.sentAt.delete(old)
  }

  /** No heartbeat has come back for too long. */
  get silent(): boolean {
    return this.node.now > this.silentAt
  }

  /** Monotonic ms until which a heartbeat must come back. */
  private get silentAt(): number {
    // A join moves all there is, and no promise hangs on the follower yet: it may be slow.
    const { config, pairing } = this.node
    const joining = pairing.mode === 'JOINING' || pairing.join.stage !== 'none'
    return this.echoedAt + (joining ? config.stuckMs : config.suspectMs)
  }

  /** This process itself stood still: silence so far proves nothing. */
  forgive(): void {
    this.echoedAt = this.node.now
    this.failedDials = 0
  }

  /** By how much the wall clock went on more than the other one: a suspended machine wakes up with a monotonic clock that stood still. */
  stepped(ms: number): void {
    if (ms > LIMITS.ownPauseMs) this.heardAt = Number.NEGATIVE_INFINITY
  }

  /** Monotonic ms at which the next heartbeat is due, or one of the peer's overdue. */
  deadline(): number {
    return Math.min(this.heartbeatAt, this.silentAt + 1)
  }
}
