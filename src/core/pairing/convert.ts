// Convert: messages between their live form and the form that travels to the peer. The only place that knows both.

import type { BootId, Hlc } from '../../base/brand.ts'
import { copyBytes } from '../../base/bytes.ts'
import type { Ancestor, Generation, Token } from '../../base/identity.ts'
import { Message } from '../../session/message.ts'
import type { Entry } from '../../session/queue.ts'
import type { Session } from '../../session/session.ts'
import type { TopicTable } from '../../topic/topics.ts'
import type { QoS } from '../../wire/packet.ts'
import type {
  AncestorWire,
  EnqItemWire,
  GenerationWire,
  MessageWire,
  PubOp,
  QueueItemWire,
  TargetWire,
  TokenWire,
} from '../../wire/peer_message.ts'

export function messageToWire(m: Message, now: number): MessageWire {
  const flags = m.qos | (m.retain ? 4 : 0)
  return [m.origin, m.seq, m.hlc, m.topic.name, m.payload, flags, m.props, msLeft(m, now), m.publisher]
}

const NOBODY: ReadonlySet<string> = new Set()

/** Whom the sender of a publish has served itself: asked once for each session that wants it, and both may be thousands. */
export function servedBy(targets: readonly TargetWire[] | null): ReadonlySet<string> {
  return targets === null ? NOBODY : new Set(targets.map(([client]) => client))
}

/** What a message takes in an op, about. */
export function wireBytes(w: MessageWire): number {
  return 64 + w[3].length + w[4].length + (w[6] === null ? 0 : w[6].length)
}

/** Copies payload and properties: the frame is borrowed. */
export function messageFromWire(w: MessageWire, topics: TopicTable, now: number): Message {
  return new Message(
    w[0] as BootId,
    w[1],
    w[2] as Hlc,
    topics.intern(w[3]),
    copyBytes(w[4]),
    (w[5] & 3) as QoS,
    (w[5] & 4) !== 0,
    w[6] === null ? null : copyBytes(w[6]),
    deadline(w[7], now),
    w[8],
  )
}

/** The message of a PUB op of the peer. Copies payload and properties: the frame is borrowed. */
export function messageFromPub(
  op: PubOp,
  topic: string,
  publisher: string,
  origin: BootId,
  topics: TopicTable,
  now: number,
): Message {
  return new Message(
    origin,
    op[1],
    op[2] as Hlc,
    topics.intern(topic),
    copyBytes(op[4]),
    (op[5] & 3) as QoS,
    (op[5] & 4) !== 0,
    op[6] === null ? null : copyBytes(op[6]),
    deadline(op[7], now),
    publisher,
  )
}

/** Milliseconds until a message expires, -1: never. Whole seconds would add up over several nodes. */
function msLeft(m: Message, now: number): number {
  return m.expiresAt === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(m.expiresAt - now))
}

/** @param left milliseconds, -1 none */
function deadline(left: number, now: number): number {
  return left < 0 ? Number.POSITIVE_INFINITY : now + left
}

/** An entry of a session that this node owns, as a target of a PUB op. */
export function targetToWire(session: Session, e: Entry): TargetWire {
  const { clientId, tag } = session
  const flags = e.retain ? 1 : 0
  const ids = e.subscriptionIds as number[] | null
  return e.share === null
    ? [clientId, tag, e.pos, e.qos, flags, ids]
    : [clientId, tag, e.pos, e.qos, flags, ids, e.share]
}

/** ... as what the session's queue takes in. @param m the message, or the number under which the peer knows it */
export function enqueuedToWire(e: Entry, m: number | MessageWire): EnqItemWire {
  const flags = e.retain ? 1 : 0
  const ids = e.subscriptionIds as number[] | null
  return e.share === null ? [e.pos, e.qos, flags, ids, m] : [e.pos, e.qos, flags, ids, m, e.share]
}

/** ... with all that has become of it. */
export function entryToWire(e: Entry, now: number): QueueItemWire {
  const flags = e.retain ? 1 : 0
  const ids = e.subscriptionIds as number[] | null
  const m = messageToWire(e.message, now)
  const { pos, qos, state, packetId, share } = e
  return share === null ? [pos, qos, flags, ids, m, state, packetId] : [pos, qos, flags, ids, m, state, packetId, share]
}

export const tokenToWire = (t: Token): TokenWire => [t.epoch, t.minter, t.n]
export const tokenFromWire = (w: TokenWire): Token => ({ epoch: w[0], minter: w[1] as BootId, n: w[2] })
export const generationToWire = (g: Generation): GenerationWire => [g.n, g.minter]
export const generationFromWire = (w: GenerationWire): Generation => ({ n: w[0], minter: w[1] as BootId })
export const lineageToWire = (l: readonly Ancestor[]): AncestorWire[] =>
  l.map((a) => [a.token.epoch, a.token.minter, a.token.n, a.forkVer])
export const lineageFromWire = (w: readonly AncestorWire[]): Ancestor[] =>
  w.map((a) => ({ token: { epoch: a[0], minter: a[1] as BootId, n: a[2] }, forkVer: a[3] }))
