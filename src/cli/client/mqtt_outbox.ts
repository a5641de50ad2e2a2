// MqttOutbox: the messages a client was given and the server has not taken yet, over losses of the connection. Knows no sockets.
import { assert } from '../../base/assert.ts'
import { type ByteWriter, utf8 } from '../../base/bytes.ts'
import { type ConnackFields, writeAck, writePublish } from '../../wire/encoder.ts'
import { PacketType, type QoS, type Version } from '../../wire/packet.ts'
import { Reason } from '../../wire/reason.ts'

/** Messages under way where the server names no Receive Maximum. */
const INFLIGHT_MAX = 100

export type Message = {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly props: Uint8Array | null
  readonly expiry: number
  readonly topicAlias: number
}

/** `released`: PUBREC has come, the message itself is no longer needed. */
type Outgoing = { readonly message: Message; released: boolean }

/**
 * The server has taken it, or refused it, by its CONNACK already where that names a limit; `reason` as in the acknowledgement, 0 with
 * QoS 0, `words` more of a refusal.
 */
export type OnPublished = (message: Message, reason: number, words?: string) => void

export class MqttOutbox {
  private readonly out: ByteWriter
  private readonly version: Version
  private readonly onPublished: OnPublished
  private readonly outgoing = new Map<number, Outgoing>()
  private waiting: Message[] = []
  private lastPacketId = 0
  private inflightMax = INFLIGHT_MAX
  /** What the server of this connection takes. */
  private limits: Partial<ConnackFields> = {}

  constructor(out: ByteWriter, version: Version, onPublished: OnPublished) {
    this.out = out
    this.version = version
    this.onPublished = onPublished
  }

  get pending(): number {
    return this.outgoing.size + this.waiting.length
  }

  /** The first message under way; null: none is. */
  get oldest(): Message | null {
    return this.outgoing.values().next().value?.message ?? null
  }

  push(message: Message): void {
    this.waiting.push(message)
  }

  /** Writes as many of the waiting messages as may be under way. */
  pump(): void {
    while (this.waiting.length > 0 && this.outgoing.size < this.inflightMax) {
      const message = this.waiting.shift() as Message
      const packetId = message.qos === 0 ? 0 : this.nextPacketId()
      if (packetId > 0) this.outgoing.set(packetId, { message, released: false })
      if (this.send(message, packetId, false) && packetId === 0) this.onPublished(message, 0)
    }
  }

  /** What was under way is sent again; to a server without our session as new messages. */
  resume(connack: ConnackFields): void {
    const { sessionPresent, receiveMaximum = INFLIGHT_MAX } = connack
    this.limits = connack
    this.inflightMax = Math.min(INFLIGHT_MAX, receiveMaximum)
    for (const [packetId, { message, released }] of this.outgoing) {
      if (!released) this.send(message, packetId, sessionPresent)
      else if (sessionPresent) writeAck(this.out, PacketType.pubrel, packetId, 0, this.version)
      else this.finish(packetId, 0)
    }
  }

  onPubrec(packetId: number, reason: number, words?: string): void {
    if (reason >= Reason.unspecifiedError) {
      this.finish(packetId, reason, words)
      return
    }
    const item = this.outgoing.get(packetId)
    if (item !== undefined) item.released = true
    writeAck(
      this.out,
      PacketType.pubrel,
      packetId,
      item === undefined ? Reason.packetIdentifierNotFound : 0,
      this.version,
    )
  }

  /** PUBACK, PUBCOMP or a refusal. */
  finish(packetId: number, reason: number, words?: string): void {
    const item = this.outgoing.get(packetId)
    if (item === undefined) return
    this.outgoing.delete(packetId)
    this.onPublished(item.message, reason, words)
  }

  nextPacketId(): number {
    assert(this.outgoing.size < 0xffff, 'packet identifiers are left')
    do this.lastPacketId = (this.lastPacketId % 0xffff) + 1
    while (this.outgoing.has(this.lastPacketId))
    return this.lastPacketId
  }

  /** @returns false where it is more than the server takes: it is refused then, and nothing is sent (MQTT-3.2.2-11, -14 and -15) */
  private send(message: Message, packetId: number, dup: boolean): boolean {
    const { maximumQos = 2, retainAvailable = true, maximumPacketSize = Number.POSITIVE_INFINITY } = this.limits
    const start = this.out.length
    this.write(message, packetId, dup)
    if (message.qos > maximumQos)
      return this.refuse(message, packetId, start, Reason.qosNotSupported, `at most ${maximumQos}`)
    if (message.retain && !retainAvailable) return this.refuse(message, packetId, start, Reason.retainNotSupported)
    if (this.out.length - start <= maximumPacketSize) return true
    return this.refuse(message, packetId, start, Reason.packetTooLarge, `at most ${maximumPacketSize} bytes`)
  }

  /** @param start where what was written for it begins */
  private refuse(message: Message, packetId: number, start: number, reason: number, words?: string): false {
    this.out.length = start
    this.outgoing.delete(packetId)
    this.onPublished(message, reason, words)
    return false
  }

  private write(message: Message, packetId: number, dup: boolean): void {
    const { topic, payload, qos, retain, props, expiry, topicAlias } = message
    const name = utf8(topic)
    const end = payload.length
    writePublish(
      this.out,
      this.version,
      name,
      payload,
      0,
      end,
      qos,
      retain,
      dup,
      packetId,
      props,
      expiry,
      null,
      topicAlias,
    )
  }
}
