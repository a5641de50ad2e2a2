// Shares: which member of a shared subscription takes a message, and who takes it over when that one cannot: here, at the other
// node, or here again. Every message is with exactly one member (DESIGN.md). Knows no packets.
import { PeerFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Forward } from '../../pair/out_stream.ts'
import { expiryLeft, type Message } from '../../session/message.ts'
import type { Entry } from '../../session/queue.ts'
import { type Session, Shadow, type Subscription } from '../../session/session.ts'
import { type Judge, Rank, type ShareGroup } from '../../topic/share_group.ts'
import type { QoS } from '../../wire/packet.ts'
import { type BounceOp, OpKind, type PickWire } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { emitEnqueued, promote } from '../ownership/promote.ts'
import { enqueuedToWire, messageToWire } from '../pairing/convert.ts'
import type { Want } from './route.ts'
import { SentBack } from './sent_back.ts'

/** Among whom is picked: all; those whose sessions this node owns; these and, as the other node is gone, its lasting ones. */
type Scope = 'pair' | 'mine' | 'alone'

/** What a session that ended left to its groups. */
export type Left = { readonly message: Message; readonly share: string }

export class Shares implements Judge<Subscription> {
  private readonly node: BrokerNode
  /** Of the pick under way. */
  private scope: Scope = 'mine'
  private qos: QoS = 0

  readonly sentBack: SentBack

  constructor(node: BrokerNode) {
    this.node = node
    this.sentBack = new SentBack(node)
  }

  private off(rule: string): boolean {
    return this.node.config.mutations.has(rule)
  }

  // ---- who

  /** The member that takes a message, wherever it is; null: nobody can. */
  pick(group: ShareGroup<Subscription>, qos: QoS, publisher: string): Subscription | null {
    const { emitter, pairing } = this.node
    // Nobody is at a node that is gone, or follows this one.
    const scope = !emitter.on || pairing.ownsAll ? 'alone' : pairing.sharing ? 'pair' : 'mine'
    return this.pickIn(scope, group, qos, publisher)
  }

  /** ... among those connected to this node, with QoS 0. */
  pickHere(group: ShareGroup<Subscription>): Subscription | null {
    return this.pickIn('mine', group, 0, '')
  }

  private pickIn(scope: Scope, group: ShareGroup<Subscription>, qos: QoS, publisher: string): Subscription | null {
    const { config, prng } = this.node
    this.scope = scope
    this.qos = qos
    return group.pick(config.sharedStrategy, this, publisher, prng)
  }

  /** Online before offline, whichever node it is at; offline only what its session keeps. */
  rank(sub: Subscription): Rank {
    const { session } = sub
    const { node, scope } = this
    if (session.mine) {
      const { pairing, config } = node
      if (session.queue.waiting >= config.queuedMessagesMax || session.queue.waitingBytes >= config.queuedBytesMax)
        return Rank.full
      if (session.attachment !== null) return !session.durable && pairing.leave.begun ? Rank.none : Rank.online
    } else {
      if (scope === 'mine') return Rank.none
      if (scope === 'pair') {
        if (!session.durable) return Rank.online
        // A claim of a Clean Start ends it before anything sent now gets there.
        if (node.claims.open.size > 0 && node.claims.open.get(session.clientId)?.held === null) return Rank.none
        if (node.presences.get(session.clientId)?.up) return Rank.online
      }
    }
    const waits = session.durable && ((this.qos > 0 && sub.qos > 0) || node.config.queueQos0)
    return waits ? Rank.offline : Rank.none
  }

  load(sub: Subscription): number {
    const { session } = sub
    if (!session.mine) return -1
    return session.durable ? session.queue.count : session.queue.count + session.inflight.size
  }

  // ---- a member whose session ends

  /** What it was given and did not begin to receive, or has not acknowledged with QoS 1. QoS 2 under way goes to nobody else. */
  leftBy(session: Session): Left[] {
    const left: Left[] = []
    if (session.queue.count === 0 || this.off('shareDeal')) return left
    for (const entry of session.queue) {
      const { message, share } = entry
      if (share !== null && mayMove(entry)) left.push({ message, share }) // [MQTT-4.8.2-5]
    }
    return left
  }

