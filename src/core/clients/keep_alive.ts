// Keep alive: connections that are silent for too long end, before CONNECT and after it, and those that are closed and do not read.
// Knows nothing of their sessions.
import { LIMITS } from '../../base/limits.ts'
import type { Connection } from '../../connection/connection.ts'
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'

/** Closed but for bytes that it does not read: from now on they have their time, and reading a few of them gives it no more. */
export function lingers(node: BrokerNode, c: Connection): void {
  if (!node.keepAlive.has(c)) node.keepAlive.set(c, node.now + LIMITS.closeTimeoutMs)
}

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
    else if (c.state === 'closing') c.dropSlow('last bytes not read in time') // [MQTT-3.1.2-22] [MQTT-4.13.1-1]
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
