// Framer: cuts a byte stream into MQTT packets by their fixed headers. Knows lengths and limits, no packet's meaning.
//
// Packets that lie whole in a chunk are handed on where they are; only the part of a packet that a chunk ends in is copied
// and kept, and its buffer is given back with the packet. A framer with nothing held is its few fields and nothing else.
import { assert } from '../base/assert.ts'
import { Reason } from './reason.ts'
import { malformed, type WireFault } from './wire_fault.ts'

const BAD_LENGTH = malformed('remaining length takes more than four bytes')
const TOO_LARGE: WireFault = { reason: Reason.packetTooLarge, text: 'packet larger than allowed' }

/** The first buffer of a partial packet: enough for most control packets. */
const HELD_BYTES_MIN = 512

/** Remaining length: what headerLength read last. */
let remaining = 0

/** Bytes of the fixed header at `at` (2 to 5), its length in `remaining`; 0 where it is cut off, -1 where it is wrong. */
function headerLength(buf: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0
  const first = buf[at + 1] as number
  if (first < 0x80) {
    remaining = first
    return 2
  }
  remaining = first & 0x7f
  for (let i = 2; i <= 4; i++) {
    if (at + i >= end) return 0
    const byte = buf[at + i] as number
    remaining |= (byte & 0x7f) << (7 * (i - 1))
    if (byte < 0x80) return i + 1
  }
  return -1
}

export abstract class Framer {
  /** Bytes of a whole packet, fixed header included; the subclass may change it between packets. */
  protected bytesMax: number
  /** While false, the first byte of a packet is put to firstByteFault before anything of it is kept. */
  protected opened = false
  protected stopped = false
  private paused = false
  /** Owned bytes that came while paused; null when there are none. */
  private rest: Uint8Array | null = null
  /** Owned start of a packet that the last chunk ended in; null when there is none. */
  private held: Uint8Array | null = null
  private heldLength = 0
  /** Bytes of the held packet; 0 while its fixed header is incomplete. Invariant: heldLength < heldTotal || heldTotal === 0. */
  private heldTotal = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Handles one whole packet in buf[start, end), borrowed until it returns; `body` follows the fixed header. */
  protected abstract onFrame(buf: Uint8Array, start: number, body: number, end: number): void
  protected abstract firstByteFault(first: number): WireFault | null
  protected abstract onFrameFault(fault: WireFault): void

  /** True while no part of a packet is held. */
  get idle(): boolean {
    return this.held === null && this.rest === null
  }

  /** Bytes kept for a packet that is not complete yet. */
  get heldBytes(): number {
    return (this.held?.length ?? 0) + (this.rest?.length ?? 0)
  }

  private keep(bytes: Uint8Array): void {
    if (this.stopped) return
    const before = this.rest
    const next = new Uint8Array((before?.length ?? 0) + bytes.length)
    if (before !== null) next.set(before)
    next.set(bytes, before?.length ?? 0)
    this.rest = next
  }

  /** Delivers nothing more, also when called while a packet is delivered. */
  stop(): void {
    this.stopped = true
    this.rest = null
    this.release()
  }

  /** Delivers nothing more until resume(); what comes meanwhile is kept. The caller stops reading the socket. */
  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    const { rest } = this
    this.rest = null
    if (rest !== null && !this.stopped) this.feed(rest)
  }

  /** @param chunk borrowed until feed returns */
  feed(chunk: Uint8Array): void {
    if (this.paused) return this.keep(chunk)
    let at = this.held === null ? 0 : this.fill(chunk)
    const end = chunk.length
    while (at < end && !this.stopped) {
      if (this.paused) return this.keep(chunk.subarray(at))
      if (!this.opened && this.refused(chunk[at] as number)) return
      const header = headerLength(chunk, at, end)
      const total = header + remaining
      const start = at
      at += total
      if (header <= 0 || total > this.bytesMax || at > end) {
        this.leave(chunk, start, header, total)
        return
      }
      this.onFrame(chunk, start, start + header, at)
    }
  }

  /** A packet that cannot be handled where it is: wrong, too large, or only its beginning is here. */
  private leave(chunk: Uint8Array, at: number, header: number, total: number): void {
    if (header === -1) this.onFrameFault(BAD_LENGTH)
    else if (header === 0) this.hold(chunk, at, 0)
    else if (total > this.bytesMax) this.onFrameFault(TOO_LARGE)
    else this.hold(chunk, at, total)
  }

  private refused(first: number): boolean {
    const fault = this.firstByteFault(first)
    if (fault === null) return false
    this.onFrameFault(fault)
    return true
  }

  /** Keeps the rest of the chunk. A packet only announced costs nothing: the buffer grows with what has arrived. */
  private hold(chunk: Uint8Array, at: number, total: number): void {
    const length = chunk.length - at
    this.held = new Uint8Array(capacityFor(length, total))
    this.held.set(at === 0 ? chunk : chunk.subarray(at))
    this.heldLength = length
    this.heldTotal = total
  }

  /** Completes the held packet from a new chunk and handles it; returns how many bytes of the chunk that took. */
  private fill(chunk: Uint8Array): number {
    let at = 0
    while (this.heldTotal === 0) {
      if (at === chunk.length) return at
      const held = this.held as Uint8Array
      held[this.heldLength++] = chunk[at++] as number
      const header = headerLength(held, 0, this.heldLength)
      if (header === 0) continue
      this.heldTotal = header + remaining
      const fault = header === -1 ? BAD_LENGTH : this.heldTotal > this.bytesMax ? TOO_LARGE : null
      if (fault !== null) {
        this.onFrameFault(fault)
        return at
      }
    }
    const n = Math.min(this.heldTotal - this.heldLength, chunk.length - at)
    const held = this.grown(this.heldLength + n)
    held.set(n === chunk.length ? chunk : chunk.subarray(at, at + n), this.heldLength)
    this.heldLength += n
    if (this.heldLength === this.heldTotal) {
      const header = headerLength(held, 0, this.heldLength)
      assert(header > 0, 'a held packet has a header')
      this.release()
      this.onFrame(held, 0, header, header + remaining)
    }
    return at + n
  }

  private grown(need: number): Uint8Array {
    const held = this.held as Uint8Array
    if (need <= held.length) return held
    const next = new Uint8Array(capacityFor(need, this.heldTotal))
    next.set(held.subarray(0, this.heldLength))
    this.held = next
    return next
  }

  private release(): void {
    this.held = null
    this.heldLength = 0
    this.heldTotal = 0
  }
}

function capacityFor(length: number, total: number): number {
  if (total === 0) return 8 // an incomplete fixed header
  return Math.min(total, Math.max(HELD_BYTES_MIN, length * 2))
}
