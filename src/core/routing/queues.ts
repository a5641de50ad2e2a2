// Queues: the bounds of sessions' queues and what happens at them; what has expired leaves. Knows no subscriptions and no bytes on
// the wire. Only the owner of a session drops, as an op: a replica that dropped by itself would be another queue (pair.md H35).
import { LIMITS } from '../../base/limits.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Claim } from '../../pair/claims.ts'
import type { Message } from '../../session/message.ts'
import type { Entry } from '../../session/queue.ts'
import type { Session } from '../../session/session.ts'
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'
import type { Publication } from './publication.ts'

export class Queues {
  private readonly node: BrokerNode
  /** Told of every message that a session loses to its bounds or to time: for whoever keeps accounts (the simulator does). */
  onLost: ((client: string, payload: Uint8Array) => void) | null = null
  /** Monotonic ms of the last look for expired messages. */
  private sweptAt: number
  /** ... of the last line about a full retained store. */
  private retainedToldAt = Number.NEGATIVE_INFINITY

  constructor(node: BrokerNode) {
    this.node = node
    this.sweptAt = node.now
  }

  lost(client: string, payload: Uint8Array): void {
    if (this.onLost !== null) this.onLost(client, payload)
  }

  /** Memory that sessions' messages take, about: each message once, beside the entries that refer to it. */
  get keptBytes(): number {
    const { journal, retained, sessions } = this.node
    const messages = journal.heldMessages - retained.count
    const bytes = journal.heldBytes - retained.bytes
    return bytes + messages * LIMITS.messageBytes + sessions.queuedMessages * LIMITS.entryBytes
  }

  // ---- a queue of this node

  /** Whether one more message of so many bytes may wait; makes room where the policy is to. */
  admits(session: Session, bytes: number): boolean {
    const { config, backPressure, metrics } = this.node
    if (backPressure.dropping) {
      metrics.add('dropped_memory_full')
      return false
    }
    const { queue } = session
    if (queue.waiting < config.queuedMessagesMax && queue.waitingBytes + bytes <= config.queuedBytesMax) return true
    return this.makeRoom(session, bytes)
  }

  private full(session: Session, bytes: number): boolean {
    const { config } = this.node
    const { waiting, waitingBytes } = session.queue
    return waiting >= config.queuedMessagesMax || waitingBytes + bytes > config.queuedBytesMax
  }

  private makeRoom(session: Session, bytes: number): boolean {
    const { node } = this
    const { config } = node
    if (session.queue.expiresAt <= node.now) {
      this.dropExpired(session)
      if (!this.full(session, bytes)) return true
    }
    this.tell(session)
    if (config.queueFull === 'drop-oldest' && bytes <= config.queuedBytesMax) {
      while (this.full(session, bytes)) {
        this.node.metrics.add('dropped_queue_full')
        this.drop(session, session.queue.nextWaiting() as Entry)
      }
      return true
    }
    if (config.queueFull === 'disconnect') this.disconnect(session)
    return this.refused()
  }

  /** Of a full queue: what has expired at its front, and now and then all of it, or each message would cost a walk along it. */
  private dropExpired(session: Session): void {
    const { now, metrics } = this.node
    const { queue } = session
    for (let e = queue.nextWaiting(); e !== null && e.message.expiresAt <= now; e = queue.nextWaiting()) {
      metrics.add('dropped_expired')
      this.drop(session, e)
    }
    if (now - session.purgedAt >= LIMITS.expirySweepMs) this.purge(session)
  }

  /** A queue that is full already and makes no room: for messages that come by the thousand. Told and counted. */
  refuses(session: Session, message: Message): boolean {
    const { node } = this
    const { waiting, expiresAt } = session.queue
    const { queueFull, queuedMessagesMax } = node.config
    if (queueFull !== 'drop-newest' || waiting < queuedMessagesMax || expiresAt <= node.now) return false
    this.tell(session)
    this.lost(session.clientId, message.payload)
    return !this.refused()
  }

  /** One line a minute and session: which one does not keep up. */
  private tell(session: Session): void {
    const { node } = this
    if (node.now - session.fullToldAt < LIMITS.fullToldMs) return
    session.fullToldAt = node.now
    const { waiting, waitingBytes } = session.queue
    const connected = session.attachment !== null
    node.log('queue_full', { client: session.clientId, connected, waiting, bytes: waitingBytes })
  }

  private refused(): false {
    this.node.metrics.add('dropped_queue_full')
    return false
  }

  /** A client that does not keep up learns that it has missed something. Its session stays. */
  private disconnect(session: Session): void {
    const { node } = this
    const c = session.attachment as Connection | null
    if (c === null || c.overrun) return
    c.overrun = true
    // Not here: a publish is under way, and the end of a connection may publish its will.
    node.afterTurn.push(() => c.fail(Reason.quotaExceeded, 'more messages wait than its queue may hold'))
  }

