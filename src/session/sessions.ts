// Sessions: all sessions of this node by client id, and the one place that mutates them: on the owner, on the replica and
// at recovery alike. Each change is noted in the journal. Knows nothing of sockets or of the link.
import { assert } from '../base/assert.ts'
import type { Token } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import { FilterTree } from '../topic/filter_tree.ts'
import { topicFilter } from '../topic/name.ts'
import { ShareGroup } from '../topic/share_group.ts'
import { Holdings } from './holdings.ts'
import type { EntryState } from './image.ts'
import type { Journal } from './journal.ts'
import type { Message } from './message.ts'
import { notePacketId } from './packet_ids.ts'
import { Entry, Queue } from './queue.ts'
import {
  NO_INBOUND,
  NO_INFLIGHT,
  NO_POSITIONS,
  NO_QUEUE,
  NO_SHADOWS,
  NO_SUBSCRIPTIONS,
  Session,
  type Shadow,
  Subscription,
} from './session.ts'

/** One element of what a session's queue takes in. */
export type Enqueued = {
  readonly message: Message
  readonly pos: number
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly subscriptionIds: readonly number[] | null
  readonly share: string | null
}

/** What stands in the tree: a subscription, or a group for all its members. */
export type Filed = Subscription | ShareGroup<Subscription>

export class Sessions {
  readonly byClient = new Map<string, Session>()
  readonly tree = new FilterTree<Filed>()
  /** Shared subscriptions that have a member, by their whole filter. */
  readonly groups = new Map<string, ShareGroup<Subscription>>()
  readonly journal: Journal
  readonly holdings = new Holdings()
  /** Sessions with messages that expire in their queues (and some that had them). */
  readonly expiring = new Set<Session>()
  /** Messages and their bytes in all queues; subscriptions of all sessions. */
  queuedMessages = 0
  queuedBytes = 0
  subscriptionCount = 0
  private bornLast = 0
  /** Of these, shared ones. */
  sharedCount = 0
  /** Sessions that this node owns. */
  ownedCount = 0

  constructor(journal: Journal) {
    this.journal = journal
  }

  get(client: string): Session | undefined {
    return this.byClient.get(client)
  }

  create(client: string, durable: boolean, mine: boolean, token: Token, expiry: number): Session {
    assert(!this.byClient.has(client), 'session exists')
    const session = new Session(client, durable, mine, token, expiry, ++this.bornLast)
    this.byClient.set(client, session)
    if (mine) this.ownedCount++
    if (durable) this.journal.session(session)
    return session
  }

  /** Ends it: subscriptions, queue and identifiers go with it. */
  end(session: Session): void {
    for (const sub of session.subscriptions.values()) {
      this.unfile(sub)
      if (sub.shared) this.sharedCount--
    }
    this.subscriptionCount -= session.subscriptions.size
    for (const entry of session.queue) {
      entry.gone = true
      this.journal.release(entry.message)
    }
    this.queuedMessages -= session.queue.count
    this.queuedBytes -= session.queue.bytes
    this.expiring.delete(session)
    for (const shadow of session.shadows) this.journal.release(shadow.message)
    for (const forward of session.forwards) this.journal.release(forward.message)
    session.forwards = NO_SHADOWS
    session.subscriptions = NO_SUBSCRIPTIONS
    session.queue = NO_QUEUE
    session.inflight = NO_INFLIGHT
    session.inbound = NO_INBOUND
    session.shadows = NO_SHADOWS
    if (session.mine && !session.ended) this.ownedCount--
    session.shadowBytes = 0
    session.ended = true
    if (this.byClient.get(session.clientId) === session) this.byClient.delete(session.clientId)
    if (session.durable) this.journal.session(session)
  }

  /** @returns true when the filter is new to this session */
  subscribe(session: Session, filter: string, options: number, id: number): boolean {
    if (session.subscriptions === NO_SUBSCRIPTIONS) session.subscriptions = new Map()
    const old = session.subscriptions.get(filter)
    const sub = new Subscription(session, filter, options, id)
    session.subscriptions.set(filter, sub)
    if (old !== undefined && sub.shared) this.groups.get(filter)?.replace(old, sub)
    else {
      if (old !== undefined) this.unfile(old) // [MQTT-3.8.4-3]
      this.file(sub)
    }
    if (old === undefined) {
      session.filterBytes += filter.length
      this.subscriptionCount++
      if (sub.shared) this.sharedCount++
    }
    if (session.durable) {
      this.journal.subscription(session, filter)
      this.journal.session(session)
    }
    return old === undefined
  }

  unsubscribe(session: Session, filter: string): boolean {
    const sub = session.subscriptions.get(filter)
    if (sub === undefined) return false
    session.subscriptions.delete(filter)
    this.unfile(sub)
    session.filterBytes -= filter.length
    this.subscriptionCount--
    if (sub.shared) this.sharedCount--
    if (session.durable) {
      this.journal.subscription(session, filter)
      this.journal.session(session)
    }
    return true
  }

  /** Into the tree, a shared one by way of its group: members come and go without a route being computed anew. */
  file(sub: Subscription): void {
    const { filter } = sub
    if (!sub.shared) return this.tree.add(filter, sub)
    let group = this.groups.get(filter)
    if (group === undefined) {
      group = new ShareGroup(filter)
      this.groups.set(filter, group)
      this.tree.add(topicFilter(filter), group)
    }
    group.add(sub)
  }

