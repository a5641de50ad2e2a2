// Link: the network between the two nodes: dialling, one live transport, cuts of all kinds. Knows no frames.
import { draw, type Latency, Pipe } from './pipe.ts'
import type { LinkHost, SimNode } from './sim_node.ts'
import type { World } from './world.ts'

/** Null: the other end has closed. */
type Chunk = Uint8Array | null

type End = { readonly node: SimNode; readonly life: number; open: boolean; readonly out: Pipe<Chunk>; tall: boolean }

/** opensAt: when both ends know of it. */
type Transport = { readonly number: number; readonly ends: readonly [End, End]; opensAt: number }

const HELD_BYTES = 16_384

export class Link implements LinkHost {
  /** Made of what each node believes: the transport it holds open. */
  private readonly held = new Map<SimNode, Transport>()
  private readonly world: World
  private readonly latency: Latency
  private readonly chop: number
  private readonly sameHost: boolean
  private nodes: readonly SimNode[] = []
  private count = 0
  private partedUntil = 0
  /** Transports opened so far: an idle pair opens none. */
  opened = 0

  constructor(world: World, latency: Latency, chop: number, sameHost: boolean) {
    this.world = world
    this.latency = latency
    this.chop = chop
    this.sameHost = sameHost
  }

  attach(nodes: readonly [SimNode, SimNode]): void {
    this.nodes = nodes
    for (const node of nodes) this.dialLater(node)
  }

  get parted(): boolean {
    return this.world.now < this.partedUntil
  }

  /** Both ends hold the same transport and it flows. */
  get whole(): boolean {
    const [a, b] = this.nodes as [SimNode, SimNode]
    const transport = this.held.get(a)
    if (transport === undefined || transport !== this.held.get(b)) return false
    return transport.ends.every((end) => end.open && !end.out.frozen)
  }

  get quiet(): boolean {
    for (const transport of this.held.values()) if (transport.ends.some((end) => !end.out.empty)) return false
    return true
  }

  // ---- what nodes ask for

  send(node: SimNode, bytes: Uint8Array): void {
    const end = this.endOf(node)
    if (end === null || !end.open || bytes.length === 0) return
    const { prng } = this.world
    const copy = bytes.slice()
    this.world.note(node.name, `link ${copy.length} bytes, sum ${checksum(copy)}`)
    if (copy.length > 1 && prng.chance(this.chop)) {
      const cut = prng.int(1, copy.length - 1)
      end.out.push(copy.subarray(0, cut), cut)
      end.out.push(copy.subarray(cut), copy.length - cut)
    } else end.out.push(copy, copy.length)
    if (end.out.size > HELD_BYTES) end.tall = true
  }

  backlog(node: SimNode): number {
    return this.endOf(node)?.out.size ?? 0
  }

  close(node: SimNode, why: string): void {
    const end = this.endOf(node)
    if (end === null) return
    this.world.note(node.name, `closes the link: ${why}`)
    end.open = false
    this.held.delete(node)
    if (this.world.prng.chance(0.3)) end.out.cut()
    end.out.push(null)
    this.tellClosed(node, end.life, 'closed by us')
  }

  // ---- what the world does to it

  /** The connection breaks: both ends hear of it, each in its time; some of what is under way is lost. */
  reset(): void {
    for (const transport of new Set(this.held.values())) {
      this.world.note('link', `reset ${transport.number}`)
      for (const end of transport.ends) {
        end.out.freeze(0)
        if (this.world.prng.chance(0.6)) end.out.cut()
        end.out.push(null)
      }
    }
  }

  /** What `from` sends stands still. */
  freeze(from: SimNode, until: number): void {
    const end = this.endOf(from)
    if (end === null) return
    this.world.note('link', `from ${from.name} stands still`)
    end.out.freeze(until)
  }

  /** Nothing gets through and nobody can dial until then. */
  part(until: number): void {
    this.world.note('link', 'parted')
    this.partedUntil = until
    for (const node of this.nodes) this.endOf(node)?.out.freeze(until)
  }

  heal(): void {
    this.partedUntil = 0
    for (const { ends, opensAt } of this.held.values())
      if (opensAt <= this.world.now) for (const end of ends) end.out.freeze(0)
  }