  private drop(session: Session, entry: Entry): void {
    const { node } = this
    this.lost(session.clientId, entry.message.payload)
    if (node.config.mutations.has('dropTold')) node.sessions.dequeue(session, entry)
    else node.done(session, entry)
  }

  // ---- what is kept for a session that the peer owns

  /** As admits(), for a shadow. The queue itself is the owner's to shorten. */
  admitsShadow(session: Session, bytes: number): boolean {
    const { node } = this
    const { config } = node
    const { shadows, queue } = session
    const full = (messages: number, held: number): boolean =>
      messages >= config.queuedMessagesMax || held + bytes > config.queuedBytesMax
    if (config.queueFull !== 'drop-oldest')
      return full(queue.waiting + shadows.length, queue.waitingBytes + session.shadowBytes) ? this.refused() : true
    if (bytes > config.queuedBytesMax) return this.refused()
    while (full(session.shadows.length, session.shadowBytes)) {
      const [oldest] = session.shadows
      if (oldest !== undefined) this.lost(session.clientId, oldest.message.payload)
      node.sessions.dropOldestShadow(session)
      node.metrics.add('dropped_queue_full')
    }
    return true
  }

  /** Before a claim's hold queue takes one more; it joins a queue with the same bound. */
  admitsHeld(claim: Claim<Connection>, message: Message): boolean {
    const { node } = this
    const { queuedMessagesMax, queuedBytesMax, queueFull } = node.config
    const { held } = claim
    if (held === null) return false
    while (held.length >= queuedMessagesMax || claim.heldBytes + message.bytes > queuedBytesMax) {
      const oldest = queueFull === 'drop-oldest' ? held.shift() : undefined
      if (oldest === undefined) {
        this.lost(claim.client, message.payload)
        return this.refused()
      }
      claim.heldBytes -= oldest.message.bytes
      this.lost(claim.client, oldest.message.payload)
      node.journal.release(oldest.message)
      node.metrics.add('dropped_queue_full')
    }
    return true
  }

  // ---- retained messages

  /** Whether there is room for the publish at hand as a retained message. Judged where it came in, for both nodes. */
  admitsRetained(pub: Publication): boolean {
    const { node } = this
    if (pub.payloadEnd === pub.payloadStart) return true
    const { retained, config } = node
    const old = retained.tree.get(pub.topic.name)?.message ?? null
    const count = retained.count + (old === null ? 1 : 0)
    const bytes = retained.bytes - (old === null ? 0 : old.bytes) + pub.bytes
    if (count <= config.retainedMessagesMax && bytes <= config.retainedBytesMax) return config.retainAvailable
    node.metrics.add('dropped_retained_full')
    if (node.now - this.retainedToldAt < LIMITS.fullToldMs) return false
    this.retainedToldAt = node.now
    node.log('retained_full', { client: pub.publisher, topic: pub.topic.name, messages: count, bytes })
    return false
  }

  // ---- time

  /** Expired messages leave the queues of offline clients too: nobody will ask for them. */
  tick(): void {
    const { node } = this
    const { sessions, retained } = node
    if (!node.ready) return
    if (retained.expiring.next() <= node.now) node.metrics.add('retained_expired', retained.expire(node.now))
    if (sessions.expiring.size === 0 || node.now - this.sweptAt < LIMITS.expirySweepMs) return
    this.sweptAt = node.now
    for (const session of sessions.expiring) {
      if (session.queue.expiresAt === Number.POSITIVE_INFINITY || session.ended) sessions.expiring.delete(session)
      else if (session.mine && session.queue.expiresAt <= node.now) this.purge(session)
    }
  }

  deadline(): number {
    const { node } = this
    if (!node.ready) return Number.POSITIVE_INFINITY
    const swept = node.sessions.expiring.size === 0 ? Number.POSITIVE_INFINITY : this.sweptAt + LIMITS.expirySweepMs
    return Math.min(swept, node.retained.expiring.next())
  }

  /** What waits and has expired leaves [MQTT-3.3.2-5]; what was begun is brought to its end. */
  private purge(session: Session): void {
    const { now, metrics } = this.node
    const { queue } = session
    session.purgedAt = now
    let next = Number.POSITIVE_INFINITY
    for (const entry of queue) {
      if (entry.state !== 0) continue
      const { expiresAt } = entry.message
      if (expiresAt <= now) {
        metrics.add('dropped_expired')
        this.drop(session, entry)
      } else if (expiresAt < next) next = expiresAt
    }
    session.queue.expiresAt = next
  }
}
