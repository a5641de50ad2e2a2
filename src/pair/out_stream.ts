// Out stream: our ordered groups towards the peer: numbered, kept until acknowledged, sent as far as the link takes them.
// Knows neither sockets nor what an op means.
import { assert } from '../base/assert.ts'
import type { ByteWriter } from '../base/bytes.ts'
import { Deque } from '../base/deque.ts'
import { LIMITS } from '../base/limits.ts'
import type { Message } from '../session/message.ts'
import type { Session } from '../session/session.ts'
import { encodeGroups, writeOps } from '../wire/peer_codec.ts'
import type { Op, PickWire, TargetWire } from '../wire/peer_message.ts'
import { SentNames } from './names.ts'

export type Group = {
  readonly lsn: number
  readonly turn: number
  readonly bytes: Uint8Array
  /** Everything derived from the peer's groups up to this one stands in this group or before it. */
  readonly applied: number
  /** Publishes in it that the peer must route, for re-routing when it is gone. */
  readonly forwards: readonly Forward[]
}

export type Forward = {
  /** The number under which the peer knows the message. */
  readonly ref: number
  readonly message: Message
  /** The peer routes it to whoever wants it; false: it is for the picked members alone. */
  readonly routed: boolean
  /** Sessions of this node that have it. */
  readonly targets: readonly TargetWire[] | null
  /** Members of shared subscriptions that are to have it there, and of which it is not known yet that one has; null: none. */
  picks: readonly PickWire[] | null
  /** It came back from there once: it is not sent a third time. */
  readonly again: boolean
  /** Sessions of the peer that keep it here until it is acknowledged; null: none. */
  readonly keepers: readonly Session[] | null
}

const NO_FORWARDS: readonly Forward[] = []

export class OutStream {
  /** 0: closed, nothing is numbered. New at each full synchronisation. */
  id = 0
  next = 1
  /** Invariant: acked <= sent < next. */
  acked = 0
  ackedDurable = 0
  sent = 0
  /** The peer has said where to start: groups may be sent. */
  flowing = false
  readonly names = new SentNames()
  ring = new Deque<Group>()
  ringBytes = 0
  /** What the group appended last was derived from. */
  private appliedBefore = 0
  private readonly groupBytesMost: number

  constructor(groupBytesMost: number = LIMITS.groupBytesMost) {
    this.groupBytesMost = groupBytesMost
  }

  open(id: number): void {
    assert(id > 0, 'stream id')
    this.close()
    this.id = id
  }

  close(): void {
    this.names.clear()
    this.id = 0
    this.next = 1
    this.acked = 0
    this.ackedDurable = 0
    this.sent = 0
    this.flowing = false
    this.ring = new Deque()
    this.ringBytes = 0
    this.appliedBefore = 0
  }

  /** The peer acknowledges too slowly: who publishes must wait. */
  get behind(): boolean {
    return this.ringBytes > LIMITS.ringBytesMax / 2 || this.ring.length > LIMITS.ringGroupsMax
  }

  /** ... and may go on. */
  get caughtUp(): boolean {
    return this.ringBytes < LIMITS.ringBytesMax / 4 && this.ring.length < LIMITS.ringGroupsMax / 2
  }

  /**
   * The ops of a turn: one group, or more where one would be too large for a frame.
   * @param applied the peer's last group applied when the turn ended
   * @returns the number of the (last) group
   */
  append(ops: readonly Op[], turn: number, applied: number, forwards: readonly Forward[]): number {
    assert(this.id > 0, 'stream is open')
    const groups = encodeGroups(ops, this.groupBytesMost)
    const last = groups.length - 1
    for (let i = 0; i <= last; i++) {
      const bytes = groups[i] as Uint8Array
      // All that was derived stands in this turn, but not in each of its groups; and what the peer was to route is known until it has all.
      const whole = i === last
      this.ring.push({
        lsn: this.next++,
        turn,
        bytes,
        applied: whole ? applied : this.appliedBefore,
        forwards: whole ? forwards : NO_FORWARDS,
      })
      this.ringBytes += bytes.length
    }
    this.appliedBefore = applied
    return this.next - 1
  }

  /** @returns the groups that are let go */
  ack(lsn: number, durable: number): void {
    assert(lsn < this.next, 'the peer acknowledges what was sent')
    if (durable > this.ackedDurable) this.ackedDurable = durable
    if (lsn <= this.acked) return
    this.acked = lsn
    if (this.sent < lsn) this.sent = lsn
  }

  /** Takes acknowledged groups out of the ring, oldest first. */
  trim(): Group | undefined {
    const group = this.ring.peek()
    if (group === undefined || group.lsn > this.acked) return undefined
    this.ring.shift()
    this.ringBytes -= group.bytes.length
    return group
  }

  /** Sends again from the first group that the peer has not applied. */
  rewind(applied: number): void {
    this.sent = Math.max(this.acked, Math.min(applied, this.next - 1))
    this.flowing = true
  }

  get unsent(): boolean {
    return this.flowing && this.sent + 1 < this.next
  }

  /**
   * Writes one frame of what is not sent yet. Its acknowledgement covers no more than what the groups in it (and before it) were
   * derived from: a later frame may never arrive.
   * @returns the acknowledgement it carries
   */
  write(w: ByteWriter, durable: number): number {
    assert(this.unsent, 'there is something to write')
    const first = this.sent + 1
    const base = (this.ring.peek() as Group).lsn
    assert(first >= base, 'what is not sent is still in the ring')
    const groups: Uint8Array[] = []
    let bytes = 0
    let applied = 0
    for (let lsn = first; lsn < this.next && (bytes < LIMITS.frameBatchBytes || groups.length === 0); lsn++) {
      const group = this.ring.at(lsn - base)
      groups.push(group.bytes)
      applied = group.applied
      bytes += group.bytes.length
      this.sent = lsn
    }
    writeOps(w, this.id, first, groups, applied, Math.min(durable, applied))
    return applied
  }
}
