// Image: the durable state of a node as plain rows, and a batch of changes to it. The core writes batches, the store keeps
// them, a start reads them back. Knows no SQL and no live objects.
import type { BootId, Hlc } from '../base/brand.ts'
import type { Ancestor, Generation } from '../base/identity.ts'
import type { QoS, Will } from '../wire/packet.ts'

export type SessionRow = {
  readonly client: string
  /** True where this node owns the session, false for the replica of the peer's. */
  readonly mine: boolean
  readonly epoch: number
  readonly minter: BootId
  readonly n: number
  readonly ver: number
  readonly lineage: readonly Ancestor[]
  /** Seconds the session outlives its connection. */
  readonly expiry: number
  /** Wall-clock milliseconds at which an offline session ends; 0 while it is connected or never expires. */
  readonly expiresAt: number
  /** Last identifier given by each of the four tracks (packet_ids.ts). */
  readonly packetIds: readonly number[]
  readonly nextPos: number
}

export type SubscriptionRow = {
  readonly client: string
  readonly filter: string
  /** Bits 0-1 QoS, 2 No Local, 3 Retain As Published, 4-5 Retain Handling: the byte of SUBSCRIBE. */
  readonly options: number
  readonly subscriptionId: number
}

/** A message once, however many queues and topics refer to it. */
export type MessageRow = {
  /** Number in this node's store; never reused. */
  readonly id: number
  readonly origin: BootId
  readonly seq: number
  readonly hlc: Hlc
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly props: Uint8Array | null
  /** Wall-clock milliseconds; 0: none. */
  readonly expiresAt: number
  readonly publisher: string
}

/** State of a queue entry: 0 waiting, 1 QoS 1 sent, 2 QoS 2 sent, 3 PUBREL sent. */
export type EntryState = 0 | 1 | 2 | 3

export type QueueRow = {
  readonly client: string
  readonly pos: number
  readonly message: number
  readonly qos: QoS
  readonly retain: boolean
  readonly subscriptionIds: readonly number[] | null
  /** The shared subscription it was picked by; null: none. */
  readonly share: string | null
  readonly state: EntryState
  /** 0 while waiting. */
  readonly packetId: number
}

/** A message kept for a session that the peer owns, until ownership comes here or the peer is known to have it. */
export type ShadowRow = {
  readonly client: string
  readonly message: number
  readonly qos: QoS
  readonly retain: boolean
  readonly subscriptionIds: readonly number[] | null
  readonly share: string | null
}

export type InboundRow = { readonly client: string; readonly packetId: number }

export type RetainedRow = {
  readonly topic: string
  /** 0: deleted (kept while the peer may still hold the old value). */
  readonly message: number
  readonly hlc: Hlc
  readonly node: BootId
}

export type PresenceRow = {
  readonly client: string
  readonly boot: BootId
  readonly n: number
  /** True where the connection is (or was) on this node. */
  readonly mine: boolean
  readonly up: boolean
  readonly expiry: number
  readonly will: Will | null
  /** Wall-clock milliseconds at which the will of an ended connection is due; 0: not scheduled. */
  readonly willDueAt: number
}

/** Everything a start reads back. */
export type Image = {
  readonly sessions: readonly SessionRow[]
  readonly subscriptions: readonly SubscriptionRow[]
  readonly messages: readonly MessageRow[]
  /** In order of client and position. */
  readonly queue: readonly QueueRow[]
  readonly shadows: readonly ShadowRow[]
  readonly inbound: readonly InboundRow[]
  readonly retained: readonly RetainedRow[]
  readonly presence: readonly PresenceRow[]
}

/**
 * Changes to the image, applied in one transaction: first all that is gone, then the rows (each replaces one of the same key).
 * `sessionsGone` takes the session's subscriptions, queue, shadows and inbound identifiers with it.
 */
export type Batch = {
  sessionsGone: string[]
  subscriptionsGone: { client: string; filter: string }[]
  messagesGone: number[]
  queueGone: { client: string; pos: number }[]
  shadowsGone: { client: string; message: number; share: string | null }[]
  inboundGone: { client: string; packetId: number }[]
  retainedGone: string[]
  presenceGone: string[]
  sessions: SessionRow[]
  subscriptions: SubscriptionRow[]
  messages: MessageRow[]
  queue: QueueRow[]
  shadows: ShadowRow[]
  inbound: InboundRow[]
  retained: RetainedRow[]
  presence: PresenceRow[]
}

export function emptyBatch(): Batch {
  return {
    sessionsGone: [],
    subscriptionsGone: [],
    messagesGone: [],
    queueGone: [],
    shadowsGone: [],
    inboundGone: [],
    retainedGone: [],
    presenceGone: [],
    sessions: [],
    subscriptions: [],
    messages: [],
    queue: [],
    shadows: [],
    inbound: [],
    retained: [],
    presence: [],
  }
}

/** What a node knows of itself before anything else; two copies on disk, fsync at each change. */
export type NodeRecord = {
  readonly clusterId: string
  readonly name: string
  readonly bootCounter: number
  readonly generation: Generation
  readonly history: readonly Generation[]
  readonly status: 'NEW' | 'SOLO' | 'INSYNC' | 'OUTDATED'
  /** Name of the peer last synchronised with; empty: none yet. */
  readonly peerName: string
  /** For a third, voting process; unused so far. */
  readonly witnessIncarnation: number
}
