// Stage: two nodes in this process with disks that outlive them, a link that can be held, cut and healed, and a clock that stands
// still until it is told to go on. Nothing is drawn: the same script gives the same play. Tells what happens, line by line.

import type { Turn } from '../../src/base/brand.ts'
import { BrokerNode } from '../../src/core/node.ts'
import type { ClientSocket, NodeConfig } from '../../src/core/ports.ts'
import type { NodeRecord } from '../../src/session/image.ts'
import { FrameReader } from '../../src/wire/peer_codec.ts'
import type { Frame } from '../../src/wire/peer_message.ts'
import { Rows } from '../sim/rows.ts'
import { CONFIG } from './member.ts'

const WALL_MS = 1_780_000_000_000
/** A node without a link dials this often. */
const DIAL_MS = 100
const ROUNDS_MAX = 1_000

export type NodeName = 'a' | 'b'

export interface Audience {
  /** Something that a node says of itself. */
  onEvent(node: NodeName, name: string, fields: Readonly<Record<string, unknown>>): void
  /** A frame reaches the other node. */
  onFrame(from: NodeName, frame: Frame): void
}

class Place {
  readonly name: NodeName
  node: BrokerNode | null = null
  starts = 0
  record: NodeRecord | null = null
  rows = new Rows()
  /** It believes the link to be up. */
  linked = false
  dialAt = 0
  /** Under way to the other node; null: the link's end. */
  sent: (Uint8Array | null)[] = []
  reader = new FrameReader()
  held = false
  /** What the host hands over later. */
  later: (() => void)[] = []
  /** Answers of the disk. */
  answers: (() => void)[] = []
  /** The disk stands still. */
  diskHeld = false
  /** By how much its wall clock is wrong, ms. */
  wallOff = 0
  /** Bytes above which nothing it sends gets there, and all that follows waits behind it. */
  mtu = Number.POSITIVE_INFINITY
  clogged = false
  /** Its name in the pair. */
  alias: string

  constructor(name: NodeName) {
    this.name = name
    this.alias = name
  }
}

export class Stage {
  now = 1_000
  readonly places: Readonly<Record<NodeName, Place>> = { a: new Place('a'), b: new Place('b') }
  /** Nothing gets through, and nobody hears of it. */
  private parted = false
  /** The link breaks instead of carrying such a frame. */
  cutAt: ((from: NodeName, frame: Frame) => boolean) | null = null
  private readonly audience: Audience
  private readonly config: Partial<NodeConfig>

  /** Both nodes, in step. */
  constructor(audience: Audience, config: Partial<NodeConfig> = {}) {
    this.audience = audience
    this.config = config
    this.start('a')
    this.start('b')
    this.pass(1_000)
    if (!this.node('a').synced || !this.node('b').synced) throw new Error('the nodes did not find each other')
  }

  node(name: NodeName): BrokerNode {
    const { node } = this.places[name]
    if (node === null) throw new Error(`node ${name} is down`)
    return node
  }

  isUp(name: NodeName): boolean {
    return this.places[name].node !== null
  }

  // ---- what is done to it

  start(name: NodeName): void {
    const place = this.places[name]
    if (place.node !== null) throw new Error(`node ${name} is up`)
    const life = ++place.starts
    const alive = (act: () => void) => () => {
      if (place.starts === life && place.node !== null) act()
    }
    const later = (act: (node: BrokerNode) => void) => void place.later.push(alive(() => act(this.node(name))))
    const answer = (act: (node: BrokerNode) => void) => void place.answers.push(alive(() => act(this.node(name))))
    const seed = (name === 'a' ? 100 : 200) + life
    place.node = new BrokerNode(
      { ...CONFIG, ...this.config, name: place.alias, nonce: seed, seed, paired: true },
      place.record,
      place.record === null ? null : place.rows.image(),
      {
        store: {
          flush: (batch, turn: Turn) => {
            const owned = structuredClone(batch)
            if (!place.diskHeld) place.rows.apply(owned)
            else place.answers.push(alive(() => place.rows.apply(owned)))
            answer((node) => node.stored(turn))
          },
          writeRecord: (record) => {
            place.record = structuredClone(record)
            answer((node) => node.recordStored())
          },
        },
        link: {
          send: (bytes) => void (place.linked && place.sent.push(bytes.slice())),
          backlog: () => 0,
          close: (why) => {
            this.unlink(place)
            later((node) => node.linkClosed(why))
          },
        },
        log: { event: (event, fields) => this.audience.onEvent(name, event, fields) },
        memoryBytes: () => 0,
      },
      this.now,
      WALL_MS + this.now + place.wallOff,
    )
    place.dialAt = this.now
    this.drive()
  }

