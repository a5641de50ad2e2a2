// SocketRoom: how many clients' sockets may be open at once, on all listeners together. What is beyond is closed as soon as it is
// accepted, so that the link, the disk and the admin port always find a descriptor. Knows no socket.
import { LIMITS } from '../../base/limits.ts'

export type RoomLimit = 'connections' | 'descriptors'

export class SocketRoom {
  readonly max: number
  /** Which of both limits it is. */
  readonly limit: RoomLimit
  private readonly refused: (limit: RoomLimit, tell: boolean) => void
  private readonly now: () => number
  private open = 0
  private toldAt = Number.NEGATIVE_INFINITY

  /**
   * @param connections clients that may be connected
   * @param descriptors that this process may have open
   * @param addresses on which it listens for clients
   * @param refused called for each socket; `tell`: nothing was told of it for a while
   * @param now monotonic ms
   */
  constructor(
    { connections, descriptors, addresses }: { connections: number; descriptors: number; addresses: number },
    refused: (limit: RoomLimit, tell: boolean) => void,
    now: () => number,
  ) {
    const kept = LIMITS.descriptorsKept + addresses * LIMITS.descriptorsKeptPerAddress
    const byConnections = connections + LIMITS.socketsBeforeConnectMax
    const byDescriptors = Math.max(1, descriptors - kept)
    this.max = Math.min(byConnections, byDescriptors)
    this.limit = byDescriptors < byConnections ? 'descriptors' : 'connections'
    this.refused = refused
    this.now = now
  }

  /** @returns false where there is no room: the socket is to be closed, and does not leave() */
  enter(): boolean {
    if (this.open < this.max) {
      this.open++
      return true
    }
    const now = this.now()
    const tell = now - this.toldAt >= LIMITS.socketsRefusedToldMs
    if (tell) this.toldAt = now
    this.refused(this.limit, tell)
    return false
  }

  /** Once for each socket that has entered, when it is closed: one that is ended and lingers still has its descriptor. */
  leave(): void {
    this.open--
  }
}
