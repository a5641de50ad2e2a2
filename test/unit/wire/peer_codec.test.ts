// Peer codec: every frame and op there and back, in chunks of any size; limits; and that what is malformed is a fault of the
// peer and nothing worse.

import { Encoder } from '@msgpack/msgpack'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { PeerFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeFrame, encodeGroups, FrameReader, writeFrame, writeOps } from '../../../src/wire/peer_codec.ts'
import { type Frame, FrameKind, OpKind } from '../../../src/wire/peer_message.ts'
import { FRAMES, OPS } from '../../sim/frames.ts'
import { fuzz } from '../../sim/fuzz_link.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('peer_codec')
const encoder = new Encoder()

function encoded(frames: readonly Frame[]): Uint8Array {
  const w = new ByteWriter(64)
  for (const frame of frames) writeFrame(w, frame)
  return w.take()
}

/** As plain data: byte fields are borrowed, so copied at once. */
const plain = (frame: unknown) => structuredClone(frame)

function readAll(bytes: Uint8Array, chunk = bytes.length): unknown[] {
  const reader = new FrameReader()
  const frames: unknown[] = []
  for (let at = 0; at < bytes.length; at += chunk)
    reader.feed(bytes.slice(at, at + chunk), (frame) => {
      frames.push(plain(frame))
      return true
    })
  return frames
}

function faulty(act: () => unknown): void {
  assert.throws(act, (error: unknown) => error instanceof PeerFault)
}

test('the samples name every frame and every op that is not reserved', () => {
  const kinds = (of: Record<string, number>) =>
    Object.entries(of)
      .filter(([name]) => !name.endsWith('_reserved'))
      .map(([, kind]) => kind)
      .sort((x, y) => x - y)
  assert.equal(
    [...new Set(FRAMES.map((frame) => frame[0]))].sort((x, y) => x - y),
    kinds(FrameKind),
  )
  assert.equal(
    [...new Set(OPS.map((op) => op[0]))].sort((x, y) => x - y),
    kinds(OpKind),
  )
})

for (const [name, kind] of Object.entries(FrameKind)) {
  const frame = FRAMES.find((f) => f[0] === kind)
  if (frame !== undefined)
    test(`frame ${name}: there and back`, () => assert.equal(readAll(encoded([frame])), [plain(frame)]))
}

for (const [name, kind] of Object.entries(OpKind)) {
  const ops = OPS.filter((op) => op[0] === kind)
  if (ops.length > 0)
    test(`op ${name}: there and back in a group`, () => {
      const w = new ByteWriter(64)
      writeOps(w, 2 ** 40, 2 ** 45, encodeGroups(ops), 7, 6)
      assert.equal(readAll(w.take()), [plain([FrameKind.ops, 2 ** 40, 2 ** 45, [ops], 7, 6])])
    })
}

test('an OPS frame written from encoded groups is the frame written whole', () => {
  const w = new ByteWriter(64)
  writeOps(
    w,
    1,
    2,
    [OPS, [], [OPS[0]!]].flatMap((ops) => encodeGroups(ops)),
    3,
    4,
  )
  assert.equal(readAll(w.take()), [plain(FRAMES[1])])
})

test('frames arrive whole from chunks of any size', () => {
  const bytes = encoded([...FRAMES, ...FRAMES])
  const whole = readAll(bytes)
  assert.is(whole.length, 2 * FRAMES.length)
  for (const chunk of [1, 2, 3, 5, 7, 64, 100, 1000, bytes.length - 1])
    assert.equal(readAll(bytes, chunk), whole, `${chunk}`)
})

test('numbers keep their value up to 2^53', () => {
  for (const n of [0, 1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 48, 2 ** 53 - 1]) {
    assert.equal(readAll(encoded([[FrameKind.ready, n]])), [[FrameKind.ready, n]])
    const w = new ByteWriter(64)
    writeOps(w, n, n, [], n, n)
    assert.equal(readAll(w.take()), [[FrameKind.ops, n, n, [], n, n]])
  }
})

test('a reader that is told to stop gives no further frame', () => {
  let count = 0
  new FrameReader().feed(encoded(FRAMES), () => ++count < 3)
  assert.is(count, 3)
})

