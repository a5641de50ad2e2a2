// Encoder: a server's packets appended to an output buffer, by hand: they are small and written once per message and client.
// Knows no session; who may see what, and which properties a client can bear, is decided before.
import { assert } from '../base/assert.ts'
import type { ByteWriter } from '../base/bytes.ts'
import { type AckType, PacketType, type Version } from './packet.ts'
import { Property } from './properties.ts'
import {
  binaryProperty,
  byteProperty,
  fittingText,
  flagProperty,
  properties,
  textProperty,
  u16Property,
  u32Property,
  writeProperties,
  writeVarint,
} from './property_writer.ts'
import { Reason, returnCodeV3 } from './reason.ts'
import { varintSize } from './text.ts'

export type ConnackFields = {
  sessionPresent: boolean
  reason: number
  sessionExpiry?: number | undefined
  receiveMaximum?: number | undefined
  maximumQos?: 0 | 1 | undefined
  retainAvailable?: boolean | undefined
  maximumPacketSize?: number | undefined
  assignedClientId?: string | undefined
  topicAliasMaximum?: number | undefined
  reasonString?: string | undefined
  wildcardAvailable?: boolean | undefined
  subscriptionIdsAvailable?: boolean | undefined
  sharedAvailable?: boolean | undefined
  serverKeepAlive?: number | undefined
  responseInformation?: string | undefined
  serverReference?: string | undefined
  authMethod?: string | undefined
  authData?: Uint8Array | undefined
}

export type DisconnectFields = {
  reason: number
  reasonString?: string | undefined
  serverReference?: string | undefined
  sessionExpiry?: number | undefined
}

export type AuthFields = {
  reason: number
  method?: string | undefined
  data?: Uint8Array | undefined
  reasonString?: string | undefined
}

const EXPIRY_BYTES = 5
const ALIAS_BYTES = 3
/** What an alias can add to a packet: its property, and a byte more for each of the two lengths. */
export const ALIAS_BYTES_MAX = ALIAS_BYTES + 2

function publishPropsSize(
  props: Uint8Array | null,
  expiry: number,
  subscriptionIds: readonly number[] | null,
  topicAlias: number,
): number {
  let size = props === null ? 0 : props.length
  if (expiry >= 0) size += EXPIRY_BYTES
  if (topicAlias !== 0) size += ALIAS_BYTES
  if (subscriptionIds !== null) for (const id of subscriptionIds) size += 1 + varintSize(id)
  return size
}

/** Bytes of the whole PUBLISH that writePublish would append with these arguments. */
export function publishSize(
  version: Version,
  topicLength: number,
  payloadLength: number,
  qos: number,
  props: Uint8Array | null,
  expiry: number,
  subscriptionIds: readonly number[] | null,
  topicAlias: number,
): number {
  let length = 2 + topicLength + payloadLength + (qos === 0 ? 0 : 2)
  if (version === 5) {
    const propsSize = publishPropsSize(props, expiry, subscriptionIds, topicAlias)
    length += varintSize(propsSize) + propsSize
  }
  return 1 + varintSize(length) + length
}

/** Offset of the topic alias in the PUBLISH of 5.0 that writePublish has just written with these properties. */
export function topicAliasAt(w: ByteWriter, payloadLength: number, props: Uint8Array | null, expiry: number): number {
  return w.length - payloadLength - publishPropsSize(props, expiry, null, 1) + 1
}

/**
 * @param topic UTF-8; empty where the alias stands for it
 * @param props as PublishView.props; null: none
 * @param expiry seconds; -1: none
 * @param topicAlias 0: none
 * @returns offset of the packet identifier in w.buf, so that a copy can be given another one; -1 with QoS 0
 */
