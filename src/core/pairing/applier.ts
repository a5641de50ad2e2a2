// Applier: the peer's ops onto the state of this node; what they make local sessions do goes back in the same turn.
// A broken op is the peer's fault; an op for a session under another token is late and counted.
import type { BootId, Hlc } from '../../base/brand.ts'
import { PeerFault } from '../../base/fault.ts'
import { sameConn } from '../../base/identity.ts'
import type { EntryState } from '../../session/image.ts'
import type { Message } from '../../session/message.ts'
import type { Session } from '../../session/session.ts'
import type { DealOp, EnqItemWire, Op, PubOp } from '../../wire/peer_message.ts'
import { OpKind } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { messageFromPub, messageFromWire, servedBy, tokenFromWire } from './convert.ts'

export class Applier {
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** @throws {PeerFault} */
  group(ops: readonly Op[]): void {
    const { arrivals } = this.node.claims
    try {
      for (const op of ops) {
        if (op[0] !== OpKind.grant) arrivals.fold()
        this.apply(op)
      }
    } finally {
      arrivals.fold()
    }
  }

  /** The replica that an op is about; undefined when the token is not the one held here. */
  private replica(client: string, tag: number): Session | undefined {
    const { node } = this
    const session = node.sessions.get(client)
    if (session === undefined || session.tag !== tag) {
      node.metrics.add('stale_ops')
      return undefined
    }
    if (!session.mine && node.grants.holds.has(client)) node.grants.drop(client) // it arrived there
    return session
  }

