// Promote: a replica becomes a session that this node owns, and messages join the queue of one. Knows nothing of claims: who may
// own it is decided in owners.ts and solo.ts.
import type { Token } from '../../base/identity.ts'
import type { Message } from '../../session/message.ts'
import { jumpPacketIds } from '../../session/packet_ids.ts'
import type { Entry } from '../../session/queue.ts'
import { NO_POSITIONS, type Session } from '../../session/session.ts'
import type { BrokerNode } from '../node.ts'
import { enqueuedToWire, messageToWire } from '../pairing/convert.ts'
import type { Want } from '../routing/route.ts'

/** The token of a new incarnation that this node makes. @param old the one before it; null: a new session */
export function nextToken(node: BrokerNode, old: Token | null): Token {
  return {
    epoch: (old?.epoch ?? 0) + 1,
    minter: node.boot,
    n: node.config.mutations.has('tokenUnique') ? 0 : ++node.minted,
  }
}

/** This node owns it from now on; nothing to do where it does already. */
export function promote(node: BrokerNode, session: Session): void {
  if (!session.durable) return
  if (!session.mine) {
    incarnate(node, session)
    node.metrics.add('promotions')
  }
  fold(node, session)
  if (session.expiresAt !== Number.POSITIVE_INFINITY) node.owners.expiry.set(session.clientId, session.expiresAt)
}

/** A new owner incarnation where what the former one gave out last is not known. */
export function incarnate(node: BrokerNode, session: Session): void {
  if (!node.config.mutations.has('jumpPid')) {
    if (session.packetIds === NO_POSITIONS) session.packetIds = [0, 0, 0, 0]
    jumpPacketIds(session.packetIds)
  }
  node.sessions.mint(session, nextToken(node, session.token), true)
}

/** Shadows become queue entries of the owner. */
export function fold(node: BrokerNode, session: Session): void {
  const shadows = node.sessions.takeShadows(session)
  for (const { message, qos, retain, subscriptionIds, share } of shadows) {
    if (!node.sessions.has(session, message, share))
      append(node, session, message, { qos, retain, ids: subscriptionIds }, share)
    node.journal.release(message)
  }
}

/** A message joins the queue of a session of this node, and the peer is told. */
export function append(node: BrokerNode, session: Session, message: Message, want: Want, share: string | null): void {
  if (!node.queues.admits(session, message.bytes)) return node.queues.lost(session.clientId, message.payload)
  const { qos, retain, ids } = want
  const pos = session.nextPos
  const entry = node.sessions.enqueue(session, { message, pos, qos, retain, subscriptionIds: ids, share })
  if (entry === null) return
  emitEnqueued(node, session, entry)
  if (session.attachment !== null) node.pump(session)
}

/** ENQ with the message itself. */
export function emitEnqueued(node: BrokerNode, session: Session, entry: Entry): void {
  if (!session.durable) return
  const { message } = entry
  const refer = node.config.mutations.has('enqPayload') ? message.seq : messageToWire(message, node.now)
  node.emitter.enqueue(session, enqueuedToWire(entry, refer))
}
