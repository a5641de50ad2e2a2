// Router: one publish to everybody who wants it: sessions of this node, replicas' owners by the link, the retained store.
// Who wants it is found in route.ts, what a session takes goes out in deliver.ts. Knows neither packets nor frames.
import { copyBytes } from '../../base/bytes.ts'
import type { ConnId } from '../../base/identity.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Forward } from '../../pair/out_stream.ts'
import { expiryLeft, Message } from '../../session/message.ts'
import { type Session, Shadow, type Subscription } from '../../session/session.ts'
import { matches } from '../../topic/name.ts'
import type { ShareGroup } from '../../topic/share_group.ts'
import type { TopicRef } from '../../topic/topics.ts'
import type { PublishView, QoS, Will } from '../../wire/packet.ts'
import { type DealOp, OpKind, type PickWire, type PubOp, type TargetWire } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { emitEnqueued, promote } from '../ownership/promote.ts'
import { enqueuedToWire, servedBy, targetToWire } from '../pairing/convert.ts'
import { Delivery } from './deliver.ts'
import type { Publication } from './publication.ts'
import { Routes, targetOf, type Want } from './route.ts'
import { Spread } from './spread.ts'

export class Router {
  private readonly node: BrokerNode
  readonly delivery: Delivery
  private readonly pub: Publication
  private readonly routes: Routes
  private readonly spread = new Spread()
  /** QoS 0 publishes for the peer, six fields each. */
  qos0: unknown[] = []

  constructor(node: BrokerNode) {
    this.node = node
    this.delivery = new Delivery(node)
    this.pub = this.delivery.pub
    this.routes = new Routes(node)
  }

  // ---- from clients of this node

  /** @param packetId of a QoS 2 publish; 0: none  @returns whether anybody was there to receive it */
  publishFrom(c: Connection, view: PublishView, packetId: number): boolean {
    const { pub } = this
    pub.begin(c.topic as TopicRef, view.qos, view.retain, c.clientId)
    pub.content(view.buf, view.payloadStart, view.payloadEnd, view.props, view.expiry)
    const matched = this.publish(packetId === 0 ? null : c.session, packetId, null)
    pub.end()
    return matched
  }

  /** The will of a connection that ended: the PUB op says so, that it is sent once. */
  publishWill(client: string, connId: ConnId, will: Will): void {
    const { node, pub } = this
    const topic = node.topics.intern(will.topic)
    if (topic.reserved) return node.metrics.add('dropped_sys_topic')
    pub.begin(topic, will.qos, will.retain, client)
    pub.content(will.payload, 0, will.payload.length, will.props, will.expiry)
    this.publish(null, 0, [client, connId.boot, connId.n])
    pub.end()
  }

  /** @param inboundOf the session that sent it with QoS 2 under `packetId` */
  private publish(inboundOf: Session | null, packetId: number, willOf: [string, number, number] | null): boolean {
    const { node, pub, delivery, spread } = this
    const { emitter } = node
    const route = this.routes.of(pub.topic)
    const recorded = inboundOf?.durable ? inboundOf : null
    // A QoS 2 message is sent on only once its identifier is recorded wherever its publisher may go [pair.md H7].
    const commit = recorded !== null && !node.config.mutations.has('commitFan') ? node.turns.current : 0
    const streaming = emitter.on
    spread.begin(streaming, recorded !== null, commit, !streaming && node.config.queueQos0)
    delivery.begin()
    for (const t of route.targets) {
      const target =
        t.noLocal && t.session.clientId === pub.publisher ? targetOf(t.session, t.subscriptions, pub.publisher) : t // [MQTT-3.8.3-3]
      if (target === null) continue
      const qos = target.qos < pub.qos ? target.qos : pub.qos // [MQTT-3.8.4-8]
      const retain = target.retainAsPublished && pub.retain // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
      this.toSession(target.session, qos, retain, target.ids, route.targets.length > 1)
    }
    if (route.interest && streaming) {
      spread.matched = true
      if (pub.qos > 0) spread.forward = true
      else spread.qos0 = true
    }
    if (route.groups !== null) for (const group of route.groups) this.toGroup(group)
    if (recorded !== null) {
      node.sessions.addInbound(recorded, packetId)
      emitter.inboundAgain(recorded, packetId)
      recorded.ver++
    } else if (inboundOf !== null) node.sessions.addInbound(inboundOf, packetId)
    const retain = pub.retain && node.queues.admitsRetained(pub)
    if (retain) this.retain(pub.message(delivery.identify, node.now))
    const { targets, picks, keepers, qos0 } = spread
    if (streaming && (targets !== null || spread.forward || retain || recorded !== null || willOf !== null)) {
      const forward = spread.forward || qos0 // who takes it there with QoS 0 gets it out of the same op
      const kept = pub.message(delivery.identify, node.now)
      const inbound: PubOp[10] =
        recorded !== null && emitter.visible(recorded) ? [recorded.clientId, recorded.tag, packetId] : null
      const flags = pub.qos | (pub.retain ? (retain ? 4 : 20) : 0) | (forward ? 8 : 0)
      if (this.qos0.length > 0) this.sequenceQos0()
      const expiry = pub.expiry < 0 ? -1 : pub.expiry * 1000
      const op = this.op(kept, flags, expiry, targets, inbound, willOf, picks)
      const known = { ref: kept.seq, message: kept, routed: true, targets, picks, again: false, keepers }
      this.emit(op, kept, forward || retain ? known : null)
    } else if (qos0 && streaming) this.sendQos0()
    if (commit > 0 && pub.isKept) pub.message(delivery.identify, node.now).commit = commit
    return spread.matched
  }

