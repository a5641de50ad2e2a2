// ClientWire: one TCP connection between a client and a node, seen from both ends. Reads the server's bytes as they are
// written, so that checks know what left the node and when. Knows no session.
import type { Connection } from '../../src/connection/connection.ts'
import type { ClientSocket } from '../../src/core/ports.ts'
import { type ServerPacket, ServerReader, type Version } from './mqtt.ts'
import { draw, Pipe } from './pipe.ts'
import type { Profile } from './profile.ts'
import type { SimNode } from './sim_node.ts'
import type { World } from './world.ts'

type Down = { readonly packets: readonly ServerPacket[]; readonly size: number } | 'close'
type Up = Uint8Array | 'close'

export interface WireOwner {
  /** A packet has left the node. */
  onReleased(wire: ClientWire, packet: ServerPacket): void
  onPacket(wire: ClientWire, packet: ServerPacket): void
  onClosed(wire: ClientWire): void
  /** The node has let go of its end. */
  onServerEnd(wire: ClientWire): void
}

export class ClientWire {
  readonly node: SimNode
  readonly life: number
  readonly number: number
  /** The client's end. */
  open = true
  /** The node's end: accepted and not yet let go. */
  serverOpen = true
  /** A CONNACK without an error has left the node. */
  accepted = false
  private connection: Connection | null = null
  private readonly world: World
  private readonly profile: Profile
  private readonly owner: WireOwner
  private readonly reader: ServerReader
  private readonly up: Pipe<Up>
  private readonly down: Pipe<Down>
  private reading = true
  private held: Up[] = []
  private full = false
  /** The node has called end(). */
  private ended = false
  private closedTold = false
  /** The node was given everything the client sent before it let go. */
  heardAll = false
  private sent = 0
  private heard = 0

  constructor(world: World, profile: Profile, number: number, node: SimNode, version: Version, owner: WireOwner) {
    this.world = world
    this.profile = profile
    this.number = number
    this.node = node
    this.life = node.life
    this.owner = owner
    this.reader = new ServerReader(version)
    this.up = new Pipe<Up>(world, profile.clientLatency, (item) => this.arriveAtNode(item))
    this.down = new Pipe<Down>(world, profile.clientLatency, (item) => this.arriveAtClient(item))
    world.after(draw(world, profile.clientLatency), () => this.accept())
    // Bytes may not overtake the opening.
    this.up.freeze(Number.POSITIVE_INFINITY)
  }

  get quiet(): boolean {
    return this.up.empty && this.down.empty && this.held.length === 0
  }

  // ---- the client's end

  send(bytes: Uint8Array): void {
    if (!this.open) return
    this.sent += bytes.length
    const { prng } = this.world
    if (bytes.length > 1 && prng.chance(this.profile.chop)) {
      const cut = prng.int(1, bytes.length - 1)
      this.up.push(bytes.slice(0, cut))
      this.up.push(bytes.slice(cut))
    } else this.up.push(bytes)
  }

  /** Closes properly: the node hears of it behind the data. */
  close(): void {
    if (!this.open) return
    this.open = false
    this.up.push('close')
  }

  /** The client is gone without a word: the node hears nothing, ever, and what is under way to it may be lost. */
  vanish(): void {
    this.open = false
    this.up.cut()
  }

  /** Nothing flows in either direction until then. */
  freeze(until: number): void {
    if (this.connection === null) return
    this.up.freeze(until)
    this.down.freeze(until)
  }

  /** The node's process is gone. */
  nodeDied(silent: boolean): void {
    if (this.serverOpen) this.letGo()
    this.up.clear()
    this.down.cut()
    if (silent) this.world.after(this.world.prng.next() * 400, () => this.down.push('close'))
    else this.down.push('close')
  }

  // ---- the node's end

  private accept(): void {
    const { node } = this
    if (node.life !== this.life || !node.up) {
      this.nodeDied(node.silent)
      return
    }
    node.event(this.life, (core) => {
      this.connection = core.accept(this.socket())
      this.up.freeze(0)
    })
  }

  private socket(): ClientSocket {
    return {
      transport: 'tcp',
      address: `client:${this.number}`,
      loopback: true,
      write: (bytes) => this.write(bytes),
      pause: () => {
        this.reading = false
      },
      resume: () => {
        if (this.reading) return
        this.reading = true
        const held = this.held
        this.held = []
        // Never into the middle of a call of the node.
        if (held.length > 0) this.world.after(0, () => this.release(held))
      },
      end: () => {
        if (this.ended) return
        this.ended = true
        this.heardAll = this.heard === this.sent
        if (this.serverOpen) this.letGo()
        this.down.push('close')
        this.world.after(this.world.prng.next() * 3, () => this.tellClosed())
      },
    }
  }

  private release(held: Up[]): void {
    for (let i = 0; i < held.length; i++) {
      if (!this.reading) {
        this.held = held.slice(i).concat(this.held)
        return
      }
      this.arriveAtNode(held[i] as Up)
    }
  }

  /** Exactly once. */
  private tellClosed(): void {
    this.node.event(this.life, (core) => {
      if (this.closedTold) return
      this.closedTold = true
      core.closed(this.connection as Connection)
    })
  }

  private letGo(): void {
    this.serverOpen = false
    this.owner.onServerEnd(this)
  }

  private write(bytes: Uint8Array): number {
    if (!this.serverOpen || this.ended) return bytes.length
    const room = Math.max(0, this.profile.socketBytes - this.down.size)
    const taken = Math.min(room, bytes.length)
    if (taken < bytes.length) this.full = true
    if (taken === 0) return 0
    let at = 0
    for (const { packet, end } of this.reader.push(bytes.slice(0, taken))) {
      if (packet.cmd === 'connack' && packet.code === 0) this.accepted = true
      this.owner.onReleased(this, packet)
      this.down.push({ packets: [packet], size: end - at }, end - at)
      at = end
    }
    if (at < taken) this.down.push({ packets: [], size: taken - at }, taken - at)
    return taken
  }

  private arriveAtNode(item: Up): void {
    if (this.ended) return
    if (!this.reading) {
      this.held.push(item)
      return
    }
    if (item === 'close') {
      if (this.serverOpen) this.letGo()
      this.tellClosed()
    } else {
      this.node.event(this.life, (core) => {
        if (this.ended) return
        this.heard += item.length
        core.data(this.connection as Connection, item)
      })
    }
  }

  private arriveAtClient(item: Down): void {
    if (item === 'close') {
      if (!this.open) return
      this.open = false
      this.owner.onClosed(this)
      return
    }
    if (this.open) for (const packet of item.packets) this.owner.onPacket(this, packet)
    if (this.full && this.serverOpen && this.down.size <= this.profile.socketBytes / 2) {
      this.full = false
      const connection = this.connection as Connection
      this.node.event(this.life, (core) => {
        if (!this.ended) core.writable(connection)
      })
    }
  }
}
