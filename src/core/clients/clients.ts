// Clients: all connections of a node at once, when it stops serving. Knows nothing of why.
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'

/** Nobody is served here any more: cut, without touching sessions' presence (the other node will). */
export function closeClients(node: BrokerNode, why: string): void {
  for (const c of [...node.all]) {
    if (c.state === 'closed') continue
    const session = c.session
    if (session !== null && session.attachment === c) {
      session.attachment = null
      node.live.delete(c.clientId)
      if (!session.durable) {
        node.interest.dropAll(session)
        node.sessions.end(session)
      }
    }
    node.keepAlive.clear(c)
    c.cut(Reason.useAnotherServer, why, node.config.serverReference ?? undefined)
  }
  node.leaving.clear()
}

/**
 * Leaving: clients are told where to go; their wills wait for whether they come back there.
 * @param elsewhere the other node takes over
 */
export function disconnectClients(node: BrokerNode, elsewhere: boolean): void {
  const reference = elsewhere ? (node.config.serverReference ?? undefined) : undefined
  // Without an address to name, the one the client has is as good: a load balancer leads it to the other node.
  const reason = reference === undefined ? Reason.serverShuttingDown : Reason.useAnotherServer
  const words = elsewhere ? 'the other node takes over' : 'shutting down'
  for (const c of [...node.all]) {
    if (c.state === 'closed') continue
    const { session } = c
    if (session !== null && session.attachment === c) {
      session.attachment = null
      node.live.delete(c.clientId)
      if (!session.durable) node.owners.end(session)
    }
    node.keepAlive.clear(c)
    c.cut(reason, words, reference)
  }
  node.claims.refuse()
  node.leaving.clear()
}
