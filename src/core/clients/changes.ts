// Changes: what a connection changes about its session, here and at the peer. Knows no packets.
import type { Session } from '../../session/session.ts'
import type { SubscribeRequest } from '../../wire/packet.ts'
import { OpKind } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'

/** @param id Subscription Identifier; 0: none */
export function subscribe(node: BrokerNode, session: Session, r: SubscribeRequest, id: number): void {
  const options = r.qos | (r.noLocal ? 4 : 0) | (r.retainAsPublished ? 8 : 0) | (r.retainHandling << 4)
  const isNew = node.sessions.subscribe(session, r.filter, options, id)
  if (session.durable)
    node.emitter.about(session, () => [OpKind.sub, session.clientId, session.tag, r.filter, options, id])
  else if (isNew) node.interest.add(session.clientId, r.filter)
}

/** @returns whether there was such a subscription */
export function unsubscribe(node: BrokerNode, session: Session, filter: string): boolean {
  if (!node.sessions.unsubscribe(session, filter)) return false
  if (session.durable) node.emitter.about(session, () => [OpKind.unsub, session.clientId, session.tag, filter])
  else node.interest.remove(session.clientId, filter)
  return true
}

/** @param expiry seconds, from DISCONNECT; a session whose expiry is 0 ends with its connection */
export function changeExpiry(node: BrokerNode, session: Session, expiry: number): void {
  session.expiry = expiry
  if (!session.durable) return
  node.journal.session(session)
  if (expiry > 0) node.emitter.about(session, () => [OpKind.expiry, session.clientId, session.tag, expiry])
}
