// Recorder: a sink that writes down what a decoder delivers, copied, so that two runs can be compared.
import { copyBytes, utf8Text } from '../../../src/base/bytes.ts'
import { Decoder } from '../../../src/wire/decoder.ts'
import type { AckType, ControlPacket, PacketSink, PublishView } from '../../../src/wire/packet.ts'

export type Seen =
  | ControlPacket
  | { cmd: 'pingreq' }
  | { cmd: 'ack'; type: AckType; packetId: number; reason: number }
  | { cmd: 'fault'; reason: number; text: string }
  | {
      cmd: 'publish'
      topic: string
      payload: Uint8Array
      qos: number
      retain: boolean
      dup: boolean
      packetId: number
      expiry: number
      topicAlias: number
      props: Uint8Array | null
    }

export class Recorder implements PacketSink {
  readonly seen: Seen[] = []

  onPublish(p: PublishView): void {
    this.seen.push({
      cmd: 'publish',
      topic: utf8Text(p.buf.subarray(p.topicStart, p.topicEnd)) ?? '(ill-formed)',
      payload: copyBytes(p.buf, p.payloadStart, p.payloadEnd),
      qos: p.qos,
      retain: p.retain,
      dup: p.dup,
      packetId: p.packetId,
      expiry: p.expiry,
      topicAlias: p.topicAlias,
      props: p.props,
    })
  }

  onAck(type: AckType, packetId: number, reason: number): void {
    this.seen.push({ cmd: 'ack', type, packetId, reason })
  }

  onPingreq(): void {
    this.seen.push({ cmd: 'pingreq' })
  }

  onControl(packet: ControlPacket): void {
    this.seen.push(packet)
  }

  onFault(reason: number, text: string): void {
    this.seen.push({ cmd: 'fault', reason, text })
  }
}

/** Decodes a whole stream in pieces of `chunk` bytes. Each piece is overwritten after use: nothing may keep a view of it. */
export function decodeStream(stream: Uint8Array, chunk = stream.length, packetBytesMax = 1 << 20): Seen[] {
  const recorder = new Recorder()
  const decoder = new Decoder(recorder, packetBytesMax)
  for (let at = 0; at < stream.length; at += Math.max(1, chunk)) {
    const piece = copyBytes(stream, at, Math.min(stream.length, at + Math.max(1, chunk)))
    decoder.feed(piece)
    piece.fill(0xee)
  }
  return recorder.seen
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
