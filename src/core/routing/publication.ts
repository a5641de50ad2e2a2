// Publication: one publish on its way through the node, before (and often without) becoming a kept message. One instance is
// reused: the hot path to connected clients makes no object.

import type { BootId, Hlc } from '../../base/brand.ts'
import { copyBytes, NO_BYTES } from '../../base/bytes.ts'
import { Message } from '../../session/message.ts'
import { TopicRef } from '../../topic/topics.ts'
import type { QoS } from '../../wire/packet.ts'

export class Publication {
  topic: TopicRef = new TopicRef('', NO_BYTES)
  qos: QoS = 0
  retain = false
  buf: Uint8Array = NO_BYTES
  payloadStart = 0
  payloadEnd = 0
  props: Uint8Array | null = null
  /** Seconds left; -1: none. */
  expiry = -1
  publisher = ''
  private kept: Message | null = null

  begin(topic: TopicRef, qos: QoS, retain: boolean, publisher: string): void {
    this.topic = topic
    this.qos = qos
    this.retain = retain
    this.publisher = publisher
    this.kept = null
  }

  content(buf: Uint8Array, start: number, end: number, props: Uint8Array | null, expiry: number): void {
    this.buf = buf
    this.payloadStart = start
    this.payloadEnd = end
    this.props = props
    this.expiry = expiry
  }

  /** The message already exists: it came from the peer or is a will. */
  from(message: Message, expiry: number): void {
    this.begin(message.topic, message.qos, message.retain, message.publisher)
    this.content(message.payload, 0, message.payload.length, message.props, expiry)
    this.kept = message
  }

  /** The kept form, made at its first use: owns its bytes. */
  message(identify: () => { origin: BootId; seq: number; hlc: Hlc }, now: number): Message {
    if (this.kept !== null) return this.kept
    const { origin, seq, hlc } = identify()
    const expiresAt = this.expiry < 0 ? Number.POSITIVE_INFINITY : now + this.expiry * 1000
    const payload = copyBytes(this.buf, this.payloadStart, this.payloadEnd)
    this.kept = new Message(
      origin,
      seq,
      hlc,
      this.topic,
      payload,
      this.qos,
      this.retain,
      this.props,
      expiresAt,
      this.publisher,
    )
    return this.kept
  }

  /** As Message.bytes. */
  get bytes(): number {
    const { topic, props } = this
    return this.payloadEnd - this.payloadStart + topic.bytes.length + (props === null ? 0 : props.length)
  }

  get isKept(): boolean {
    return this.kept !== null
  }

  end(): void {
    this.buf = NO_BYTES
    this.props = null
    this.kept = null
  }
}