  /** The process of `node` is gone. */
  died(node: SimNode): void {
    const transport = this.held.get(node)
    this.held.delete(node)
    if (transport === undefined) return
    const end = transport.ends.find((e) => e.node === node) as End
    end.open = false
    end.out.cut()
    // A dead host says nothing; its successor resets what it does not know.
    if (!node.silent) end.out.push(null)
    else this.world.after(2000, () => end.out.push(null))
  }

  private endOf(node: SimNode): End | null {
    const transport = this.held.get(node)
    if (transport === undefined) return null
    const end = transport.ends.find((e) => e.node === node) as End
    return end.life === node.life ? end : null
  }

  private tellClosed(node: SimNode, life: number, why: string): void {
    this.world.after(this.world.prng.next() * 2, () => {
      if (this.held.has(node)) return // replaced in the meantime: one host slot, the newer one counts
      node.event(life, (core) => core.linkClosed(why))
    })
  }

  private arrive(transport: Transport, to: End, from: End, chunk: Chunk): void {
    const current = this.held.get(to.node) === transport && to.life === to.node.life
    if (chunk === null) {
      if (!current || !to.open) return
      to.open = false
      this.held.delete(to.node)
      this.world.note(to.node.name, 'link closed')
      to.node.event(to.life, (core) => core.linkClosed('closed by the peer'))
      return
    }
    if (current && to.open) {
      to.node.event(to.life, (core) => {
        core.linkData(chunk)
        to.node.onApplied(core)
      })
    }
    if (from.tall && from.out.size < HELD_BYTES / 2) {
      from.tall = false
      if (this.held.get(from.node) === transport) from.node.event(from.life, (core) => core.linkWritable())
    }
  }

  // ---- dialling

  private dialLater(node: SimNode): void {
    this.world.after(5 + this.world.prng.next() * 40, () => {
      this.dial(node)
      this.dialLater(node)
    })
  }

  private dial(node: SimNode): void {
    if (!node.awake || this.held.has(node)) return
    const { life } = node
    const other = this.nodes[0] === node ? this.nodes[1] : this.nodes[0]
    if (other === undefined) return
    const refused = !this.parted && !other.up && !other.silent
    const lost = this.parted || !other.awake
    if (refused || lost) {
      this.world.note(node.name, refused ? 'dial refused' : 'dial lost')
      this.world.after(refused ? draw(this.world, this.latency) : 20, () =>
        node.event(life, (core) => {
          if (!this.held.has(node)) core.dialFailed(refused)
        }),
      )
      return
    }
    this.connect(node, other)
  }

  private connect(node: SimNode, other: SimNode): void {
    const number = ++this.count
    this.opened++
    const pipe = (from: 0 | 1): Pipe<Chunk> =>
      new Pipe<Chunk>(this.world, this.latency, (chunk) => {
        const t = transport as Transport
        this.arrive(t, t.ends[from === 0 ? 1 : 0], t.ends[from], chunk)
      })
    const transport: Transport = {
      number,
      opensAt: Number.POSITIVE_INFINITY,
      ends: [
        { node, life: node.life, open: true, out: pipe(0), tall: false },
        { node: other, life: other.life, open: true, out: pipe(1), tall: false },
      ],
    }
    this.world.note('link', `${node.name} dials ${other.name}: ${number}`)
    this.world.mark('link')
    let opened = 0
    for (const end of transport.ends) {
      this.held.set(end.node, transport)
      const info = {
        peerName: end.node === node ? other.name : node.name,
        dialed: end.node === node,
        sameHost: this.sameHost,
      }
      const delay = draw(this.world, this.latency)
      opened = Math.max(opened, delay)
      this.world.after(delay, () => {
        if (this.held.get(end.node) === transport) end.node.event(end.life, (core) => core.linkOpened(info))
      })
    }
    transport.opensAt = this.world.now + opened
    // Data may not overtake the opening.
    for (const end of transport.ends) end.out.freeze(this.world.now + opened + 50)
    this.world.after(opened + 0.01, () => {
      for (const end of transport.ends) if (!this.parted) end.out.freeze(0)
    })
  }
}

function checksum(bytes: Uint8Array): number {
  let h = 0
  for (let i = 0; i < bytes.length; i++) h = (Math.imul(h, 31) + (bytes[i] as number)) | 0
  return h >>> 0
}
