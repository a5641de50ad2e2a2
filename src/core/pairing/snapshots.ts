// Snapshots: the whole state in slices, inside the ordered stream: made by the leader of a join, applied by the follower. A
// session travels in one op; live ops about it follow from then on.
import { type BootId, Hlc } from '../../base/brand.ts'
import { PeerFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import type { EntryState } from '../../session/image.ts'
import type { Session } from '../../session/session.ts'
import { NO_POSITIONS } from '../../session/session.ts'
import type { Op, PresenceWire, QueueItemWire, RetainedWire, SnapHeadOp, SnapPartOp } from '../../wire/peer_message.ts'
import { OpKind } from '../../wire/peer_message.ts'
import type { Presence } from '../clients/presence.ts'
import type { BrokerNode } from '../node.ts'
import { promote } from '../ownership/promote.ts'
import {
  entryToWire,
  lineageFromWire,
  lineageToWire,
  messageFromWire,
  messageToWire,
  tokenFromWire,
  tokenToWire,
  wireBytes,
} from './convert.ts'

type Source = {
  readonly number: number
  readonly sessions: Iterator<Session>
  readonly presences: Iterator<Presence>
  readonly retained: ReturnType<BrokerNode['retained']['tree']['cursor']>
  stage: 'presences' | 'sessions' | 'retained' | 'end'
}

export class Snapshots {
  private readonly node: BrokerNode
  private source: Source | null = null
  private walk: Walk | null = null
  private made = 0
  /** Number of the snapshot being received; sessions and presences it brought carry it. 0: none. */
  receiving = 0
  private seenRetained = new Set<string>()

  constructor(node: BrokerNode) {
    this.node = node
  }

  // ---- leader

  get sending(): boolean {
    return this.source !== null
  }

  begin(): void {
    const { node } = this
    const number = ++this.made
    node.emitter.snapshot = number
    this.source = {
      number,
      sessions: node.sessions.byClient.values(),
      presences: node.presences.byClient.values(),
      retained: node.retained.tree.cursor(),
      stage: 'presences',
    }
    node.emitter.emit([OpKind.snapBegin])
    node.interest.tellAll()
  }

  stop(): void {
    this.source = null
    this.walk = null
    this.node.emitter.snapshot = 0
  }

  /** Puts the next slice into the stream. @returns true when that was the last */
  step(): boolean {
    const { node, source } = this
    if (source === null) return false
    switch (source.stage) {
      case 'presences': {
        const items: PresenceWire[] = []
        while (items.length < LIMITS.snapshotItemsPerStep) {
          const { value, done } = source.presences.next()
          if (done === true) {
            source.stage = 'sessions'
            break
          }
          items.push(node.presences.wire(value))
        }
        if (items.length > 0) node.emitter.emit([OpKind.snapPresence, items])
        return false
      }
      case 'sessions': {
        const before = node.emitter.bytes
        for (
          let n = 0;
          n < LIMITS.snapshotItemsPerStep && node.emitter.bytes - before < LIMITS.snapshotBytesPerStep;
          n++
        ) {
          this.part()
          if (this.walk !== null) continue
          const { value, done } = source.sessions.next()
          if (done === true) {
            source.stage = 'retained'
            break
          }
          this.head(value, source.number)
        }
        return false
      }
      case 'retained': {
        const items: RetainedWire[] = []
        let bytes = 0
        while (items.length < LIMITS.snapshotItemsPerStep && bytes < LIMITS.snapshotBytesPerStep) {
          const [next] = source.retained.next(1)
          if (next === undefined) break
          const [topic, { message, hlc, node: origin }] = next
          const wire = message === null ? null : messageToWire(message, node.now)
          items.push([topic, wire, hlc, origin])
          bytes += topic.length + (wire === null ? 0 : wireBytes(wire))
        }
        if (items.length === 0) source.stage = 'end'
        else node.emitter.emit([OpKind.snapRetained, items])
        return false
      }
      case 'end':
        node.emitter.emit([OpKind.snapEnd])
        this.source = null
        node.emitter.snapshot = 0
        return true
    }
  }

  private head(session: Session, number: number): void {
    const { node } = this
    if (!session.durable || session.ended || session.snapshot === number) return
    if (!node.config.mutations.has('takeAll')) promote(node, session)
    node.emitter.settle(session)
    session.snapshot = number
    node.emitter.emit(headOf(session, node.now))
    node.emitter.bytes += 128
    // What is enqueued from now on goes out by itself; what goes from the queue before its part is made is never sent.
    if (session.queue.count > 0) this.walk = { session, pos: session.queue.base, end: session.nextPos }
  }

  /** The queue of the last head, a part a step. */
  private part(): void {
    const { node, walk } = this
    if (walk === null) return
    const op = walk.session.ended ? null : nextPart(walk, node.now)
    if (op === null) {
      this.walk = null
      return
    }
    node.emitter.emit(op)
    for (const item of op[3]) node.emitter.bytes += wireBytes(item[4])
  }

  // ---- follower

  apply(op: Op): void {
    const { node } = this
    switch (op[0]) {
      case OpKind.snapBegin:
        this.receiving = ++this.made
        this.seenRetained = new Set()
        node.retained.following = !node.config.mutations.has('takeAll')
        node.interest.clearPeer()
        for (const p of [...node.presences.byClient.values()]) node.presences.delete(p.client)
        return
      case OpKind.snapHead: {
        const [, client] = op
        const old = node.sessions.get(client)
        if (old !== undefined) node.sessions.end(old)
        installSession(node, op, op[3] !== 1).snapshot = this.receiving
        return
      }
      case OpKind.snapPart: {
        const session = node.sessions.get(op[1])
        if (session === undefined || session.tag !== op[2]) throw new PeerFault('SNAP_PART without its head')
        for (const item of op[3]) installEntry(node, session, item)
        return
      }
      case OpKind.snapRetained:
        for (const [topic, m, hlc, origin] of op[1]) {
          node.ratchet(hlc)
          this.seenRetained.add(topic)
          const message = m === null ? null : messageFromWire(m, node.topics, node.now)
          node.retained.set(topic, message, Hlc(hlc), origin as BootId)
        }
        return
      case OpKind.snapPresence:
        for (const w of op[1]) node.presences.apply(w)
        return
      case OpKind.snapEnd:
        this.sweep()
        return
    }
  }

  /** What the leader does not have is gone. */
  private sweep(): void {
    const { node } = this
    for (const session of [...node.sessions.byClient.values()])
      if (session.durable && session.snapshot !== this.receiving) node.sessions.end(session)
    for (const [topic] of [...node.retained.tree.entries()])
      if (!this.seenRetained.has(topic)) node.retained.drop(topic)
    this.stopReceiving()
  }

  stopReceiving(): void {
    this.node.retained.following = false
    this.receiving = 0
    this.seenRetained = new Set()
  }

  /** A value that came live during the snapshot is not swept. */
  noteRetained(topic: string): void {
    if (this.receiving > 0) this.seenRetained.add(topic)
  }
}

/** A session's head: all of it but the queue. */
export function headOf(session: Session, now: number): SnapHeadOp {
  const left = session.expiresAt === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(session.expiresAt - now))
  const subs = [...session.subscriptions.values()].map((s) => [s.filter, s.options, s.id] as const)
  return [
    OpKind.snapHead,
    session.clientId,
    tokenToWire(session.token),
    session.mine ? 1 : 0,
    lineageToWire(session.lineage),
    session.ver,
    session.expiry,
    left,
    session.packetIds.slice(),
    session.nextPos,
    subs,
    [...session.inbound],
    [],
  ]
}

