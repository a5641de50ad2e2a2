// Gauges: what can be read off a node at any time, named for Prometheus. Changes nothing.
import { MODES } from '../../pair/modes.ts'
import { PacketType } from '../../wire/packet.ts'
import type { BrokerNode } from '../node.ts'
import type { Labelled } from './metrics.ts'

export function addGauges(node: BrokerNode): void {
  addHoldings(node)
  addPair(node)
  addTraffic(node)
}

/** Messages with QoS 1 or 2 that clients of this node have not acknowledged. */
export function inflightOf({ live }: BrokerNode): number {
  let sum = 0
  for (const { session } of live.values()) sum += session?.inflight.size ?? 0
  return sum
}

function addHoldings(node: BrokerNode): void {
  const { metrics, live, all, sessions, retained, journal } = node
  const gauge = (name: string, help: string, read: () => number): void => metrics.gauge(name, help, read)
  gauge('connections', 'open MQTT connections', () => live.size)
  gauge('sockets', 'open client sockets', () => all.size)
  gauge('authentications_open', 'clients whose identity is being found out', () => node.authentication.open.size)
  gauge('sessions', 'sessions known here', () => sessions.byClient.size)
  gauge('sessions_owned', 'sessions of this node: all but those the peer has', () => sessions.ownedCount)
  gauge('subscriptions', 'subscriptions known here', () => sessions.subscriptionCount)
  gauge('shared_subscriptions', 'of these, shared ones', () => sessions.sharedCount)
  gauge('shared_groups', 'shared subscriptions that have members here or at the peer', () => sessions.groups.size)
  gauge('queued_messages', 'messages in all queues', () => sessions.queuedMessages)
  gauge('queued_bytes', 'bytes of payload, properties and topic names in all queues', () => sessions.queuedBytes)
  gauge('inflight_messages', 'messages that connected clients have not acknowledged', () => inflightOf(node))
  gauge('retained_messages', 'retained messages', () => retained.count)
  gauge('retained_bytes', 'bytes of payload, properties and topic names of retained messages', () => retained.bytes)
  const forgotten = 'deletions of retained messages forgotten early: too many to remember for a peer that is away'
  metrics.counter('retained_deletions_forgotten', forgotten, () => retained.forgotten)
  const zombies = 'sessions ended alone and forgotten early: the peer may bring them back'
  metrics.counter('session_ends_forgotten', zombies, () => node.owners.endings.forgotten)
  gauge('stored_messages', 'messages held for queues and as retained ones, each once', () => journal.heldMessages)
  gauge('stored_bytes', 'bytes of payload, properties and topic names of these', () => journal.heldBytes)
  gauge('unread_bytes', 'bytes written for clients whose sockets do not take them', () => node.writers.held)
  gauge('kept_bytes', 'memory that messages for sessions take, about', () => node.queues.keptBytes)
}

function addPair(node: BrokerNode): void {
  const { metrics, pairing, claims, backPressure } = node
  const gauge = (name: string, help: string, read: () => number): void => metrics.gauge(name, help, read)
  gauge('claims_open', 'client ids asked for at the peer and not answered', () => claims.open.size)
  gauge('ring_groups', 'groups of changes the peer has not acknowledged', () => pairing.out.ring.length)
  gauge('ring_bytes', 'bytes of changes the peer has not acknowledged', () => pairing.out.ringBytes)
  gauge(
    'publishers_waiting',
    'publishers that stand still because the peer is too far behind, or too much is kept',
    () => backPressure.count,
  )
  gauge('link_backlog_bytes', 'bytes for the peer that its socket has not taken', () => node.ports.link.backlog())
  gauge('link_lag_seconds', 'round trip of the last heartbeat', () => node.lagMs / 1000)
  const skew = 'by how much the wall clock of the peer was ahead when the link opened'
  gauge('clock_skew_seconds', skew, () => pairing.hello.skewMs / 1000)
  gauge('peer_connections', 'open MQTT connections at the peer, as it has told', () => node.presences.upAtPeer)
  gauge('link_up', '1 while the link is up', () => (pairing.link.up ? 1 : 0))
  gauge('ready', '1 while clients may be served', () => (node.ready ? 1 : 0))
  gauge('synced', '1 while both nodes hold everything', () => (node.synced ? 1 : 0))
  gauge('generation', 'generation of the pair', () => pairing.record.generation.n)
  gauge('possibly_stale', '1 while served from a state the peer may have outrun', () => (pairing.possiblyStale ? 1 : 0))
  const modes = (): Labelled[] => MODES.map((mode) => [mode, pairing.mode === mode ? 1 : 0])
  metrics.labelled('gauge', 'mode', 'mode', '1 for the mode this node is in', modes)
}

function addTraffic({ metrics, traffic, config, ports, wall }: BrokerNode): void {
  const startedAt = Math.round(wall) / 1000
  const byType = (read: (type: PacketType) => number) => (): Labelled[] =>
    Object.entries(PacketType).map(([name, type]) => [name, read(type)])
  const received = byType((type) => traffic.receivedOf(type))
  const sent = byType((type) => traffic.sentOf(type))
  metrics.labelled('counter', 'packets_received', 'type', 'MQTT packets received, by type', received)
  metrics.labelled('counter', 'packets_sent', 'type', 'MQTT packets sent, by type', sent)
  metrics.counter('bytes_received', 'bytes received from clients', () => traffic.bytesIn)
  metrics.counter('bytes_sent', 'bytes sent to clients', () => traffic.bytesOut)
  metrics.counter('publish_bytes_received', 'payload bytes of PUBLISH received', () => traffic.payloadBytesIn)
  metrics.counter('publish_bytes_sent', 'payload bytes of PUBLISH sent', () => traffic.payloadBytesOut)
  metrics.gauge('process_resident_memory_bytes', 'resident memory size in bytes', () => ports.memoryBytes())
  metrics.gauge('process_start_time_seconds', 'start time of the process since unix epoch in seconds', () => startedAt)
  metrics.labelled('gauge', 'build_info', 'version', 'always 1, with the version', () => [[config.version, 1]])
}
