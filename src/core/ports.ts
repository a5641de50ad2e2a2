// Ports: what the core asks of the world around it. The host answers with sockets, a disk and a terminal; the simulator with
// its own. Every call is synchronous; answers come back later as events of the node (node.ts).
import type { Turn } from '../base/brand.ts'
import type { Batch, NodeRecord } from '../session/image.ts'
import type { AccessRules } from '../topic/access.ts'
import type { SharedStrategy } from '../topic/share_group.ts'

/** What carries a client's bytes, as logs and lists name it. */
export type Transport = 'tcp' | 'ws'

/** One client's socket. */
export interface ClientSocket {
  readonly transport: Transport
  /** Address of the other end, for logs: `127.0.0.1:40312`. */
  readonly address: string
  /** The client is a program of this machine. */
  readonly loopback: boolean
  /** Takes (copies) as many bytes as it can and says how many; after fewer than offered the host calls node.writable(). */
  write(bytes: Uint8Array): number
  /** Stops or starts reading: back-pressure. */
  pause(): void
  resume(): void
  /**
   * Sends what was taken, then closes. node.closed() follows, now or later.
   * @param reason MQTT's, for transports that can tell it in their own way
   */
  end(reason: number): void
}

/** The one link to the peer, while it is up. */
export interface LinkPort {
  /** Takes all bytes (copies them). */
  send(bytes: Uint8Array): void
  /** Bytes taken and not yet sent. */
  backlog(): number
  /** Drops the connection; node.linkClosed() follows, now or later. */
  close(why: string): void
}

/** The disk. Flushes and record writes each complete in order of asking. */
export interface StorePort {
  /**
   * Applies a batch in one transaction. `sync`: must survive power loss before node.stored(turn) is called; otherwise the
   * operating system may still hold it. May be called again before the last one completed.
   */
  flush(batch: Batch, turn: Turn, sync: boolean): void
  /** Replaces the node record, durably; node.recordStored() follows. At most one under way. */
  writeRecord(record: NodeRecord): void
}

/** One line of the access log: what happened, with plain fields. */
export interface LogPort {
  event(name: string, fields: Record<string, unknown>): void
}

/**
 * Who knows the users. Each question is answered by node.authentication.answered(request, answer), later: never from within the
 * call. A request lasts from its first question to an answer that is no challenge.
 */
export interface AuthPort {
  /** This method of enhanced authentication is on offer. */
  offers(method: string): boolean
  /** @param password given away: erased after the check */
  askPassword(request: number, username: string, password: Uint8Array | null): void
  /** The client's first message of an exchange. */
  askFirst(request: number, method: string, data: Uint8Array | null): void
  /** Its answer to a challenge. */
  askNext(request: number, data: Uint8Array | null): void
  /** No answer is wanted any more. */
  forget(request: number): void
}

export type Ports = {
  readonly link: LinkPort
  readonly store: StorePort
  readonly log: LogPort
  /** Bytes of memory that the process has. */
  memoryBytes(): number
  /** Left out: clients are not asked who they are. */
  readonly auth?: AuthPort
}

export type AckLevel = 'peer-ram' | 'peer-write' | 'peer-disk' | 'both-disk'

export type NodeConfig = {
  readonly name: string
  /** A peer address was given: this node is one of two. */
  readonly paired: boolean
  readonly ack: AckLevel
  readonly partition: 'available' | 'stall' | { readonly prefer: string }
  readonly bootstrap: boolean
  readonly suspectMs: number
  readonly soloMs: number
  readonly stuckMs: number
  readonly bootWaitMs: number
  readonly willGraceMs: number
  readonly claimTimeoutMs: number
  readonly flushMs: number
  /** Bytes above which a turn becomes several groups; the simulator makes it small. */
  readonly groupBytesMost: number
  readonly allowAnonymous: boolean
  /** Who may publish and subscribe to what, until it is replaced; null: everybody to everything. */
  readonly access: AccessRules | null
  readonly packetBytesMax: number
  readonly queuedMessagesMax: number
  readonly queuedBytesMax: number
  /** What gives way when a session's queue is full: the new message, the oldest waiting one, or (for the new one) the connection. */
  readonly queueFull: 'drop-newest' | 'drop-oldest' | 'disconnect'
  /** QoS 0 waits for offline sessions too. */
  readonly queueQos0: boolean
  /** Bytes kept for all sessions, above which publishers are paused. */
  readonly queuedBytesTotalMax: number
  readonly connectionsMax: number
  /** Milliseconds from accept to CONNECT. */
  readonly connectTimeoutMs: number
  readonly receiveMaximum: number
  /** Messages under way to one client; 0: its own Receive Maximum, or a default of ours. */
  readonly inflightMax: number
  /** Subscriptions of one session. */
  readonly subscriptionsMax: number
  readonly topicLevelsMax: number
  readonly topicBytesMax: number
  readonly clientIdBytesMax: number
  /** What client identifiers must match; null: anything. */
  readonly clientIdPattern: RegExp | null
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
  readonly sessionExpiryMax: number
  /** Seconds; 0: no limit of our own. */
  readonly keepAliveMax: number
  readonly qosMax: 0 | 1 | 2
  readonly retainAvailable: boolean
  readonly topicAliasMaximum: number
  /** How the members of a shared subscription take turns. */
  readonly sharedStrategy: SharedStrategy
  /** How often changed values of $SYS are told; 0: there is no $SYS. */
  readonly sysIntervalMs: number
  readonly validatePayload: boolean
  readonly responseInformation: string | null
  /** Where clients reach the other node; null: not to be told. */
  readonly serverReference: string | null
  /** 32 random bits of this start, and 96 for ids it makes up. */
  readonly nonce: number
  readonly seed: number
  /** Protective rules taken out, for the simulator only; empty in production. */
  readonly mutations: ReadonlySet<string>
  readonly version: string
}
