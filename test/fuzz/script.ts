// Script: all that one fuzzed connection will say, made from a seed and its number alone: how it comes in, the situation it makes
// (subscriptions, flows half done, a will, aliases), damaged packets, and how it goes. Knows no socket.

import { ByteWriter, utf8 } from '../../src/base/bytes.ts'
import { Prng } from '../../src/base/prng.ts'
import { type ConnectFields, writeConnect, writeSubscribe } from '../../src/wire/client_encoder.ts'
import { writeAck, writeAuth, writePublish } from '../../src/wire/encoder.ts'
import { PacketType, type QoS, type Version } from '../../src/wire/packet.ts'
import { mutated } from './mutate.ts'
import { fuzzTopic, type Seeds, VERSIONS } from './seeds.ts'
import { type Framing, framed } from './ws_mutate.ts'

/** `end`: FIN; `silent`: stays, and must be closed for its silence; `abort`: RST, perhaps in the middle. */
export type Leaving = 'end' | 'silent' | 'abort'

export type Script = {
  readonly number: number
  readonly version: Version
  /** In the pieces in which it is written. */
  readonly pieces: readonly Uint8Array[]
  readonly leaving: Leaving
  /** Packets that were left as they should be, and others. */
  readonly valid: number
  readonly damaged: number
  /** Null: its CONNECT may mean anything. Else the aliases that it allows the server, whose answers can be judged. */
  readonly aliases: number | null
  readonly overWs: boolean
  /** WebSocket frames, and those of them that no client should send. */
  readonly frames: Framing
}

/** Client ids of sessions that stay. */
const IDS = 25
const PACKETS_MAX = 250
const HARSHNESS = 0.012

export const FUZZ_ID = 'fz-'

/** @param keepAlive seconds that a silent client asks for */
export function makeScript(seeds: Seeds, seed: number, number: number, overWs: boolean, keepAlive: number): Script {
  const prng = new Prng(Math.imul(seed, 0x9e3779b1) + number)
  const version = prng.pick(VERSIONS)
  const leaving: Leaving = prng.chance(0.02) ? 'silent' : prng.chance(0.05) ? 'abort' : 'end'
  const parts: Uint8Array[] = []
  let valid = 0
  let aliases: number | null = null
  const usual = prng.chance(0.9) || leaving === 'silent'
  if (usual && !(leaving === 'silent' && prng.chance(0.3))) {
    const fields = connectFields(prng, version, number, keepAlive)
    parts.push(...situation(prng, version, fields))
    valid = parts.length
    aliases = fields.topicAliasMaximum ?? 0
  } else if (!usual && prng.chance(0.8)) {
    const packet = seeds.connect(prng, version)
    parts.push(mutated(prng, packet, version, seeds.packet(prng, version), 0.7))
  }
  // Without a CONNECT the first packet ends it.
  const count = leaving === 'silent' ? prng.int(0, 2) : parts.length === 0 ? prng.int(1, 3) : prng.int(1, PACKETS_MAX)
  const harshness = prng.chance(0.1) ? 0.5 : HARSHNESS
  for (let i = 0; i < count; i++) {
    const packet = seeds.packet(prng, version)
    parts.push(mutated(prng, packet, version, seeds.packet(prng, version), harshness))
    if (prng.chance(0.05) && i > 0) swapLast(parts)
  }
  const damaged = parts.length - valid
  const frames: Framing = { frames: 0, damaged: 0 }
  const stream = overWs ? framed(prng, parts, frames) : joined(parts)
  // The damaged frame may have been that of the CONNECT.
  if (frames.damaged > 0) aliases = null
  const pieces = cut(prng, stream)
  return { number, version, pieces, leaving, valid, damaged, aliases, overWs, frames }
}