  /**
   * Other members take over, in this turn: the end of the session and this are one group.
   * @param told the peer hears of that end: until it has, it would give the same messages again
   */
  deal(left: readonly Left[], told: boolean): void {
    const { node } = this
    for (const { message, share } of left) {
      if (message.expiresAt <= node.now) {
        node.metrics.add('dropped_expired')
        continue
      }
      const group = node.sessions.groups.get(share)
      const sub = group === undefined ? null : this.pick(group, message.qos, message.publisher)
      if (sub === null) {
        node.metrics.add('dropped_no_member')
        continue
      }
      const crosses = sub.session.durable || !sub.session.mine
      if (crosses && node.emitter.bytes + message.payload.length > LIMITS.dealtBytesMax) {
        node.metrics.add('dropped_dealt_full')
        continue
      }
      node.metrics.add('shared_dealt')
      if (told && !this.off('shareDealGate')) message.commit = node.turns.current
      if (sub.session.mine || !node.emitter.on || node.pairing.ownsAll) this.give(sub, message, null)
      else this.send(sub, message, false)
    }
  }

  /** To a member at the peer. @param again it came back from there once */
  private send(sub: Subscription, message: Message, again: boolean): void {
    const { node } = this
    const { session } = sub
    const { filter: share } = sub
    const ref = ++node.sequence
    const picks: PickWire[] = [[share, session.clientId]]
    const want = wantOf(sub, message)
    let keepers: Session[] | null = null
    if (session.durable && want !== null) {
      const { qos, retain, ids } = want
      node.sessions.addForward(session, new Shadow(message, qos, retain, ids, share))
      keepers = [session]
      const claim = node.claims.open.get(session.clientId)
      if (claim?.held) node.claims.hold(claim, message, share)
    }
    const forward = { ref, message, routed: false, targets: null, picks, again, keepers }
    node.router.emit([OpKind.deal, ref, messageToWire(message, node.now), picks], message, forward)
  }

  /** To a member here. @param ref the number under which the peer knows the message; null: it does not */
  private give(sub: Subscription, message: Message, ref: number | null): void {
    const { node } = this
    const { session } = sub
    if (!session.mine && node.emitter.on && node.pairing.ownsAll) promote(node, session)
    const { delivery } = node.router
    const { pub } = delivery
    if (!session.mine) {
      const want = wantOf(sub, message)
      if (want !== null) node.router.shadow(session, message, want, sub.filter)
      return
    }
    const qos = sub.qos < message.qos ? sub.qos : message.qos // [MQTT-4.8.2-3]
    const retain = sub.retainAsPublished && message.retain
    pub.from(message, expiryLeft(message, node.now))
    const entry = delivery.deliver(session, qos, retain, idsOf(sub), message.commit, false, sub.filter)
    pub.end()
    if (entry === null || entry.passing) return
    if (ref === null) emitEnqueued(node, session, entry)
    else node.emitter.enqueue(session, enqueuedToWire(entry, ref))
  }

  // ---- what the peer has picked

  /** To the members the peer has picked, or to others of this node; what nobody here can take goes back, once. */
  arrive(message: Message, ref: number, picks: readonly PickWire[]): void {
    const { node } = this
    const back: string[] = []
    for (const [share, client] of picks) {
      this.sentBack.placed(message, share) // it comes a second time
      const session = node.sessions.get(client)
      const sub = session?.subscriptions.get(share)
      if (session !== undefined && sub !== undefined) {
        if (this.canTake(sub, message)) {
          this.give(sub, message, ref)
          continue
        }
        // On its way to the peer, which holds the message for it and will say so (pair.md H13, H43).
        if (!session.mine && node.grants.holds.has(client) && !this.off('shareHold')) {
          const want = wantOf(sub, message)
          if (want !== null) node.router.shadow(session, message, want, share)
          continue
        }
      }
      const group = node.sessions.groups.get(share)
      const other = group === undefined ? null : this.pickIn('mine', group, message.qos, message.publisher)
      if (other === null) back.push(share)
      else {
        // The peer believes it with the one it picked: until it knows better, it would give it to a third one if this node died.
        if (other.session.durable && !this.off('shareDealGate')) message.commit = node.turns.current
        this.give(other, message, ref)
      }
    }
    if (back.length === 0 || this.off('shareBounce')) return
    node.metrics.add('shared_bounced')
    this.sentBack.send(message, ref, back)
  }

