// HostedNode: what the host calls of the core's node, and nothing more; tests put a stub in its place. No behaviour.
import type { Turn } from '../base/brand.ts'
import type { OperatorFault } from '../base/fault.ts'
import type { AuthAnswer } from '../connection/authentication.ts'
import type { ListName, ListQuery, Page } from '../core/monitor/listing.ts'
import type { ClientSocket } from '../core/ports.ts'
import type { AccessRules } from '../topic/access.ts'

export type LinkInfo = { peerName: string; dialed: boolean; sameHost: boolean }

/** What a listener tells of its sockets. What accept() returns stands for a socket in the other calls. */
export interface ClientEvents {
  accept(socket: ClientSocket): object
  /** @param bytes borrowed until it returns; may be overwritten */
  data(connection: object, bytes: Uint8Array): void
  closed(connection: object): void
  writable(connection: object): void
}

export interface HostedConnection {
  /** What carries the client's packets was used against its own rules. @param reason MQTT's */
  onTransportFault(reason: number, text: string): void
}

export interface HostedNode extends ClientEvents {
  /** BOOT, WAIT_PEER, JOINING, SYNC, STALL, DECIDE, SOLO, FENCED, DRAINING or GONE. */
  readonly mode: string
  readonly ready: boolean
  readonly synced: boolean
  /** Set when only the operator can help; the process ends with exit code 2. */
  readonly fatal: OperatorFault | null
  readonly metrics: { render(): string }
  readonly authentication: {
    answered(request: number, answer: AuthAnswer): void
    revoke(usernames: ReadonlySet<string>): void
  }
  readonly access: { replace(rules: AccessRules): void }

  /** Sets the time; before any event of a turn. */
  at(now: number, wall: number): void
  accept(socket: ClientSocket): HostedConnection
  linkOpened(info: LinkInfo): void
  linkData(bytes: Uint8Array): void
  linkWritable(): void
  linkClosed(reason: string): void
  dialFailed(refused: boolean): void
  stored(turn: Turn): void
  recordStored(): void
  drain(): void
  /** Monotonic ms; Infinity: never. */
  deadline(): number
  drainAway(): void
  count(name: string): void
  status(): unknown
  /** A part of one list of the API; null where the cursor is none. */
  page(list: ListName, query: ListQuery): Page | null
}
