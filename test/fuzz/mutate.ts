// Mutate: one way or another to damage a packet. The mild ones leave most packets acceptable, so that a connection lives to see many
// of them; the harsh ones mostly end it. Knows a packet's outline (lengths, identifier, property list) and no more.

import { ByteWriter } from '../../src/base/bytes.ts'
import type { Prng } from '../../src/base/prng.ts'
import { PacketType, type Version } from '../../src/wire/packet.ts'
import { writeVarint } from '../../src/wire/property_writer.ts'
import { randomBytes } from '../sim/packet_generator.ts'

/** @param other another valid packet of the same version */
export type Mutation = (prng: Prng, packet: Uint8Array, version: Version, other: Uint8Array) => Uint8Array

const { publish, puback, pubcomp, subscribe, unsubscribe, disconnect, auth, connect } = PacketType

/** One of each property, well-formed in itself: whether it may stand where it is put is another matter. */
const PROPERTIES: readonly (readonly number[])[] = [
  [0x01, 1],
  [0x02, 0, 0, 0, 9],
  [0x03, 0, 1, 0x61],
  [0x08, 0, 1, 0x72],
  [0x09, 0, 1, 0xff],
  [0x0b, 7],
  [0x0b, 0xff, 0xff, 0xff, 0x7f],
  [0x11, 0, 0, 0, 5],
  [0x12, 0, 1, 0x69],
  [0x13, 0, 9],
  [0x15, 0, 1, 0x6d],
  [0x16, 0, 1, 0],
  [0x17, 1],
  [0x18, 0, 0, 0, 1],
  [0x19, 1],
  [0x1a, 0, 1, 0x69],
  [0x1c, 0, 1, 0x73],
  [0x1f, 0, 2, 0x6e, 0x6f],
  [0x21, 0, 1],
  [0x22, 0, 3],
  [0x23, 0, 1],
  [0x23, 0, 0],
  [0x24, 1],
  [0x25, 1],
  [0x26, 0, 1, 0x6b, 0, 1, 0x76],
  [0x27, 0, 0, 0, 40],
  [0x28, 1],
  [0x7f, 0],
]
const USER_PROPERTY = [0x26, 0, 1, 0x6b, 0, 1, 0x76]

export function typeOf(packet: Uint8Array): number {
  return (packet[0] as number) >> 4
}

function bodyAt(packet: Uint8Array): number {
  let at = 1
  while (at < packet.length && at < 4 && (packet[at] as number) >= 0x80) at++
  return at + 1
}

/** The first byte behind its own length changed to fit, whatever the rest is. */
function fitted(first: number, body: Uint8Array): Uint8Array {
  const w = new ByteWriter(body.length + 5)
  w.u8(first)
  writeVarint(w, body.length)
  w.copy(body)
  return w.take()
}

function spliced(packet: Uint8Array, at: number, until: number, between: readonly number[] | Uint8Array): Uint8Array {
  const out = new Uint8Array(packet.length - (until - at) + between.length)
  out.set(packet.subarray(0, at))
  out.set(between, at)
  out.set(packet.subarray(until), at + between.length)
  return out
}

function afterTopic(packet: Uint8Array): number {
  const at = bodyAt(packet)
  return at + 2 + (packet[at] as number) * 256 + (packet[at + 1] as number)
}

const qosOf = (packet: Uint8Array) => ((packet[0] as number) >> 1) & 3

/** Where the packet identifier stands; -1 where there is none. */
function identifierAt(packet: Uint8Array): number {
  const type = typeOf(packet)
  if (type === publish) return qosOf(packet) === 0 ? -1 : afterTopic(packet)
  const has = (type >= puback && type <= pubcomp) || type === subscribe || type === unsubscribe
  return has ? bodyAt(packet) : -1
}

/** Where the length of the property list stands; -1 where there is none. */
function propertiesAt(packet: Uint8Array, version: Version): number {
  if (version !== 5) return -1
  const type = typeOf(packet)
  const at = bodyAt(packet)
  if (type === connect) return at + 10
  if (type === publish) return afterTopic(packet) + (qosOf(packet) === 0 ? 0 : 2)
  if (type === subscribe || type === unsubscribe) return at + 2
  if (type >= puback && type <= pubcomp) return packet.length > at + 3 ? at + 3 : -1
  return (type === disconnect || type === auth) && packet.length > at + 1 ? at + 1 : -1
}

function payloadAt(packet: Uint8Array, version: Version): number {
  const at = afterTopic(packet) + (qosOf(packet) === 0 ? 0 : 2)
  if (version !== 5) return at
  const [low = 0, high = 0] = packet.subarray(at)
  return low < 0x80 ? at + 1 + low : at + 2 + (low & 0x7f) + (high & 0x7f) * 128
}

/** The list with something in front, lengths fitting. Lists of 128 bytes and more stay as they are: their length takes two bytes. */
function withProperty(packet: Uint8Array, version: Version, property: readonly number[]): Uint8Array {
  const at = propertiesAt(packet, version)
  const length = packet[at] ?? 0x80
  if (at === -1 || length + property.length >= 0x80) return flags(packet)
  const longer = spliced(packet, at, at + 1, [length + property.length, ...property])
  return fitted(packet[0] as number, longer.subarray(bodyAt(packet)))
}

/** DUP or RETAIN of a publish, an identifier elsewhere: something that always can be done. */
function flags(packet: Uint8Array): Uint8Array {
  const out = packet.slice()
  const at = identifierAt(packet)
  if (typeOf(packet) === publish) out[0] = (out[0] as number) ^ (qosOf(packet) === 0 ? 0x01 : 0x08)
  else if (at !== -1) out[at] = (out[at] as number) ^ 0x40
  return out
}

