// In stream: how far the peer's groups are applied here. Knows no ops.
import { PeerFault } from '../base/fault.ts'
import { HeardNames } from './names.ts'

export class InStream {
  /** 0: none. */
  id = 0
  applied = 0
  /** Applied and on disk as far as the peer's acknowledgement level asks. */
  durable = 0
  /** Something was applied (or became durable) that the peer has not been told. */
  ackDue = false
  readonly names = new HeardNames()

  open(id: number): void {
    this.names.clear()
    this.id = id
    this.applied = 0
    this.durable = 0
    this.ackDue = false
  }

  close(): void {
    this.open(0)
  }

  /**
   * @returns whether this group is new
   * @throws {PeerFault} when groups are missing
   */
  accept(lsn: number): boolean {
    if (lsn <= this.applied) return false
    if (lsn !== this.applied + 1) throw new PeerFault('a group is missing in the stream')
    this.applied = lsn
    this.ackDue = true
    return true
  }
}
