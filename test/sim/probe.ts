// Probe: a fresh client at one given node, to see from outside what the node would tell anybody. Part of the final checks.
import { Client } from './client.ts'
import type { ClientSpec } from './client_spec.ts'
import { TOPICS } from './client_spec.ts'
import type { Cluster } from './cluster.ts'
import type { SimNode } from './sim_node.ts'

const PATIENCE_MS = 3000

export class Probe {
  private readonly cluster: Cluster
  private readonly client: Client
  private readonly node: SimNode

  constructor(cluster: Cluster, node: SimNode) {
    this.cluster = cluster
    this.node = node
    const spec: ClientSpec = {
      id: `probe-${node.name}`,
      device: 0,
      shared: false,
      version: 5,
      lasting: false,
      expirySec: 0,
      publish: 0,
      subscribe: 0,
      roam: 0,
      cleanStart: 0,
      will: 0,
      willDelaySec: 0,
      disconnect: 0,
      late: false,
      receiveMaximum: 0xffff,
      keepAliveSec: 0,
      window: 100,
      aliases: 0,
      away: 0,
      member: null,
      memberQos: [],
      stays: 0,
    }
    this.client = new Client(cluster, spec)
  }

  /** Retained messages a new subscriber sees. */
  retained(): Map<string, number> {
    this.connect()
    const filter = {
      filter: '#',
      qos: 1 as const,
      noLocal: false,
      retainHandling: 0 as const,
      retainAsPublished: false,
    }
    this.client.subscribe([filter], 0)
    this.until(() => this.client.pending === null, 'SUBACK')
    // Retained messages may follow the SUBACK.
    this.settle(100)
    const found = new Map<string, number>()
    for (const d of this.client.account.log) if (d.retain) found.set(d.msg.topic, d.msg.i)
    this.bye()
    return found
  }

  /** One message of QoS 1 and 2 for each topic: who is subscribed gets them, as the checks of delivery will tell. */
  publish(): void {
    this.connect()
    for (const topic of TOPICS.slice(0, 2)) {
      this.client.publish(1, topic, false, false, -1)
      this.client.publish(2, topic, false, false, -1)
    }
    this.until(() => this.client.out.size === 0, 'acknowledgements')
    this.bye()
  }

  private connect(): void {
    const { balancer } = this.cluster
    balancer.favourite = this.node
    this.client.connect(true)
    if (this.client.conn?.node !== this.node.name)
      this.cluster.violate('26', `balancer does not know ${this.node.name} as ready`)
    balancer.favourite = null
    this.until(() => this.client.up, 'CONNACK')
  }

  private bye(): void {
    this.client.disconnect(0, -1)
    this.until(() => this.client.wire === null, 'close after DISCONNECT')
  }

  private settle(ms: number): void {
    const { world } = this.cluster
    const end = world.now + ms
    while (world.now < end && !world.failed) {
      world.run(Math.min(end, world.now + 10))
      while (this.client.owed.length > 0) this.client.acknowledge()
    }
  }

  private until(done: () => boolean, what: string): void {
    const { world } = this.cluster
    const end = world.now + PATIENCE_MS
    while (!done() && world.now < end && !world.failed) {
      world.run(Math.min(end, world.now + 5))
      while (this.client.owed.length > 0) this.client.acknowledge()
    }
    if (!done()) this.cluster.violate('26', `probe at ${this.node.name} waits for ${what}`)
  }
}
