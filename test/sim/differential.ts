// Differential: our readers and writers against mqtt-packet, an independent codec: random packets of every kind with every property, both
// ways round. Each packet is the same fields to both, and the same bytes but for the differences named here.
//
//   bun test/sim/differential.ts [--count 1000000] [--version 5] [--seed 1]
import { generate, type Packet, parser, writeToStream } from 'mqtt-packet'
import { copyBytes } from '../../src/base/bytes.ts'
import { Prng } from '../../src/base/prng.ts'
import { ClientDecoder, type ServerPacket } from '../../src/wire/client_decoder.ts'
import type { Version } from '../../src/wire/packet.ts'
import { concat, decodeStream } from '../unit/wire/recorder.ts'
import { asBroker, asClient, plain, same, written } from './codec_fields.ts'
import { randomConnect, randomPacket, randomServerPacket } from './packet_generator.ts'

writeToStream.cacheNumbers = false

/** Packets of one stream. */
const STREAM = 20

/** The differences that there may be, with their reasons. */
export const DIFFERENCES = {
  shorter:
    'ours leaves out an empty property list behind a reason, and a reason 0 before it (sections 3.4.2.1, 3.14.2.1, 3.15.2.1)',
  onlyTheirs: 'read by ours and not written: user properties but in messages, words in UNSUBACK',
  unreadShort: 'an AUTH without reason and properties: mqtt-packet does not read what section 3.15.2.1 allows',
} as const
type Difference = keyof typeof DIFFERENCES

export type Report = {
  packets: number
  sameBytes: number
  differences: Record<Difference, number>
  kinds: Record<string, number>
  properties: Record<string, number>
}

class Run {
  readonly report: Report = {
    packets: 0,
    sameBytes: 0,
    differences: { shorter: 0, onlyTheirs: 0, unreadShort: 0 },
    kinds: {},
    properties: {},
  }
  private readonly version: Version

  constructor(version: Version) {
    this.version = version
  }

  stream(prng: Prng): void {
    const { version } = this
    const client: Packet[] = [randomConnect(prng, version)]
    const server: Packet[] = []
    for (let i = 1; i < STREAM; i++) {
      client.push(randomPacket(prng, version))
      server.push(randomServerPacket(prng, version))
    }
    this.clientSide(prng, client)
    this.serverSide(prng, named(server))
  }

  /** Their bytes and ours of each packet; each pair compared, and ours read by them. */
  private both(packets: readonly Packet[], ofServer: boolean): { theirs: Uint8Array[]; ours: Uint8Array[] } {
    const { version, report } = this
    const theirs: Uint8Array[] = []
    const ours: Uint8Array[] = []
    for (const packet of packets) {
      this.count(packet)
      const their = generate(packet, { protocolVersion: version })
      const our = written(packet, version, ofServer)
      theirs.push(their)
      ours.push(our ?? their)
      if (our === null) {
        report.differences.onlyTheirs++
        continue
      }
      if (same(our, their)) report.sameBytes++
      else if (same(our, shortened(their))) report.differences.shorter++
      else throw new Error(`bytes differ: ${JSON.stringify(packet)}\nours   ${hex(our)}\ntheirs ${hex(their)}`)
      this.readByThem(packet, our)
    }
    return { theirs, ours }
  }

  private readByThem(packet: Packet, bytes: Uint8Array): void {
    const { version } = this
    if (packet.cmd === 'auth' && bytes.length === 2) {
      this.report.differences.unreadShort++
      return
    }
    let got: Packet | null = null
    const reader = parser({ protocolVersion: version })
    reader.on('packet', (read) => {
      got = read
    })
    reader.on('error', (error: Error) => {
      throw new Error(`they cannot read ${hex(bytes)}: ${error.message}`)
    })
    reader.parse(Buffer.from(bytes))
    if (got === null || !same(plain(got, version), plain(packet, version)))
      throw new Error(`they read ours otherwise: ${JSON.stringify(packet)}\nread   ${JSON.stringify(got)}`)
  }

  private clientSide(prng: Prng, packets: readonly Packet[]): void {
    const { theirs, ours } = this.both(packets, false)
    // What 3.1 sends again has DUP, which mqtt-packet does not write.
    if (this.version === 3)
      packets.forEach(({ cmd }, i) => {
        const again = cmd === 'subscribe' || cmd === 'unsubscribe' || cmd === 'pubrel'
        const bytes = theirs[i] as Uint8Array
        if (again && prng.chance(0.3)) bytes[0] = (bytes[0] as number) | 8
      })
    for (const bytes of [theirs, ours]) {
      const seen = decodeStream(concat(...bytes), prng.int(1, 3000), 1 << 22)
      packets.forEach((packet, i) => {
        compare(packet, seen[i], asBroker(packet, this.version))
      })
      if (seen.length !== packets.length) throw new Error('more was read than was written')
    }
  }

