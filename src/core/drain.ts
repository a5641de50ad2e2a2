// Drain: what a node does after a batch of events, in the order of DESIGN.md: timers, what is released, what may be sent; then one
// group, one frame, one flush, one write each. Knows nothing of what the events were.
import { LIMITS } from '../base/limits.ts'
import type { Connection } from '../connection/connection.ts'
import { pump } from '../connection/send.ts'
import type { Session } from '../session/session.ts'
import { lingers, tickKeepAlive } from './clients/keep_alive.ts'
import type { Histogram } from './monitor/histogram.ts'
import type { BrokerNode } from './node.ts'

export class Drainer {
  /** Connections with bytes to write. */
  private readonly toWrite: Connection[]
  /** Sessions that may have something to send. */
  private readonly toPump: Session[]
  /** Connections with outputs that wait for a turn to be released. */
  private readonly gated = new Set<Connection>()
  private waitingPump: { session: Session; turn: number }[] = []
  /** Changes counted when the last turn ended. */
  private sealedAt = 0
  /** Monotonic ms: when it ran last, when it asked to run again, when deleted retained messages were let go last. */
  private drainedAt: number
  private plannedAt = Number.POSITIVE_INFINITY
  private forgotAt = 0
  /** One turn at a time is timed, from its end to its release; 0: none. */
  private timedTurn = 0
  private timedFrom = 0
  private readonly releaseSeconds: Histogram
  private readonly node: BrokerNode

  /** @param toWrite, toPump the lists that the node fills while it handles events */
  constructor(node: BrokerNode, toWrite: Connection[], toPump: Session[]) {
    this.node = node
    this.toWrite = toWrite
    this.toPump = toPump
    this.drainedAt = node.now
    this.releaseSeconds = node.metrics.histogram(
      'release_seconds',
      'how long what was promised to clients waited for the peer or the disk; samples',
    )
  }

  run(): void {
    const { node } = this
    const { pairing, emitter } = node
    if (node.now - this.drainedAt > LIMITS.ownPauseMs && this.drainedAt > 0 && this.pausedTooLong) {
      pairing.forgiveSilence()
      node.awakeSince = node.now
    }
    this.drainedAt = node.now
    node.begin()
    this.tick()
    this.advance()
    this.runAfterTurn()
    this.pumpAll()
    pairing.join.step()
    pairing.merge.step()
    // What is written must have its version, so lazy ops go out before a flush.
    if (emitter.lazySince + LIMITS.lazyMs <= node.now || node.flusher.due) emitter.settleAllLazy()
    this.seal()
    for (const f of node.afterSeal.splice(0)) f()
    node.flusher.flush()
    pairing.link.drain()
    this.advance()
    this.writeAll()
    this.plannedAt = this.deadline()
  }

  /** It was asked to run long ago: the process stood still. */
  private get pausedTooLong(): boolean {
    return this.node.now - this.plannedAt > LIMITS.ownPauseMs
  }

  private tick(): void {
    const { node } = this
    const { pairing } = node
    pairing.tick()
    node.presences.tick()
    node.owners.tick()
    node.claims.tick()
    tickKeepAlive(node)
    node.sys.tick()
    node.queues.tick()
    node.backPressure.tick(node.now, node.queues.keptBytes, node.config.queuedBytesTotalMax, pairing.out.caughtUp)
    const { retained } = node
    if (retained.remember && node.pairing.mode === 'SYNC' && node.now - this.forgotAt > LIMITS.willMaxHoldMs) {
      this.forgotAt = node.now
      retained.forgetDeleted(node.now - LIMITS.willMaxHoldMs)
    }
  }

  private runAfterTurn(): void {
    const { node } = this
    for (const f of node.afterTurn.splice(0)) {
      node.begin()
      f()
    }
  }

  // ---- what is released

  private advance(): void {
    const { node } = this
    const { pairing, turns } = node
    node.flusher.advance()
    let basis = pairing.basis
    if (node.config.mutations.has('modeBasis') && basis === 'peer') basis = 'disk'
    if (!turns.advance(basis, pairing.out.id, pairing.acked)) return
    if (this.timedTurn !== 0 && this.timedTurn <= turns.released) {
      this.releaseSeconds.observe((node.now - this.timedFrom) / 1000)
      this.timedTurn = 0
    }
    for (const c of this.gated) if (!c.isDirty) node.dirty(c)
    this.gated.clear()
    if (this.waitingPump.length === 0) return
    const waiting = this.waitingPump
    this.waitingPump = []
    for (const w of waiting) {
      if (w.turn <= turns.released) node.pump(w.session)
      else this.waitingPump.push(w)
    }
  }

  /** The session is pumped once this turn is released. */
  pumpAfter(session: Session, turn: number): void {
    this.waitingPump.push({ session, turn })
  }

  private pumpAll(): void {
    const { toPump } = this
    for (let i = 0; i < toPump.length; i++) {
      const session = toPump[i] as Session
      session.pumping = false
      const c = session.attachment as Connection | null
      if (c !== null && !session.ended) pump(c, session)
    }
    toPump.length = 0
  }

  // ---- what goes out

  /** The turn under way has changed something. */
  private get changed(): boolean {
    const { emitter, journal } = this.node
    return emitter.hasOps || journal.count + emitter.count !== this.sealedAt
  }

  /** The turn with which all that was changed until now is released. */
  get soFar(): number {
    const { turns } = this.node
    return this.changed ? turns.current : turns.current - 1
  }

  /** Ends the turn if it changed anything: its ops become one group. */
  seal(): void {
    if (!this.changed) return
    const { node } = this
    const { emitter, turns, pairing, grants } = node
    const { hasOps } = emitter
    const { ops, forwards } = emitter.take()
    this.sealedAt = node.journal.count + emitter.count
    node.begin()
    let lsn = 0
    if (hasOps && pairing.out.id > 0) {
      lsn = pairing.out.append(ops, turns.current, pairing.in.applied, forwards)
      if (grants.holds.size > 0) grants.number(turns.current, lsn)
    }
    if (this.timedTurn === 0) {
      this.timedTurn = turns.current
      this.timedFrom = node.now
    }
    turns.end(lsn, pairing.out.id)
    node.sessions.holdings.forget()
    node.flusher.turnEnded()
  }

  private writeAll(): void {
    const { toWrite } = this
    for (let i = 0; i < toWrite.length; i++) {
      const c = toWrite[i] as Connection
      c.isDirty = false
      if (c.flush()) this.gated.add(c)
      else if (c.state === 'closing') lingers(this.node, c)
    }
    toWrite.length = 0
  }

  /** The socket is gone. */
  forget(c: Connection): void {
    this.gated.delete(c)
  }

  // ---- time

  /** Monotonic ms at which run() must be called again at the latest. */
  deadline(): number {
    const { node } = this
    const { lazySince } = node.emitter
    let at = Math.min(
      node.keepAlive.next(),
      node.sys.deadline(),
      node.pairing.deadline(),
      node.presences.deadline(),
      node.owners.expiry.next(),
      node.flusher.deadline(),
      node.queues.deadline(),
      node.backPressure.deadline(),
    )
    if (node.claims.open.size > 0) at = Math.min(at, node.now + node.config.claimTimeoutMs / 4)
    if (lazySince !== Number.POSITIVE_INFINITY) at = Math.min(at, lazySince + LIMITS.lazyMs)
    if (this.toPump.length > 0 || node.afterTurn.length > 0 || this.toWrite.length > 0) at = node.now
    return at
  }
}
