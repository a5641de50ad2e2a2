// Queue: one session's messages by position, sent ones in front of waiting ones. Knows no packets and no peers.
import { assert } from '../base/assert.ts'
import type { EntryState } from './image.ts'
import type { Message } from './message.ts'

/** One message for one session. */
export class Entry {
  readonly message: Message
  readonly pos: number
  readonly qos: 1 | 2 | 0
  /** The RETAIN bit it will be sent with. */
  readonly retain: boolean
  readonly subscriptionIds: readonly number[] | null
  /** The shared subscription for which this session was picked; null: its own. */
  readonly share: string | null
  state: EntryState = 0
  /** 0 while waiting. */
  packetId = 0
  /** It has a row on disk. */
  stored = false
  /** It stands in the journal's list already. */
  dirty = false
  gone = false
  /** Its sent mark waits to be told to the peer. */
  lazy = false
  /** QoS 0 that only waits for its turn or for its socket: neither peer nor disk hears of it, and it ends with the connection. */
  readonly passing: boolean

  constructor(
    message: Message,
    pos: number,
    qos: QoSOfEntry,
    retain: boolean,
    subscriptionIds: readonly number[] | null,
    share: string | null,
    passing = false,
  ) {
    this.message = message
    this.pos = pos
    this.qos = qos
    this.retain = retain
    this.subscriptionIds = subscriptionIds
    this.share = share
    this.passing = passing
  }
}
export type QoSOfEntry = 0 | 1 | 2

/** Positions may leave gaps, but not ones that only a broken peer would make. */
const GAP_MAX = 10_000_000

export class Queue {
  private items: (Entry | null)[] = []
  private head = 0
  /** Position of the item at `head`. */
  base = 0
  count = 0
  bytes = 0
  /** Of these, what is not under way: the operator's limits are about them. */
  waiting = 0
  waitingBytes = 0
  /** Of what waits: QoS 0, which live messages of QoS 0 must not overtake. */
  waitingQos0 = 0
  /** Monotonic ms before which nothing of it expires; Infinity: nothing expires at all. */
  expiresAt = Number.POSITIVE_INFINITY
  /** Every entry before this position has been looked at by the sender since the client attached. */
  cursor = 0

  /** First position after all that were ever put. */
  get end(): number {
    return this.base + this.items.length - this.head
  }

  get(pos: number): Entry | null {
    return pos < this.base ? null : (this.items[this.head + pos - this.base] ?? null)
  }

  /** False when the position is taken or absurd. */
  put(entry: Entry): boolean {
    const { pos } = entry
    if (this.count === 0) {
      this.items = []
      this.head = 0
      this.base = pos
      if (this.cursor > pos) this.cursor = pos
      this.expiresAt = Number.POSITIVE_INFINITY
    }
    if (pos < this.base) return this.putInFront(entry)
    const end = this.end
    if (pos - end > GAP_MAX) return false
    for (let i = end; i < pos; i++) this.items.push(null)
    const at = this.head + pos - this.base
    if (at < this.items.length && this.items[at] !== null) return false
    this.items[at] = entry
    this.counted(entry)
    if (pos < this.cursor) this.cursor = pos
    return true
  }

  remove(entry: Entry): void {
    assert(this.get(entry.pos) === entry, 'entry is not in this queue')
    this.items[this.head + entry.pos - this.base] = null
    this.count--
    this.bytes -= entry.message.bytes
    if (entry.state === 0) this.leavesWaiting(entry)
    while (this.head < this.items.length && this.items[this.head] === null) {
      this.head++
      this.base++
    }
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
  }

  /** It goes out, or moves on; it never waits again. */
  move(entry: Entry, state: EntryState): void {
    if (entry.state === 0) this.leavesWaiting(entry)
    entry.state = state
  }

  /** The next waiting entry at or after the cursor, without moving past it; null when all are under way. */
  nextWaiting(): Entry | null {
    if (this.cursor < this.base) this.cursor = this.base
    const end = this.end
    while (this.cursor < end) {
      const entry = this.items[this.head + this.cursor - this.base]
      if (entry !== null && entry !== undefined && entry.state === 0) return entry
      this.cursor++
    }
    return null
  }

  /** Entries in order of position; tolerant of removals while it runs. */
  *[Symbol.iterator](): Generator<Entry> {
    for (let pos = this.base; pos < this.end; pos++) {
      const entry = this.get(pos)
      if (entry !== null) yield entry
    }
  }

  private putInFront(entry: Entry): boolean {
    const gap = this.base - entry.pos
    if (gap > GAP_MAX) return false
    const front: (Entry | null)[] = new Array(gap).fill(null)
    front[0] = entry
    this.items = front.concat(this.items.slice(this.head))
    this.head = 0
    this.base = entry.pos
    this.cursor = Math.min(this.cursor, entry.pos)
    this.counted(entry)
    return true
  }

  private counted(entry: Entry): void {
    const { bytes, expiresAt } = entry.message
    this.count++
    this.bytes += bytes
    this.waiting++
    this.waitingBytes += bytes
    if (entry.qos === 0) this.waitingQos0++
    if (expiresAt < this.expiresAt) this.expiresAt = expiresAt
  }

  private leavesWaiting(entry: Entry): void {
    this.waiting--
    this.waitingBytes -= entry.message.bytes
    if (entry.qos === 0) this.waitingQos0--
  }
}