  private serverSide(prng: Prng, packets: readonly Packet[]): void {
    const { theirs, ours } = this.both(packets, true)
    for (const bytes of [theirs, ours]) {
      const seen: (ServerPacket | string)[] = []
      const sink = {
        onPacket: (packet: ServerPacket) => seen.push(packet),
        onFault: (_: number, text: string) => seen.push(text),
      }
      const decoder = new ClientDecoder(this.version, sink)
      decoder.topicAliasMaximum = 65_535
      const stream = concat(...bytes)
      for (let at = 0; at < stream.length; ) {
        const end = Math.min(stream.length, at + prng.int(1, 3000))
        decoder.feed(copyBytes(stream, at, end))
        at = end
      }
      const topics = new Map<number, string>()
      packets.forEach((packet, i) => {
        compare(packet, seen[i], asClient(packet, this.version, topicOf(packet, topics)))
      })
    }
  }

  private count(packet: Packet): void {
    const { report } = this
    report.packets++
    report.kinds[packet.cmd] = (report.kinds[packet.cmd] ?? 0) + 1
    const { properties, will } = packet as { properties?: object; will?: { properties?: object } }
    for (const name of Object.keys({ ...properties, ...will?.properties }))
      report.properties[name] = (report.properties[name] ?? 0) + 1
  }
}

/** A server's aliases each come with a topic first. */
function named(packets: readonly Packet[]): Packet[] {
  const topics = new Map<number, string>()
  for (const packet of packets) if (topicOf(packet, topics) === '') (packet as { topic: string }).topic = 'named'
  topics.clear()
  return packets.map((packet) => {
    topicOf(packet, topics)
    return packet
  })
}

/** What a PUBLISH is about, its alias resolved; undefined for others. */
function topicOf(packet: Packet, topics: Map<number, string>): string {
  if (packet.cmd !== 'publish') return ' '
  const alias = packet.properties?.topicAlias
  if (alias === undefined) return packet.topic
  if (packet.topic !== '') topics.set(alias, packet.topic)
  else if (!topics.has(alias)) topics.set(alias, 'named')
  else return topics.get(alias) as string
  return packet.topic
}

function compare(packet: Packet, seen: unknown, expected: unknown): void {
  if (same(seen, expected)) return
  throw new Error(
    `ours reads otherwise: ${JSON.stringify(packet)}\nread     ${JSON.stringify(seen)}\nexpected ${JSON.stringify(expected)}`,
  )
}

/** Without what may be left out: an empty property list at the end, and then a reason 0. */
function shortened(bytes: Uint8Array): Uint8Array | null {
  const type = (bytes[0] as number) >> 4
  const fixed = type === 14 || type === 15 ? 0 : type >= 4 && type <= 7 ? 2 : -1
  if (fixed === -1 || bytes[1] !== fixed + 2 || bytes[bytes.length - 1] !== 0) return null
  const reason = bytes[bytes.length - 2] as number
  const out = copyBytes(bytes, 0, bytes.length - (reason === 0 ? 2 : 1))
  out[1] = out.length - 2
  return out
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** @throws {Error} with the seed of the stream in which something differs */
export function differential({ count, version, seed }: { count: number; version: Version; seed: number }): Report {
  const run = new Run(version)
  for (let i = 0; run.report.packets < count; i++) {
    try {
      run.stream(new Prng(seed + i))
    } catch (error) {
      throw new Error(`version ${version}, seed ${seed + i}: ${(error as Error).message}`, { cause: error })
    }
  }
  return run.report
}

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(name)
  return at === -1 ? fallback : Number(process.argv[at + 1])
}

if (import.meta.main) {
  const only = option('--version', 0)
  for (const version of [3, 4, 5] as const) {
    if (only !== 0 && only !== version) continue
    const started = performance.now()
    const report = differential({ count: option('--count', 1_000_000), version, seed: option('--seed', 1) })
    console.log({ version, ...report, seconds: (performance.now() - started) / 1000 })
  }
  console.log(DIFFERENCES)
}
