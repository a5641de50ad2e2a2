// Emitter: turns changes of what this node owns into ops for the peer, one group a turn. While no stream is open it only
// counts versions. Knows nothing of frames.

import { LIMITS } from '../../base/limits.ts'
import { piecesOf } from '../../base/pieces.ts'
import type { Forward } from '../../pair/out_stream.ts'
import type { Entry } from '../../session/queue.ts'
import type { Session } from '../../session/session.ts'
import { NO_ENTRIES, NO_NUMBERS } from '../../session/session.ts'
import type { BounceOp, DealOp, EnqItemWire, Op, PubOp } from '../../wire/peer_message.ts'
import { OpKind } from '../../wire/peer_message.ts'
import { wireBytes } from './convert.ts'

/** What one of a publish's targets takes in its op, about. */
const TARGET_BYTES = 32

export class Emitter {
  /** A stream is open: ops are made. */
  on = false
  /** Number of the snapshot being sent: sessions it has not put into the stream yet are left out; 0: none. */
  snapshot = 0
  /** Grows with every op. */
  count = 0
  bytes = 0
  private ops: Op[] = []
  private forwards: Forward[] = []
  private enqueued = new Map<Session, EnqItemWire[]>()
  private moved = new Map<Session, number[]>()
  private released = new Map<Session, number[]>()
  private taken = new Map<Session, number[]>()
  private lazy: Session[] = []
  /** The turn is to make a group, whatever stands in it. */
  private asks = false
  /** Monotonic ms since which lazy ops wait; Infinity: none. */
  lazySince = Number.POSITIVE_INFINITY

  /** The peer knows of this session. */
  visible(session: Session): boolean {
    return this.on && session.durable && (this.snapshot === 0 || session.snapshot === this.snapshot)
  }

  emit(op: Op): void {
    if (!this.on) return
    if (this.enqueued.size > 0) this.flushEnqueued()
    this.push(op)
  }

  private push(op: Op): void {
    this.ops.push(op)
    this.count++
    this.bytes += 32
  }

  /** A group leaves this turn even if it is empty: what hangs on it hangs on the peer's answer. @returns whether there is a stream */
  ask(): boolean {
    if (this.on && !this.asks) {
      this.asks = true
      this.count++
    }
    return this.on
  }

  /** One op about one session that this node owns. */
  about(session: Session, op: () => Op): void {
    if (!session.durable) return
    session.ver++
    if (this.visible(session)) this.emit(op())
  }

  /** A message crosses. @param forward what is known of it until the peer has it; null: nothing refers to it */
  pub(op: PubOp | DealOp | BounceOp, payload: Uint8Array, forward: Forward | null): void {
    if (!this.on) return
    this.emit(op)
    this.bytes += payload.length
    if (op[0] === OpKind.pub && op[9] !== null) this.bytes += op[9].length * TARGET_BYTES
    if (forward !== null) this.forwards.push(forward)
  }

  enqueue(session: Session, item: EnqItemWire): void {
    if (!this.visible(session)) {
      session.ver++
      return
    }
    const items = this.enqueued.get(session)
    if (items === undefined) this.enqueued.set(session, [item])
    else items.push(item)
    this.count++
    this.bytes += bytesOf(item)
  }

  private flushEnqueued(): void {
    const all = this.enqueued
    this.enqueued = new Map()
    for (const [session, items] of all)
      for (const part of this.bytes > LIMITS.opBytesMax ? piecesOf(items, bytesOf, LIMITS.opBytesMax) : [items]) {
        session.ver++
        this.push([OpKind.enq, session.clientId, session.tag, part])
      }
  }

  /** A sent mark that outputs hang on: the first QoS 2 PUBLISH, PUBREL. */
  sent(session: Session, entry: Entry): void {
    if (!session.durable) return
    if (!this.visible(session)) {
      session.ver++
      return
    }
    entry.lazy = false
    const triples = this.moved.get(session)
    if (triples === undefined) this.moved.set(session, [entry.pos, entry.packetId, entry.state])
    else triples.push(entry.pos, entry.packetId, entry.state)
    this.count++
    this.bytes += 8
  }

  /** A sent mark that nothing hangs on (QoS 1): may wait, and vanish with the acknowledgement. */
  sentLazy(session: Session, entry: Entry, now: number): void {
    if (!session.durable) return
    if (!this.visible(session)) {
      session.ver++
      return
    }
    if (session.lazyOut === NO_ENTRIES) session.lazyOut = []
    entry.lazy = true
    session.lazyOut.push(entry)
    this.noteLazy(session, now)
  }

  doneLazy(session: Session, entry: Entry, now: number): void {
    if (!session.durable || entry.passing) return
    if (!this.visible(session)) {
      session.ver++
      return
    }
    if (entry.qos === 0) return this.doneNow(session, entry)
    if (session.lazyDeq === NO_NUMBERS) session.lazyDeq = []
    session.lazyDeq.push(entry.pos)
    this.noteLazy(session, now)
  }