test('a frame above the limit is refused by its length, before anything is kept', () => {
  const reader = new FrameReader()
  const head = new Uint8Array(4)
  new DataView(head.buffer).setUint32(0, LIMITS.frameBytesMax + 1)
  faulty(() => reader.feed(head, () => true))
  new DataView(head.buffer).setUint32(0, 0xffff_ffff)
  faulty(() => new FrameReader().feed(head, () => true))
})

test('the largest packet a client may send fits through', () => {
  const payload = new Uint8Array(LIMITS.packetBytesMax - 10)
  const pub = [OpKind.pub, 1, 2, 't', payload, 0, null, -1, 'p', null, null, null] as const
  const w = new ByteWriter(64)
  writeOps(w, 1, 1, encodeGroups([pub]), 0, 0)
  const bytes = w.take()
  let length = 0
  const reader = new FrameReader()
  for (let at = 0; at < bytes.length; at += 65_536)
    reader.feed(bytes.subarray(at, at + 65_536), (frame) => {
      length = ((frame[3] as unknown[][])[0]![0] as Uint8Array[])[4]!.length
      return true
    })
  assert.is(length, payload.length)
  const held = (reader as unknown as { held: Uint8Array }).held.length
  assert.ok(held <= LIMITS.frameBatchBytes * 4, `${held} bytes kept after it`)
})

test('what is not MessagePack, or not one value, is a fault of the peer', () => {
  for (const bytes of [[], [0xc1], [0x92, 0x01], [0x91], [0xdb, 0xff, 0xff, 0xff, 0xff], [0x91, 0x0a, 0x00]])
    faulty(() => decodeFrame(Uint8Array.from(bytes)))
})

test('maps, extensions and absurd lengths are refused', () => {
  for (const bytes of [
    [0x92, 0x01, 0x81, 0xa1, 0x61, 0x01],
    [0x92, 0x01, 0xd4, 0x01, 0x00],
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdd, 0x00, 0x20, 0x00, 0x00],
    [0x92, 0x01, 0xc6, 0xff, 0xff, 0xff, 0xff],
  ])
    faulty(() => decodeFrame(Uint8Array.from(bytes)))
})

test('an array of more elements than its frame has bytes is refused before room is made for it', () => {
  const before = process.memoryUsage().rss
  for (const header of [
    [0xdd, 0x00, 0x10, 0x00, 0x00],
    [0xdc, 0xff, 0xff],
  ]) {
    const frame = new Uint8Array(1000 * header.length)
    for (let i = 0; i < 1000; i++) frame.set(header, i * header.length)
    faulty(() => decodeFrame(frame))
  }
  // The largest count that its bytes do carry.
  const full = new Uint8Array(5 + 100_000).fill(1)
  full.set([0xdd, 0x00, 0x01, 0x86, 0xa0])
  faulty(() => decodeFrame(full))
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes`)
})

test('deep nesting is refused, not followed', () => {
  const depth = 1_000_000
  faulty(() => decodeFrame(new Uint8Array(depth).fill(0x91)))
})

test('a frame of an unknown kind, or of a wrong shape, is a fault of the peer', () => {
  for (const value of [
    null,
    7,
    'x',
    [],
    [0],
    [99],
    [FrameKind.blob_reserved],
    ['1'],
    [FrameKind.ack, 1, 2],
    [FrameKind.ack, 1, 2, '3'],
    [FrameKind.ack, 1, 2, 3.5],
    [FrameKind.ops, 1, 2, [[[99]]], 0, 0],
    [FrameKind.ops, 1, 2, [[[OpKind.kick_reserved]]], 0, 0],
    [FrameKind.ops, 1, 2, [[[OpKind.deq, 'c', 1, [1, 'x']]]], 0, 0],
    [FrameKind.qos0, ['t']],
  ])
    faulty(() => decodeFrame(encoder.encode(value)))
})

test('fields that a later version adds at the end are no fault', () => {
  for (const frame of FRAMES)
    assert.is(decodeFrame(encoder.encode([...(frame as unknown as unknown[]), 'later']))[0], frame[0])
})

test('a hundred thousand random and mutated streams: PeerFault or nothing, and little is held', () => {
  const { problems, faults, frames } = fuzz(100_000, 20_260_101)
  assert.equal(problems, [])
  assert.ok(faults > 10_000 && frames > 10_000, `${faults} faults, ${frames} frames`)
})

test.run()
