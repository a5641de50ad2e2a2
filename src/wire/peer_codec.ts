// Peer codec: frames of the link to bytes and back: a 32-bit length, then MessagePack. Knows no sockets and no meaning.
import { Decoder, Encoder } from '@msgpack/msgpack'
import { assert } from '../base/assert.ts'
import { ByteWriter, NO_BYTES } from '../base/bytes.ts'
import { PeerFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import { type Packable, writeArrayHeader, writeValue } from './msgpack_writer.ts'
import { checkFrame } from './peer_check.ts'
import { type Frame, FrameKind, type Op } from './peer_message.ts'

const KIB = 1024
const DEPTH_MAX = 16
const encoder = new Encoder({ maxDepth: DEPTH_MAX, initialBufferSize: 64 * KIB })
const decoder = new Decoder({
  maxStrLength: LIMITS.packetBytesMax,
  maxBinLength: LIMITS.frameBytesMax,
  maxArrayLength: 1 << 20,
  maxMapLength: 0,
  maxExtLength: 0,
})
boundArrays(decoder)

/**
 * The library makes room for as many elements as an array's header names, at any depth and before it has seen one of them:
 * 5 kB of headers took 7.5 GB. No array has more elements than bytes that are left; a test watches that this still holds.
 */
function boundArrays(of: Decoder): void {
  const inner = of as unknown as {
    pushArrayState: (size: number) => void
    readonly view: DataView
    readonly pos: number
    readonly stack: { readonly length: number }
  }
  const push = inner.pushArrayState.bind(of)
  inner.pushArrayState = (size) => {
    if (size > inner.view.byteLength - inner.pos) throw new PeerFault('array is longer than its frame')
    if (inner.stack.length >= DEPTH_MAX) throw new PeerFault('frame is nested too deeply')
    push(size)
  }
}

const SCRATCH_BYTES = 64 * KIB
const header = new ByteWriter(8)
const body = new ByteWriter(SCRATCH_BYTES)

/** Ops as groups, encoded: one, or as many as it takes that none is much larger than `bytesMax`. Owned copies. */
export function encodeGroups(ops: readonly Op[], bytesMax: number = LIMITS.groupBytesMost): Uint8Array[] {
  const groups: Uint8Array[] = []
  let first = 0
  for (let i = 0; i < ops.length; i++) {
    writeValue(body, ops[i] as readonly Packable[])
    if (body.length < bytesMax) continue
    groups.push(takeGroup(i + 1 - first))
    first = i + 1
  }
  if (first < ops.length || groups.length === 0) groups.push(takeGroup(ops.length - first))
  if (body.buf.length > LIMITS.frameBytesMax / 16) body.buf = new Uint8Array(SCRATCH_BYTES)
  return groups
}

function takeGroup(count: number): Uint8Array {
  header.clear()
  writeArrayHeader(header, count)
  const bytes = new Uint8Array(header.length + body.length)
  bytes.set(header.view())
  bytes.set(body.view(), header.length)
  body.clear()
  // Here, not at the peer: that one could only drop the link, and be sent the same again.
  assert(bytes.length + SCRATCH_BYTES <= LIMITS.frameBytesMax, 'a group fits into a frame')
  return bytes
}

/** Appends a whole frame. */
export function writeFrame(w: ByteWriter, frame: Frame): void {
  const body = encoder.encodeSharedRef(frame)
  w.u32(body.length)
  w.copy(body)
}

/** Appends an OPS frame whose groups are encoded already. */
export function writeOps(
  w: ByteWriter,
  stream: number,
  first: number,
  groups: readonly Uint8Array[],
  ack: number,
  durable: number,
): void {
  const at = w.length
  w.u32(0)
  w.u8(0x96) // array of 6
  w.u8(FrameKind.ops)
  writeUint(w, stream)
  writeUint(w, first)
  w.u8(0xdd) // array, 32-bit count
  w.u32(groups.length)
  for (const group of groups) w.copy(group)
  writeUint(w, ack)
  writeUint(w, durable)
  const length = w.length - at - 4
  w.buf[at] = length >>> 24
  w.buf[at + 1] = (length >>> 16) & 0xff
  w.buf[at + 2] = (length >>> 8) & 0xff
  w.buf[at + 3] = length & 0xff
}

function writeUint(w: ByteWriter, n: number): void {
  assert(Number.isSafeInteger(n) && n >= 0, 'unsigned number expected')
  w.u8(0xcf) // unsigned, 64 bits
  w.u32(Math.floor(n / 0x1_0000_0000))
  w.u32(n >>> 0)
}

/** Chunks of the link's byte stream to frames; what it holds is bounded by LIMITS.frameBytesMax. */
export class FrameReader {
  private held: Uint8Array = NO_BYTES
  private length = 0

  /**
   * Calls `onFrame` for each whole frame; the frame's byte fields are borrowed until it returns.
   * `onFrame` returns false to stop (the link was dropped).
   * @throws {PeerFault}
   */
  feed(chunk: Uint8Array, onFrame: (frame: Frame) => boolean): void {
    let buf = chunk
    let end = chunk.length
    if (this.length > 0) {
      this.append(chunk)
      buf = this.held
      end = this.length
    }
    let at = 0
    while (end - at >= 4) {
      const length =
        (buf[at] as number) * 0x1000000 +
        (((buf[at + 1] as number) << 16) | ((buf[at + 2] as number) << 8) | (buf[at + 3] as number))
      if (length > LIMITS.frameBytesMax) throw new PeerFault('frame is larger than the limit')
      if (end - at - 4 < length) break
      const frame = decodeFrame(buf.subarray(at + 4, at + 4 + length))
      at += 4 + length
      if (!onFrame(frame)) return
    }
    const rest = end - at
    if (rest === 0) {
      this.length = 0
      if (this.held.length > LIMITS.frameBatchBytes * 4) this.held = NO_BYTES
    } else if (buf === this.held) {
      this.held.copyWithin(0, at, end)
      this.length = rest
    } else {
      this.length = 0
      this.append(buf.subarray(at, end))
    }
  }

  private append(bytes: Uint8Array): void {
    const need = this.length + bytes.length
    if (need > this.held.length) {
      let size = Math.max(4096, this.held.length * 2)
      while (size < need) size *= 2
      const next = new Uint8Array(size)
      next.set(this.held.subarray(0, this.length))
      this.held = next
    }
    this.held.set(bytes, this.length)
    this.length = need
  }
}

/** @throws {PeerFault} */
export function decodeFrame(bytes: Uint8Array): Frame {
  let value: unknown
  try {
    value = decoder.decode(bytes)
  } catch (error) {
    throw new PeerFault(`frame is not MessagePack: ${error instanceof Error ? error.message : String(error)}`)
  }
  return checkFrame(value)
}