  private apply(op: Op): void {
    const { node } = this
    const { sessions } = node
    switch (op[0]) {
      case OpKind.pub:
        return this.pub(op)
      case OpKind.enq: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        for (const item of op[3]) this.enqueue(session, item)
        session.ver++
        return
      }
      case OpKind.out: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        const t = op[3]
        for (let i = 0; i + 2 < t.length; i += 3) {
          const id = t[i + 1] as number
          const state = t[i + 2] as EntryState
          if (id < 1 || id > 0xffff || state < 1 || state > 3) throw new PeerFault('sent mark out of range')
          const entry = session.queue.get(t[i] as number)
          if (entry !== null) sessions.markSent(session, entry, id, state)
        }
        session.ver++
        return
      }
      case OpKind.deq: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        for (const pos of op[3]) {
          const entry = session.queue.get(pos)
          if (entry !== null) sessions.dequeue(session, entry)
        }
        session.ver++
        return
      }
      case OpKind.inboundDel: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        for (const id of op[3]) sessions.deleteInbound(session, id)
        session.ver++
        return
      }
      case OpKind.sub: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        sessions.subscribe(session, op[3], op[4], op[5])
        session.ver++
        return
      }
      case OpKind.unsub: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        sessions.unsubscribe(session, op[3])
        session.ver++
        return
      }
      case OpKind.interest:
        return node.interest.applyPeer(op[1], op[2])
      case OpKind.conn:
        return node.presences.apply(op[1])
      case OpKind.claim:
        node.ratchet(op[4])
        return node.grants.onClaim(op)
      case OpKind.grant:
        return node.claims.onGrant(op)
      case OpKind.deny:
        return node.claims.onDeny(op)
      case OpKind.end: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        node.owners.expiry.clear(session.clientId)
        sessions.end(session)
        return
      }
      case OpKind.new: {
        const [, client, token, expiry] = op
        const old = sessions.get(client)
        if (old?.mine && node.snapshots.receiving === 0) return node.metrics.add('stale_ops')
        if (old !== undefined) sessions.end(old)
        sessions.create(client, true, false, tokenFromWire(token), expiry).snapshot = node.snapshots.receiving
        return
      }
      case OpKind.expiry: {
        const session = this.replica(op[1], op[2])
        if (session === undefined) return
        session.expiry = op[3]
        session.ver++
        node.journal.session(session)
        return
      }
      case OpKind.snapBegin:
      case OpKind.snapHead:
      case OpKind.snapPart:
      case OpKind.snapRetained:
      case OpKind.snapPresence:
      case OpKind.snapEnd:
        return node.snapshots.apply(op)
      case OpKind.shadows:
        return node.metrics.add('stale_ops')
      case OpKind.members:
        return node.interest.applyMembers(op[1], op[2])
      case OpKind.deal:
        return this.deal(op)
      case OpKind.bounce:
        return node.shares.bounced(op)
    }
  }

  private enqueue(session: Session, item: EnqItemWire): void {
    const { node } = this
    const [pos, qos, flags, ids, m] = item
    const forward = typeof m === 'number' ? node.forwarded.get(m) : undefined
    const message = typeof m === 'number' ? forward?.message : messageFromWire(m, node.topics, node.now)
    if (message === undefined) {
      if (node.config.mutations.size > 0) return node.metrics.add('missing_payloads')
      throw new PeerFault('ENQ refers to a message that was never sent')
    }
    if (qos !== 0 && qos !== 1 && qos !== 2) throw new PeerFault('ENQ with a wrong QoS')
    const share = this.shareOf(item[5])
    if (share !== null && forward !== undefined) node.shares.settled(forward, share)
    else if (share !== null) node.shares.sentBack.placed(message, share)
    node.sessions.enqueue(session, { message, pos, qos, retain: (flags & 1) !== 0, subscriptionIds: ids, share })
  }

  private shareOf(share: string | undefined): string | null {
    return share === undefined || this.node.config.mutations.has('shareReplicated') ? null : share
  }

  private deal(op: DealOp): void {
    const { node } = this
    const [, ref, m, picks] = op
    if (node.pairing.mode === 'JOINING') return
    node.shares.arrive(messageFromWire(m, node.topics, node.now), ref, picks)
  }

  private pub(op: PubOp): void {
    const { node } = this
    const { sessions } = node
    node.ratchet(op[2])
    const origin = node.pairing.peerBoot as BootId
    const { names } = node.pairing.in
    // In this order: that is how the sender numbered them.
    const topic = names.resolve(op[3])
    const publisher = names.resolve(op[8])
    let kept: Message | null = null
    const message = (): Message => {
      kept ??= messageFromPub(op, topic, publisher, origin, node.topics, node.now)
      return kept
    }
    const [, , hlc, , payload, flags, , , , targets, inbound, willOf, picks] = op
    if (targets !== null) {
      for (const [client, tag, pos, qos, bits, ids, by] of targets) {
        const session = this.replica(client, tag)
        if (session === undefined) continue
        if (qos !== 0 && qos !== 1 && qos !== 2) throw new PeerFault('PUB target with a wrong QoS')
        const share = this.shareOf(by)
        const retain = (bits & 1) !== 0
        sessions.enqueue(session, { message: message(), pos, qos, retain, subscriptionIds: ids, share })
        session.ver++
      }
    }
    if (inbound !== null) {
      const session = this.replica(inbound[0], inbound[1])
      if (session !== undefined) {
        sessions.addInbound(session, inbound[2])
        session.ver++
      }
    }
    const retain = (flags & 20) === 4 // 16: there was no room for it
    const forward = (flags & 8) !== 0
    if (retain) {
      node.snapshots.noteRetained(topic)
      if (payload.length === 0) node.retained.set(topic, null, hlc as Hlc, origin)
      else node.router.retain(message())
    }
    if (willOf !== null) {
      const p = node.presences.get(willOf[0])
      if (p !== undefined && sameConn(p.connId, { boot: willOf[1] as BootId, n: willOf[2] }))
        node.presences.delete(willOf[0])
    }
    if (!forward && !retain) return
    if (forward && node.grants.holds.size > 0) this.holdForGranted(message(), targets)
    if (node.pairing.mode === 'JOINING') return
    if (!forward && node.config.mutations.has('retainFwd')) return
    node.router.routeForwarded(message(), op[1], targets)
    if (picks !== undefined) node.shares.arrive(message(), op[1], picks)
  }

  /** pair.md H43: until the peer is known to have a session, keep what it forwarded and nobody matched. */
  private holdForGranted(message: Message, targets: PubOp[9]): void {
    const { node } = this
    const served = servedBy(targets)
    for (const session of node.router.replicasWanting(message.topic)) {
      if (!node.grants.holds.has(session.clientId) || served.has(session.clientId)) continue
      const want = node.router.wanted(session, message)
      if (want !== null) node.router.keep(session, message, want, null)
    }
  }
}
