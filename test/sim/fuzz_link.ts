// FuzzLink: random and mutated byte streams into the link's reader: only PeerFault may come out, and what it holds is bounded.
//
//   bun test/sim/fuzz_link.ts --count 1000000 [--seed N]

import { Encoder } from '@msgpack/msgpack'
import { ByteWriter } from '../../src/base/bytes.ts'
import { PeerFault } from '../../src/base/fault.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { Prng } from '../../src/base/prng.ts'
import { FrameReader, writeFrame } from '../../src/wire/peer_codec.ts'
import { FRAMES, mutated } from './frames.ts'

const encoder = new Encoder({ maxDepth: 64 })

export type Outcome = {
  readonly streams: number
  readonly frames: number
  readonly faults: number
  /** Most bytes a reader held, over what it was fed. */
  readonly heldMax: number
  readonly problems: readonly string[]
}

function valid(): Uint8Array[] {
  return FRAMES.map((frame) => {
    const w = new ByteWriter(256)
    writeFrame(w, frame)
    return w.take()
  })
}

/** Frames of a wrong shape in a right envelope. */
function misshapen(prng: Prng): Uint8Array {
  let value: unknown = prng.pick(FRAMES)
  for (let n = prng.int(1, 3); n > 0; n--) value = mutated(value, prng)
  let body: Uint8Array
  try {
    body = encoder.encode(value)
  } catch {
    body = Uint8Array.of(0xc0)
  }
  return enveloped(body)
}

function enveloped(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length)
  bytes.set(body, 4)
  return bytes
}

function randomBytes(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.int(0, 255))
}

function oneStream(prng: Prng, frames: readonly Uint8Array[]): Uint8Array {
  const kind = prng.int(0, 5)
  if (kind === 0) return randomBytes(prng, prng.int(0, 60))
  if (kind === 1) return enveloped(randomBytes(prng, prng.int(0, 40)))
  if (kind === 2) return misshapen(prng)
  const parts: Uint8Array[] = []
  for (let n = prng.int(1, 3); n > 0; n--) parts.push(prng.pick(frames))
  const stream = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    stream.set(part, at)
    at += part.length
  }
  if (kind === 3) return stream.subarray(0, prng.int(0, stream.length))
  for (let n = prng.int(1, 6); n > 0; n--) {
    const index = prng.int(0, stream.length - 1)
    stream[index] = kind === 4 ? (stream[index] as number) ^ (1 << prng.int(0, 7)) : prng.int(0, 255)
  }
  return stream
}

export function fuzz(count: number, seed: number): Outcome {
  const prng = new Prng(seed)
  const frames = valid()
  const problems: string[] = []
  let seen = 0
  let faults = 0
  let heldMax = 0
  for (let n = 0; n < count && problems.length < 10; n++) {
    const stream = oneStream(prng, frames)
    const reader = new FrameReader()
    try {
      for (let at = 0; at < stream.length; ) {
        const size = prng.chance(0.5) ? stream.length - at : prng.int(1, stream.length - at)
        reader.feed(stream.subarray(at, at + size), () => {
          seen++
          return true
        })
        at += size
        const held = (reader as unknown as { held: Uint8Array }).held.length
        heldMax = Math.max(heldMax, held)
        if (held > Math.max(4096, 4 * stream.length) || held > 2 * LIMITS.frameBytesMax)
          problems.push(`stream ${n}: holds ${held} bytes of ${stream.length}`)
      }
    } catch (error) {
      faults++
      if (!(error instanceof PeerFault))
        problems.push(`stream ${n}: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  return { streams: count, frames: seen, faults, heldMax, problems }
}

if (import.meta.main) {
  const option = (name: string, fallback: number): number => {
    const at = process.argv.indexOf(`--${name}`)
    return at === -1 ? fallback : Number(process.argv[at + 1])
  }
  const seed = option('seed', 1)
  const started = performance.now()
  const before = process.memoryUsage().rss
  const outcome = fuzz(option('count', 1_000_000), seed)
  const seconds = (performance.now() - started) / 1000
  const grown = (process.memoryUsage().rss - before) / 1024 / 1024
  console.log(
    `seed ${seed}: ${outcome.streams} streams in ${seconds.toFixed(1)} s, ${outcome.frames} frames taken, ` +
      `${outcome.faults} refused with PeerFault, a reader held at most ${outcome.heldMax} bytes, ${grown.toFixed(0)} MiB grown`,
  )
  for (const problem of outcome.problems) console.log(problem)
  process.exit(outcome.problems.length === 0 ? 0 : 1)
}
