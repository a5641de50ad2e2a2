// Merge: after both nodes went on alone, the leader asks for what the other one promised, before that one follows. Nothing
// acknowledged is lost; what both consumed or kept differently may come twice, and is counted. What becomes of one session that both
// went on with is decided in branches.ts.
import type { BootId } from '../../base/brand.ts'
import { Hlc } from '../../base/brand.ts'
import { copyBytes } from '../../base/bytes.ts'
import { PeerFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import {
  type EnqItemWire,
  type Frame,
  FrameKind,
  type Op,
  OpKind,
  type QueueItemWire,
  type SnapHeadOp,
} from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { Branches, CONNECTED, ENDED } from '../ownership/branches.ts'
import { lineageToWire, messageFromWire, messageToWire, tokenToWire } from './convert.ts'
import { headOf, nextPart, type Walk } from './snapshots.ts'

export class Merge {
  private readonly node: BrokerNode
  private readonly branches: Branches
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
    this.branches = new Branches(node)
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
    for (const [client, { token, ver, lineage }] of [...node.owners.endings.all()])
      yield [
        [OpKind.snapHead, client, tokenToWire(token), ENDED, lineageToWire(lineage), ver, 0, -1, [], 0, [], [], []],
      ]
    for (const session of [...node.sessions.byClient.values()]) {
      if (!session.durable || session.ended) continue
      const head = [...headOf(session, node.now)] as unknown as [...SnapHeadOp]
      if (this.lively.has(session.clientId)) head[3] = CONNECTED
      yield [head]
      const walk: Walk = { session, pos: session.queue.base, end: session.nextPos }
      for (let part = nextPart(walk, node.now); part !== null; part = nextPart(walk, node.now)) yield [part]
      for (const s of session.shadows) {
        const { qos, retain, subscriptionIds, message, share } = s
        if (qos === 0) continue // promised nothing across a split
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
          this.branches.add(session, m, { qos, retain: (flags & 1) !== 0, ids }, share)
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

  private finishSession(): void {
    const { head, items } = this
    if (head === null) return
    this.head = null
    this.items = []
    const whole = [...head] as unknown as [...SnapHeadOp]
    whole[12] = items
    this.branches.meet(whole)
  }
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
