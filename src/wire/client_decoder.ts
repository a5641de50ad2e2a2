// Client decoder: a server's byte stream into plain objects, for `tandemq pub` and `sub`, the bench and the simulator's
// clients. As strict as the server's side, so that what we send is judged by somebody.
import type { IConnackPacket, IDisconnectPacket, ISubackPacket, Packet } from 'mqtt-packet'
import { copyBytes, utf8Text } from '../base/bytes.ts'
import { ackFault } from './decoder.ts'
import type { ConnackFields, DisconnectFields } from './encoder.ts'
import { Framer } from './framer.ts'
import { decodeMessageProps, type MessageProps } from './message_props.ts'
import { parseFrame } from './mqtt_packet.ts'
import { type AckType, PacketType, type QoS, type Version } from './packet.ts'
import { list, Place, propertiesFault, propertyList } from './properties.ts'
import { scanned, scanPublishProps } from './publish_props.ts'
import { Reason } from './reason.ts'
import { fieldEnd, topicNameFault } from './text.ts'
import { malformed, protocolError, SURPLUS, TRUNCATED, type WireFault } from './wire_fault.ts'

const BAD_FLAGS = malformed('fixed header flags')
const FROM_SERVER = protocolError('packet that only a client may send')
const BEFORE_5 = protocolError('packet that came with MQTT 5.0')
const BAD_QOS = malformed('QoS 3, or DUP with QoS 0')
const ID_ZERO = protocolError('packet identifier 0')
const NO_TOPIC = protocolError('neither topic nor topic alias')
const UNKNOWN_ALIAS = protocolError('topic alias without a topic')
const ALIAS_TOO_HIGH: WireFault = { reason: Reason.topicAliasInvalid, text: 'topic alias above Topic Alias Maximum' }

export type Delivery = MessageProps & {
  cmd: 'publish'
  topic: string
  payload: Uint8Array
  qos: QoS
  retain: boolean
  dup: boolean
  /** 0 with QoS 0. */
  packetId: number
  /** The properties of MessageProps as they came; null when there are none. */
  props: Uint8Array | null
  subscriptionIds: readonly number[] | null
  /** Seconds; -1: none. */
  expiry: number
  /** 0: none. */
  topicAlias: number
  /** The name did not come: the alias stands for it. */
  aliased: boolean
}

const ackNames = { 4: 'puback', 5: 'pubrec', 6: 'pubrel', 7: 'pubcomp' } as const

export type ServerPacket =
  /** `reason` is the return code with 3.x. */
  | ({ cmd: 'connack' } & ConnackFields)
  | Delivery
  | { cmd: (typeof ackNames)[AckType]; packetId: number; reason: number; reasonString?: string }
  | { cmd: 'suback'; packetId: number; codes: readonly number[]; reasonString?: string }
  /** No codes with 3.x. */
  | { cmd: 'unsuback'; packetId: number; codes: readonly number[] }
  | { cmd: 'pingresp' }
  | ({ cmd: 'disconnect' } & DisconnectFields)
  | { cmd: 'auth'; reason: number; method: string | null; data: Uint8Array | null }

export interface ServerSink {
  /** The packet is the sink's to keep. */
  onPacket(packet: ServerPacket): void
  /** The decoder has stopped and takes no more bytes. */
  onFault(reason: number, text: string): void
}

export class ClientDecoder extends Framer {
  readonly version: Version
  /** What this client's CONNECT said. */
  topicAliasMaximum = 0
  private readonly sink: ServerSink
  /** What the server calls its topics, by alias. */
  private readonly aliases = new Map<number, string>()

  constructor(version: Version, sink: ServerSink, packetBytesMax = 256 * 1024 * 1024) {
    super(packetBytesMax)
    this.opened = true
    this.version = version
    this.sink = sink
  }

  protected firstByteFault(): WireFault | null {
    return null
  }

  protected onFrameFault(fault: WireFault): void {
    this.stop()
    this.sink.onFault(fault.reason, fault.text)
  }

