// Listener: one address on which clients are accepted, on whichever runtime this is. Knows nothing of MQTT.
import type { ClientEvents } from '../hosted_node.ts'
import type { SocketRoom } from './socket_room.ts'

export type ListenOptions = {
  /** Named in errors. */
  readonly flag: string
  /** Every connection begins with a PROXY header, version 1 or 2. */
  readonly proxyProtocol: boolean
  /** For that header; for what follows it is the node that waits. */
  readonly connectTimeoutMs: number
  /** Shared by all listeners. */
  readonly room: SocketRoom
  /** Stands between the sockets and the node, and speaks what MQTT travels in; null: MQTT travels in nothing. */
  readonly front: ClientEvents | null
}

export interface Listener {
  /** The port in use, also where 0 was asked for. */
  readonly port: number
  /** Accepts no more; sockets that are open stay so. */
  stop(): void
}
