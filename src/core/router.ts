// Router: one publish to everybody who wants it: sessions of this node, replicas' owners by the link, the retained store.
// Knows neither packets nor frames.

import type { BootId, Hlc } from '../base/brand.ts'
import { ByteWriter, copyBytes } from '../base/bytes.ts'
import type { ConnId } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import type { Connection } from '../connection/connection.ts'
import { allocateUnkept } from '../connection/send.ts'
import { expiryLeft, Message } from '../session/message.ts'
import type { Entry } from '../session/queue.ts'
import type { Session, Subscription } from '../session/session.ts'
import { matches } from '../topic/name.ts'
import type { TopicRef } from '../topic/topics.ts'
import { publishSize, writePublish } from '../wire/encoder.ts'
import type { PublishView, QoS, Version, Will } from '../wire/packet.ts'
import { OpKind, type PubOp, type TargetWire } from '../wire/peer_message.ts'
import { deadline } from './convert.ts'
import type { BrokerNode } from './node.ts'
import { Publication } from './publication.ts'

/** What one session gets of one topic. */
type Target = {
  readonly session: Session
  readonly qos: QoS
  readonly retainAsPublished: boolean
  readonly ids: readonly number[] | null
  /** Some of the matching subscriptions do not want the client's own messages. */
  readonly noLocal: boolean
  readonly subscriptions: readonly Subscription[]
}
type Route = { readonly targets: readonly Target[]; readonly interest: boolean }

export class Router {
  private readonly node: BrokerNode
  private readonly pub = new Publication()
  /** QoS 0 publishes for the peer, six fields each. */
  qos0: unknown[] = []
  qos0Bytes = 0
  private readonly found: Subscription[] = []
  private readonly scratch = new ByteWriter(1024)
  private scratchKey = -1
  private scratchIdAt = -1

  constructor(node: BrokerNode) {
    this.node = node
  }

  private route(topic: TopicRef): Route {
    const { tree } = this.node.sessions
    if (topic.version === tree.version) return topic.route as Route
    const { found } = this
    found.length = 0
    tree.match(topic.name, found)
    const bySession = new Map<Session, Subscription[]>()
    let interest = false
    for (const sub of found) {
      if (sub.session === this.node.peerInterest) interest = true
      else {
        const subs = bySession.get(sub.session)
        if (subs === undefined) bySession.set(sub.session, [sub])
        else subs.push(sub)
      }
    }
    const targets: Target[] = []
    for (const [session, subs] of bySession) targets.push(merge(session, subs) as Target)
    topic.route = { targets, interest } satisfies Route
    topic.version = tree.version
    return topic.route as Route
  }

  // ---- from clients of this node

  publishFrom(c: Connection, view: PublishView, packetId: number): boolean {
    const { pub } = this
    pub.begin(c.topic as TopicRef, view.qos, view.retain, c.clientId)
    pub.content(view.buf, view.payloadStart, view.payloadEnd, view.props, view.expiry)
    const matched = this.publish(packetId === 0 ? null : c.session, packetId, null)
    pub.end()
    return matched
  }

  publishWill(client: string, connId: ConnId, will: Will): void {
    const { node, pub } = this
    pub.begin(node.topics.intern(will.topic), will.qos, will.retain, client)
    pub.content(will.payload, 0, will.payload.length, will.props, will.expiry)
    this.publish(null, 0, [client, connId.boot, connId.n])
    pub.end()
  }

  private readonly identify = (): { origin: BootId; seq: number; hlc: Hlc } => {
    const { node } = this
    return { origin: node.boot, seq: ++node.sequence, hlc: node.tickHlc() }
  }

