// Session: what the broker keeps for one client between and during connections. Knows nothing of sockets or of the link;
// changed only through apply.ts.
import type { Ancestor, Token } from '../base/identity.ts'
import { tokenTag } from '../base/identity.ts'
import { isShared } from '../topic/name.ts'
import type { QoS } from '../wire/packet.ts'
import type { Message } from './message.ts'
import { type Entry, Queue } from './queue.ts'

export class Subscription {
  readonly session: Session
  /** In its one form: canonicalFilter. */
  readonly filter: string
  /** Its session is a member of the group of this filter. */
  readonly shared: boolean
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  /** 0: none. */
  readonly id: number

  constructor(session: Session, filter: string, options: number, id: number) {
    this.session = session
    this.filter = filter
    this.shared = isShared(filter)
    this.qos = (options & 3) as QoS
    this.noLocal = (options & 4) !== 0
    this.retainAsPublished = (options & 8) !== 0
    this.retainHandling = ((options >> 4) & 3) as 0 | 1 | 2
    this.id = id
  }

  /** The options byte of SUBSCRIBE. */
  get options(): number {
    return this.qos | (this.noLocal ? 4 : 0) | (this.retainAsPublished ? 8 : 0) | (this.retainHandling << 4)
  }
}

/** A message kept for a session that the peer owns. */
export class Shadow {
  readonly message: Message
  readonly qos: QoS
  readonly retain: boolean
  readonly subscriptionIds: readonly number[] | null
  /** The shared subscription it was picked by; null: none. */
  readonly share: string | null
  /** No session keeps it any more. */
  gone = false
  /** It has a row on disk; its state stands in the journal's list. */
  stored = false
  dirty = false

  constructor(
    message: Message,
    qos: QoS,
    retain: boolean,
    subscriptionIds: readonly number[] | null,
    share: string | null,
  ) {
    this.message = message
    this.qos = qos
    this.retain = retain
    this.subscriptionIds = subscriptionIds
    this.share = share
  }
}

/** The connection a session is attached to, as far as a session may know it. */
export interface Attachment {
  readonly attached: true
}

export class Session {
  readonly clientId: string
  /** Its place among all that this node has had since its start. */
  readonly born: number
  /** Survives its connection: replicated and stored. False: expiry 0. */
  readonly durable: boolean
  /** This node owns it. Invariant: at most one node of a pair in sync does. */
  mine: boolean
  token: Token
  /** Short form of the token on the wire. */
  tag: number
  /** Past tokens, oldest first, at most LIMITS.lineageMax. */
  lineage: Ancestor[] = []
  /** Ops applied under the present token. */
  ver = 0
  /** Seconds it outlives its connection. */
  expiry: number
  /** Monotonic milliseconds at which it ends; Infinity while connected or for ever. */
  expiresAt = Number.POSITIVE_INFINITY
  subscriptions: Map<string, Subscription> = NO_SUBSCRIPTIONS
  queue: Queue = NO_QUEUE
  nextPos = 0
  /** Sent and not yet acknowledged, by packet identifier. */
  inflight: Map<number, Entry> = NO_INFLIGHT
  /** QoS 2 identifiers received and not yet released by the client [MQTT-4.3.3-10]. */
  inbound: Set<number> = NO_INBOUND
  /** Of these, what is on disk. */
  inboundStored: Set<number> = NO_INBOUND
  /** Last identifier given, by track. */
  packetIds: number[] = NO_POSITIONS
  /** Kept here for the owner; not part of the version. */
  shadows: Shadow[] = NO_SHADOWS
  shadowBytes = 0
  /** Of all its filters, in UTF-16 units. */
  filterBytes = 0
  /** Monotonic ms at which the log was told last that its queue is full. */
  fullToldAt = Number.NEGATIVE_INFINITY
  /** ... at which all of its queue was looked at for expired messages last. */
  purgedAt = Number.NEGATIVE_INFINITY
  /**
   * Forwarded to the owner and not acknowledged, where the publisher's QoS 2 identifier is on this disk: without them, a repetition
   * after both nodes lost power would be taken for done (pair/DESIGN.md). On disk they are shadows.
   */
  forwards: Shadow[] = NO_SHADOWS
  attachment: Attachment | null = null
  ended = false
  /** It has a row on disk. */
  stored = false
  dirty = false
  /** Stands in the list of sessions to pump. */
  pumping = false
  /** Sent marks and removals the peer has not been told yet. */
  lazyOut: Entry[] = NO_ENTRIES
  lazyDeq: number[] = NO_NUMBERS
  /** The snapshot under way has put it into the stream, counted by snapshot. */
  snapshot = 0

  constructor(clientId: string, durable: boolean, mine: boolean, token: Token, expiry: number, born = 0) {
    this.born = born
    this.clientId = clientId
    this.durable = durable
    this.mine = mine
    this.token = token
    this.tag = tokenTag(token)
    this.expiry = expiry
  }

  setToken(token: Token): void {
    this.token = token
    this.tag = tokenTag(token)
    this.ver = 0
  }
}

// Shared empties: an idle session of ten thousand must not cost a table each. apply.ts replaces them before the first change.
export const NO_SUBSCRIPTIONS: Map<string, Subscription> = new Map()
export const NO_INFLIGHT: Map<number, Entry> = new Map()
export const NO_INBOUND: Set<number> = new Set()
export const NO_POSITIONS: number[] = Object.freeze([0, 0, 0, 0]) as unknown as number[]
export const NO_SHADOWS: Shadow[] = Object.freeze([]) as unknown as Shadow[]
export const NO_ENTRIES: Entry[] = Object.freeze([]) as unknown as Entry[]
export const NO_NUMBERS: number[] = Object.freeze([]) as unknown as number[]
export const NO_QUEUE: Queue = Object.freeze(new Queue()) as Queue
