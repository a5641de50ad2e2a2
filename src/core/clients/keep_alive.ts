// Keep alive: connections that are silent for too long end, before CONNECT and after it. Knows nothing of their sessions.
import type { Connection } from '../../connection/connection.ts'
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'

/** Looks at each connection whose time is over. */
export function tickKeepAlive(node: BrokerNode): void {
  for (;;) {
    const c = node.keepAlive.due(node.now)
    if (c === undefined) return
    node.begin()
    due(node, c)
  }
}

function due(node: BrokerNode, c: Connection): void {
  if (c.state !== 'open') {
    const { connectTimeoutMs } = node.config
    if (c.state === 'waiting') {
      const at = node.awakeSince + connectTimeoutMs
      if (node.awakeSince > 0 && at > node.now) return node.keepAlive.set(c, at)
      node.metrics.add('connect_timeouts')
      c.logFault('connectTimeout', 'no CONNECT in time')
      c.close()
    } else if (c.state === 'authenticating') node.authentication.timedOut(c)
    else if (c.state === 'claiming') node.keepAlive.set(c, node.now + connectTimeoutMs)
    return
  }
  if (c.keepAliveMs === 0) return
  const at = Math.max(c.lastHeard, node.awakeSince) + c.keepAliveMs
  if (at > node.now) return node.keepAlive.set(c, at)
  if (node.backPressure.has(c)) return node.keepAlive.set(c, node.now + c.keepAliveMs) // unread is not silent
  node.metrics.add('keep_alive_timeouts')
  c.logFault('keepAliveTimeout', 'silent for one and a half times its keep alive')
  c.disconnect(Reason.keepAliveTimeout, 'keep alive timeout', false) // [MQTT-3.1.2-22]
}