  /** What the publication at hand is to one session, wherever that is. */
  private toSession(session: Session, qos: QoS, retain: boolean, ids: readonly number[] | null, many: boolean): void {
    const { node, spread } = this
    spread.matched = true
    if (!session.mine) this.own(session)
    if (session.mine) this.toMine(session, qos, retain, ids, many, null)
    else if (qos > 0 || (spread.qos0Waits && session.durable)) this.toReplica(session, qos, retain, ids, null)
    else if (node.presences.get(session.clientId)?.up) spread.qos0 = true
    else if (session.durable && node.config.queueQos0) spread.forward = true
    else if (session.durable) node.metrics.add('qos0_not_queued')
  }

  /**
   * The leader of a join owns all there is. Who is merely alone keeps what comes for a session of the other node until its client
   * is here: so a split leaves it one line, not two branches.
   */
  private own(session: Session): void {
    if (session.durable && this.spread.streaming && this.node.pairing.ownsAll) promote(this.node, session)
  }

  /** ... to the member whose turn it is. */
  private toGroup(group: ShareGroup<Subscription>): void {
    const { node, pub, spread } = this
    const sub = node.shares.pick(group, pub.qos, pub.publisher)
    if (sub === null) {
      if (pub.qos > 0) node.metrics.add('dropped_no_member')
      return
    }
    spread.matched = true
    const { session } = sub
    const qos = sub.qos < pub.qos ? sub.qos : pub.qos // [MQTT-4.8.2-3]
    const retain = sub.retainAsPublished && pub.retain
    const ids = sub.id === 0 ? null : [sub.id]
    if (!session.mine) this.own(session)
    if (session.mine) return this.toMine(session, qos, retain, ids, false, sub.filter)
    if (spread.streaming) spread.pick(sub.filter, session.clientId)
    if (session.durable && (qos > 0 || spread.qos0Waits)) this.toReplica(session, qos, retain, ids, sub.filter)
  }

  private toMine(
    session: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    many: boolean,
    share: string | null,
  ): void {
    const { spread } = this
    const entry = this.delivery.deliver(session, qos, retain, ids, spread.commit, many, share)
    if (entry === null || entry.passing) return
    session.ver++
    if (!this.node.emitter.visible(session)) return
    spread.targets ??= []
    spread.targets.push(targetToWire(session, entry))
  }

  /** The peer owns it: forwarded, or kept here while nobody can be told. */
  private toReplica(
    session: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    share: string | null,
  ): void {
    const { node, pub, spread, delivery } = this
    if (!spread.streaming) {
      this.keep(session, pub.message(delivery.identify, node.now), { qos, retain, ids }, share)
      return
    }
    spread.forward = true
    if (spread.recorded) {
      const message = pub.message(delivery.identify, node.now)
      node.sessions.addForward(session, new Shadow(message, qos, retain, ids, share))
      spread.keepers ??= []
      spread.keepers.push(session)
    }
    const claim = node.claims.open.get(session.clientId)
    if (claim?.held && !node.config.mutations.has('hold'))
      node.claims.hold(claim, pub.message(delivery.identify, node.now), share)
  }