  protected onFrame(buf: Uint8Array, start: number, body: number, end: number): void {
    const packet = decodeServerPacket(buf, start, body, end, this.version)
    if (!('cmd' in packet)) return this.onFrameFault(packet)
    const fault = packet.cmd === 'publish' && packet.topicAlias !== 0 ? this.resolve(packet) : null
    if (fault === null) this.sink.onPacket(packet)
    else this.onFrameFault(fault)
  }

  private resolve(packet: Delivery): WireFault | null {
    const { topicAlias } = packet
    if (topicAlias > this.topicAliasMaximum) return ALIAS_TOO_HIGH
    if (!packet.aliased) this.aliases.set(topicAlias, packet.topic)
    const topic = this.aliases.get(topicAlias)
    if (topic === undefined) return UNKNOWN_ALIAS
    packet.topic = topic
    return null
  }
}

function decodeServerPacket(
  buf: Uint8Array,
  start: number,
  body: number,
  end: number,
  version: Version,
): ServerPacket | WireFault {
  const first = buf[start] as number
  const type = first >> 4
  if (type === PacketType.publish) return decodeDelivery(buf, first, body, end, version)
  if (type >= PacketType.puback && type <= PacketType.pubcomp) {
    const fault = ackFault(buf, first, body, end, version)
    if (fault !== null) return fault
    const reason = end - body > 2 ? (buf[body + 2] as number) : 0
    const ack = { cmd: ackNames[type as AckType], packetId: u16(buf, body), reason }
    return end - body <= 3 ? ack : { ...ack, ...reasonStringOf(parseFrame(buf.subarray(start, end), version)) }
  }
  if ((first & 0xf) !== 0) return BAD_FLAGS
  if (type === PacketType.pingresp) return body === end ? { cmd: 'pingresp' } : SURPLUS
  const fault = controlFault(buf, type, body, end, version)
  if (fault !== null) return fault
  // Shorter than mqtt-packet accepts.
  if (type === PacketType.auth && body === end) return { cmd: 'auth', reason: 0, method: null, data: null }
  const packet = parseFrame(buf.subarray(start, end), version)
  return 'cmd' in packet ? fromMqttPacket(packet) : packet
}

/** Checks what surrounds the properties, and those; mqtt-packet reads the rest. */
function controlFault(buf: Uint8Array, type: number, body: number, end: number, version: Version): WireFault | null {
  let at = body + 2
  let place: Place = Place.ack
  switch (type) {
    case PacketType.connack:
      place = Place.connack
      break
    case PacketType.suback:
    case PacketType.unsuback:
      if (end - body >= 2 && u16(buf, body) === 0) return ID_ZERO
      break
    case PacketType.disconnect:
    case PacketType.auth:
      if (version !== 5) return BEFORE_5
      if (end - body < 2) return null
      at = body + 1
      place = type === PacketType.auth ? Place.auth : Place.disconnect
      break
    default:
      return FROM_SERVER
  }
  if (at > end) return TRUNCATED
  if (version === 5) {
    const fault = propertyList(buf, at, end) ?? propertiesFault(buf, list.start, list.end, place)
    if (fault !== null) return fault
    at = list.end
  }
  const open = type === PacketType.suback || (type === PacketType.unsuback && version === 5)
  if (open) return at === end ? TRUNCATED : null
  return at === end ? null : SURPLUS
}