/** Where the walk along a session's queue stands. */
export type Walk = { readonly session: Session; pos: number; readonly end: number }

/** The next part of a queue as it is now; null when the walk is over. */
export function nextPart(walk: Walk, now: number): SnapPartOp | null {
  const { session } = walk
  const queue: QueueItemWire[] = []
  let bytes = 0
  for (
    ;
    walk.pos < walk.end && queue.length < LIMITS.snapshotItemsPerStep && bytes < LIMITS.snapshotBytesPerStep;
    walk.pos++
  ) {
    const e = session.queue.get(walk.pos)
    if (e === null || e.passing) continue
    queue.push(entryToWire(e, now))
    bytes += e.message.bytes + 64
  }
  return queue.length === 0 ? null : [OpKind.snapPart, session.clientId, session.tag, queue]
}

/** A session from its head. */
export function installSession(node: BrokerNode, op: SnapHeadOp, mine: boolean): Session {
  const [, client, token, , lineage, ver, expiry, left, packetIds, nextPos, subs, inbound, queue] = op
  const session = node.sessions.create(client, true, mine, tokenFromWire(token), expiry)
  session.lineage = lineageFromWire(lineage)
  session.packetIds = packetIds.length === 4 ? packetIds.slice() : NO_POSITIONS
  session.expiresAt = left < 0 ? Number.POSITIVE_INFINITY : node.now + left
  if (left >= 0) node.owners.expiry.set(client, session.expiresAt)
  for (const [filter, options, id] of subs) node.sessions.subscribe(session, filter, options, id)
  for (const id of inbound) node.sessions.addInbound(session, id)
  for (const item of queue) installEntry(node, session, item)
  session.ver = ver
  session.nextPos = Math.max(session.nextPos, nextPos)
  return session
}

export function installEntry(node: BrokerNode, session: Session, item: QueueItemWire): void {
  const [pos, qos, flags, ids, m, state, packetId, by] = item
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new PeerFault('queue entry with a wrong QoS')
  const message = messageFromWire(m, node.topics, node.now)
  const [retain, share] = [(flags & 1) !== 0, by ?? null]
  const entry = node.sessions.enqueue(session, { message, pos, qos, retain, subscriptionIds: ids, share })
  if (entry !== null && state > 0) {
    const positions = session.packetIds.slice()
    node.sessions.markSent(session, entry, packetId, state as EntryState)
    session.packetIds = positions
  }
}
