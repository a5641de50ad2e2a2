// SysTopics: what stands under $SYS/broker and how each value reads: mosquitto's names and forms, and the pair's own. Tells nobody.
import { LIMITS } from '../../base/limits.ts'
import { PacketType } from '../../wire/packet.ts'
import type { BrokerNode } from '../node.ts'
import { inflightOf } from './gauges.ts'
import { LOAD_SPANS, Load } from './load.ts'

export type SysTopic = readonly [name: string, read: () => string | number]

const ROOT = '$SYS/broker/'
const INFLIGHT_MS = 1000

/** Counts of a node that loads and largest values are kept of; sampled once an interval. */
export class SysFigures {
  readonly loads: ReadonlyMap<string, Load>
  readonly startedAt: number
  memoryPeak = 0
  private inflightSeen = 0
  private inflightAt = Number.NEGATIVE_INFINITY
  private sampledAt: number
  private readonly counts: ReadonlyMap<string, () => number>
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    const { metrics, traffic } = node
    this.node = node
    this.startedAt = node.now
    this.sampledAt = node.now
    this.counts = new Map([
      ['messages/received', () => traffic.packetsReceived],
      ['messages/sent', () => traffic.packetsSent],
      ['publish/dropped', () => metrics.dropped],
      ['publish/received', () => traffic.receivedOf(PacketType.publish)],
      ['publish/sent', () => traffic.sentOf(PacketType.publish)],
      ['bytes/received', () => traffic.bytesIn],
      ['bytes/sent', () => traffic.bytesOut],
      ['sockets', () => metrics.get('accepts')],
      ['connections', () => traffic.receivedOf(PacketType.connect)],
    ])
    this.loads = new Map([...this.counts].map(([name, read]) => [name, new Load(read())]))
  }

  sample(): void {
    const seconds = (this.node.now - this.sampledAt) / 1000
    if (seconds <= 0) return
    this.sampledAt = this.node.now
    for (const [name, load] of this.loads) load.sample((this.counts.get(name) as () => number)(), seconds)
    this.memory()
  }

  /** Counting goes through all clients: once a second is enough, however often somebody subscribes. */
  inflight(): number {
    const { node } = this
    if (node.now - this.inflightAt >= INFLIGHT_MS) {
      this.inflightAt = node.now
      this.inflightSeen = inflightOf(node)
    }
    return this.inflightSeen
  }

  memory(): number {
    const bytes = this.node.ports.memoryBytes()
    this.memoryPeak = Math.max(this.memoryPeak, bytes)
    return bytes
  }
}

export function sysTopics(node: BrokerNode, figures: SysFigures): SysTopic[] {
  const topics = [...ofBroker(node, figures), ...ofLoad(figures), ...(node.config.paired ? ofPair(node) : [])]
  return topics.map(([name, read]) => [ROOT + name, read])
}

function ofBroker(node: BrokerNode, figures: SysFigures): SysTopic[] {
  const { config, metrics, traffic, sessions, journal, live } = node
  // Both nodes' figures add up to the pair's: a session counts where it is owned.
  const total = (): number => (node.pairing.ownsAll ? sessions.byClient.size : sessions.ownedCount)
  const connected = (): number => live.size
  const disconnected = (): number => total() - live.size
  const stored = (): number => journal.heldMessages
  return [
    ['version', () => `tandemq version ${config.version}`],
    ['uptime', () => `${Math.floor((node.now - figures.startedAt) / 1000)} seconds`],
    ['clients/total', total],
    ['clients/connected', connected],
    ['clients/active', connected],
    ['clients/disconnected', disconnected],
    ['clients/inactive', disconnected],
    ['clients/maximum', () => node.owners.connectionsPeak],
    ['clients/expired', () => metrics.get('sessions_expired')],
    ['connections/socket/count', () => metrics.get('accepts')],
    ['messages/received', () => traffic.packetsReceived],
    ['messages/sent', () => traffic.packetsSent],
    ['messages/stored', stored],
    ['messages/inflight', () => figures.inflight()],
    ['store/messages/count', stored],
    ['store/messages/bytes', () => journal.heldBytes],
    ['publish/messages/received', () => traffic.receivedOf(PacketType.publish)],
    ['publish/messages/sent', () => traffic.sentOf(PacketType.publish)],
    ['publish/messages/dropped', () => metrics.dropped],
    ['publish/bytes/received', () => traffic.payloadBytesIn],
    ['publish/bytes/sent', () => traffic.payloadBytesOut],
    ['bytes/received', () => traffic.bytesIn],
    ['bytes/sent', () => traffic.bytesOut],
    ['subscriptions/count', () => sessions.subscriptionCount - sessions.sharedCount],
    ['shared_subscriptions/count', () => sessions.sharedCount],
    ['retained messages/count', () => node.retained.count],
    ['heap/current', () => figures.memory()],
    ['heap/maximum', () => Math.max(figures.memory(), figures.memoryPeak)],
  ]
}

function ofLoad({ loads }: SysFigures): SysTopic[] {
  const topics: SysTopic[] = []
  for (const [name, load] of loads)
    for (const [i, span] of LOAD_SPANS.entries())
      topics.push([`load/${name}/${span.name}`, () => load.average(i).toFixed(2)])
  return topics
}

function ofPair(node: BrokerNode): SysTopic[] {
  const { pairing, metrics, config } = node
  const topics: SysTopic[] = [
    ['node', () => config.name],
    ['peer', () => pairing.peerName || '-'],
    ['mode', () => pairing.mode],
    ['ready', () => Number(node.ready)],
    ['synced', () => Number(node.synced)],
    ['generation', () => pairing.record.generation.n],
    ['link/up', () => Number(pairing.link.up)],
    ['link/lag', () => `${node.lagMs.toFixed(2)} ms`],
    ['link/bytes/received', () => metrics.get('link_bytes_in')],
    ['link/bytes/sent', () => metrics.get('link_bytes_out')],
    ['link/bytes/unacknowledged', () => pairing.out.ringBytes],
    ['handovers/in', () => metrics.get('handovers_in')],
    ['handovers/out', () => metrics.get('handovers_out')],
    ['clients/here', () => node.live.size],
    ['clients/peer', () => node.presences.upAtPeer],
    ['alarm/possibly stale', () => Number(pairing.possiblyStale)],
    ['alarm/clock skew', () => Number(Math.abs(pairing.hello.skewMs) > LIMITS.skewAlarmMs)],
  ]
  return topics.map(([name, read]) => [`pair/${name}`, read])
}
