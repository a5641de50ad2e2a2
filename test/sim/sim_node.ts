// SimNode: one node's process as its host runs it: born, fed with events, drained, paused, killed. Knows no MQTT.

import { BrokerNode } from '../../src/core/node.ts'
import type { NodeConfig, Ports } from '../../src/core/ports.ts'
import type { Core } from './core.ts'
import { Disk } from './disk.ts'
import type { Profile } from './profile.ts'
import type { World } from './world.ts'

/** Some moment of 2026. */
const EPOCH_MS = 1_780_000_000_000

/** Drains without any progress of time or new events that count as spinning. */
const SPIN_MAX = 300

export interface LinkHost {
  send(node: SimNode, bytes: Uint8Array): void
  backlog(node: SimNode): number
  close(node: SimNode, why: string): void
}

export class SimNode {
  readonly name: string
  readonly disk: Disk
  core: Core | null = null
  /** Counts starts: an event of a former life is not delivered. */
  life = 0
  paused = false
  /** The host itself is off: nobody answers, not even with a refusal. */
  silent = false
  wallSkewMs = 0
  mode = 'DOWN'
  modeAt = 0
  /** Called when `mode` has changed. */
  onMode: (node: SimNode, from: string) => void = () => {}
  onDrained: (node: SimNode) => void = () => {}
  /** Called with what a session loses to the bounds of its queue. */
  onLost: (client: string, payload: Uint8Array) => void = () => {}
  /** Bytes of the peer were taken; bytes for it leave; a line of the log. */
  onApplied: (core: Core) => void = () => {}
  onSent: (core: Core, bytes: Uint8Array) => void = () => {}
  onLog: (name: string, fields: Record<string, unknown>) => void = () => {}
  /** Called with the process gone. */
  onExit: (node: SimNode) => void = () => {}
  private readonly world: World
  private readonly profile: Profile
  private readonly link: LinkHost
  private readonly config: (node: SimNode) => NodeConfig
  private rate = 1
  private bornAt = 0
  private monoBase = 0
  private inbox: (() => void)[] = []
  private draining = false
  private wakeAt = Number.POSITIVE_INFINITY
  private spins = 0
  private spinAt = -1

  constructor(world: World, profile: Profile, name: string, link: LinkHost, config: (node: SimNode) => NodeConfig) {
    this.world = world
    this.profile = profile
    this.name = name
    this.link = link
    this.config = config
    this.disk = new Disk(world, name, profile.disk)
    this.wallSkewMs = world.prng.int(-profile.skewMs, profile.skewMs)
  }

  get up(): boolean {
    return this.core !== null
  }

  /** Up, not paused. */
  get awake(): boolean {
    return this.core !== null && !this.paused
  }

  get serves(): boolean {
    return this.mode === 'SYNC' || this.mode === 'STALL' || this.mode === 'SOLO'
  }

  get synced(): boolean {
    return this.core?.synced === true
  }

  boot(): void {
    const { world, disk } = this
    this.life++
    this.paused = false
    this.silent = false
    this.inbox = []
    this.draining = false
    this.wakeAt = Number.POSITIVE_INFINITY
    this.rate = 1 + (world.prng.next() * 2 - 1) * this.profile.drift
    this.bornAt = world.now
    this.monoBase = world.prng.int(0, 1_000_000)
    const flaw = disk.flaw()
    if (flaw !== null) world.violate('14', `${this.name}: ${flaw}`)
    world.note(this.name, `boot ${disk.record === null ? 'without a record' : disk.record.status}`)
    this.core = new BrokerNode(this.config(this), disk.record, disk.image(), this.ports(), this.mono(), this.wall())
    this.core.queues.onLost = (client, payload) => this.onLost(client, payload)
    this.look()
    this.drainSoon()
  }

  /** Without a word; the disk keeps what it kept. */
  crash(power: boolean, wipe: boolean): void {
    this.world.note(this.name, `crash${power ? ' power' : ''}${wipe ? ' disk lost' : ''} in ${this.mode}`)
    this.disk.crash(power, wipe)
    this.silent = power && this.world.prng.chance(0.5)
    this.gone()
  }

  /** The process ended of itself. */
  exit(): void {
    this.world.note(this.name, 'exit')
    this.disk.crash(false, false)
    this.gone()
  }

