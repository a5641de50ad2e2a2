// Message: one published message as it is kept: payload once, however many queues refer to it. Knows no sockets.
import type { BootId, Hlc } from '../base/brand.ts'
import type { TopicRef } from '../topic/topics.ts'
import type { QoS } from '../wire/packet.ts'

export class Message {
  /** Global id: the start of the node that accepted it, and its count there. */
  readonly origin: BootId
  readonly seq: number
  readonly hlc: Hlc
  readonly topic: TopicRef
  /** Owned by the message. */
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  /** Properties passed on as they came, encoded; null when there are none. */
  readonly props: Uint8Array | null
  /** Monotonic milliseconds after which it is not delivered any more; Infinity: never. */
  readonly expiresAt: number
  readonly publisher: string
  /** Bytes of payload, properties and topic name: what a bound in bytes counts. */
  readonly bytes: number
  /** Queue entries, shadows and retained topics that refer to it. */
  refs = 0
  /** Its number in the store; 0 while it is not on disk. */
  row = 0
  /** The turn that must be released before it may be sent at all (a QoS 2 publish with a recorded identifier); 0: none. */
  commit = 0

  constructor(
    origin: BootId,
    seq: number,
    hlc: Hlc,
    topic: TopicRef,
    payload: Uint8Array,
    qos: QoS,
    retain: boolean,
    props: Uint8Array | null,
    expiresAt: number,
    publisher: string,
  ) {
    this.origin = origin
    this.seq = seq
    this.hlc = hlc
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
    this.props = props
    this.expiresAt = expiresAt
    this.publisher = publisher
    this.bytes = payload.length + topic.bytes.length + (props === null ? 0 : props.length)
  }

  same(other: Message): boolean {
    return this.seq === other.seq && this.origin === other.origin
  }
}

/** Seconds left for the Message Expiry Interval at `now`, rounded up; -1 when the message never expires. */
export function expiryLeft(message: Message, now: number): number {
  if (message.expiresAt === Number.POSITIVE_INFINITY) return -1
  return Math.max(0, Math.ceil((message.expiresAt - now) / 1000))
}
