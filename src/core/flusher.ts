// Flusher: when the store gets a batch, up to which turn everything is on disk, and what waits for that. Knows no rows: the journal
// makes the batch.
import { Turn } from '../base/brand.ts'
import type { Histogram } from './monitor/histogram.ts'
import type { BrokerNode } from './node.ts'

/** The turn a barrier waits for is known when the one under way ends. */
const UNSET = -1
/** Batches with the store at the same time. */
const FLUSHES_MAX = 2

type Barrier = { turn: number; readonly then: () => void }
type Flush = { readonly turn: number; readonly sync: boolean; readonly applied: number; readonly at: number }

export class Flusher {
  private barrier: Barrier | null = null
  /** With the store, oldest first. */
  private readonly flushes: Flush[] = []
  /** Batches were handed to the operating system that the disk need not have yet. */
  private loose = false
  /** Monotonic ms of the last batch. */
  private flushedAt: number
  private readonly seconds: Histogram
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
    this.seconds = node.metrics.histogram('flush_seconds', 'from giving a batch to the store to having it written')
    this.flushedAt = node.now
  }

  // ---- the barrier

  /** Calls back when everything up to and including the turn under way is on disk, surviving power loss. */
  atBarrier(then: () => void): void {
    this.barrier = { turn: UNSET, then }
  }

  /** Something waits for the disk: batches go out at once. */
  get hasBarrier(): boolean {
    return this.barrier !== null
  }

  dropBarrier(): void {
    this.barrier = null
  }

  /** The turn that was under way has ended: a new barrier waits for that one. */
  turnEnded(): void {
    if (this.barrier !== null && this.barrier.turn === UNSET) this.barrier.turn = this.node.turns.current - 1
  }

  /** A turn without changes needs no batch, unless a former one is still to be synced; calls back where the barrier is reached. */
  advance(): void {
    const { turns, journal } = this.node
    if (this.flushes.length === 0 && !journal.changed && !this.loose) turns.synced = turns.current - 1
    const { barrier } = this
    if (barrier === null || barrier.turn === UNSET || turns.synced < barrier.turn) return
    this.barrier = null
    barrier.then()
  }

  // ---- batches

  get due(): boolean {
    const { journal, config, pairing, now } = this.node
    const late = now - this.flushedAt >= config.flushMs
    if (!journal.changed) return this.loose && this.flushes.length === 0 && (late || pairing.flushEagerly === 'sync')
    if (pairing.flushEagerly === 'no') return late && this.flushes.length < FLUSHES_MAX
    return this.flushes.length === 0 || (late && this.flushes.length < FLUSHES_MAX) // group commit: the rest waits for company
  }

  /** Gives the store what has changed, where it is time. */
  flush(): void {
    const { node } = this
    const { pairing } = node
    this.turnEnded()
    if (!this.due) {
      const settled = !node.journal.changed && this.flushes.length === 0
      if (settled && (!this.loose || pairing.peerAck === 'peer-write')) this.durableUpTo(pairing.in.applied)
      return
    }
    const sync = pairing.flushEagerly !== 'write' || node.now - this.flushedAt >= node.config.flushMs
    const batch = node.journal.take(
      node.wallOf,
      (topic) => node.retained.tree.get(topic),
      (client) => node.presences.row(client, node.wallOf),
    )
    const turn = node.turns.current - 1
    this.flushedAt = node.now
    this.flushes.push({ turn, sync, applied: pairing.in.applied, at: node.now })
    node.ports.store.flush(batch, Turn(turn), sync)
  }

  /** Batches up to that of this turn are written, and on disk where that was asked. */
  stored(turn: Turn): void {
    const { turns, pairing } = this.node
    while (this.flushes.length > 0 && (this.flushes[0] as Flush).turn <= turn) {
      const flush = this.flushes.shift() as Flush
      this.seconds.observe((this.node.now - flush.at) / 1000)
      if (flush.sync || pairing.peerAck === 'peer-write') this.durableUpTo(flush.applied)
      this.loose = !flush.sync
      if (flush.sync) turns.synced = Math.max(turns.synced, flush.turn)
    }
  }

  /** The peer's groups up to this one are as safe here as it wants to know. */
  private durableUpTo(applied: number): void {
    const { in: stream, mode, peerAck } = this.node.pairing
    if (applied <= stream.durable || applied > stream.applied) return
    stream.durable = applied
    if (peerAck !== 'peer-ram' || mode === 'JOINING') stream.ackDue = true
  }

  /** Monotonic ms at which the next batch may go out; Infinity: none waits, or the store has enough. */
  deadline(): number {
    const { journal, now, config } = this.node
    const more = journal.changed || (this.loose && this.flushes.length === 0)
    if (!more || this.flushes.length >= FLUSHES_MAX) return Number.POSITIVE_INFINITY
    return Math.max(now + 1, this.flushedAt + config.flushMs)
  }
}
