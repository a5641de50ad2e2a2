// Packet: what an MQTT packet is once decoded, the same for 3.1, 3.1.1 and 5.0. Knows no bytes and no sockets.
// PUBLISH and the four acknowledgements never become objects of this union: the decoder hands them over in place (decoder.ts).

export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const
export type PacketType = (typeof PacketType)[keyof typeof PacketType]
export type AckType = 4 | 5 | 6 | 7

/** 3 is MQTT 3.1 ("MQIsdp"), 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5
export type QoS = 0 | 1 | 2

export const SESSION_NEVER_EXPIRES = 0xffff_ffff

/** A will as it is kept and replicated. */
export type Will = {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  /** Seconds; 0 for 3.x. */
  readonly delay: number
  /** Properties that travel with the message, encoded as in PUBLISH (publish_props.ts); null when there are none. */
  readonly props: Uint8Array | null
  /** Message expiry interval in seconds; -1: none. */
  readonly expiry: number
}

export type Connect = {
  readonly cmd: 'connect'
  readonly version: Version
  readonly clientId: string
  /** Clean Start of 5.0, Clean Session of 3.x. */
  readonly cleanStart: boolean
  /** Seconds; 0: none. */
  readonly keepAlive: number
  readonly username: string | null
  readonly password: Uint8Array | null
  readonly will: Will | null
  /** Seconds the session outlives its connection; 3.x: 0 with Clean Session, else SESSION_NEVER_EXPIRES. */
  readonly sessionExpiry: number
  /** 65 535 where the client names none. */
  readonly receiveMaximum: number
  /** Bytes; Infinity where the client names none. */
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  readonly requestResponseInformation: boolean
  readonly requestProblemInformation: boolean
  readonly authMethod: string | null
  readonly authData: Uint8Array | null
}

export type SubscribeRequest = {
  readonly filter: string
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
}

export type Subscribe = {
  readonly cmd: 'subscribe'
  readonly packetId: number
  readonly subscriptions: readonly SubscribeRequest[]
  /** 0: none. */
  readonly subscriptionId: number
}

export type Unsubscribe = {
  readonly cmd: 'unsubscribe'
  readonly packetId: number
  readonly filters: readonly string[]
}

export type Disconnect = {
  readonly cmd: 'disconnect'
  readonly reason: number
  /** Seconds; -1: not named. */
  readonly sessionExpiry: number
}

export type Auth = {
  readonly cmd: 'auth'
  readonly reason: number
  readonly method: string | null
  readonly data: Uint8Array | null
}

export type ControlPacket = Connect | Subscribe | Unsubscribe | Disconnect | Auth

/** What the decoder sends inwards. Every call is synchronous; views are borrowed until it returns. */
export interface PacketSink {
  onPublish(publish: PublishView): void
  onAck(type: AckType, packetId: number, reason: number): void
  onPingreq(): void
  onControl(packet: ControlPacket): void
  /** A client's fault; the decoder has stopped and takes no more bytes. */
  onFault(reason: number, text: string): void
}

/** One PUBLISH in place: one instance per decoder, overwritten by the next packet. */
export class PublishView {
  /** The bytes the packet lies in: borrowed until onPublish returns. */
  buf: Uint8Array = new Uint8Array(0)
  qos: QoS = 0
  retain = false
  dup = false
  /** 0 with QoS 0. */
  packetId = 0
  /** Topic as bytes of buf; empty with a topic alias alone. */
  topicStart = 0
  topicEnd = 0
  payloadStart = 0
  payloadEnd = 0
  /** Seconds; -1: none. */
  expiry = -1
  /** 0: none. */
  topicAlias = 0
  /** Properties that are passed on as they are (format, content type, response topic, correlation data, user properties), in the order of arrival; owned. */
  props: Uint8Array | null = null
}