const changed = (prng: Prng, packet: Uint8Array, at: number, byte: number): Uint8Array => {
  const out = packet.slice()
  if (at < out.length) out[at] = byte === out[at] ? byte ^ (1 << prng.int(0, 7)) : byte
  return out
}

export const MILD: Readonly<Record<string, Mutation>> = {
  identifier: (prng, packet) => {
    const at = identifierAt(packet)
    return at === -1 ? flags(packet) : changed(prng, packet, at + 1, prng.int(1, 40))
  },
  'farther identifier': (prng, packet) => {
    const at = identifierAt(packet)
    return at === -1 ? flags(packet) : changed(prng, packet, at, prng.int(0, 255))
  },
  flags: (_prng, packet) => flags(packet),
  payload: (prng, packet, version) =>
    typeOf(packet) === publish && packet.length > payloadAt(packet, version)
      ? changed(prng, packet, packet.length - 1, prng.int(0, 255))
      : flags(packet),
  'letter of the topic': (prng, packet) => {
    const at = bodyAt(packet) + 2
    const end = typeOf(packet) === publish ? afterTopic(packet) : at
    return end - at < 4 ? flags(packet) : changed(prng, packet, prng.int(at + 3, end - 1), prng.int(0x61, 0x64))
  },
  'longer payload': (prng, packet) =>
    typeOf(packet) === publish
      ? fitted(
          packet[0] as number,
          spliced(packet, packet.length, packet.length, randomBytes(prng, 40)).subarray(bodyAt(packet)),
        )
      : flags(packet),
  'user property': (_prng, packet, version) => withProperty(packet, version, USER_PROPERTY),
  twice: (_prng, packet) => spliced(packet, packet.length, packet.length, packet),
}

export const HARSH: Readonly<Record<string, Mutation>> = {
  bit: (prng, packet) => {
    const at = prng.int(0, packet.length - 1)
    return changed(prng, packet, at, (packet[at] as number) ^ (1 << prng.int(0, 7)))
  },
  bits: (prng, packet) => {
    let out = packet
    for (let i = prng.int(2, 8); i > 0; i--) out = HARSH['bit']!(prng, out, 4, out)
    return out
  },
  byte: (prng, packet) => changed(prng, packet, prng.int(0, packet.length - 1), prng.int(0, 255)),
  'byte of the head': (prng, packet) => changed(prng, packet, prng.int(0, 3), prng.pick([0, 1, 0x7f, 0x80, 0xff])),
  'cut short': (prng, packet) => packet.slice(0, prng.int(1, packet.length)),
  'cut short, length fitting': (prng, packet) => {
    const at = bodyAt(packet)
    return fitted(packet[0] as number, packet.subarray(at, prng.int(at, packet.length)))
  },
  'bytes put in': (prng, packet) => {
    const at = prng.int(bodyAt(packet), packet.length)
    return fitted(packet[0] as number, spliced(packet, at, at, randomBytes(prng, 6)).subarray(bodyAt(packet)))
  },
  'bytes taken out': (prng, packet) => {
    const at = prng.int(bodyAt(packet), packet.length)
    const until = Math.min(packet.length, at + prng.int(1, 6))
    return fitted(packet[0] as number, spliced(packet, at, until, []).subarray(bodyAt(packet)))
  },
  'spliced with another': (prng, packet, _version, other) => {
    const head = packet.subarray(0, prng.int(1, packet.length))
    return spliced(head, head.length, head.length, other.subarray(prng.int(0, other.length)))
  },
  'body of another': (_prng, packet, _version, other) => fitted(packet[0] as number, other.subarray(bodyAt(other))),
  'length a little off': (prng, packet) =>
    changed(prng, packet, 1, ((packet[1] as number) + prng.pick([-3, -2, -1, 1, 2, 3])) & 0xff),
  'length huge': (prng, packet) => {
    const length = prng.pick([
      [0xff, 0xff, 0xff, 0x7f],
      [0xff, 0xff, 0xff, 0xff, 0x7f],
      [0x80, 0x80, 0x80, 0x80],
      [0x80, 0x80, 0x00],
      [0xff, 0xff, 0x03],
      [0xff, 0x7f],
    ])
    return spliced(packet, 1, bodyAt(packet), length)
  },
  'inner length off': (prng, packet) => {
    const at = typeOf(packet) === publish ? bodyAt(packet) : bodyAt(packet) + 2
    return changed(prng, packet, at + prng.int(0, 1), prng.pick([0, 1, 0x7f, 0xff]))
  },
  'length of the properties': (prng, packet, version) => {
    const at = propertiesAt(packet, version)
    return at === -1 ? flags(packet) : changed(prng, packet, at, prng.pick([0, 1, 2, 0x7f, 0x80, 0xff]))
  },
  'any property': (prng, packet, version) => withProperty(packet, version, prng.pick(PROPERTIES)),
  'a property twice': (prng, packet, version) => {
    const property = prng.pick(PROPERTIES)
    return withProperty(packet, version, [...property, ...property])
  },
  'many properties': (prng, packet, version) =>
    withProperty(packet, version, Array.from({ length: prng.int(2, 9) }, () => prng.pick(PROPERTIES)).flat()),
  'another kind': (prng, packet) =>
    changed(prng, packet, 0, (prng.int(0, 15) << 4) | prng.pick([0, 2, (packet[0] as number) & 15])),
  noise: (prng) => randomBytes(prng, 60),
}

const mild = Object.values(MILD)
const harsh = Object.values(HARSH)

export function mutated(
  prng: Prng,
  packet: Uint8Array,
  version: Version,
  other: Uint8Array,
  harshness: number,
): Uint8Array {
  return prng.pick(prng.chance(harshness) ? harsh : mild)(prng, packet, version, other)
}