  /** QoS 0 goes out at most once, so what goes out hangs on this. */
  private doneNow(session: Session, entry: Entry): void {
    const positions = this.taken.get(session)
    if (positions === undefined) this.taken.set(session, [entry.pos])
    else positions.push(entry.pos)
    this.count++
    this.bytes += 4
  }

  inboundDone(session: Session, packetId: number): void {
    if (!session.durable) return
    if (!this.visible(session)) {
      session.ver++
      return
    }
    const ids = this.released.get(session)
    if (ids === undefined) this.released.set(session, [packetId])
    else ids.push(packetId)
    this.count++
    this.bytes += 4
  }

  /** Released and in use again within a turn, as no client should: the release goes out behind all publishes, so it is taken back. */
  inboundAgain(session: Session, packetId: number): void {
    if (this.released.size === 0) return
    const ids = this.released.get(session)
    const at = ids?.indexOf(packetId) ?? -1
    if (ids === undefined || at === -1) return
    ids.splice(at, 1)
    if (ids.length === 0) this.released.delete(session)
  }

  private noteLazy(session: Session, now: number): void {
    if (session.lazyOut.length + session.lazyDeq.length === 1) this.lazy.push(session)
    if (now < this.lazySince) this.lazySince = now
  }

  /** Every change of this session has its version. */
  settled(session: Session): boolean {
    const waits =
      this.enqueued.has(session) || this.moved.has(session) || this.released.has(session) || this.taken.has(session)
    return !waits && session.lazyOut.length === 0 && session.lazyDeq.length === 0
  }

  /** Everything that waits for this session goes into the group now: its token or its owner is about to change. */
  settle(session: Session): void {
    if (this.enqueued.size > 0) this.flushEnqueued()
    this.flushMoved()
    this.settleLazy(session)
  }

  private flushMoved(): void {
    if (this.moved.size > 0) {
      const all = this.moved
      this.moved = new Map()
      for (const [session, triples] of all) {
        if (session.ended) continue
        session.ver++
        this.push([OpKind.out, session.clientId, session.tag, triples])
      }
    }
    if (this.released.size > 0) {
      const all = this.released
      this.released = new Map()
      for (const [session, ids] of all) {
        if (session.ended) continue
        session.ver++
        this.push([OpKind.inboundDel, session.clientId, session.tag, ids])
      }
    }
    if (this.taken.size > 0) {
      const all = this.taken
      this.taken = new Map()
      for (const [session, positions] of all) {
        if (session.ended) continue
        session.ver++
        this.push([OpKind.deq, session.clientId, session.tag, positions])
      }
    }
  }

  private settleLazy(session: Session): void {
    const { lazyOut, lazyDeq } = session
    if (lazyOut.length === 0 && lazyDeq.length === 0) return
    session.lazyOut = NO_ENTRIES
    session.lazyDeq = NO_NUMBERS
    if (session.ended) return
    const triples: number[] = []
    for (const entry of lazyOut) {
      if (entry.gone || !entry.lazy) continue
      entry.lazy = false
      triples.push(entry.pos, entry.packetId, entry.state)
    }
    const visible = this.visible(session)
    if (triples.length > 0) {
      session.ver++
      if (visible) this.push([OpKind.out, session.clientId, session.tag, triples])
    }
    if (lazyDeq.length > 0) {
      session.ver++
      if (visible) this.push([OpKind.deq, session.clientId, session.tag, lazyDeq])
    }
  }

  /** Lazy ops have waited long enough. */
  settleAllLazy(): void {
    const { lazy } = this
    this.lazy = []
    this.lazySince = Number.POSITIVE_INFINITY
    if (this.enqueued.size > 0) this.flushEnqueued()
    this.flushMoved()
    for (const session of lazy) this.settleLazy(session)
  }

  /** The ops of the turn; empty afterwards. */
  take(): { ops: Op[]; forwards: Forward[] } {
    if (this.enqueued.size > 0) this.flushEnqueued()
    this.flushMoved()
    const { ops, forwards } = this
    this.ops = []
    this.forwards = []
    this.asks = false
    this.bytes = 0
    return { ops, forwards }
  }

  /** Publishes of the turn under way that the peer was to route. */
  pendingForwards(): readonly Forward[] {
    return this.forwards
  }

  get hasOps(): boolean {
    return (
      this.asks ||
      this.ops.length > 0 ||
      this.enqueued.size > 0 ||
      this.moved.size > 0 ||
      this.released.size > 0 ||
      this.taken.size > 0
    )
  }

  /** The stream ends: what was collected is in the state, and a snapshot will carry it. */
  close(): void {
    this.settleAllLazy()
    this.take()
    this.on = false
    this.snapshot = 0
  }
}

/** What an entry takes in an op, about. */
function bytesOf(item: EnqItemWire): number {
  const message = item[4]
  return typeof message === 'number' ? 16 : 32 + wireBytes(message)
}