  /** @param inboundOf the session that sent it with QoS 2 under `packetId` */
  private publish(inboundOf: Session | null, packetId: number, willOf: [string, number, number] | null): boolean {
    const { node, pub } = this
    const { emitter } = node
    const route = this.route(pub.topic)
    const recorded = inboundOf?.durable ? inboundOf : null
    const off = node.config.mutations
    // A QoS 2 message is sent on only once its identifier is recorded wherever its publisher may go [pair.md H7].
    const commit = recorded !== null && !off.has('commitFan') ? node.turns.current : 0
    const streaming = emitter.on
    let targets: TargetWire[] | null = null
    let kept: Message | null = null
    let forward = false
    let qos0 = false
    let matched = false
    this.scratchKey = -1
    for (const t of route.targets) {
      const target =
        t.noLocal && t.session.clientId === pub.publisher ? merge(t.session, t.subscriptions, pub.publisher) : t // [MQTT-3.8.3-3]
      if (target === null) continue
      matched = true
      const { session } = target
      const qos = target.qos < pub.qos ? target.qos : pub.qos // [MQTT-3.8.4-8]
      const retain = target.retainAsPublished && pub.retain // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
      if (!session.mine && session.durable && node.pairing.ownsAll) node.owners.promote(session)
      if (session.mine) {
        const entry = this.deliver(session, qos, retain, target.ids, commit, route.targets.length > 1)
        if (entry === null || entry.qos === 0) continue
        if (!emitter.visible(session)) {
          session.ver++
          continue
        }
        session.ver++
        targets ??= []
        targets.push([
          session.clientId,
          session.tag,
          entry.pos,
          entry.qos,
          retain ? 1 : 0,
          target.ids as number[] | null,
        ])
      } else if (qos === 0) {
        if (node.presences.get(session.clientId)?.up) qos0 = true
      } else if (!streaming) {
        kept = pub.message(this.identify, node.now)
        this.shadow(session, kept, qos, retain, target.ids)
      } else {
        forward = true
        const claim = node.owners.claims.get(session.clientId)
        if (claim?.held && !off.has('hold')) {
          node.owners.hold(claim, pub.message(this.identify, node.now))
        }
      }
    }
    if (route.interest && streaming) {
      matched = true
      if (pub.qos > 0) forward = true
      else qos0 = true
    }
    if (recorded !== null) {
      node.sessions.addInbound(recorded, packetId)
      recorded.ver++
    } else if (inboundOf !== null) node.sessions.addInbound(inboundOf, packetId)
    if (pub.retain) {
      kept = pub.message(this.identify, node.now)
      this.retain(kept)
    }
    if (streaming && (targets !== null || forward || pub.retain || recorded !== null || willOf !== null)) {
      kept = pub.message(this.identify, node.now)
      const inbound: PubOp[10] =
        recorded !== null && emitter.visible(recorded) ? [recorded.clientId, recorded.tag, packetId] : null
      const flags = pub.qos | (pub.retain ? 4 : 0) | (forward ? 8 : 0)
      const op: PubOp = [
        OpKind.pub,
        kept.seq,
        kept.hlc,
        pub.topic.name,
        kept.payload,
        flags,
        kept.props,
        pub.expiry < 0 ? -1 : pub.expiry * 1000,
        pub.publisher,
        targets,
        inbound,
        willOf,
      ]
      const refer = forward || pub.retain
      emitter.pub(op, refer ? kept : null)
      if (refer) node.forwarded.set(kept.seq, kept)
    } else if (qos0 && streaming) this.sendQos0()
    if (commit > 0 && pub.isKept) pub.message(this.identify, node.now).commit = commit
    return matched
  }

  private sendQos0(): void {
    const { pub } = this
    const payload = copyBytes(pub.buf, pub.payloadStart, pub.payloadEnd)
    this.qos0.push(pub.topic.name, payload, pub.qos | (pub.retain ? 4 : 0), pub.props, pub.expiry, pub.publisher)
    this.qos0Bytes += payload.length + pub.topic.bytes.length + 16
  }

  /** A kept message for a session that the peer owns, while nobody can be told. */
  shadow(session: Session, message: Message, qos: QoS, retain: boolean, ids: readonly number[] | null): void {
    const { node } = this
    if (qos === 0 || node.sessions.has(session, message)) return
    if (session.queue.count + session.shadows.length >= node.config.queuedMessagesMax)
      return node.metrics.add('dropped_queue_full')
    node.sessions.addShadow(session, { message, qos, retain, subscriptionIds: ids })
  }

  retain(message: Message): void {
    const { retained, config, metrics } = this.node
    if (message.payload.length === 0) {
      retained.set(message.topic.name, null, message.hlc, message.origin) // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
      return
    }
    if (
      retained.count >= LIMITS.retainedMessagesMax ||
      retained.bytes + message.payload.length > LIMITS.retainedBytesMax
    ) {
      metrics.add('dropped_retained_full')
      return
    }
    if (config.retainAvailable) retained.set(message.topic.name, message, message.hlc, message.origin) // [MQTT-3.3.1-5]
  }

  // ---- to sessions of this node

