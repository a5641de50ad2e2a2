// Workload: what each client does next, by chance. Knows no checks.
import type { Client } from './client.ts'
import { FILTERS, TOPICS } from './client_spec.ts'
import type { Cluster } from './cluster.ts'
import type { QoS } from './mqtt.ts'

const NEVER = Number.POSITIVE_INFINITY

export class Workload {
  private readonly cluster: Cluster
  /** Second devices keep away in the end. */
  private readonly resting = new Set<Client>()

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  start(client: Client): void {
    const { world } = this.cluster
    const step = (): void => {
      this.act(client)
      const mean = !this.cluster.calm ? this.cluster.profile.thinkMs : client.settled ? 100 : 10
      world.after(-Math.log(1 - world.prng.next()) * mean, step)
    }
    world.after(world.prng.next() * this.cluster.profile.thinkMs, step)
  }

  /** Everybody who will be there in the end. */
  get settled(): boolean {
    return this.cluster.clients.every((client) => (this.resting.has(client) ? client.wire === null : client.settled))
  }

  private act(client: Client): void {
    const { calm, world } = this.cluster
    const { prng } = world
    const { spec } = client
    const { conn, wire } = client
    if (calm && spec.device > 0) {
      this.resting.add(client)
      if (conn !== null) client.close()
      return
    }
    if (wire === null || conn === null) {
      if (calm || spec.away === 0 || prng.chance(0.08)) client.connect(!calm && prng.chance(spec.cleanStart))
      return
    }
    if (!client.up) {
      this.wait(client, conn.begun, conn.bye !== 0)
      return
    }
    if (client.owed.length > 0 && (!spec.late || calm || prng.chance(0.3))) {
      client.acknowledge()
      for (let n = 0; calm && n < 20; n++) client.acknowledge()
      if (!calm && prng.chance(0.5)) return
    }
    if (spec.keepAliveSec > 0) client.ping()
    if (calm) return
    if (prng.chance(0.02)) {
      prng.chance(0.7) ? client.close() : client.vanish()
      return
    }
    if (prng.chance(spec.disconnect)) {
      this.goodbye(client)
      return
    }
    if (prng.chance(spec.away)) {
      client.close()
      return
    }
    if (prng.chance(spec.roam)) {
      this.roam(client)
      return
    }
    if (prng.chance(spec.subscribe) && client.pending === null) {
      this.filters(client)
      return
    }
    if (prng.chance(spec.publish)) this.publish(client)
  }

  /** No CONNACK yet, or no close after DISCONNECT. */
  private wait(client: Client, begun: number, bye: boolean): void {
    const { world, profile, calm } = this.cluster
    const patience = 3 * profile.timing.soloMs + profile.timing.claimTimeoutMs + (calm ? 1000 : 0)
    const impatient = !calm && !bye && world.prng.chance(0.04)
    const since = bye ? (client.conn?.ended ?? begun) : begun
    if (impatient || world.now - since > patience) world.prng.chance(0.7) ? client.close() : client.vanish()
  }

  private goodbye(client: Client): void {
    const { prng } = this.cluster.world
    const v5 = client.spec.version === 5
    const code = v5 && prng.chance(0.3) ? 4 : 0
    const lasting = client.conn?.lasting === true && !client.spec.shared
    const expiry = v5 && lasting && prng.chance(0.3) ? prng.pick([0, client.spec.expirySec]) : -1
    client.disconnect(code, expiry)
    if (this.cluster.profile.rough && expiry !== 0 && prng.chance(0.5)) {
      // Gone without a close, and there again at once.
      client.vanish()
      client.connect(false)
    } else if (prng.chance(0.3)) client.close()
  }

  /** A new connection elsewhere while the old one still looks open to its node. */
  private roam(client: Client): void {
    const { prng } = this.cluster.world
    if (prng.chance(0.6)) client.vanish()
    else client.close()
    client.connect(false)
    if (!prng.chance(0.3)) return
    // ... and once more before that one has its answer.
    const { world, profile } = this.cluster
    const { wire } = client
    world.after(prng.next() * (profile.linkLatency.baseMs + 3), () => {
      if (client.wire !== wire || this.cluster.calm) return
      client.vanish()
      client.connect(prng.chance(client.spec.cleanStart))
    })
  }

  private filters(client: Client): void {
    const { prng } = this.cluster.world
    const { account, spec } = client
    if (spec.member !== null) return this.membership(client, spec.member)
    const live = account.subs.filter((s) => s.unsure === NEVER && s.sure !== NEVER)
    if (live.length > 0 && prng.chance(0.35)) {
      client.unsubscribe([prng.pick(live).filter])
      return
    }
    const count = prng.chance(0.2) ? 2 : 1
    const chosen = new Set<string>()
    while (chosen.size < count) chosen.add(prng.pick(FILTERS))
    const v5 = spec.version === 5
    client.subscribe(
      [...chosen].map((filter) => ({
        filter,
        qos: prng.pick([0, 1, 1, 2, 2, 2] as const),
        noLocal: v5 && prng.chance(0.1),
        retainHandling: v5 ? prng.pick([0, 0, 0, 1, 2] as const) : 0,
        retainAsPublished: v5 && prng.chance(0.2),
      })),
      v5 && prng.chance(0.3) ? prng.int(1, 100) : 0,
    )
  }

  private membership(client: Client, filter: string): void {
    const { prng } = this.cluster.world
    const { account, spec } = client
    const joined = account.subs.some((s) => s.unsure === NEVER && s.sure !== NEVER)
    if (joined && prng.chance(spec.stays)) return
    if (joined && prng.chance(0.8)) return client.unsubscribe([filter])
    const v5 = spec.version === 5
    const options = { retainHandling: 0, retainAsPublished: v5 && prng.chance(0.2), noLocal: false } as const
    const id = v5 && prng.chance(0.3) ? prng.int(1, 100) : 0
    client.subscribe([{ filter, qos: prng.pick(spec.memberQos), ...options }], id)
  }

  private publish(client: Client): void {
    const { prng } = this.cluster.world
    const topic = prng.pick([...TOPICS.slice(0, 2), ...TOPICS])
    const retain = topic.startsWith('r/')
    const deletes = retain && prng.chance(0.15)
    const choices: readonly QoS[] = client.spec.shared ? [0, 1, 1] : [0, 1, 1, 2, 2]
    const expiry = !retain && prng.chance(0.05) ? 1 : -1
    client.publish(prng.pick(choices), topic, retain, deletes, expiry)
  }
}
