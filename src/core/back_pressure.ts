// Back pressure: publishers stand still while the peer is too far behind. Knows nothing of how far that is.
import type { Connection } from '../connection/connection.ts'
import type { Metrics } from './metrics.ts'

export class BackPressure {
  private readonly paused = new Set<Connection>()
  private readonly metrics: Metrics

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

  /** The peer has caught up: all go on. */
  resume(): void {
    if (this.paused.size === 0) return
    for (const c of this.paused) c.socket.resume()
    this.paused.clear()
  }

  /** The socket is gone. */
  forget(c: Connection): void {
    this.paused.delete(c)
  }
}
