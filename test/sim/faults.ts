// Faults: what goes wrong in a run, by the rates of its profile; and the end of all faults. A fault is only drawn where the
// class of the run allows it: a crash where the other node holds every promise, unless the profile says otherwise.
import type { Cluster } from './cluster.ts'
import type { FaultRates } from './profile.ts'
import type { SimNode } from './sim_node.ts'

const TICK_MS = 10

export class Faults {
  private readonly cluster: Cluster
  private readonly rates: FaultRates
  private stopped = false
  private split = false
  private doubled = false

  constructor(cluster: Cluster) {
    this.cluster = cluster
    this.rates = cluster.profile.faults
  }

  start(): void {
    this.tick()
  }

  /** Everything is repaired; what is down is started. */
  stop(): void {
    this.stopped = true
    const { cluster } = this
    cluster.link.heal()
    for (const node of cluster.nodes) {
      node.disk.stuckUntil = 0
      node.wake()
      if (!node.up) node.boot()
    }
    for (const client of cluster.clients) client.wire?.freeze(0)
  }

  private get world() {
    return this.cluster.world
  }

  private tick(): void {
    if (this.stopped) return
    this.world.after(TICK_MS, () => this.tick())
    const { rates, cluster } = this
    const up = cluster.nodes.filter((node) => node.up)
    if (this.hits(rates.cut)) this.cut()
    if (this.hits(rates.freeze)) this.freeze()
    if (this.hits(rates.pause)) this.pause()
    if (this.hits(rates.diskStuck)) this.diskStuck()
    if (this.hits(rates.clockStep)) this.clockStep()
    if (this.hits(rates.drain)) this.drain()
    if (this.hits(rates.clientFreeze)) this.clientFreeze()
    if (up.length === 2) this.maybeCrash()
    else if (up.length === 1) this.maybeLone(up[0] as SimNode)
    if (rates.split && !this.split && this.hits(1) && cluster.synced) this.part()
    if (rates.doubleCrash && !this.doubled && this.hits(1)) this.crashBoth()
  }

  private hits(perSecond: number): boolean {
    return perSecond > 0 && this.world.prng.chance((perSecond * TICK_MS) / 1000)
  }

  private maybeCrash(): void {
    const { rates, cluster } = this
    const since = (at: number): boolean => this.world.now - at < 8 + cluster.profile.linkLatency.baseMs
    const heat = !rates.aimed ? 1 : since(cluster.dealtAt) ? 40 : since(cluster.hotAt) ? 10 : 1
    if (!this.hits(heat * rates.crash)) return
    const node = this.world.prng.pick(cluster.nodes)
    if (!this.mayCrash(node)) return
    const other = cluster.other(node)
    const wipe = other.synced && node.synced && this.world.prng.chance(rates.wipe)
    if (node.mode === 'SOLO' && !other.synced) {
      if (rates.lone === 0) return
      cluster.faults.lone++
    }
    cluster.faults.crash++
    if (wipe) cluster.faults.wipe++
    this.kill(node, wipe)
  }

  /** The other one holds every promise, or this one's disk does and nobody else serves before it is back. */
  private mayCrash(node: SimNode): boolean {
    const { cluster } = this
    const other = cluster.other(node)
    if (!other.awake) return false
    const serving = (n: SimNode): boolean => n.mode === 'SYNC' || n.mode === 'STALL'
    if (serving(node)) {
      if (other.mode === 'SOLO') return true
      const same = node.disk.record?.generation.n === other.disk.record?.generation.n
      return serving(other) && same && node.synced && other.synced
    }
    if (node.mode === 'SOLO') return !serving(other) && other.mode !== 'DECIDE'
    return other.mode === 'SOLO'
  }

  private kill(node: SimNode, wipe: boolean): void {
    const { prng } = this.world
    this.world.mark('crash')
    node.crash(prng.chance(this.rates.power), wipe)
    const soon = prng.chance(0.5)
    this.startLater(node, soon ? prng.int(1, 60) : prng.int(50, 3 * this.cluster.profile.timing.soloMs))
  }

  private startLater(node: SimNode, ms: number): void {
    const { life } = node
    this.world.after(ms, () => {
      if (node.life === life && !node.up) node.boot()
    })
  }