  /** @returns the queue entry it became, null where it was sent (or dropped) without one */
  private deliver(
    s: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    commit: number,
    many: boolean,
  ): Entry | null {
    const { node, pub } = this
    const c = s.attachment as Connection | null
    const early = commit > node.turns.released
    if (qos === 0 && !early) {
      if (c !== null) this.send(c, 0, 0, retain, ids, many)
      return null
    }
    if (!s.durable || qos === 0) {
      if (c === null) return null
      if (!early && qos !== 0 && s.queue.count === 0 && c.hasWindow(s)) {
        if (this.tooLarge(c, qos, ids)) return null
        this.send(c, qos, allocateUnkept(s, qos, node.rules), retain, ids, many)
        return null
      }
    }
    const size = pub.payloadEnd - pub.payloadStart
    if (s.queue.count >= node.config.queuedMessagesMax || s.queue.bytes + size > node.config.queuedBytesMax) {
      node.metrics.add('dropped_queue_full')
      return null
    }
    const message = pub.message(this.identify, node.now)
    if (commit > message.commit) message.commit = commit
    const entry = node.sessions.enqueue(s, { message, pos: s.nextPos, qos, retain, subscriptionIds: ids })
    if (c !== null) node.pump(s)
    return entry
  }

  private tooLarge(c: Connection, qos: QoS, ids: readonly number[] | null): boolean {
    const { pub } = this
    if (c.maximumPacketSize === Number.POSITIVE_INFINITY) return false
    const length = pub.payloadEnd - pub.payloadStart
    const size = publishSize(c.version as Version, pub.topic.bytes.length, length, qos, pub.props, pub.expiry, ids, 0)
    if (size <= c.maximumPacketSize) return false
    this.node.metrics.add('dropped_too_large') // [MQTT-3.1.2-24]
    return true
  }

  private send(
    c: Connection,
    qos: QoS,
    packetId: number,
    retain: boolean,
    ids: readonly number[] | null,
    many: boolean,
  ): void {
    if (c.state !== 'open') return
    if (qos === 0) {
      if (c.outBytes > LIMITS.outBytesQos0Max) return this.node.metrics.add('dropped_slow_reader')
      if (this.tooLarge(c, 0, ids)) return
    }
    const w = c.writer()
    if (!many || ids !== null) {
      this.write(w, c.version as Version, qos, packetId, retain, ids)
      return
    }
    // One encoding for all who get the same bytes; only the identifier differs.
    const key = c.version | (qos > 0 ? 8 : 0) | (qos << 4) | (retain ? 64 : 0)
    const { scratch } = this
    if (this.scratchKey !== key) {
      scratch.clear()
      this.scratchIdAt = this.write(scratch, c.version as Version, qos, packetId, retain, null)
      this.scratchKey = key
    }
    const at = w.length
    w.copy(scratch.buf, 0, scratch.length)
    if (qos > 0) {
      w.buf[at + this.scratchIdAt] = packetId >>> 8
      w.buf[at + this.scratchIdAt + 1] = packetId & 0xff
    }
  }

  private write(
    w: ByteWriter,
    version: Version,
    qos: QoS,
    packetId: number,
    retain: boolean,
    ids: readonly number[] | null,
  ): number {
    const { pub } = this
    const { topic, buf, payloadStart, payloadEnd, props, expiry } = pub
    return writePublish(
      w,
      version,
      topic.bytes,
      buf,
      payloadStart,
      payloadEnd,
      qos,
      retain,
      false,
      packetId,
      props,
      expiry,
      ids,
      0,
    )
  }

  // ---- from the peer

  /**
   * A publish that the peer forwarded, to the sessions of this node; what durable ones take goes back as ENQ by reference.
   * @param refer the sequence number under which the peer knows it
   */
  routeForwarded(message: Message, refer: number, exclude: readonly TargetWire[] | null): void {
    const { node, pub } = this
    const route = this.route(message.topic)
    pub.from(message, expiryLeft(message, node.now))
    this.scratchKey = -1
    for (const t of route.targets) {
      const { session } = t
      if (!session.mine) continue
      if (exclude?.some((x) => x[0] === session.clientId)) continue
      const target =
        t.noLocal && session.clientId === message.publisher ? merge(session, t.subscriptions, message.publisher) : t
      if (target === null) continue
      const qos = target.qos < message.qos ? target.qos : message.qos
      const retain = target.retainAsPublished && message.retain
      const entry = this.deliver(session, qos, retain, target.ids, 0, route.targets.length > 1)
      if (entry === null || entry.qos === 0) continue
      node.emitter.enqueue(session, [entry.pos, entry.qos, retain ? 1 : 0, target.ids as number[] | null, refer])
    }
    pub.end()
  }

