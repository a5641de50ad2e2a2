// Merge: after both nodes went on alone, the leader takes over what the other one promised, before that one follows. Nothing
// acknowledged is lost; what both consumed or kept differently may come twice, and is counted.
import type { BootId } from '../base/brand.ts'
import { Hlc } from '../base/brand.ts'
import { copyBytes } from '../base/bytes.ts'
import { PeerFault } from '../base/fault.ts'
import { sameToken, type Token } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import type { Connection } from '../connection/connection.ts'
import { type Session, Shadow } from '../session/session.ts'
import {
  type EnqItemWire,
  type Frame,
  FrameKind,
  type Op,
  OpKind,
  type QueueItemWire,
  type SnapHeadOp,
} from '../wire/peer_message.ts'
import { Reason } from '../wire/reason.ts'
import { lineageFromWire, messageFromWire, messageToWire, tokenFromWire } from './convert.ts'
import type { BrokerNode } from './node.ts'
import { append } from './promote.ts'
import type { Want } from './route.ts'
import { headOf, installSession, nextPart, type Walk } from './snapshots.ts'

export class Merge {
  private readonly node: BrokerNode
  /** Leader: the peer's state must be taken before it may follow. */
  wanted = false
  private asking = false
  private given: Iterator<Op[]> | null = null
  /** Follower: clients that were connected here until the two met. */
  private lively: ReadonlySet<string> = new Set()
  private head: SnapHeadOp | null = null
  private items: QueueItemWire[] = []

  constructor(node: BrokerNode) {
    this.node = node
  }

  stop(): void {
    this.asking = false
    this.given = null
    this.head = null
    this.items = []
  }

  /** Behind HELLO and all else that waits: a question that overtakes HELLO finds no follower yet. */
  private send(frame: Frame): void {
    this.node.pairing.link.send(frame)
  }

  /** The other side's state is being waited for. */
  get waiting(): boolean {
    return this.asking
  }

  // ---- follower

  /** Before the clients are closed for it: who has one here has the branch that goes on. */
  beforeGiving(): void {
    this.lively = new Set(this.node.live.keys())
  }

  give(): void {
    this.given = null
  }

  /** A slice for the leader, as far as the link takes it. */
  step(): void {
    const { node } = this
    const room = LIMITS.linkBacklogBytesMax - node.ports.link.backlog()
    while (this.given !== null && node.pairing.link.waitingBytes < room) {
      const { value, done } = this.given.next()
      if (done === true) {
        this.given = null
        this.send([FrameKind.merge, [], 1])
      } else this.send([FrameKind.merge, value, 0])
    }
  }

  private *slices(): Generator<Op[]> {
    const { node } = this
    for (const session of [...node.sessions.byClient.values()]) {
      if (!session.durable || session.ended) continue
      const head = [...headOf(session, node.now)] as unknown as [...SnapHeadOp]
      if (this.lively.has(session.clientId)) head[3] = CONNECTED
      yield [head]
      const walk: Walk = { session, pos: session.queue.base, end: session.nextPos }
      for (let part = nextPart(walk, node.now); part !== null; part = nextPart(walk, node.now)) yield [part]
      for (const s of session.shadows) {
        const { qos, retain, subscriptionIds, message, share } = s
        const ids = subscriptionIds as number[] | null
        const item: EnqItemWire = [0, qos, retain ? 1 : 0, ids, messageToWire(message, node.now), share ?? '']
        yield [[OpKind.shadows, session.clientId, [item]]]
      }
    }
    for (const [topic, item] of [...node.retained.tree.entries()])
      yield [
        [
          OpKind.snapRetained,
          [[topic, item.message === null ? null : messageToWire(item.message, node.now), item.hlc, item.node]],
        ],
      ]
    for (const p of [...node.presences.byClient.values()]) yield [[OpKind.snapPresence, [node.presences.wire(p)]]]
  }

  // ---- leader

