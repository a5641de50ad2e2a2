// Recovery: the image of a former start becomes live state.

import type { Image, ShadowRow } from '../session/image.ts'
import { Message } from '../session/message.ts'
import { Shadow } from '../session/session.ts'
import { Presence } from './clients/presence.ts'
import { deadlineOf } from './deadline.ts'
import type { BrokerNode } from './node.ts'

export function loadImage(node: BrokerNode, image: Image): void {
  const { sessions, now, wall } = node
  const at = (wallAt: number): number => deadlineOf(wallAt, wall, now)
  const messages = new Map<number, Message>()
  for (const m of image.messages) {
    const topic = node.topics.intern(m.topic)
    const message = new Message(
      m.origin,
      m.seq,
      m.hlc,
      topic,
      m.payload,
      m.qos,
      m.retain,
      m.props,
      at(m.expiresAt),
      m.publisher,
    )
    message.row = m.id
    messages.set(m.id, message)
    if (!node.config.mutations.has('hlcBoot')) node.ratchet(m.hlc)
  }
  for (const s of image.sessions) {
    const token = { epoch: s.epoch, minter: s.minter, n: s.n }
    const session = sessions.create(s.client, true, s.mine, token, s.expiry)
    session.stored = true
    session.ver = s.ver
    session.lineage = [...s.lineage]
    session.packetIds = [...s.packetIds]
    session.nextPos = s.nextPos
    session.expiresAt = at(s.expiresAt)
    if (session.expiresAt !== Number.POSITIVE_INFINITY) {
      session.expiresAt = Math.min(session.expiresAt, now + s.expiry * 1000)
      node.owners.expiry.set(s.client, session.expiresAt)
    } else node.owners.offline(session)
  }
  for (const s of image.subscriptions) {
    const session = sessions.get(s.client)
    if (session !== undefined) sessions.subscribe(session, s.filter, s.options, s.subscriptionId)
  }
  for (const q of image.queue) {
    const session = sessions.get(q.client)
    const message = messages.get(q.message)
    if (session === undefined || message === undefined) continue
    const { pos, qos, retain, subscriptionIds, share, state, packetId } = q
    const positions = session.packetIds.slice()
    const entry = sessions.enqueue(session, { message, pos, qos, retain, subscriptionIds, share })
    if (entry === null) continue
    entry.stored = true
    if (state > 0) sessions.markSent(session, entry, packetId, state)
    session.packetIds = positions
  }
  for (const s of inOrder(image.shadows, messages)) {
    const session = sessions.get(s.client)
    const message = messages.get(s.message)
    if (session === undefined || message === undefined) continue
    const shadow = new Shadow(message, s.qos, s.retain, s.subscriptionIds, s.share)
    shadow.stored = true
    sessions.addShadow(session, shadow)
  }
  for (const i of image.inbound) {
    const session = sessions.get(i.client)
    if (session === undefined) continue
    sessions.addInbound(session, i.packetId)
    if (session.inboundStored.size === 0) session.inboundStored = new Set()
    session.inboundStored.add(i.packetId)
  }
  for (const r of image.retained) {
    const message = r.message === 0 ? null : (messages.get(r.message) ?? null)
    if (!node.config.mutations.has('hlcBoot')) node.ratchet(r.hlc)
    node.retained.set(r.topic, message, r.hlc, r.node)
  }
  for (const p of image.presence) {
    const presence = new Presence(p.client, { boot: p.boot, n: p.n }, p.mine, p.expiry, p.will)
    presence.up = p.up
    presence.dueAt = at(p.willDueAt)
    presence.stored = true
    node.presences.restore(presence)
  }
  for (const message of messages.values()) {
    // kept by nobody: its row is not needed
    if (message.refs > 0) continue
    node.journal.hold(message)
    node.journal.release(message)
  }
}

/** In the order in which they were published, which is not that of their rows: a batch numbers messages as it meets them. */
function inOrder(shadows: readonly ShadowRow[], messages: ReadonlyMap<number, Message>): ShadowRow[] {
  const hlc = (s: ShadowRow): number => messages.get(s.message)?.hlc ?? 0
  return [...shadows].sort((a, b) => hlc(a) - hlc(b))
}