  private canTake(sub: Subscription, message: Message): boolean {
    this.scope = 'mine'
    this.qos = message.qos
    const rank = this.rank(sub)
    return rank === Rank.online || rank === Rank.offline
  }

  /**
   * Nobody at the peer could take it: a member of this node does, or one that was on its way to the peer when it said so, or
   * nobody.
   */
  bounced(op: BounceOp): void {
    const { node } = this
    const [, ref, shares] = op
    const forward = node.forwarded.get(ref)
    if (forward === undefined) {
      if (node.config.mutations.size > 0) return
      throw new PeerFault('a message comes back that was never sent')
    }
    const { message, again } = forward
    const before = node.emitter.count
    for (const share of shares) {
      this.settled(forward, share)
      const group = node.sessions.groups.get(share)
      const own = group === undefined ? null : this.pickIn('mine', group, message.qos, message.publisher)
      const sub = own ?? (group === undefined || again ? null : this.pick(group, message.qos, message.publisher))
      if (sub === null) node.metrics.add('dropped_no_member')
      else if (own !== null) {
        // The peer keeps it until it knows of this place, and would find another one if this node died (sent_back.ts).
        if (sub.session.durable && !this.off('shareDealGate')) message.commit = node.turns.current
        this.give(sub, message, null)
      } else this.send(sub, message, true)
    }
    // Its publisher's acknowledgement waits for the peer to know of the new place too.
    if (node.emitter.count === before || this.off('shareBounceGate')) return
    node.turns.resolve(node.turns.block(node.turns.released + 1), node.turns.current)
  }

  /** Somebody has it: going alone, this node need not find anybody. */
  settled(forward: Forward, share: string): void {
    if (forward.picks !== null) forward.picks = forward.picks.filter((pick) => pick[0] !== share)
  }

  // ---- the peer is gone

  /** What it was to give to its members and has not acknowledged: theirs where their session lasts, another one's where not. */
  reroute({ message, picks }: Forward): void {
    const { node } = this
    if (picks === null || message.qos === 0 || this.off('shareReroute')) return // QoS 0 may have been sent there
    for (const [share, client] of picks) {
      const session = node.sessions.get(client)
      const sub = session?.durable ? session.subscriptions.get(share) : undefined
      if (sub !== undefined) {
        // With QoS 0 it may have had it. And a session that has come here since brought along what was meant for it.
        const want = wantOf(sub, message)
        if (want !== null && !sub.session.mine) node.router.shadow(sub.session, message, want, share)
        continue
      }
      const group = node.sessions.groups.get(share)
      const other = group === undefined ? null : this.pickIn('alone', group, message.qos, message.publisher)
      if (other === null) node.metrics.add('dropped_no_member')
      else this.give(other, message, null)
    }
  }
}

function mayMove(entry: Entry): boolean {
  return !entry.passing && (entry.state === 0 || entry.state === 1)
}

function idsOf(sub: Subscription): readonly number[] | null {
  return sub.id === 0 ? null : [sub.id]
}

/** What a member's session keeps of a message; null: nothing, it is QoS 0 for it. */
export function wantOf(sub: Subscription, message: Message): Want | null {
  const qos = sub.qos < message.qos ? sub.qos : message.qos
  return qos === 0 ? null : { qos, retain: sub.retainAsPublished && message.retain, ids: idsOf(sub) }
}