  /** Another machine, with an empty disk, takes the place of one that is down. */
  replace(name: NodeName, alias: string): void {
    const place = this.places[name]
    if (place.node !== null) throw new Error(`node ${name} is up`)
    place.alias = alias
    place.record = null
    place.rows = new Rows()
    this.start(name)
  }

  /** The process is gone, and what it sends and still holds; its disk has what was flushed. */
  crash(name: NodeName): void {
    const place = this.places[name]
    this.node(name)
    place.node = null
    place.later = []
    place.answers = []
    place.sent = []
    place.held = false
    this.unlink(place)
    this.drive()
  }

  /** What this node sends stays under way until it is let go. */
  hold(name: NodeName, held: boolean): void {
    this.places[name].held = held
    this.drive()
  }

  part(parted: boolean): void {
    this.parted = parted
    for (const place of Object.values(this.places)) if (parted) place.sent = []
    this.drive()
  }

  accept(name: NodeName, socket: ClientSocket) {
    return this.node(name).accept(socket)
  }

  // ---- time

  pass(ms: number): void {
    for (const until = this.now + ms; this.now < until; ) {
      let next = this.now + 1_000
      for (const { node, linked, dialAt } of Object.values(this.places)) {
        if (node === null) continue
        next = Math.min(next, node.deadline(), linked ? next : dialAt)
      }
      this.now = Math.min(until, Math.max(this.now + 1, next))
      this.dial()
      this.drive()
    }
  }

  /** All that can happen at this moment. */
  drive(): void {
    for (let round = 0; this.work(); round++) if (round > ROUNDS_MAX) throw new Error('the nodes do not come to rest')
  }

  private work(): boolean {
    let more = false
    const all = Object.values(this.places)
    for (const place of all) {
      const { node } = place
      if (node === null) continue
      node.at(this.now, WALL_MS + this.now + place.wallOff)
      for (const act of place.later.splice(0)) act()
      if (!place.diskHeld) for (const act of place.answers.splice(0)) act()
      node.drain()
      if (node.mode === 'GONE') {
        place.node = null
        this.unlink(place)
      }
    }
    for (const place of all) if (this.carry(place)) more = true
    const busy = ({ node, later, answers, diskHeld }: Place): boolean =>
      node !== null && (later.length > 0 || (answers.length > 0 && !diskHeld) || node.deadline() <= this.now)
    return more || all.some(busy)
  }

  // ---- the link

  private other(place: Place): Place {
    return this.places[place.name === 'a' ? 'b' : 'a']
  }

  private unlink(place: Place): void {
    if (!place.linked) return
    place.linked = false
    place.dialAt = this.now + DIAL_MS
    place.sent.push(null)
  }

  /** @returns whether anything got there */
  private carry(from: Place): boolean {
    const to = this.other(from)
    if (this.parted) from.sent = []
    if (from.held || from.sent.length === 0) return false
    for (const bytes of from.sent.splice(0)) {
      if (!to.linked || to.node === null) continue
      if (bytes === null) {
        to.linked = false
        to.dialAt = this.now
        to.node.linkClosed('closed by the peer')
        continue
      }
      if (bytes.length > from.mtu) from.clogged = true
      if (from.clogged) continue
      const pieces = this.cutAt === null ? [bytes] : framesIn(bytes)
      for (const piece of pieces) if (to.linked) this.deliver(from, to, piece)
    }
    return true
  }

  private deliver(from: Place, to: Place, bytes: Uint8Array): void {
    let cut = false
    from.reader.feed(bytes, (frame) => {
      cut = this.cutAt?.(from.name, frame) ?? false
      if (!cut) this.audience.onFrame(from.name, frame)
      return true
    })
    if (!cut) return to.node?.linkData(bytes)
    for (const place of [from, to]) {
      place.linked = false
      place.dialAt = this.now + DIAL_MS
      place.sent = []
      place.node?.linkClosed('cut')
    }
  }

  private dial(): void {
    for (const place of Object.values(this.places)) {
      const { node } = place
      if (node === null || place.linked || place.dialAt > this.now) continue
      place.dialAt = this.now + DIAL_MS
      const peer = this.other(place)
      if (this.parted || peer.node === null) node.dialFailed(!this.parted)
      else {
        for (const end of [place, peer]) {
          end.linked = true
          end.sent = []
          end.clogged = false
          end.reader = new FrameReader()
        }
        node.linkOpened({ peerName: peer.alias })
        peer.node.linkOpened({ peerName: place.alias })
      }
    }
  }
}

/** Whole frames, as a node writes them. */
function* framesIn(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + view.getUint32(at)
    yield bytes.subarray(at, end)
    at = end
  }
}
