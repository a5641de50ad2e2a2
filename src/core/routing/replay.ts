// Replay: the retained messages that a new subscription asks for, to its session. Knows nothing of when it asks.
import type { Connection } from '../../connection/connection.ts'
import { expiryLeft } from '../../session/message.ts'
import type { Session } from '../../session/session.ts'
import { isSys } from '../../topic/name.ts'
import type { BrokerNode } from '../node.ts'
import { emitEnqueued } from '../ownership/promote.ts'

export function replayRetained(node: BrokerNode, session: Session, filter: string): void {
  const { delivery } = node.router
  const { pub } = delivery
  const sub = session.subscriptions.get(filter)
  if (sub === undefined) return
  const c = session.attachment as Connection | null
  if (isSys(filter)) return node.sys.replay(sub)
  node.retained.tree.match(filter, (_topic, item) => {
    const { message } = item
    if (message === null || message.expiresAt <= node.now) return
    if (sub.noLocal && message.publisher === session.clientId) return
    const qos = sub.qos < message.qos ? sub.qos : message.qos
    // More than the socket takes at once waits in the queue: nobody subscribes too fast for what is there already.
    const waits = qos === 0 && c !== null && c.outBytes > node.writers.pumpMax
    if ((qos > 0 || waits) && node.queues.refuses(session, message)) return
    const ids = sub.id === 0 ? null : [sub.id] // [MQTT-3.3.4-3]
    pub.from(message, expiryLeft(message, node.now))
    delivery.begin()
    const entry = waits
      ? delivery.queue(session, 0, true, ids, 0, null)
      : delivery.deliver(session, qos, true, ids, 0, false, null) // [MQTT-3.3.1-8]
    // with its payload: the peer may have let go of the message this came from
    if (entry !== null && !entry.passing) emitEnqueued(node, session, entry)
    pub.end()
  })
}
