// Journal: which parts of the durable state changed since the last flush, and the batch that brings the disk up to date.
// It keeps no history: what came and went between two flushes never reaches the disk.
import type { BootId, Hlc } from '../base/brand.ts'
import { type Batch, emptyBatch, type PresenceRow } from './image.ts'
import type { Message } from './message.ts'
import type { Entry } from './queue.ts'
import type { Session, Shadow } from './session.ts'

/** A retained topic; message null: deleted, remembered while the peer may not know. */
export type RetainedItem = { message: Message | null; hlc: Hlc; node: BootId; stored: boolean }

/** Turns monotonic deadlines into wall-clock ones; 0 for Infinity. */
export type WallClock = (monotonic: number) => number

export class Journal {
  private sessions: Session[] = []
  private entries: { session: Session; entry: Entry }[] = []
  private subscriptions: { session: Session; filter: string }[] = []
  private inbound: { session: Session; packetId: number }[] = []
  private shadows: { session: Session; shadow: Shadow }[] = []
  private retained = new Set<string>()
  private presence = new Set<string>()
  private messages: Message[] = []
  private nextMessageRow: number
  /** Messages that something refers to, and their bytes. */
  heldMessages = 0
  heldBytes = 0
  /** Grows with every durable change. */
  count = 0
  private taken = 0

  constructor(nextMessageRow: number) {
    this.nextMessageRow = nextMessageRow
  }

  /** Something changed since the last take(). */
  get changed(): boolean {
    return this.count !== this.taken
  }

  session(session: Session): void {
    this.count++
    if (session.dirty) return
    session.dirty = true
    this.sessions.push(session)
  }

  entry(session: Session, entry: Entry): void {
    this.count++
    if (entry.dirty) return
    entry.dirty = true
    this.entries.push({ session, entry })
  }

  subscription(session: Session, filter: string): void {
    this.count++
    this.subscriptions.push({ session, filter })
  }

  inboundId(session: Session, packetId: number): void {
    this.count++
    this.inbound.push({ session, packetId })
  }

  shadow(session: Session, shadow: Shadow): void {
    this.count++
    if (shadow.dirty) return
    shadow.dirty = true
    this.shadows.push({ session, shadow })
  }

  retainedTopic(topic: string): void {
    this.count++
    this.retained.add(topic)
  }

  presenceOf(client: string): void {
    this.count++
    this.presence.add(client)
  }

  hold(message: Message): void {
    message.refs++
    if (message.refs > 1) return
    this.heldMessages++
    this.heldBytes += message.bytes
  }

  release(message: Message): void {
    message.refs--
    if (message.refs > 0) return
    this.heldMessages--
    this.heldBytes -= message.bytes
    if (message.row !== 0) this.messages.push(message)
  }

  /** The batch of everything changed since the last call; the journal is empty afterwards. */
  take(
    wallOf: WallClock,
    retainedOf: (topic: string) => RetainedItem | undefined,
    presenceRow: (client: string) => PresenceRow | null,
  ): Batch {
    const batch = emptyBatch()
    const rowOf = (message: Message): number => {
      if (message.row === 0) {
        message.row = this.nextMessageRow++
        const { origin, seq, hlc, topic, payload, qos, retain, props, publisher } = message
        const expiresAt = wallOf(message.expiresAt)
        batch.messages.push({
          id: message.row,
          origin,
          seq,
          hlc,
          topic: topic.name,
          payload,
          qos,
          retain,
          props,
          expiresAt,
          publisher,
        })
      }
      return message.row
    }
    for (const session of this.sessions) this.takeSession(batch, session, wallOf)
    for (const { session, entry } of this.entries) {
      entry.dirty = false
      if (entry.gone || session.ended) {
        if (entry.stored && !session.ended) batch.queueGone.push({ client: session.clientId, pos: entry.pos })
        continue
      }
      entry.stored = true
      batch.queue.push({
        client: session.clientId,
        pos: entry.pos,
        message: rowOf(entry.message),
        qos: entry.qos,
        retain: entry.retain,
        subscriptionIds: entry.subscriptionIds,
        share: entry.share,
        state: entry.state,
        packetId: entry.packetId,
      })
    }
    for (const { session, filter } of this.subscriptions) {
      if (session.ended) continue
      const sub = session.subscriptions.get(filter)
      if (sub === undefined) batch.subscriptionsGone.push({ client: session.clientId, filter })
      else batch.subscriptions.push({ client: session.clientId, filter, options: sub.options, subscriptionId: sub.id })
    }
    for (const { session, packetId } of this.inbound) {
      if (session.ended) continue
      const has = session.inbound.has(packetId)
      if (has === session.inboundStored.has(packetId)) continue
      if (session.inboundStored.size === 0) session.inboundStored = new Set()
      if (has) {
        session.inboundStored.add(packetId)
        batch.inbound.push({ client: session.clientId, packetId })
      } else {
        session.inboundStored.delete(packetId)
        batch.inboundGone.push({ client: session.clientId, packetId })
      }
    }
    for (const { session, shadow } of this.shadows) {
      shadow.dirty = false
      const { message, qos, retain, subscriptionIds, share } = shadow
      if (shadow.gone || session.ended) {
        if (shadow.stored && !session.ended)
          batch.shadowsGone.push({ client: session.clientId, message: message.row, share })
        continue
      }
      shadow.stored = true
      batch.shadows.push({ client: session.clientId, message: rowOf(message), qos, retain, subscriptionIds, share })
    }
    for (const topic of this.retained) {
      const item = retainedOf(topic)
      if (item === undefined) batch.retainedGone.push(topic)
      else {
        item.stored = true
        batch.retained.push({
          topic,
          message: item.message === null ? 0 : rowOf(item.message),
          hlc: item.hlc,
          node: item.node,
        })
      }
    }
    for (const client of this.presence) {
      const row = presenceRow(client)
      if (row === null) batch.presenceGone.push(client)
      else batch.presence.push(row)
    }
    for (const message of this.messages) {
      if (message.refs > 0 || message.row === 0) continue
      batch.messagesGone.push(message.row)
      message.row = 0
    }
    this.sessions = []
    this.entries = []
    this.subscriptions = []
    this.inbound = []
    this.shadows = []
    this.messages = []
    if (this.retained.size > 0) this.retained = new Set()
    if (this.presence.size > 0) this.presence = new Set()
    this.taken = this.count
    return batch
  }

  private takeSession(batch: Batch, session: Session, wallOf: WallClock): void {
    session.dirty = false
    if (session.ended) {
      if (session.stored) batch.sessionsGone.push(session.clientId)
      session.stored = false
      return
    }
    session.stored = true
    const { clientId: client, mine, token, ver, lineage, expiry, packetIds, nextPos } = session
    batch.sessions.push({
      client,
      mine,
      epoch: token.epoch,
      minter: token.minter,
      n: token.n,
      ver,
      lineage: lineage.slice(),
      expiry,
      expiresAt: wallOf(session.expiresAt),
      packetIds: packetIds.slice(),
      nextPos,
    })
  }
}