  /** Into the stream. @param forward what is remembered of it until the peer has it; null: nothing will refer to it */
  emit(op: PubOp | DealOp, message: Message, forward: Forward | null): void {
    const { node } = this
    node.emitter.pub(op, message.payload, forward)
    if (forward !== null) node.forwarded.set(forward.ref, forward)
  }

  private op(
    m: Message,
    flags: number,
    expiry: number,
    targets: TargetWire[] | null,
    inbound: PubOp[10],
    willOf: PubOp[11],
    picks: PickWire[] | null,
  ): PubOp {
    const { names } = this.node.pairing.out
    const t = names.refer(m.topic.name)
    const publisher = names.refer(m.publisher)
    if (picks === null)
      return [OpKind.pub, m.seq, m.hlc, t, m.payload, flags, m.props, expiry, publisher, targets, inbound, willOf]
    return [OpKind.pub, m.seq, m.hlc, t, m.payload, flags, m.props, expiry, publisher, targets, inbound, willOf, picks]
  }

  /**
   * What waits for the unsequenced frame must not come behind a publish that goes by the stream: it goes by the stream too
   * [MQTT-4.6.0-6].
   */
  private sequenceQos0(): void {
    const { node, qos0 } = this
    this.qos0 = []
    for (let i = 0; i < qos0.length; i += 6) {
      const flags = qos0[i + 2] as number
      const seconds = qos0[i + 4] as number
      const { origin, seq, hlc } = this.delivery.identify()
      const message = new Message(
        origin,
        seq,
        hlc,
        node.topics.intern(qos0[i] as string),
        qos0[i + 1] as Uint8Array,
        (flags & 3) as QoS,
        (flags & 4) !== 0,
        qos0[i + 3] as Uint8Array | null,
        seconds < 0 ? Number.POSITIVE_INFINITY : node.now + seconds * 1000,
        qos0[i + 5] as string,
      )
      // Forwarded, but not as retained: a retained publish never waits here.
      const op = this.op(message, (flags & 3) | 8, seconds < 0 ? -1 : seconds * 1000, null, null, null, null)
      const known = { ref: seq, message, routed: true, targets: null, picks: null, again: false, keepers: null }
      this.emit(op, message, known)
    }
  }

  private sendQos0(): void {
    const { pub } = this
    const payload = copyBytes(pub.buf, pub.payloadStart, pub.payloadEnd)
    this.qos0.push(pub.topic.name, payload, pub.qos | (pub.retain ? 4 : 0), pub.props, pub.expiry, pub.publisher)
  }

  /** A kept message for a session that the peer owns, while nobody can be told; once. */
  shadow(session: Session, message: Message, want: Want, share: string | null): void {
    if (!this.node.sessions.has(session, message, share)) this.keep(session, message, want, share)
  }

  /** ... that is new: nobody can have it yet. */
  keep(session: Session, message: Message, want: Want, share: string | null): void {
    const { node } = this
    if (!node.queues.admitsShadow(session, message.bytes)) return node.queues.lost(session.clientId, message.payload)
    const { qos, retain, ids } = want
    node.sessions.addShadow(session, new Shadow(message, qos, retain, ids, share))
  }

  /** Keeps it as its topic's retained message; an empty one clears the topic. */
  retain(message: Message): void {
    const value = message.payload.length === 0 ? null : message // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
    this.node.retained.set(message.topic.name, value, message.hlc, message.origin) // [MQTT-3.3.1-5]
  }

  // ---- from the peer

  /**
   * A publish that the peer forwarded, to the sessions of this node; what durable ones take goes back as ENQ by reference.
   * @param ref the number under which the peer knows it
   */
  routeForwarded(message: Message, ref: number, exclude: readonly TargetWire[] | null): void {
    const { node, pub, delivery } = this
    const route = this.routes.of(message.topic)
    pub.from(message, expiryLeft(message, node.now))
    delivery.begin()
    const served = servedBy(exclude)
    for (const t of route.targets) {
      const { session } = t
      if (!session.mine || served.has(session.clientId)) continue
      const target =
        t.noLocal && session.clientId === message.publisher ? targetOf(session, t.subscriptions, message.publisher) : t
      if (target === null) continue
      const qos = target.qos < message.qos ? target.qos : message.qos
      const retain = target.retainAsPublished && message.retain
      const entry = delivery.deliver(session, qos, retain, target.ids, 0, route.targets.length > 1, null)
      if (entry === null || entry.passing) continue
      node.emitter.enqueue(session, enqueuedToWire(entry, ref))
    }
    pub.end()
  }