  ask(): void {
    this.asking = true
    this.node.pairing.progressAt = this.node.now
    this.send([FrameKind.merge, [], 0])
  }

  onFrame(frame: Frame): void {
    const { node } = this
    if (frame[0] !== FrameKind.merge) return
    const [, ops, last] = frame
    if (!this.asking) {
      if (node.pairing.mode === 'JOINING' && ops.length === 0) this.given = this.slices()
      return
    }
    node.pairing.progressAt = node.now
    for (const op of ops) this.take(op)
    if (last !== 1) return
    this.finishSession()
    this.asking = false
    this.wanted = false
    node.flusher.atBarrier(() => node.pairing.join.lead())
  }

  private take(op: Op): void {
    const { node } = this
    if (op[0] === OpKind.snapPart) {
      for (const item of op[3]) this.items.push(owned(item))
      return
    }
    this.finishSession()
    switch (op[0]) {
      case OpKind.snapHead:
        this.head = op
        this.items = op[12].map(owned)
        return
      case OpKind.shadows: {
        const session = node.sessions.get(op[1])
        if (session === undefined) return
        for (const [, qos, flags, ids, m, share] of op[2]) {
          if (typeof m === 'number' || (qos !== 1 && qos !== 2)) throw new PeerFault('shadow of a wrong shape')
          this.add(session, m, { qos, retain: (flags & 1) !== 0, ids }, share)
        }
        return
      }
      case OpKind.snapRetained:
        for (const [topic, m, hlc, origin] of op[1]) {
          node.ratchet(hlc)
          node.retained.set(
            topic,
            m === null ? null : messageFromWire(m, node.topics, node.now),
            Hlc(hlc),
            origin as BootId,
          )
        }
        return
      case OpKind.snapPresence:
        for (const w of op[1]) if (!node.live.has(w[0])) node.presences.apply(w)
        return
      default:
        throw new PeerFault('merge with an op that has no place there')
    }
  }

  private add(session: Session, m: QueueItemWire[4], want: Want, by: string | undefined): void {
    const { node } = this
    const message = messageFromWire(m, node.topics, node.now)
    const share = by === undefined || by === '' ? null : by
    if (node.sessions.has(session, message, share)) return
    if (session.mine) append(node, session, message, want, share)
    else node.router.shadow(session, message, want, share)
  }

  private finishSession(): void {
    const { head, node, items } = this
    if (head === null) return
    this.head = null
    this.items = []
    const whole = [...head] as unknown as [...SnapHeadOp]
    whole[12] = items
    const theirs = theirBranch(head)
    const ours = node.sessions.get(head[1])
    if (ours === undefined || !ours.durable) {
      if (ours !== undefined) return // a connection without expiry is here now: it won
      installSession(node, whole, false)
      node.metrics.add('merged_taken')
      return
    }
    if (contained(theirs, ours)) return node.metrics.add('merged_contained')
    if (contained(ours, theirs)) {
      this.replace(ours, whole)
      node.metrics.add('merged_replaced')
      return
    }
    this.diverged(ours, whole)
  }

  /** Theirs stands here from now on, with what this node kept for it. */
  private replace(ours: Session, op: SnapHeadOp): Session {
    const { node } = this
    const shadows = node.sessions.takeShadows(ours)
    const c = ours.attachment as Connection | null
    if (c !== null) c.disconnect(Reason.sessionTakenOver, 'the other node had the newer session', true)
    if (node.sessions.get(op[1]) === ours) node.sessions.end(ours)
    const session = installSession(node, op, false)
    for (const { message, qos, retain, subscriptionIds, share } of shadows) {
      if (!node.sessions.has(session, message, share))
        node.sessions.addShadow(session, new Shadow(message, qos, retain, subscriptionIds, share))
      node.journal.release(message)
    }
    return session
  }