export function writePublish(
  w: ByteWriter,
  version: Version,
  topic: Uint8Array,
  payload: Uint8Array,
  payloadStart: number,
  payloadEnd: number,
  qos: number,
  retain: boolean,
  dup: boolean,
  packetId: number,
  props: Uint8Array | null,
  expiry: number,
  subscriptionIds: readonly number[] | null,
  topicAlias: number,
): number {
  const topicLength = topic.length
  let length = 2 + topicLength + payloadEnd - payloadStart + (qos === 0 ? 0 : 2)
  let propsSize = 0
  if (version === 5) {
    propsSize = publishPropsSize(props, expiry, subscriptionIds, topicAlias)
    length += varintSize(propsSize) + propsSize
  }
  w.reserve(5 + length)
  const { buf } = w
  let at = w.length
  buf[at++] = (PacketType.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let rest = length
  while (rest >= 0x80) {
    buf[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buf[at++] = rest
  buf[at++] = topicLength >>> 8
  buf[at++] = topicLength & 0xff
  w.length = at
  w.copy(topic, 0, topicLength)
  let packetIdAt = -1
  if (qos !== 0) {
    packetIdAt = w.length
    buf[packetIdAt] = packetId >>> 8
    buf[packetIdAt + 1] = packetId & 0xff
    w.length += 2
  }
  if (version === 5) {
    if (propsSize === 0) buf[w.length++] = 0
    else writePublishProps(w, propsSize, props, expiry, subscriptionIds, topicAlias)
  }
  w.copy(payload, payloadStart, payloadEnd)
  return packetIdAt
}

function writePublishProps(
  w: ByteWriter,
  size: number,
  props: Uint8Array | null,
  expiry: number,
  subscriptionIds: readonly number[] | null,
  topicAlias: number,
): void {
  writeVarint(w, size)
  if (topicAlias !== 0) {
    w.u8(Property.topicAlias)
    w.u16(topicAlias)
  }
  if (expiry >= 0) {
    w.u8(Property.messageExpiryInterval)
    w.u32(expiry)
  }
  if (subscriptionIds !== null) {
    for (const id of subscriptionIds) {
      w.u8(Property.subscriptionIdentifier)
      writeVarint(w, id)
    }
  }
  if (props !== null) w.copy(props) // [MQTT-3.3.2-17] [MQTT-3.3.2-18]
}

/** The short form wherever it says the same. */
export function writeAck(w: ByteWriter, type: AckType, packetId: number, reason: number, version: Version): void {
  const long = version === 5 && reason !== Reason.success
  w.reserve(5)
  const { buf } = w
  const at = w.length
  buf[at] = (type << 4) | (type === PacketType.pubrel ? 2 : 0)
  buf[at + 1] = long ? 3 : 2
  buf[at + 2] = packetId >>> 8
  buf[at + 3] = packetId & 0xff
  if (long) buf[at + 4] = reason
  w.length = at + (long ? 5 : 4)
}

/** An acknowledgement of 5.0 that says why in words, where they fit [MQTT-3.4.2-2] [MQTT-3.5.2-2]. */
export function writeAckInWords(
  w: ByteWriter,
  type: AckType,
  packetId: number,
  reason: number,
  words: string | undefined,
  bytesMax: number,
): void {
  properties.clear()
  fittingText(Property.reasonString, words, 3, bytesMax)
  if (properties.length === 0) return writeAck(w, type, packetId, reason, 5)
  w.u8((type << 4) | (type === PacketType.pubrel ? 2 : 0))
  writeVarint(w, 3 + varintSize(properties.length) + properties.length)
  w.u16(packetId)
  w.u8(reason)
  writeProperties(w)
}

export function writePingresp(w: ByteWriter): void {
  w.u8(PacketType.pingresp << 4)
  w.u8(0)
}

/** @param bytesMax the client's Maximum Packet Size, for which a server reference and words are left out, but nothing else */
export function writeConnack(
  w: ByteWriter,
  version: Version,
  fields: ConnackFields,
  bytesMax = Number.POSITIVE_INFINITY,
): void {
  // Session present only with success [MQTT-3.2.2-6]; MQTT 3.1 has no such flag.
  const present = fields.sessionPresent && fields.reason === Reason.success && version !== 3 ? 1 : 0
  w.u8(PacketType.connack << 4)
  if (version !== 5) {
    w.u8(2)
    w.u8(present)
    const code = returnCodeV3(fields.reason)
    assert(code !== null, 'a refusal that 3.x cannot be told is not told')
    w.u8(code)
    return
  }
  properties.clear()
  u32Property(Property.sessionExpiryInterval, fields.sessionExpiry)
  u16Property(Property.receiveMaximum, fields.receiveMaximum)
  byteProperty(Property.maximumQos, fields.maximumQos)
  flagProperty(Property.retainAvailable, fields.retainAvailable)
  u32Property(Property.maximumPacketSize, fields.maximumPacketSize)
  textProperty(Property.assignedClientIdentifier, fields.assignedClientId)
  u16Property(Property.topicAliasMaximum, fields.topicAliasMaximum)
  flagProperty(Property.wildcardSubscriptionAvailable, fields.wildcardAvailable)
  flagProperty(Property.subscriptionIdentifierAvailable, fields.subscriptionIdsAvailable)
  flagProperty(Property.sharedSubscriptionAvailable, fields.sharedAvailable)
  u16Property(Property.serverKeepAlive, fields.serverKeepAlive)
  textProperty(Property.responseInformation, fields.responseInformation)
  fittingText(Property.serverReference, fields.serverReference, 2, bytesMax) // [MQTT-3.1.2-24]
  textProperty(Property.authenticationMethod, fields.authMethod)
  binaryProperty(Property.authenticationData, fields.authData)
  fittingText(Property.reasonString, fields.reasonString, 2, bytesMax) // [MQTT-3.2.2-19]
  writeVarint(w, 2 + varintSize(properties.length) + properties.length)
  w.u8(present)
  w.u8(fields.reason)
  writeProperties(w)
}

/**
 * @param codes one per requested subscription, in their order [MQTT-3.8.4-6]; 3.x knows one failure, 0x80
 * @param words why some were refused; 5.0 only, and where they fit
 */
export function writeSuback(
  w: ByteWriter,
  version: Version,
  packetId: number,
  codes: readonly number[],
  words?: string | undefined,
  bytesMax = Number.POSITIVE_INFINITY,
): void {
  properties.clear()
  if (version === 5) fittingText(Property.reasonString, words, 2 + codes.length, bytesMax) // [MQTT-3.9.2-1]
  const listed = version === 5 ? varintSize(properties.length) + properties.length : 0
  w.u8(PacketType.suback << 4)
  writeVarint(w, 2 + listed + codes.length)
  w.u16(packetId)
  if (version === 5) writeProperties(w)
  for (const code of codes) w.u8(version === 5 || code < 0x80 ? code : 0x80)
}

/** @param codes one per filter, in their order; 3.x has none */
export function writeUnsuback(w: ByteWriter, version: Version, packetId: number, codes: readonly number[]): void {
  w.u8(PacketType.unsuback << 4)
  writeVarint(w, version === 5 ? 3 + codes.length : 2)
  w.u16(packetId)
  if (version !== 5) return
  w.u8(0)
  for (const code of codes) w.u8(code)
}

/** A server's DISCONNECT: MQTT 5.0 only. @param bytesMax the client's Maximum Packet Size, for which texts are left out */
export function writeDisconnect(w: ByteWriter, fields: DisconnectFields, bytesMax = Number.POSITIVE_INFINITY): void {
  properties.clear()
  u32Property(Property.sessionExpiryInterval, fields.sessionExpiry)
  fittingText(Property.serverReference, fields.serverReference, 1, bytesMax)
  fittingText(Property.reasonString, fields.reasonString, 1, bytesMax) // [MQTT-3.14.2-3]
  writeReasoned(w, PacketType.disconnect, fields.reason)
}

export function writeAuth(w: ByteWriter, fields: AuthFields): void {
  properties.clear()
  textProperty(Property.authenticationMethod, fields.method)
  binaryProperty(Property.authenticationData, fields.data)
  textProperty(Property.reasonString, fields.reasonString)
  writeReasoned(w, PacketType.auth, fields.reason)
}

/** A packet that is a reason and `properties`, leaving out what need not be said. */
function writeReasoned(w: ByteWriter, type: PacketType, reason: number): void {
  w.u8(type << 4)
  if (properties.length === 0) {
    w.u8(reason === 0 ? 0 : 1)
    if (reason !== 0) w.u8(reason)
    return
  }
  writeVarint(w, 1 + varintSize(properties.length) + properties.length)
  w.u8(reason)
  writeProperties(w)
}
