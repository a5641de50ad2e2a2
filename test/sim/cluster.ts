// Cluster: two nodes, the link, the balancer, the clients and the label of what has happened to them. Decides nothing.
import type { NodeConfig } from '../../src/core/ports.ts'
import { checkPromise } from './check_promises.ts'
import type { Client } from './client.ts'
import { ClientWire } from './client_wire.ts'
import { type Conn, History, messageNumber } from './history.ts'
import { Link } from './link.ts'
import type { ServerPacket, Version } from './mqtt.ts'
import { nodeConfig, type Profile } from './profile.ts'
import { SimNode } from './sim_node.ts'
import type { World } from './world.ts'

/** What happened in a run: the class of faults decides what was promised. */
export type FaultClass = {
  crash: number
  cut: number
  pause: number
  wipe: number
  lone: number
  drain: number
  /** Both served alone at once. */
  split: number
  /** Both were down at once, not one after the other. */
  double: number
}

export type Promised =
  | 'sessions'
  | 'subscriptions'
  | 'delivery'
  | 'once'
  | 'order'
  | 'retained'
  | 'wills'
  | 'unique'
  | 'disk'

/** Picks nodes for clients: by health checks that are some time old. */
export class Balancer {
  private readonly cluster: Cluster
  private healthy: readonly SimNode[]
  private turn = 0
  private readonly coin: boolean
  /** All clients go there, if it is healthy. */
  favourite: SimNode | null = null

  constructor(cluster: Cluster) {
    this.cluster = cluster
    this.healthy = cluster.nodes
    this.coin = cluster.world.prng.chance(0.7)
    this.check()
  }

  pick(): SimNode {
    const { prng } = this.cluster.world
    const from = this.healthy.length > 0 && prng.chance(0.98) ? this.healthy : this.cluster.nodes
    if (this.favourite !== null && from.includes(this.favourite)) return this.favourite
    return this.coin ? prng.pick(from) : (from[this.turn++ % from.length] as SimNode)
  }

  private check(): void {
    this.healthy = this.cluster.nodes.filter((node) => node.awake && node.core?.ready === true)
    this.cluster.world.after(20 + this.cluster.world.prng.next() * 30, () => this.check())
  }
}

export class Cluster {
  readonly world: World
  readonly profile: Profile
  readonly history = new History()
  readonly link: Link
  readonly nodes: readonly [SimNode, SimNode]
  readonly balancer: Balancer
  readonly clients: Client[] = []
  /** Addresses of connections whose end no DISCONNECT brought about, as the nodes see it. */
  readonly failed = new Set<string>()
  readonly faults: FaultClass = { crash: 0, cut: 0, pause: 0, wipe: 0, lone: 0, drain: 0, split: 0, double: 0 }
  /** Time of the last hand-over, change of mode or the like: where crashes hurt. */
  hotAt = 0
  /** ... when messages changed members: rarer, and sooner over. */
  dealtAt = Number.NEGATIVE_INFINITY
  /** The two could not talk and may have gone on alone: what was subscribed at one meanwhile, the other did not know. */
  partedAt = Number.POSITIVE_INFINITY
  joinedAt = Number.NEGATIVE_INFINITY
  /** Clients come to rest, faults are over. */
  calm = false
  private readonly wires = new Map<ClientWire, Conn>()
  private numbers = 0
  private readonly moved = new Map<SimNode, number>()

  constructor(world: World, profile: Profile, off: ReadonlySet<string>) {
    this.world = world
    this.profile = profile
    this.link = new Link(world, profile.linkLatency, profile.chop, profile.sameHost)
    const config = (node: SimNode): NodeConfig => {
      const all = nodeConfig(profile, node.name, world.prng, off)
      // Once: an empty disk later on is a lost one, and its operator would not say --bootstrap.
      return { ...all, bootstrap: all.bootstrap && node.name === 'a' && world.now === 0 }
    }
    this.nodes = [
      new SimNode(world, profile, 'a', this.link, config),
      new SimNode(world, profile, 'b', this.link, config),
    ]
    for (const node of this.nodes) {
      node.onMode = (n, from) => this.onMode(n, from)
      node.onExit = (n) => this.onExit(n)
      node.onLost = (client, payload) => this.onLost(node, client, messageNumber(payload))
    }
    this.link.attach(this.nodes)
    this.balancer = new Balancer(this)
  }

  other(node: SimNode): SimNode {
    return node === this.nodes[0] ? this.nodes[1] : this.nodes[0]
  }

  get synced(): boolean {
    return this.nodes.every((node) => node.synced && node.mode === 'SYNC')
  }

  /** What section 2 of the design promises for what has happened so far. */
  promises(what: Promised): boolean {
    const { split, double } = this.faults
    if (what === 'delivery') return double === 0
    if (what === 'unique') return split === 0
    return split === 0 && double === 0
  }

  /**
   * A client that was at both sides of a partition, be it only with a CONNECT that came late: its QoS 2 identifiers are not
   * those of either, and of its subscriptions the merge keeps one side's.
   */
  usedBothSides(client: string): boolean {
    if (this.faults.split === 0) return false
    const { conns } = this.history.account(client)
    const used = conns.filter((c) => c.begun < this.joinedAt && c.serverEnded > this.partedAt)
    return used.some((c) => c.node !== used[0]?.node)
  }

  violate(inv: string, text: string): void {
    this.world.violate(inv, text)
  }

  payloadBytes(): number {
    const { bigBytes } = this.profile
    return bigBytes > 0 && this.world.prng.chance(0.05) ? bigBytes : 0
  }

