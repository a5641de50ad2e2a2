// Fuzz decoder: random and mutated client streams into the decoder. Whatever comes, it must not throw, must keep no more than
// its limit, must not speak after a fault, and must say the same however the stream is cut.
//
//   bun test/sim/fuzz_decoder.ts [--count 1000000] [--seed 1]
import { generate, writeToStream } from 'mqtt-packet'
import { connects, controls, publishes } from '../../fixtures/packet/cases.ts'
import { assert } from '../../src/base/assert.ts'
import { copyBytes } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { Prng } from '../../src/base/prng.ts'
import { Decoder } from '../../src/wire/decoder.ts'
import type { AckType, ControlPacket, PacketSink, PublishView } from '../../src/wire/packet.ts'
import { randomBytes, randomConnect, randomPacket } from './packet_generator.ts'

writeToStream.cacheNumbers = false

const PACKET_BYTES_MAX = 4096

/** What a stream led to, as one number; and the promises of PacketSink. */
class Digest implements PacketSink {
  value = 0
  packets = 0
  faults = 0

  onPublish(p: PublishView): void {
    assert(p.topicEnd >= p.topicStart && p.payloadEnd >= p.payloadStart, 'ranges run forwards')
    assert(p.payloadEnd <= p.buf.length, 'ranges lie in the buffer')
    assert(p.qos <= 2 && (p.qos === 0) === (p.packetId === 0), 'identifiers go with QoS 1 and 2')
    assert(p.topicEnd > p.topicStart || p.topicAlias > 0, 'a topic or an alias')
    this.add(`p${p.qos}${p.retain}${p.dup}${p.packetId},${p.expiry},${p.topicAlias},${p.props}`)
    this.addBytes(p.buf, p.topicStart, p.topicEnd)
    this.addBytes(p.buf, p.payloadStart, p.payloadEnd)
  }

  onAck(type: AckType, packetId: number, reason: number): void {
    assert(packetId > 0, 'an acknowledgement has an identifier')
    this.add(`a${type},${packetId},${reason}`)
  }

  onPingreq(): void {
    this.add('i')
  }

  onControl(packet: ControlPacket): void {
    this.add(JSON.stringify(packet))
  }

  onFault(reason: number, text: string): void {
    assert(reason >= 0x80 && text.length > 0, 'a fault has a reason and a text')
    this.add(`f${reason}${text}`)
    this.packets--
    this.faults++
  }

  private add(text: string): void {
    assert(this.faults === 0, 'silence after a fault')
    this.packets++
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i))
  }

  private addBytes(buf: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i++) this.mix(buf[i] as number)
  }

  private mix(n: number): void {
    this.value = (Math.imul(this.value ^ n, 0x01000193) + 1) >>> 0
  }
}

/** Feeds a stream in pieces that are overwritten after use. */
function run(prng: Prng, stream: Uint8Array, chunkMax: number): Digest {
  const digest = new Digest()
  const decoder = new Decoder(digest, PACKET_BYTES_MAX)
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + prng.int(1, chunkMax))
    const piece = copyBytes(stream, at, end)
    decoder.feed(piece)
    piece.fill(0xee)
    at = end
    const limit = decoder.version === 0 ? LIMITS.connectBytesMax : PACKET_BYTES_MAX
    assert(decoder.heldBytes <= limit, 'the held rest is bounded by the limit')
    assert(decoder.heldBytes <= Math.max(512, 4 * at), 'the held rest is bounded by what has come')
    assert(digest.faults === 0 || decoder.idle, 'nothing is held after a fault')
  }
  return digest
}

/** A stream of well-formed packets, each with a chance of being damaged. */
function randomStream(prng: Prng): Uint8Array {
  if (prng.chance(0.1)) return randomBytes(prng, 200)
  const version = prng.pick([3, 4, 5] as const)
  const parts: Uint8Array[] = []
  if (prng.chance(0.95)) {
    const connect = prng.chance(0.3) ? prng.pick(connects).bytes : generate(randomConnect(prng, version))
    parts.push(prng.chance(0.2) ? mutate(prng, connect) : connect)
  }
  for (let i = prng.int(0, 6); i > 0; i--) {
    const packet = prng.chance(0.3)
      ? prng.pick(prng.chance(0.5) ? publishes : controls).bytes
      : generate(randomPacket(prng, version), { protocolVersion: version })
    parts.push(prng.chance(0.4) ? mutate(prng, packet) : packet)
  }
  return Buffer.concat(parts)
}

function mutate(prng: Prng, packet: Uint8Array): Uint8Array {
  let out = copyBytes(packet)
  for (let i = prng.int(1, 3); i > 0 && out.length > 0; i--) {
    const at = prng.int(0, out.length - 1)
    switch (prng.int(0, 5)) {
      case 0:
        out[at] = prng.int(0, 255)
        break
      case 1:
        out[at] = (out[at] as number) ^ (1 << prng.int(0, 7))
        break
      case 2:
        out = copyBytes(out, 0, at)
        break
      case 3:
        out = Buffer.concat([out.subarray(0, at), randomBytes(prng, 4), out.subarray(at)])
        break
      case 4:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + prng.int(1, 4))])
        break
      default:
        out = frame(((prng.int(1, 15) << 4) | prng.pick([0, 0, 2, 4])) & 0xff, out.subarray(2))
    }
  }
  // With a fitting length the damage reaches the parser of the packet, not only the framer.
  return prng.chance(0.5) && out.length >= 2 ? frame(out[0] as number, out.subarray(2)) : out
}

function frame(first: number, body: Uint8Array): Uint8Array {
  const n = Math.min(body.length, 0x3fff)
  const header = n < 0x80 ? [first, n] : [first, (n & 0x7f) | 0x80, n >> 7]
  return Buffer.concat([Uint8Array.from(header), body.subarray(0, n)])
}

export type FuzzReport = { streams: number; packets: number; faults: number }

/** @throws {Bug} with the seed of the stream that broke a promise */
export function fuzzDecoder({ count, seed }: { count: number; seed: number }): FuzzReport {
  const report = { streams: 0, packets: 0, faults: 0 }
  for (let i = 0; i < count; i++) {
    const prng = new Prng(seed + i)
    const stream = randomStream(prng)
    try {
      const whole = run(prng, stream, stream.length)
      const pieces = run(prng, stream, prng.pick([1, 7, 300]))
      assert(whole.value === pieces.value && whole.packets === pieces.packets, 'the chunking does not matter')
      report.packets += whole.packets
      report.faults += whole.faults
    } catch (error) {
      throw new Error(`seed ${seed + i}: ${Buffer.from(stream).toString('hex')}`, { cause: error })
    }
    report.streams++
  }
  return report
}

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(name)
  return at === -1 ? fallback : Number(process.argv[at + 1])
}

if (import.meta.main) {
  const started = performance.now()
  const report = fuzzDecoder({ count: option('--count', 100_000), seed: option('--seed', 1) })
  console.log({ ...report, seconds: (performance.now() - started) / 1000 })
}