  /** QoS 0 frame of the peer: to the sessions of this node, kept by nobody. */
  routeQos0(fields: readonly unknown[]): void {
    const { node, pub } = this
    for (let i = 0; i < fields.length; i += 6) {
      const topic = node.topics.intern(fields[i] as string)
      const payload = fields[i + 1] as Uint8Array
      const flags = fields[i + 2] as number
      pub.begin(topic, (flags & 3) as QoS, (flags & 4) !== 0, fields[i + 5] as string)
      pub.content(payload, 0, payload.length, fields[i + 3] as Uint8Array | null, fields[i + 4] as number)
      const route = this.route(topic)
      this.scratchKey = -1
      for (const t of route.targets) {
        if (!t.session.mine) continue
        const target =
          t.noLocal && t.session.clientId === pub.publisher ? merge(t.session, t.subscriptions, pub.publisher) : t
        if (target === null) continue
        const c = t.session.attachment as Connection | null
        if (c !== null) this.send(c, 0, 0, target.retainAsPublished && pub.retain, target.ids, route.targets.length > 1)
      }
      pub.end()
    }
  }

  /** What a session would get of a message, by its subscriptions as they are now; null: nothing that must be kept. */
  wanted(session: Session, message: Message): { qos: 1 | 2; retain: boolean; ids: readonly number[] | null } | null {
    const subs: Subscription[] = []
    for (const sub of session.subscriptions.values()) if (matches(sub.filter, message.topic.name)) subs.push(sub)
    const target = merge(session, subs, message.publisher)
    if (target === null) return null
    const qos = target.qos < message.qos ? target.qos : message.qos
    return qos === 0 ? null : { qos, retain: target.retainAsPublished && message.retain, ids: target.ids }
  }

  /** The replica sessions of the peer that want a message. */
  replicasWanting(topic: TopicRef): Session[] {
    const sessions: Session[] = []
    for (const t of this.route(topic).targets) if (!t.session.mine && t.session.durable) sessions.push(t.session)
    return sessions
  }

  // ---- retained messages to a new subscription

  replayRetained(session: Session, filter: string): void {
    const { node, pub } = this
    const sub = session.subscriptions.get(filter)
    if (sub === undefined) return
    node.retained.tree.match(filter, (_topic, item) => {
      const { message } = item
      if (message === null || message.expiresAt <= node.now) return
      if (sub.noLocal && message.publisher === session.clientId) return
      const qos = sub.qos < message.qos ? sub.qos : message.qos
      const ids = sub.id === 0 ? null : [sub.id] // [MQTT-3.3.4-3]
      pub.from(message, expiryLeft(message, node.now))
      this.scratchKey = -1
      const entry = this.deliver(session, qos, true, ids, 0, false) // [MQTT-3.3.1-8]
      // with its payload: the peer may have let go of the message this came from
      if (entry !== null && entry.qos > 0) node.owners.emitEnqueued(session, entry)
      pub.end()
    })
  }

  fromPubOp(op: PubOp, origin: BootId): Message {
    const { node } = this
    const props = op[6] === null ? null : copyBytes(op[6])
    const flags = op[5]
    return new Message(
      origin,
      op[1],
      op[2] as Hlc,
      node.topics.intern(op[3]),
      copyBytes(op[4]),
      (flags & 3) as QoS,
      (flags & 4) !== 0,
      props,
      deadline(op[7], node.now),
      op[8],
    )
  }
}

/** All matching subscriptions of one session become one delivery [MQTT-3.3.4-2]. */
function merge(session: Session, subs: readonly Subscription[], publisher: string | null = null): Target | null {
  let qos: QoS = 0
  let any = false
  let retainAsPublished = false
  let noLocal = false
  let ids: number[] | null = null
  for (const sub of subs) {
    if (sub.noLocal) {
      noLocal = true
      if (publisher === session.clientId) continue
    }
    any = true
    if (sub.qos > qos) qos = sub.qos
    if (sub.retainAsPublished) retainAsPublished = true
    if (sub.id !== 0) {
      ids ??= []
      if (!ids.includes(sub.id)) ids.push(sub.id)
    }
  }
  return any ? { session, qos, retainAsPublished, ids, noLocal, subscriptions: subs } : null
}
