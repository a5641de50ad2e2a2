// Subscriber: acknowledges what it gets, in order; keeps its QoS 2 identifiers across connections, so that a message sent again
// under the same identifier is one message.

import type { Prng } from '../../src/base/prng.ts'
import type { Delivery, ServerPacket } from '../../src/wire/client_decoder.ts'
import { writeSubscribe } from '../../src/wire/client_encoder.ts'
import { type AckType, PacketType, type QoS } from '../../src/wire/packet.ts'
import type { Account, Book } from './book.ts'
import { type ClientSpec, StrictClient } from './client.ts'

const SUBSCRIBE_ID = 1
const ACK_DELAY_MS = [0, 30] as const

export type SubscriberSpec = ClientSpec & {
  readonly qos: QoS
  /** Acknowledges a little later. */
  readonly slow: boolean
  /** Subscribes on every connection, as many clients do. */
  readonly resubscribes: boolean
}

export class Subscriber extends StrictClient {
  readonly account: Account
  /** A SUBACK was received. */
  subscribed = false
  private readonly own: SubscriberSpec
  /** QoS 2 identifiers received and not released, with what came under them. */
  private readonly held = new Map<number, string>()
  private owed: [AckType, number][] = []

  constructor(spec: SubscriberSpec, port: number, book: Book, prng: Prng) {
    super(spec, port, book, prng)
    this.own = spec
    this.account = book.account(spec.id, spec.qos)
  }

  protected onUp(sessionPresent: boolean): void {
    if (!sessionPresent) {
      this.held.clear()
      this.subscribed = false
    }
    if (this.subscribed && !this.own.resubscribes) return
    const filters = [{ filter: 'ledger/#', qos: this.own.qos, retainHandling: 2 as const }]
    this.say((w) => writeSubscribe(w, this.spec.version, SUBSCRIBE_ID, filters))
  }

  protected onDown(): void {
    this.owed = []
  }

  protected onPacket(packet: ServerPacket): void {
    const { book, spec } = this
    if (packet.cmd === 'publish') return this.onPublish(packet)
    if (packet.cmd === 'pubrel') {
      this.held.delete(packet.packetId)
      return this.owe(PacketType.pubcomp, packet.packetId)
    }
    if (packet.cmd !== 'suback') return book.fault(spec.id, `${packet.cmd} for a subscriber`)
    if (packet.codes[0] !== this.own.qos) book.fault(spec.id, `SUBACK grants ${packet.codes} for ${this.own.qos}`)
    this.subscribed = true
  }

  private onPublish({ topic, payload, qos, dup, packetId }: Delivery): void {
    const text = new TextDecoder().decode(payload)
    if (qos === 0) return this.book.fault(this.spec.id, `${text} with QoS 0`)
    if (qos === 1) {
      this.book.received(this.account, topic, text)
      return this.owe(PacketType.puback, packetId)
    }
    const held = this.held.get(packetId)
    if (held === undefined) {
      this.held.set(packetId, text)
      this.book.received(this.account, topic, text)
    } else if (held !== text) this.book.fault(this.spec.id, `${text} under ${packetId}, which still holds ${held}`)
    else if (!dup) this.book.fault(this.spec.id, `${text} again under ${packetId} without DUP`)
    this.owe(PacketType.pubrec, packetId)
  }

  private owe(type: AckType, packetId: number): void {
    if (!this.own.slow) return this.ack(type, packetId)
    this.owed.push([type, packetId])
    if (this.owed.length === 1) this.later(this.prng.int(...ACK_DELAY_MS), () => this.pay())
  }

  private pay(): void {
    for (const [type, packetId] of this.owed.splice(0)) this.ack(type, packetId)
  }
}
