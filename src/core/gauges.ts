// Gauges: what can be read off a node at any time, named for Prometheus.
import type { BrokerNode } from './node.ts'

export function addGauges(node: BrokerNode): void {
  const { metrics, pairing } = node
  const gauge = (name: string, help: string, read: () => number): void => metrics.gauge(name, help, read)
  gauge('connections', 'open MQTT connections', () => node.live.size)
  gauge('sockets', 'open client sockets', () => node.all.size)
  gauge('sessions', 'sessions known here', () => node.sessions.byClient.size)
  gauge('subscriptions', 'subscriptions known here', () => node.sessions.subscriptionCount)
  gauge('queued_messages', 'messages in all queues', () => node.sessions.queuedMessages)
  gauge('queued_bytes', 'payload bytes in all queues', () => node.sessions.queuedBytes)
  gauge('retained_messages', 'retained messages', () => node.retained.count)
  gauge('retained_bytes', 'payload bytes of retained messages', () => node.retained.bytes)
  gauge('claims_open', 'client ids asked for at the peer', () => node.claims.open.size)
  gauge('ring_groups', 'groups the peer has not acknowledged', () => pairing.out.ring.length)
  gauge('ring_bytes', 'bytes the peer has not acknowledged', () => pairing.out.ringBytes)
  gauge('link_lag_ms', 'round trip of the last heartbeat', () => node.lagMs)
  gauge('link_up', '1 while the link is up', () => (pairing.link.up ? 1 : 0))
  gauge('ready', '1 while clients may be served', () => (node.ready ? 1 : 0))
  gauge('synced', '1 while both nodes hold everything', () => (node.synced ? 1 : 0))
  gauge('generation', 'generation of the pair', () => pairing.record.generation.n)
  gauge('possibly_stale', '1 while served from a state the peer may have outrun', () => (pairing.possiblyStale ? 1 : 0))
  gauge('publishes_received', 'PUBLISH packets received since start', () => metrics.publishesIn)
  gauge('bytes_received', 'bytes received from clients since start', () => metrics.bytesIn)
  gauge('link_bytes_received', 'bytes received from the peer since start', () => metrics.linkBytesIn)
}
