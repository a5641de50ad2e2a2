// Client encoder: a client's packets appended to an output buffer, for `tandemq pub` and `sub`, the bench and the simulator's
// clients. Says what it is told to, right or wrong. PUBLISH and the acknowledgements are the same in both directions (encoder.ts).
import { type ByteWriter, utf8 } from '../base/bytes.ts'
import { type DisconnectFields, writeDisconnect } from './encoder.ts'
import { encodeMessageProps, type MessageProps } from './message_props.ts'
import { PacketType, type QoS, type Version } from './packet.ts'
import { Property } from './properties.ts'
import {
  binaryProperty,
  flagProperty,
  properties,
  textProperty,
  u16Property,
  u32Property,
  writeProperties,
  writeVarint,
} from './property_writer.ts'
import { varintSize } from './text.ts'

export type WillFields = MessageProps & {
  topic: string
  payload: Uint8Array
  qos: QoS
  retain: boolean
  /** Seconds. */
  delay?: number | undefined
  /** Seconds. */
  expiry?: number | undefined
}

export type ConnectFields = {
  version: Version
  clientId: string
  cleanStart: boolean
  /** Seconds. */
  keepAlive: number
  username?: string | undefined
  password?: Uint8Array | undefined
  will?: WillFields | undefined
  sessionExpiry?: number | undefined
  receiveMaximum?: number | undefined
  maximumPacketSize?: number | undefined
  topicAliasMaximum?: number | undefined
  requestResponseInformation?: boolean | undefined
  requestProblemInformation?: boolean | undefined
  authMethod?: string | undefined
  authData?: Uint8Array | undefined
}

export type SubscribeFields = {
  filter: string
  qos: QoS
  noLocal?: boolean | undefined
  retainAsPublished?: boolean | undefined
  retainHandling?: 0 | 1 | 2 | undefined
}

export function writeConnect(w: ByteWriter, fields: ConnectFields): void {
  const { version, will, username, password } = fields
  const lengthAt = beginPacket(w, PacketType.connect << 4)
  writeText(w, version === 3 ? 'MQIsdp' : 'MQTT')
  w.u8(version)
  w.u8(
    (fields.cleanStart ? 0x02 : 0) |
      (will === undefined ? 0 : 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
      (password === undefined ? 0 : 0x40) |
      (username === undefined ? 0 : 0x80),
  )
  w.u16(fields.keepAlive)
  if (version === 5) writeConnectProperties(w, fields)
  writeText(w, fields.clientId)
  if (will !== undefined) writeWill(w, version, will)
  if (username !== undefined) writeText(w, username)
  if (password !== undefined) writeBinary(w, password)
  endPacket(w, lengthAt)
}

function writeConnectProperties(w: ByteWriter, fields: ConnectFields): void {
  properties.clear()
  u32Property(Property.sessionExpiryInterval, fields.sessionExpiry)
  u16Property(Property.receiveMaximum, fields.receiveMaximum)
  u32Property(Property.maximumPacketSize, fields.maximumPacketSize)
  u16Property(Property.topicAliasMaximum, fields.topicAliasMaximum)
  flagProperty(Property.requestResponseInformation, fields.requestResponseInformation)
  flagProperty(Property.requestProblemInformation, fields.requestProblemInformation)
  textProperty(Property.authenticationMethod, fields.authMethod)
  binaryProperty(Property.authenticationData, fields.authData)
  writeProperties(w)
}

function writeWill(w: ByteWriter, version: Version, will: WillFields): void {
  if (version === 5) {
    const passed = encodeMessageProps(will)
    properties.clear()
    u32Property(Property.willDelayInterval, will.delay)
    u32Property(Property.messageExpiryInterval, will.expiry)
    if (passed !== null) properties.copy(passed)
    writeProperties(w)
  }
  writeText(w, will.topic)
  writeBinary(w, will.payload)
}

/** @param subscriptionId 0: none; MQTT 5.0 only */
export function writeSubscribe(
  w: ByteWriter,
  version: Version,
  packetId: number,
  subscriptions: readonly SubscribeFields[],
  subscriptionId = 0,
): void {
  const lengthAt = beginPacket(w, (PacketType.subscribe << 4) | 2)
  w.u16(packetId)
  if (version === 5) {
    writeVarint(w, subscriptionId === 0 ? 0 : 1 + varintSize(subscriptionId))
    if (subscriptionId !== 0) {
      w.u8(Property.subscriptionIdentifier)
      writeVarint(w, subscriptionId)
    }
  }
  for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of subscriptions) {
    writeText(w, filter)
    const options = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | ((retainHandling ?? 0) << 4)
    w.u8(version === 5 ? qos | options : qos)
  }
  endPacket(w, lengthAt)
}

export function writeUnsubscribe(w: ByteWriter, version: Version, packetId: number, filters: readonly string[]): void {
  const lengthAt = beginPacket(w, (PacketType.unsubscribe << 4) | 2)
  w.u16(packetId)
  if (version === 5) w.u8(0)
  for (const filter of filters) writeText(w, filter)
  endPacket(w, lengthAt)
}

export function writePingreq(w: ByteWriter): void {
  w.u8(PacketType.pingreq << 4)
  w.u8(0)
}

/** A client's DISCONNECT, of which 3.x knows one. */
export function writeClientDisconnect(w: ByteWriter, version: Version, fields: DisconnectFields): void {
  writeDisconnect(w, version === 5 ? fields : { reason: 0 })
}

/** Starts a packet whose length is not known yet. */
function beginPacket(w: ByteWriter, first: number): number {
  w.u8(first)
  return w.length
}

/** Puts the remaining length where it belongs, moving the body behind it. */
function endPacket(w: ByteWriter, lengthAt: number): void {
  const length = w.length - lengthAt
  const size = varintSize(length)
  w.reserve(size)
  w.buf.copyWithin(lengthAt + size, lengthAt, w.length)
  w.length = lengthAt
  writeVarint(w, length)
  w.length += length
}

function writeText(w: ByteWriter, text: string): void {
  writeBinary(w, utf8(text))
}

function writeBinary(w: ByteWriter, bytes: Uint8Array): void {
  w.u16(bytes.length)
  w.copy(bytes)
}
