// Back pressure: publishers stand still while the peer is too far behind, or while too much is kept for others. Knows nothing of
// queues.
import { LIMITS } from '../../base/limits.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Metrics } from '../monitor/metrics.ts'

export class BackPressure {
  /** Too much is kept: who publishes is paused. */
  memoryFull = false
  /** ... and far too much: nothing more is queued. */
  dropping = false
  private readonly paused = new Set<Connection>()
  private readonly metrics: Metrics
  private readAt = Number.POSITIVE_INFINITY

  constructor(metrics: Metrics) {
    this.metrics = metrics
  }

  /** Publishers that stand still. */
  get count(): number {
    return this.paused.size
  }

  /** Reads no more from this publisher. */
  pause(c: Connection): void {
    if (this.paused.has(c)) return
    this.paused.add(c)
    this.metrics.add('publishers_paused')
    c.socket.pause()
  }

  /** Its silence is our doing. */
  has(c: Connection): boolean {
    return this.paused.has(c)
  }

  /**
   * Lets the paused ones go on when both reasons are over. While too much is kept they are read from once a second: among what
   * they say are acknowledgements, which make room.
   * @param kept bytes kept for sessions  @param mark as many as may be  @param linkFree the peer has caught up, or is gone
   */
  tick(now: number, kept: number, mark: number, linkFree: boolean): void {
    this.dropping = kept > mark + mark / 4
    if (kept > mark && !this.memoryFull) {
      this.memoryFull = true
      this.readAt = now + LIMITS.pausedReadMs
    } else if (kept < mark - mark / 8) this.memoryFull = false
    if (this.paused.size === 0) return
    if (this.memoryFull ? now >= this.readAt : linkFree) this.letAllRead()
    if (now >= this.readAt) this.readAt = now + LIMITS.pausedReadMs
  }

  /** Monotonic ms at which tick() must run again at the latest. */
  deadline(): number {
    return this.memoryFull && this.paused.size > 0 ? this.readAt : Number.POSITIVE_INFINITY
  }

  private letAllRead(): void {
    for (const c of this.paused) c.socket.resume()
    this.paused.clear()
  }

  /** The socket is gone. */
  forget(c: Connection): void {
    this.paused.delete(c)
  }
}