function swapLast(parts: Uint8Array[]): void {
  const [a, b] = parts.splice(-2) as [Uint8Array, Uint8Array]
  parts.push(b, a)
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Mostly whole; else in pieces, some of a single byte. */
function cut(prng: Prng, stream: Uint8Array): Uint8Array[] {
  if (prng.chance(0.7)) return [stream]
  const pieces: Uint8Array[] = []
  const most = prng.pick([40, 400, 4000])
  for (let at = 0; at < stream.length && pieces.length < 20; ) {
    const end = pieces.length === 19 ? stream.length : Math.min(stream.length, at + prng.int(1, most))
    pieces.push(stream.subarray(at, end))
    at = end
  }
  return pieces
}

function connectFields(prng: Prng, version: Version, number: number, keepAlive: number): ConnectFields {
  const stays = prng.chance(0.25)
  const id = prng.chance(0.01) ? `u${number}` : `${version}-${prng.int(0, IDS - 1)}`
  const fields: ConnectFields = {
    version,
    clientId: prng.chance(0.1) && !stays && version !== 3 ? '' : FUZZ_ID + id,
    cleanStart: !stays || prng.chance(0.2),
    keepAlive,
  }
  if (prng.chance(0.2)) {
    const topic = fuzzTopic(prng.int(0, 299))
    const will = { topic, payload: utf8('gone'), qos: prng.int(0, 2) as QoS, retain: prng.chance(0.2) }
    fields.will = version === 5 ? { ...will, delay: prng.int(0, 2), expiry: 30 } : will
  }
  if (prng.chance(0.2)) fields.username = 'someone'
  if (version !== 5) return fields
  if (stays) fields.sessionExpiry = prng.pick([1, 30, 3600, 0xffff_ffff])
  if (prng.chance(0.3)) fields.receiveMaximum = prng.pick([1, 2, 10, 65_535])
  if (prng.chance(0.2)) fields.maximumPacketSize = prng.pick([20, 100, 1000])
  if (prng.chance(0.4)) fields.topicAliasMaximum = prng.pick([1, 5, 65_535])
  if (prng.chance(0.2)) fields.requestProblemInformation = false
  if (prng.chance(0.03)) fields.authMethod = 'SCRAM-SHA-512'
  return fields
}

/** CONNECT, and what is true of most clients a while later. */
function situation(prng: Prng, version: Version, fields: ConnectFields): Uint8Array[] {
  const parts: Uint8Array[] = []
  const say = (write: (w: ByteWriter) => void) => {
    const w = new ByteWriter(256)
    write(w)
    parts.push(w.take())
  }
  say((w) => writeConnect(w, fields))
  const own = fuzzTopic(prng.int(0, 299))
  if (prng.chance(0.4)) {
    const filters = [own, fuzzTopic(prng.int(0, 299)), `$share/g${prng.int(0, 3)}/${fuzzTopic(prng.int(0, 299))}`]
    const list = filters.slice(0, prng.int(1, 3)).map((filter) => ({ filter, qos: prng.int(0, 2) as QoS }))
    say((w) => writeSubscribe(w, version, 1, list, version === 5 ? prng.int(0, 3) : 0))
  }
  // To itself too: what is under way to this client then has the identifiers from 1 on.
  for (let i = prng.chance(0.4) ? prng.int(1, 6) : 0; i > 0; i--) {
    const qos = prng.int(1, 2) as QoS
    say((w) => publish(w, version, own, qos, i, 0))
    if (qos === 2 && prng.chance(0.5)) say((w) => writeAck(w, PacketType.pubrel, i, 0, version))
  }
  if (version === 5 && prng.chance(0.3))
    for (let alias = 1; alias < 4; alias++) say((w) => publish(w, version, own, 0, 0, alias))
  if (version === 5 && prng.chance(0.02)) say((w) => writeAuth(w, { reason: 0x19, method: 'SCRAM-SHA-512' }))
  return parts
}

function publish(w: ByteWriter, version: Version, topic: string, qos: QoS, id: number, alias: number): void {
  writePublish(w, version, utf8(topic), utf8('x'), 0, 1, qos, false, false, id, null, -1, null, alias)
}