  open(node: SimNode, version: Version, client: Client, conn: Conn): ClientWire {
    const wire = new ClientWire(this.world, this.profile, ++this.numbers, node, version, client)
    this.wires.set(wire, conn)
    this.hotAt = this.world.now
    return wire
  }

  /** Messages that change members are as delicate as sessions that change nodes. */
  heat(node: SimNode): void {
    const metrics = node.core?.metrics
    const moved = metrics === undefined ? 0 : metrics.get('shared_bounced') + metrics.get('shared_dealt')
    if (moved > (this.moved.get(node) ?? 0)) this.dealtAt = this.world.now
    this.moved.set(node, moved)
  }

  wiresOf(node: SimNode): ClientWire[] {
    return [...this.wires.keys()].filter((wire) => wire.node === node)
  }

  // ---- watching

  onReleased(client: Client, wire: ClientWire, packet: ServerPacket): void {
    const { node } = wire
    const mode = node.core?.mode ?? 'DOWN'
    if (this.world.tracing)
      this.world.remark(node.name, `-> ${client.name}: ${packet.cmd}${'pid' in packet ? ` ${packet.pid}` : ''}`)
    if (packet.cmd === 'disconnect' || (packet.cmd === 'connack' && packet.code !== 0)) return
    const { record } = node.disk
    if (['WAIT_PEER', 'JOINING', 'FENCED', 'BOOT', 'GONE'].includes(mode)) {
      this.violate('16', `${node.name} releases ${packet.cmd} to ${client.name} in ${mode}`)
    }
    if (record !== null && record.status === 'OUTDATED')
      this.violate('16', `${node.name} releases ${packet.cmd}, OUTDATED on disk`)
    if (packet.cmd === 'connack') {
      if (mode === 'DECIDE') this.violate('16', `${node.name} releases CONNACK in DECIDE`)
      this.unique(client, wire)
    }
    checkPromise(this, client, wire, packet)
    const answers = packet.cmd === 'puback' || packet.cmd === 'pubrec'
    if (answers && wire === client.wire) {
      const o = client.out.get(packet.pid)
      if (o !== undefined) o.msg.released = Math.min(o.msg.released, this.world.now)
    }
  }

  /** At most one connection per client identifier has its CONNACK and not yet its end. */
  private unique(client: Client, wire: ClientWire): void {
    const conn = this.wires.get(wire)
    for (const [other, theirs] of this.wires) {
      if (other === wire || theirs.client !== conn?.client || !other.accepted || !other.serverOpen) continue
      if (other.life !== other.node.life || !this.promises('unique')) continue
      // Gone on alone on both sides is a split even when the cut itself is mended: they have not met again yet.
      const alone = ['STALL', 'DECIDE', 'SOLO'].includes(other.node.mode)
      const apart = other.node !== wire.node && (!this.link.whole || !other.node.awake || alone)
      if (!apart) this.violate('9', `two live connections of ${client.name}: ${theirs.number} and ${conn?.number}`)
    }
  }

  onServerEnd(wire: ClientWire): void {
    const conn = this.wires.get(wire)
    if (conn === undefined) return
    this.wires.delete(wire)
    conn.serverEnded = this.world.now
    this.hotAt = this.world.now
    if (!wire.node.serves || wire.node.paused) conn.died = true
  }

  private onMode(node: SimNode, from: string): void {
    this.hotAt = this.world.now
    const { mode } = node
    const { record } = node.disk
    const other = this.other(node)
    if (mode === 'SOLO' && record?.status !== 'SOLO') {
      const backFromOffer = from === 'STALL' && record?.status === 'INSYNC'
      if (!backFromOffer) this.violate('17', `${node.name} is SOLO, its record says ${record?.status ?? 'nothing'}`)
    }
    if (mode === 'SYNC' && record?.status !== 'INSYNC') {
      this.violate('17', `${node.name} is in SYNC, its record says ${record?.status ?? 'nothing'}`)
    }
    if (mode === 'SOLO' && other.mode === 'SOLO') {
      if (!this.mayBeSplit()) this.violate('8', 'both nodes are SOLO')
      if (this.faults.split++ === 0) this.world.note('sim', 'split')
    }
    if (!node.serves) this.leavesService(node)
    if (mode === 'SYNC') this.joinedAt = this.world.now
  }

  /** Whether a message sent at `sent` could reach a subscription of before `sure` on the other side. */
  couldKnow(sure: number, sent: number): boolean {
    return this.faults.split === 0 || sent < this.partedAt || sent > this.joinedAt || sure < this.partedAt
  }

  private mayBeSplit(): boolean {
    return this.profile.faults.split || this.profile.faults.doubleCrash
  }

  /** What has just ended there may or may not be known to the other node. */
  leavesService(node: SimNode): void {
    const since = this.world.now - 4 * this.profile.timing.soloMs
    for (const account of this.history.accounts.values()) {
      for (const conn of account.conns) {
        if (conn.node !== node.name || Math.min(conn.ended, conn.serverEnded) <= since) continue
        conn.died = true
        conn.silentSince = Math.min(conn.silentSince, this.world.now)
      }
    }
  }

  private onLost(node: SimNode, client: string, number: number): void {
    this.world.note(node.name, `drops m${number} for ${client}`)
    this.world.mark(`dropped by ${this.profile.bounds.queueFull}`)
    this.history.account(client).lost.add(number)
  }

  private onExit(node: SimNode): void {
    this.link.died(node)
    for (const wire of this.wiresOf(node)) wire.nodeDied(node.silent)
  }
}