function decodeDelivery(
  buf: Uint8Array,
  first: number,
  body: number,
  end: number,
  version: Version,
): Delivery | WireFault {
  const qos = (first >> 1) & 3
  const dup = (first & 8) !== 0
  if (qos === 3 || (qos === 0 && dup)) return BAD_QOS
  const topicEnd = fieldEnd(buf, body, end)
  if (topicEnd === -1) return TRUNCATED
  const topicFault = topicNameFault(buf, body + 2, topicEnd)
  if (topicFault !== null) return topicFault
  let at = topicEnd
  if (qos > 0 && at + 2 > end) return TRUNCATED
  const packetId = qos > 0 ? u16(buf, at) : 0
  if (qos > 0 && packetId === 0) return ID_ZERO
  if (qos > 0) at += 2
  const v5 = version === 5
  if (v5) {
    const fault = propertyList(buf, at, end) ?? scanPublishProps(buf, list.start, list.end, Place.delivery)
    if (fault !== null) return fault
    at = list.end
  }
  if (topicEnd === body + 2 && (!v5 || scanned.topicAlias === 0)) return NO_TOPIC
  return {
    cmd: 'publish',
    topic: utf8Text(buf.subarray(body + 2, topicEnd)) ?? '',
    payload: copyBytes(buf, at, end),
    qos: qos as QoS,
    retain: (first & 1) !== 0,
    dup,
    packetId,
    props: v5 ? scanned.props : null,
    subscriptionIds: v5 ? scanned.subscriptionIds : null,
    expiry: v5 ? scanned.expiry : -1,
    topicAlias: v5 ? scanned.topicAlias : 0,
    aliased: topicEnd === body + 2,
    ...decodeMessageProps(v5 ? scanned.props : null),
  }
}

function fromMqttPacket(packet: Packet): ServerPacket {
  switch (packet.cmd) {
    case 'connack':
      return { cmd: 'connack', ...connackFields(packet) }
    case 'suback':
    case 'unsuback': {
      const granted = (packet as ISubackPacket).granted as number[] | undefined
      const { cmd, messageId } = packet
      return { cmd, packetId: messageId as number, codes: granted ?? [], ...reasonStringOf(packet) }
    }
    case 'disconnect':
      return { cmd: 'disconnect', ...disconnectFields(packet) }
    default: {
      const { reasonCode, properties } = packet as Packet & { cmd: 'auth' }
      const data = properties?.authenticationData
      const method = properties?.authenticationMethod ?? null
      return { cmd: 'auth', reason: reasonCode ?? 0, method, data: data === undefined ? null : copyBytes(data) }
    }
  }
}

function reasonStringOf(packet: object): { reasonString?: string } {
  const { reasonString } = (packet as { properties?: { reasonString?: string } }).properties ?? {}
  return reasonString === undefined ? {} : { reasonString }
}

function connackFields(packet: IConnackPacket): ConnackFields {
  const { properties } = packet
  const authData = properties?.authenticationData
  return present({
    sessionPresent: packet.sessionPresent,
    reason: packet.reasonCode ?? packet.returnCode ?? 0,
    sessionExpiry: properties?.sessionExpiryInterval,
    receiveMaximum: properties?.receiveMaximum,
    maximumQos: properties?.maximumQoS as 0 | 1 | undefined,
    retainAvailable: properties?.retainAvailable,
    maximumPacketSize: properties?.maximumPacketSize,
    assignedClientId: properties?.assignedClientIdentifier,
    topicAliasMaximum: properties?.topicAliasMaximum,
    reasonString: properties?.reasonString,
    wildcardAvailable: properties?.wildcardSubscriptionAvailable,
    subscriptionIdsAvailable: properties?.subscriptionIdentifiersAvailable,
    sharedAvailable: properties?.sharedSubscriptionAvailable,
    serverKeepAlive: properties?.serverKeepAlive,
    responseInformation: properties?.responseInformation,
    serverReference: properties?.serverReference,
    authMethod: properties?.authenticationMethod,
    authData: authData === undefined ? undefined : copyBytes(authData),
  })
}

function disconnectFields(packet: IDisconnectPacket): DisconnectFields {
  const { properties } = packet
  return present({
    reason: packet.reasonCode ?? 0,
    reasonString: properties?.reasonString,
    serverReference: properties?.serverReference,
    sessionExpiry: properties?.sessionExpiryInterval,
  })
}

/** Leaves out what the packet does not name. */
function present<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

function u16(buf: Uint8Array, at: number): number {
  return ((buf[at] as number) << 8) | (buf[at + 1] as number)
}