  /** The lone node crashes and is back before the other may serve with what it has. */
  private maybeLone(node: SimNode): void {
    const { rates, cluster } = this
    if (rates.lone === 0 || node.paused || node.mode !== 'SOLO') return
    const fresh = this.world.now - node.modeAt < 30
    if (!this.hits(fresh ? rates.lone * 10 : rates.lone)) return
    cluster.faults.lone++
    this.world.mark('lone crash')
    node.crash(this.world.prng.chance(rates.power), false)
    this.startLater(node, this.world.prng.int(1, 100))
  }

  private cut(): void {
    const { cluster, world } = this
    const { prng } = world
    const blip = prng.next() * 0.3 * cluster.profile.timing.soloMs
    cluster.faults.cut++
    world.mark('cut')
    cluster.hotAt = world.now
    const parts = prng.chance(0.6)
    if (this.stalledLong) return
    if (parts) cluster.link.part(world.now + blip)
    cluster.link.reset()
  }

  /** One cut after the other would be a split, which this profile has none of. */
  private get stalledLong(): boolean {
    const { rates, cluster, world } = this
    const since = world.now - 0.3 * cluster.profile.timing.soloMs
    return !rates.split && cluster.nodes.some((node) => node.mode === 'STALL' && node.modeAt < since)
  }

  private freeze(): void {
    const { cluster, world } = this
    const until = world.now + world.prng.next() * 0.4 * cluster.profile.timing.soloMs
    cluster.faults.cut++
    world.mark('freeze')
    for (const node of cluster.nodes) if (world.prng.chance(0.7) && !this.stalledLong) cluster.link.freeze(node, until)
  }

  private pause(): void {
    const { cluster, world } = this
    const node = world.prng.pick(cluster.nodes)
    if (!cluster.synced || cluster.nodes.some((n) => !n.awake) || !cluster.link.whole) return
    const { soloMs, stuckMs } = cluster.profile.timing
    const long = world.prng.chance(0.3) ? 2 * stuckMs : soloMs
    cluster.faults.pause++
    world.mark('pause')
    cluster.leavesService(node)
    node.pause()
    const { life } = node
    world.after(world.prng.next() * long, () => {
      if (node.life === life) node.wake()
    })
  }

  private diskStuck(): void {
    const { cluster, world } = this
    const node = world.prng.pick(cluster.nodes)
    node.disk.stuckUntil = world.now + world.prng.next() * cluster.profile.timing.soloMs
    world.note(node.name, 'disk hangs')
  }

  private clockStep(): void {
    const { world } = this
    const node = world.prng.pick(this.cluster.nodes)
    node.wallSkewMs = world.prng.int(-2000, 2000)
    world.note(node.name, `clock steps to ${node.wallSkewMs}`)
  }

  private drain(): void {
    const { cluster, world } = this
    const node = world.prng.pick(cluster.nodes)
    if (!cluster.synced || !node.awake) return
    cluster.faults.drain++
    world.mark('drain')
    world.note(node.name, 'is drained')
    const { life } = node
    node.event(life, (core) => core.drainAway())
    this.startWhenGone(node, life, world.prng.int(1, 2 * cluster.profile.timing.soloMs))
  }

  private startWhenGone(node: SimNode, life: number, ms: number): void {
    this.world.after(ms, () => {
      if (node.life === life && node.up) return this.startWhenGone(node, life, ms)
      if (!node.up) node.boot()
    })
  }

  private clientFreeze(): void {
    const { cluster, world } = this
    const client = world.prng.pick(cluster.clients)
    client.wire?.freeze(world.now + world.prng.next() * 2 * cluster.profile.timing.soloMs)
  }

  /** Long enough for both to go on alone; then together again. */
  private part(): void {
    const { cluster, world } = this
    this.split = true
    world.mark('part')
    cluster.partedAt = world.now
    cluster.link.part(world.now + cluster.profile.timing.soloMs * (1 + world.prng.next() * 4))
    if (world.prng.chance(0.5)) cluster.link.reset()
  }

  private crashBoth(): void {
    const { cluster, world } = this
    this.doubled = true
    cluster.faults.double++
    world.mark('double crash')
    for (const node of cluster.nodes) {
      if (node.up) node.crash(world.prng.chance(this.rates.power), false)
      this.startLater(node, world.prng.int(1, world.prng.chance(0.3) ? 2 * cluster.profile.timing.bootWaitMs : 300))
    }
  }
}