  /**
   * Both branches went on: the one with the client wins, else the one with more incarnations. The other one's queue and filters are
   * added; where both have a filter the winner's options stand, and its QoS 2 identifiers are the session's.
   */
  private diverged(ours: Session, op: SnapHeadOp): void {
    const { node } = this
    const theirs = theirBranch(op)
    const oursWins = ours.attachment !== null || (op[3] !== CONNECTED && ours.token.epoch >= theirs.token.epoch)
    node.metrics.add('merged_diverged')
    node.ports.log.event('merged', { client: op[1], queued: op[12].length, winner: oursWins ? 'here' : 'there' })
    const mine = { token: ours.token, ver: ours.ver, lineage: ours.lineage }
    if (oursWins) {
      this.graft(ours, op)
      this.join(ours, mine, theirs)
      return
    }
    const losing = headOf(ours, node.now)
    const walk: Walk = { session: ours, pos: ours.queue.base, end: ours.nextPos }
    for (let part = nextPart(walk, node.now); part !== null; part = nextPart(walk, node.now))
      losing[12].push(...part[3])
    const session = this.replace(ours, op)
    this.graft(session, losing)
    this.join(session, theirs, mine)
  }

  /** What only the losing branch has joins the winner. */
  private graft(winner: Session, op: SnapHeadOp): void {
    const { node } = this
    const [, , , , , , , , , , subs, , queue] = op
    for (const [filter, options, id] of subs)
      if (!winner.subscriptions.has(filter)) node.sessions.subscribe(winner, filter, options, id)
    for (const [, qos, flags, ids, m, state, , share] of queue) {
      if (qos === 0) continue // promised nothing across a split
      if (qos !== 1 && qos !== 2) throw new PeerFault('queue entry with a wrong QoS')
      if (state === 3) {
        // received on that branch already: it must not be sent again on this one
        for (const e of winner.queue)
          if (e.state === 0 && e.share === (share ?? null) && e.message.seq === m[1] && e.message.origin === m[0])
            node.sessions.dequeue(winner, e)
        continue
      }
      const before = winner.queue.count + winner.shadows.length
      this.add(winner, m, { qos, retain: (flags & 1) !== 0, ids }, share)
      if (winner.queue.count + winner.shadows.length > before && state > 0)
        node.metrics.add('merged_possible_duplicates')
    }
  }

  /** One line again: both branches are its ancestors. */
  private join(session: Session, winner: Branch, loser: Branch): void {
    const { node } = this
    session.lineage = [...winner.lineage, { token: loser.token, forkVer: loser.ver }]
    const epoch = Math.max(winner.token.epoch, loser.token.epoch) + 1
    node.sessions.mint(session, { epoch, minter: node.boot as BootId, n: ++node.minted }, session.mine)
  }
}

/** In a head's field of ownership: the sender had the client until the two met. */
const CONNECTED = 2

function theirBranch(op: SnapHeadOp): Branch {
  return { token: tokenFromWire(op[2]), ver: op[5], lineage: lineageFromWire(op[4]) }
}

/** The frame it came in is borrowed, and a session takes several. */
function owned(item: QueueItemWire): QueueItemWire {
  const [pos, qos, flags, ids, m, state, packetId, share] = item
  const [origin, seq, hlc, topic, payload, bits, props, expiry, publisher] = m
  const copy = [
    origin,
    seq,
    hlc,
    topic,
    copyBytes(payload),
    bits,
    props === null ? null : copyBytes(props),
    expiry,
    publisher,
  ] as const
  return share === undefined
    ? [pos, qos, flags, ids, copy, state, packetId]
    : [pos, qos, flags, ids, copy, state, packetId, share]
}

type Branch = {
  readonly token: Token
  readonly ver: number
  readonly lineage: readonly { token: Token; forkVer: number }[]
}

/** Everything x went through, y went through too. */
function contained(x: Branch, y: Branch): boolean {
  if (sameToken(x.token, y.token)) return x.ver <= y.ver
  return y.lineage.some((a) => sameToken(a.token, x.token) && x.ver <= a.forkVer)
}