  /** QoS 0 frame of the peer: to the sessions of this node, kept by nobody. */
  routeQos0(fields: readonly unknown[]): void {
    const { node, pub, delivery } = this
    for (let i = 0; i < fields.length; i += 6) {
      const topic = node.topics.intern(fields[i] as string)
      const payload = fields[i + 1] as Uint8Array
      const flags = fields[i + 2] as number
      pub.begin(topic, (flags & 3) as QoS, (flags & 4) !== 0, fields[i + 5] as string)
      pub.content(payload, 0, payload.length, fields[i + 3] as Uint8Array | null, fields[i + 4] as number)
      const route = this.routes.of(topic)
      delivery.begin()
      for (const t of route.targets) {
        if (!t.session.mine) continue
        const target =
          t.noLocal && t.session.clientId === pub.publisher ? targetOf(t.session, t.subscriptions, pub.publisher) : t
        // Whoever gets more than QoS 0 of it came after it was routed there, and is owed nothing [MQTT-3.8.4-8].
        if (target === null || (target.qos > 0 && pub.qos > 0)) continue
        const retain = target.retainAsPublished && pub.retain
        const entry = delivery.deliver(t.session, 0, retain, target.ids, 0, route.targets.length > 1, null)
        if (entry !== null && !entry.passing) emitEnqueued(node, t.session, entry)
      }
      pub.end()
    }
  }

  // ---- from this node itself

  /** How many of those connected here want the topic. */
  audience(topic: TopicRef): number {
    const { targets, groups } = this.routes.of(topic)
    let n = 0
    for (const { session } of targets) if (isHere(session)) n++
    if (groups !== null) for (const group of groups) if (group.members.some(({ session }) => isHere(session))) n++
    return n
  }

  /** A value that this node alone tells, to those connected here: QoS 0, kept by nobody. */
  tell(topic: TopicRef, payload: Uint8Array): void {
    const { targets, groups } = this.routes.of(topic)
    this.beginValue(topic, payload)
    for (const { session, retainAsPublished, ids } of targets)
      if (isHere(session))
        this.delivery.send(session.attachment as Connection, 0, 0, retainAsPublished, ids, targets.length > 1)
    if (groups !== null)
      for (const group of groups) {
        const sub = this.node.shares.pickHere(group)
        if (sub !== null) this.sendValue(sub, sub.retainAsPublished)
      }
    this.pub.end()
  }

  /** The same for a new subscription. */
  tellOne(sub: Subscription, topic: TopicRef, payload: Uint8Array): void {
    this.beginValue(topic, payload)
    this.sendValue(sub, true)
    this.pub.end()
  }

  private sendValue(sub: Subscription, retain: boolean): void {
    const c = sub.session.attachment as Connection | null
    if (c !== null) this.delivery.send(c, 0, 0, retain, sub.id === 0 ? null : [sub.id], false)
  }

  private beginValue(topic: TopicRef, payload: Uint8Array): void {
    this.pub.begin(topic, 0, true, '')
    this.pub.content(payload, 0, payload.length, null, -1)
    this.delivery.begin()
  }

  /** What a session would get of a message, by its subscriptions as they are now; null: nothing that must be kept. */
  wanted(session: Session, message: Message): Want | null {
    const subs: Subscription[] = []
    for (const sub of session.subscriptions.values())
      if (!sub.shared && matches(sub.filter, message.topic.name)) subs.push(sub)
    return this.wantedBy(session, subs, message)
  }

  /** As wanted(), of those of its subscriptions that match and are not shared. */
  wantedBy(session: Session, subs: readonly Subscription[], message: Message): Want | null {
    const target = targetOf(session, subs, message.publisher)
    if (target === null) return null
    const qos = target.qos < message.qos ? target.qos : message.qos
    return qos === 0 ? null : { qos, retain: target.retainAsPublished && message.retain, ids: target.ids }
  }

  /** The replica sessions of the peer that want a message. */
  replicasWanting(topic: TopicRef): Session[] {
    const sessions: Session[] = []
    for (const t of this.routes.of(topic).targets) if (!t.session.mine && t.session.durable) sessions.push(t.session)
    return sessions
  }
}

/** Its client is connected to this node. */
function isHere(session: Session): boolean {
  return session.mine && session.attachment !== null
}
