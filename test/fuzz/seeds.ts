// Seeds: valid packets of clients in each version, as bytes, from which the fuzzed streams are made. Knows nothing of what becomes
// of them.

import { generate, type Packet, writeToStream } from 'mqtt-packet'
import { acks, controls, publishes } from '../../fixtures/packet/cases.ts'
import { copyBytes } from '../../src/base/bytes.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { Version } from '../../src/wire/packet.ts'
import { randomConnect, randomPacket } from '../sim/packet_generator.ts'

writeToStream.cacheNumbers = false

const KINDS = ['publish', 'ack', 'subscribe', 'unsubscribe', 'pingreq', 'disconnect', 'auth', 'fixture'] as const
export type Kind = (typeof KINDS)[number]

/** How often a kind is drawn, of 100. Rare where it mostly ends the connection. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  ...{ publish: 50, ack: 22, subscribe: 8, unsubscribe: 5, pingreq: 6, disconnect: 1, auth: 1, fixture: 7 },
}
const PER_KIND = 250
const LONG_BYTES = 600
const TOPICS = 300

export const VERSIONS: readonly Version[] = [3, 4, 5]
export const fuzzTopic = (n: number): string => `fz/${n % TOPICS}/t`

export class Seeds {
  private readonly connects = new Map<Version, Uint8Array[]>()
  private readonly packets = new Map<Version, Map<Kind, Uint8Array[]>>()

  constructor(prng: Prng) {
    for (const version of VERSIONS) {
      this.connects.set(
        version,
        Array.from({ length: PER_KIND }, () => copyBytes(generate(randomConnect(prng, version)))),
      )
      this.packets.set(version, kindsOf(prng, version))
    }
  }

  connect(prng: Prng, version: Version): Uint8Array {
    return prng.pick(this.connects.get(version)!)
  }

  packet(prng: Prng, version: Version): Uint8Array {
    let left = prng.int(1, 100)
    const kind = KINDS.find((name) => (left -= WEIGHTS[name]) <= 0) as Kind
    const all = this.packets.get(version)!.get(kind)!
    return all.length > 0 ? prng.pick(all) : this.packet(prng, version)
  }
}

function kindsOf(prng: Prng, version: Version): Map<Kind, Uint8Array[]> {
  const found = new Map<Kind, Uint8Array[]>(KINDS.map((kind) => [kind, []]))
  const isFull = (kind: Kind) =>
    kind === 'fixture' || (kind === 'auth' && version !== 5) || found.get(kind)!.length >= PER_KIND
  while (!KINDS.every(isFull)) {
    const packet = randomPacket(prng, version)
    const kind = kindOf(packet)
    if (isFull(kind)) continue
    // An alias alone is mostly one that this connection has not.
    if (packet.cmd === 'publish' && packet.topic === '' && prng.chance(0.9)) continue
    const bytes = generate(ours(prng, packet), { protocolVersion: version })
    if (bytes.length < LONG_BYTES || prng.chance(0.05)) found.get(kind)!.push(copyBytes(bytes))
  }
  const cases = [...publishes, ...acks, ...controls].filter((c) => c.packet !== null && c.version === version)
  found.get('fixture')!.push(...cases.map((c) => c.bytes))
  return found
}

function kindOf({ cmd }: Packet): Kind {
  if (cmd === 'puback' || cmd === 'pubrec' || cmd === 'pubrel' || cmd === 'pubcomp') return 'ack'
  return cmd as Kind
}

/** Mostly moved to topics of which there are many, so that a publish finds some subscribers, not all; and to small identifiers, which do exist. */
function ours(prng: Prng, packet: Packet): Packet {
  const filter = () => {
    const name = fuzzTopic(prng.int(0, TOPICS - 1))
    if (prng.chance(0.15)) return `$share/g${prng.int(0, 3)}/${name}`
    return prng.chance(0.02) ? prng.pick(['fz/#', '#', '+/+/t', 'fz/+/t']) : name
  }
  if (packet.cmd === 'publish' && packet.topic !== '' && prng.chance(0.9)) packet.topic = fuzzTopic(prng.int(0, TOPICS))
  if (packet.cmd === 'subscribe' && prng.chance(0.95))
    packet.subscriptions = packet.subscriptions.slice(0, 2).map((sub) => ({ ...sub, topic: filter(), nl: false }))
  if (packet.cmd === 'unsubscribe' && prng.chance(0.95))
    packet.unsubscriptions = packet.unsubscriptions.slice(0, 3).map(filter)
  if ('messageId' in packet && prng.chance(0.7)) packet.messageId = prng.int(1, 8)
  return packet
}
