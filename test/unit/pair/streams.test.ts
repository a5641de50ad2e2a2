// Streams: numbered groups out, kept until acknowledged, sent again from where the peer says; groups in, each once and in order.

import { ByteWriter } from '../../../src/base/bytes.ts'
import { PeerFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { Prng } from '../../../src/base/prng.ts'
import { InStream } from '../../../src/pair/in_stream.ts'
import { OutStream } from '../../../src/pair/out_stream.ts'
import { FrameReader } from '../../../src/wire/peer_codec.ts'
import { FrameKind, type Op, OpKind, type OpsFrame } from '../../../src/wire/peer_message.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('streams')
const op = (n: number, size = 1): Op => [OpKind.unsub, `c${n}`, n, 'f'.repeat(size)]

/** All frames the stream is ready to send. */
function sendAll(out: OutStream): OpsFrame[] {
  const frames: OpsFrame[] = []
  const w = new ByteWriter(1024)
  while (out.unsent) out.write(w, 0)
  new FrameReader().feed(w.take(), (frame) => {
    assert.is(frame[0], FrameKind.ops)
    frames.push(frame as OpsFrame)
    return true
  })
  return frames
}
const numbers = (frames: readonly OpsFrame[]) => frames.flatMap((frame) => frame[3].map((_, i) => frame[2] + i))

function open(): OutStream {
  const out = new OutStream()
  out.open(9)
  return out
}

test('nothing is sent before the peer has said where to start', () => {
  const out = open()
  out.append([op(1)], 1, 0, [])
  assert.not(out.unsent)
  assert.equal(sendAll(out), [])
  out.rewind(0)
  const frames = sendAll(out)
  assert.equal(numbers(frames), [1])
  assert.is(frames[0]![1], 9)
  assert.not(out.unsent)
})

test('groups go once, in order, in frames of bounded size; a large one travels alone', () => {
  const out = open()
  out.rewind(0)
  const big = LIMITS.frameBatchBytes
  for (const size of [10, 10, big * 2, 10, big / 2, big, 10]) out.append([op(1, size)], 1, 0, [])
  const frames = sendAll(out)
  assert.equal(numbers(frames), [1, 2, 3, 4, 5, 6, 7])
  assert.ok(frames.length > 2)
  assert.equal(sendAll(out), [])
})

test('what is acknowledged leaves the ring, oldest first; what is not is sent again', () => {
  const out = open()
  out.rewind(0)
  for (let i = 0; i < 10; i++) out.append([op(i)], i + 1, 0, [])
  sendAll(out)
  out.ack(4, 2)
  const gone: number[] = []
  for (let group = out.trim(); group !== undefined; group = out.trim()) gone.push(group.lsn)
  assert.equal(gone, [1, 2, 3, 4])
  assert.is(out.ackedDurable, 2)
  assert.is(out.ring.length, 6)
  out.rewind(7)
  assert.equal(numbers(sendAll(out)), [8, 9, 10])
  out.rewind(2)
  assert.equal(numbers(sendAll(out)), [5, 6, 7, 8, 9, 10], 'never from before what was acknowledged')
})

test('acknowledgements never go back, and never beyond what was made', () => {
  const out = open()
  out.rewind(0)
  for (let i = 0; i < 3; i++) out.append([op(i)], 1, 0, [])
  sendAll(out)
  out.ack(3, 3)
  out.ack(1, 1)
  assert.is(out.acked, 3)
  assert.is(out.ackedDurable, 3)
  assert.throws(() => out.ack(4, 0))
})

test('a closed stream takes nothing; a new one starts with 1 and an empty ring', () => {
  const out = open()
  out.append([op(1)], 1, 0, [])
  out.close()
  assert.throws(() => out.append([op(2)], 1, 0, []))
  assert.throws(() => out.open(0))
  out.open(10)
  assert.is(out.append([op(3)], 1, 0, []), 1)
  assert.is(out.ring.length, 1)
})

test('in: a group that was applied is not new, one too far is a fault of the peer', () => {
  const stream = new InStream()
  stream.open(5)
  assert.ok(stream.accept(1))
  assert.ok(stream.ackDue)
  assert.ok(stream.accept(2))
  assert.not(stream.accept(1))
  assert.not(stream.accept(2))
  assert.throws(
    () => stream.accept(4),
    (error: unknown) => error instanceof PeerFault,
  )
  assert.is(stream.applied, 2)
  stream.open(6)
  assert.is(stream.applied, 0)
})

test('over a link that breaks at random everything is applied once and in order', () => {
  const prng = new Prng(3)
  for (let run = 0; run < 200; run++) {
    const out = open()
    const stream = new InStream()
    stream.open(9)
    const applied: string[] = []
    let made = 0
    out.rewind(0)
    for (let step = 0; step < 100 || applied.length < made; step++) {
      if (step < 100)
        for (let n = prng.int(0, 3); n > 0; n--) out.append([op(++made, prng.int(1, 20_000))], made, 0, [])
      for (const frame of sendAll(out)) {
        if (prng.chance(0.2) && step < 100) break // lost with the link
        for (const [i, group] of frame[3].entries())
          if (stream.accept(frame[2] + i)) applied.push((group[0] as readonly unknown[])[1] as string)
        if (prng.chance(0.5)) out.ack(stream.applied, 0)
        while (out.trim() !== undefined) {}
      }
      out.flowing = false
      out.rewind(stream.applied)
    }
    out.ack(stream.applied, 0)
    while (out.trim() !== undefined) {}
    assert.equal(
      applied,
      Array.from({ length: made }, (_, i) => `c${i + 1}`),
    )
    assert.is(out.ringBytes, 0)
    assert.is(out.ring.length, 0)
  }
})

test('a frame acknowledges no more than what its groups were derived from', () => {
  const out = new OutStream()
  out.open(1)
  out.flowing = true
  const big = LIMITS.frameBatchBytes
  out.append([op(1, big)], 1, 5, [])
  out.append([op(2, 10)], 2, 9, [])
  const w = new ByteWriter()
  assert.is(out.write(w, 9), 5, 'what came behind group 5 is in a later frame, which may never arrive')
  assert.is(out.write(w, 9), 9)
})

test('a turn too large for one group claims what it was derived from with its last one only', () => {
  const out = new OutStream(100)
  out.open(9)
  out.append([op(0)], 1, 4, [])
  const last = out.append([op(1, 200), op(2, 200), op(3)], 2, 7, [])
  assert.is(last, 4)
  assert.equal(
    [...out.ring].map(({ lsn, turn, applied }) => [lsn, turn, applied]),
    [
      [1, 1, 4],
      [2, 2, 4],
      [3, 2, 4],
      [4, 2, 7],
    ],
  )
})

test.run()