  unfile(sub: Subscription): void {
    const { filter } = sub
    const group = sub.shared ? this.groups.get(filter) : undefined
    if (group === undefined) {
      this.tree.remove(filter, sub)
      return
    }
    group.remove(sub)
    if (group.size > 0) return
    this.groups.delete(filter)
    this.tree.remove(topicFilter(filter), group)
  }

  /** @param passing (queue.ts)  @returns null when the position is taken already */
  enqueue(session: Session, e: Enqueued, passing = false): Entry | null {
    if (session.queue === NO_QUEUE) session.queue = new Queue()
    const entry = new Entry(e.message, e.pos, e.qos, e.retain, e.subscriptionIds, e.share, passing)
    if (!session.queue.put(entry)) return null
    if (e.pos >= session.nextPos) session.nextPos = e.pos + 1
    this.queuedMessages++
    this.queuedBytes += e.message.bytes
    this.holdings.added(session, e.message, e.share)
    if (e.message.expiresAt !== Number.POSITIVE_INFINITY) this.expiring.add(session)
    this.journal.hold(e.message)
    if (session.durable) {
      if (!passing) this.journal.entry(session, entry)
      this.journal.session(session)
    }
    return entry
  }

  markSent(session: Session, entry: Entry, packetId: number, state: EntryState): void {
    assert(packetId > 0 && state > 0, 'a sent entry has an identifier and a state')
    if (session.inflight === NO_INFLIGHT) session.inflight = new Map()
    if (session.packetIds === NO_POSITIONS) session.packetIds = [0, 0, 0, 0]
    if (entry.packetId !== 0 && entry.packetId !== packetId) session.inflight.delete(entry.packetId)
    entry.packetId = packetId
    session.queue.move(entry, state)
    session.inflight.set(packetId, entry)
    if (state !== 3) notePacketId(session.packetIds, packetId)
    if (session.durable) {
      this.journal.entry(session, entry)
      this.journal.session(session)
    }
  }

  dequeue(session: Session, entry: Entry): void {
    session.queue.remove(entry)
    entry.gone = true
    this.queuedMessages--
    this.queuedBytes -= entry.message.bytes
    if (entry.packetId !== 0 && session.inflight.get(entry.packetId) === entry) session.inflight.delete(entry.packetId)
    this.journal.release(entry.message)
    if (session.durable) {
      if (!entry.passing) this.journal.entry(session, entry)
      this.journal.session(session)
    }
  }

  addInbound(session: Session, packetId: number): void {
    if (session.inbound === NO_INBOUND) session.inbound = new Set()
    session.inbound.add(packetId)
    if (session.durable) {
      this.journal.inboundId(session, packetId)
      this.journal.session(session)
    }
  }

  deleteInbound(session: Session, packetId: number): void {
    if (!session.inbound.delete(packetId)) return
    if (session.durable) {
      this.journal.inboundId(session, packetId)
      this.journal.session(session)
    }
  }

  addShadow(session: Session, shadow: Shadow): void {
    if (session.shadows === NO_SHADOWS) session.shadows = []
    session.shadows.push(shadow)
    session.shadowBytes += shadow.message.bytes
    this.holdings.added(session, shadow.message, shadow.share)
    this.journal.hold(shadow.message)
    this.journal.shadow(session, shadow)
  }

  addForward(session: Session, forward: Shadow): void {
    if (session.forwards === NO_SHADOWS) session.forwards = []
    session.forwards.push(forward)
    this.journal.hold(forward.message)
    this.journal.shadow(session, forward)
  }

  /** The owner has it, or it is kept as a shadow: no need to keep it as a forward. */
  dropForward(session: Session, message: Message): void {
    const at = session.forwards.findIndex((f) => f.message === message)
    if (at === -1) return
    const [forward] = session.forwards.splice(at, 1) as [Shadow]
    this.letGo(session, forward)
    this.journal.release(message)
  }

  /** Takes all shadows out; the caller releases their messages once they stand elsewhere. */
  takeShadows(session: Session): Shadow[] {
    const shadows = session.shadows
    if (shadows.length === 0) return []
    session.shadows = NO_SHADOWS
    session.shadowBytes = 0
    for (const shadow of shadows) this.letGo(session, shadow)
    return shadows
  }

  /** The one kept longest. */
  dropOldestShadow(session: Session): void {
    const oldest = session.shadows.shift()
    if (oldest === undefined) return
    session.shadowBytes -= oldest.message.bytes
    this.letGo(session, oldest)
    this.journal.release(oldest.message)
  }

  private letGo(session: Session, shadow: Shadow): void {
    shadow.gone = true
    this.journal.shadow(session, shadow)
  }

  dropShadows(session: Session): void {
    for (const shadow of this.takeShadows(session)) this.journal.release(shadow.message)
  }

  /** A new owner incarnation: the old token becomes an ancestor. */
  mint(session: Session, token: Token, mine: boolean): void {
    session.lineage.push({ token: session.token, forkVer: session.ver })
    if (session.lineage.length > LIMITS.lineageMax) session.lineage.shift()
    session.setToken(token)
    this.setMine(session, mine)
    this.journal.session(session)
  }

  setMine(session: Session, mine: boolean): void {
    if (session.mine !== mine && !session.ended) this.ownedCount += mine ? 1 : -1
    session.mine = mine
  }

  /** True when the message stands in the queue or among the shadows, for this share. */
  has(session: Session, message: Message, share: string | null): boolean {
    return this.holdings.has(session, message, share)
  }
}