  pause(): void {
    this.world.note(this.name, 'pause')
    this.paused = true
  }

  wake(): void {
    if (!this.paused) return
    this.world.note(this.name, 'wake')
    this.paused = false
    const events = this.inbox
    this.inbox = []
    const { life } = this
    for (const event of events) {
      if (this.life !== life || this.core === null) return
      event()
    }
    this.drainSoon()
  }

  /** Delivers one event to the life it is meant for. */
  event(life: number, deliver: (core: Core) => void): void {
    if (life !== this.life || this.core === null) return
    if (this.paused) {
      this.inbox.push(() => this.event(life, deliver))
      return
    }
    this.spins = 0
    this.core.at(this.mono(), this.wall())
    deliver(this.core)
    this.drainSoon()
  }

  private mono(): number {
    return this.monoBase + (this.world.now - this.bornAt) * this.rate
  }

  private wall(): number {
    return EPOCH_MS + Math.floor(this.world.now) + this.wallSkewMs
  }

  private gone(): void {
    this.core = null
    this.life++
    this.paused = false
    this.inbox = []
    this.look()
    this.onExit(this)
  }

  private look(): void {
    const mode = this.core === null ? 'DOWN' : this.core.mode
    if (mode === this.mode) return
    const from = this.mode
    this.mode = mode
    this.modeAt = this.world.now
    this.world.note(this.name, `mode ${from} -> ${mode}`)
    this.world.mark(`mode ${mode}`)
    this.onMode(this, from)
  }

  private drainSoon(): void {
    if (this.draining) return
    this.draining = true
    const { life } = this
    const { prng } = this.world
    this.world.after(prng.chance(0.6) ? 0 : prng.next() * 0.5, () => {
      if (life !== this.life) return
      this.draining = false
      if (!this.paused) this.drain()
    })
  }

  private drain(): void {
    const { core, world } = this
    if (core === null) return
    core.at(this.mono(), this.wall())
    core.drain()
    if (core.fatal !== null) world.violate('X', `${this.name}: ${core.fatal.message}`)
    this.look()
    this.onDrained(this)
    if (this.core !== core) return
    if (core.mode === 'GONE') {
      this.exit()
      return
    }
    this.arm(core.deadline())
  }

  private arm(deadline: number): void {
    if (deadline === Number.POSITIVE_INFINITY) return
    const { world } = this
    if (Number.isNaN(deadline)) {
      world.violate('X', `${this.name}: deadline is not a number`)
      return
    }
    const left = deadline - this.mono()
    if (left <= 0 && world.now - this.spinAt < 1) {
      if (++this.spins > SPIN_MAX) {
        world.violate('28', `${this.name} spins: its deadline does not move`)
        return
      }
    } else {
      this.spins = 0
      this.spinAt = world.now
    }
    const at = world.now + Math.max(0.001, left / this.rate + 0.0005)
    if (at >= this.wakeAt) return
    this.wakeAt = at
    const { life } = this
    world.at(at, () => {
      if (life !== this.life || this.wakeAt !== at) return
      this.wakeAt = Number.POSITIVE_INFINITY
      if (this.paused) this.inbox.push(() => {})
      else if (!this.draining) this.drain()
    })
  }

  private ports(): Ports {
    const { life, world, disk } = this
    const alive = (): boolean => life === this.life
    return {
      link: {
        send: (bytes) => {
          if (!alive()) return
          this.onSent(this.core as Core, bytes)
          this.link.send(this, bytes)
        },
        backlog: () => (alive() ? this.link.backlog(this) : 0),
        close: (why) => {
          if (alive()) this.link.close(this, why)
        },
      },
      store: {
        flush: (batch, turn, sync) => {
          if (alive()) disk.flush(batch, turn, sync, (stored) => this.event(life, (core) => core.stored(stored)))
        },
        writeRecord: (record) => {
          if (alive()) disk.writeRecord(record, () => this.event(life, (core) => core.recordStored()))
        },
      },
      log: {
        event: (name, fields) => {
          if (world.tracing) world.remark(this.name, `${name} ${JSON.stringify(fields)}`)
          if (alive()) this.onLog(name, fields)
        },
      },
      memoryBytes: () => 0,
    }
  }
}
