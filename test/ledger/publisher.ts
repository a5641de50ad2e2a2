// Publisher: sends numbered messages of QoS 1 and 2, keeps each until it is acknowledged, and sends what is not again on the
// next connection.

import { utf8 } from '../../src/base/bytes.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { ServerPacket } from '../../src/wire/client_decoder.ts'
import { writePublish } from '../../src/wire/encoder.ts'
import { PacketType } from '../../src/wire/packet.ts'
import type { Book, Stream } from './book.ts'
import { type ClientSpec, StrictClient } from './client.ts'

const WINDOW_MAX = 20
const TICK_MS = 20

type Outgoing = { readonly stream: Stream; readonly n: number; readonly sentAt: number; released: boolean }

export class Publisher extends StrictClient {
  /** By packet identifier, in the order of sending. */
  private readonly out = new Map<number, Outgoing>()
  private readonly streams: readonly Stream[]
  private readonly perSecond: number
  private window = WINDOW_MAX
  private lastId = 0
  private credit = 0
  private publishing = false
  /** Of the last message that was acknowledged: when it was sent first, and when the acknowledgement came. */
  onAcked: (sentAt: number) => void = () => {}

  constructor(spec: ClientSpec, port: number, book: Book, prng: Prng, perSecond: number) {
    super(spec, port, book, prng)
    this.perSecond = perSecond
    this.streams = [book.stream(`${spec.id}-one`, 1), book.stream(`${spec.id}-two`, 2)]
  }

  /** Nothing waits for an acknowledgement. */
  get idle(): boolean {
    return this.out.size === 0
  }

  publish(on: boolean): void {
    const wasOn = this.publishing
    this.publishing = on
    if (on && !wasOn) this.tick()
  }

  private tick(): void {
    if (!this.publishing) return
    this.credit = Math.min(WINDOW_MAX, this.credit + (this.perSecond * TICK_MS) / 1000)
    for (; this.credit >= 1 && this.up && this.out.size < this.window; this.credit--) {
      const stream = this.prng.pick(this.streams)
      const packetId = this.freeId()
      const message = { stream, n: ++stream.sent, sentAt: performance.now(), released: false }
      this.out.set(packetId, message)
      this.send(packetId, message, false)
    }
    this.later(TICK_MS, () => this.tick())
  }

  private freeId(): number {
    do this.lastId = (this.lastId % 65_535) + 1
    while (this.out.has(this.lastId))
    return this.lastId
  }

  private send(packetId: number, { stream, n }: Outgoing, dup: boolean): void {
    const { topic, qos } = stream
    const payload = utf8(stream.text(n))
    this.say((w) => {
      const name = utf8(topic)
      const { version } = this.spec
      writePublish(w, version, name, payload, 0, payload.length, qos, false, dup, packetId, null, -1, null, 0)
    })
  }

  protected onUp(sessionPresent: boolean, receiveMaximum: number): void {
    this.window = Math.min(WINDOW_MAX, receiveMaximum)
    for (const [packetId, message] of this.out) {
      // Without a session the server knows nothing of it: what it had taken over is its loss, the rest is sent anew.
      if (message.released && !sessionPresent) this.out.delete(packetId)
      else if (message.released) this.ack(PacketType.pubrel, packetId)
      else this.send(packetId, message, sessionPresent)
    }
  }

  protected onDown(): void {}

  protected onPacket(packet: ServerPacket): void {
    if (packet.cmd === 'puback') this.onPuback(packet.packetId, packet.reason)
    else if (packet.cmd === 'pubrec') this.onPubrec(packet.packetId, packet.reason)
    else if (packet.cmd === 'pubcomp') this.onPubcomp(packet.packetId)
    else this.book.fault(this.spec.id, `${packet.cmd} for a publisher`)
  }

  private onPuback(packetId: number, reason: number): void {
    const message = this.out.get(packetId)
    if (message?.stream.qos !== 1) return this.book.fault(this.spec.id, `PUBACK ${packetId} for nothing`)
    this.out.delete(packetId)
    this.accepted(message, reason)
  }

  private onPubrec(packetId: number, reason: number): void {
    const message = this.out.get(packetId)
    if (message?.stream.qos !== 2 || message.released) {
      return this.book.fault(this.spec.id, `PUBREC ${packetId} for nothing`)
    }
    if (reason >= 0x80) this.out.delete(packetId)
    this.accepted(message, reason)
    message.released = true
    if (reason < 0x80) this.ack(PacketType.pubrel, packetId)
  }

  private onPubcomp(packetId: number): void {
    if (this.out.get(packetId)?.released !== true) {
      return this.book.fault(this.spec.id, `PUBCOMP ${packetId} for nothing`)
    }
    this.out.delete(packetId)
  }

  private accepted({ stream, n, sentAt }: Outgoing, reason: number): void {
    if (reason >= 0x80) return this.book.fault(this.spec.id, `${stream.text(n)} refused with ${reason.toString(16)}`)
    this.book.acknowledged(stream, n)
    this.onAcked(sentAt)
  }
}
