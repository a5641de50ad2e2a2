// Decoder: a client's byte stream into packets. PUBLISH, the acknowledgements and PINGREQ are read by hand where they lie,
// the rest goes through control.ts and connect.ts. Knows no session, no topic tree and no time.
import { NO_BYTES } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeConnect, readVersion } from './connect.ts'
import { decodeControl } from './control.ts'
import { Framer } from './framer.ts'
import { type AckType, type PacketSink, PacketType, PublishView, type QoS, type Version } from './packet.ts'
import { list, Place, Property, propertiesFault, propertyList } from './properties.ts'
import { scanned, scanPublishProps } from './publish_props.ts'
import { Reason } from './reason.ts'
import { fieldEnd, topicNameFault } from './text.ts'
import { malformed, protocolError, SURPLUS, TRUNCATED, type WireFault } from './wire_fault.ts'

const NOT_CONNECT = protocolError('first packet is not CONNECT') // [MQTT-3.1.0-1]
const SECOND_CONNECT = protocolError('second CONNECT') // [MQTT-3.1.0-2]
const FROM_CLIENT = protocolError('packet that only a server may send')
const RESERVED_TYPE = malformed('reserved packet type')
const BAD_FLAGS = malformed('fixed header flags') // [MQTT-2.1.3-1]
const LONG_LENGTH = malformed('remaining length takes more bytes than it needs')
const QOS_3 = malformed('QoS 3') // [MQTT-3.3.1-4]
const DUP_QOS_0 = malformed('DUP with QoS 0') // [MQTT-3.3.1-2]
const ID_ZERO = protocolError('packet identifier 0') // [MQTT-2.2.1-3]
const NO_TOPIC = protocolError('neither topic nor topic alias')
const BAD_REASON = protocolError('reason code not allowed in this packet')

export class Decoder extends Framer {
  /** 0 until the CONNECT's protocol version is known; then set even if the rest of it is refused, so that it can be answered. */
  version: 0 | Version = 0
  private readonly sink: PacketSink
  private readonly packetBytesMax: number
  /** Made with the first PUBLISH: most connections only listen. */
  private view: PublishView | null = null

  constructor(sink: PacketSink, packetBytesMax: number) {
    super(Math.min(LIMITS.connectBytesMax, packetBytesMax))
    this.sink = sink
    this.packetBytesMax = packetBytesMax
  }

  protected firstByteFault(first: number): WireFault | null {
    return first >> 4 === PacketType.connect ? null : NOT_CONNECT
  }

  protected onFrameFault(fault: WireFault): void {
    this.stop()
    this.sink.onFault(fault.reason, fault.text)
  }

  protected onFrame(buf: Uint8Array, start: number, body: number, end: number): void {
    const fault = this.decode(buf, start, body, end)
    if (fault !== null) this.onFrameFault(fault)
  }

  private decode(buf: Uint8Array, start: number, body: number, end: number): WireFault | null {
    const first = buf[start] as number
    const type = first >> 4
    if (body - start > 2 && buf[body - 1] === 0 && this.version === 5) return LONG_LENGTH // [MQTT-1.5.5-1]
    switch (type) {
      case PacketType.publish:
        return this.onPublish(buf, first, body, end)
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp:
        return this.onAck(buf, first, body, end)
      case PacketType.pingreq:
        if ((first & 0xf) !== 0) return BAD_FLAGS
        if (body !== end) return SURPLUS
        this.sink.onPingreq()
        return null
      case PacketType.connect:
        return this.onConnect(buf, start, body, end)
      case PacketType.subscribe:
      case PacketType.unsubscribe:
      case PacketType.disconnect:
      case PacketType.auth:
        return this.onControl(buf, start, body, end)
      case 0:
        return RESERVED_TYPE
      default:
        return FROM_CLIENT
    }
  }

  private onPublish(buf: Uint8Array, first: number, body: number, end: number): WireFault | null {
    const qos = (first >> 1) & 3
    if (qos === 3) return QOS_3
    if (qos === 0 && (first & 8) !== 0) return DUP_QOS_0
    const topicEnd = fieldEnd(buf, body, end)
    if (topicEnd === -1) return TRUNCATED
    const topicFault = topicNameFault(buf, body + 2, topicEnd)
    if (topicFault !== null) return topicFault
    let view = this.view
    if (view === null) view = this.view = new PublishView()
    let at = topicEnd
    view.packetId = 0
    if (qos !== 0) {
      if (at + 2 > end) return TRUNCATED
      view.packetId = ((buf[at] as number) << 8) | (buf[at + 1] as number)
      if (view.packetId === 0) return ID_ZERO
      at += 2
    }
    view.expiry = -1
    view.topicAlias = 0
    view.props = null
    if (this.version === 5) {
      if (buf[at] === 0 && at < end) at++
      else if (buf[at] === 3 && buf[at + 1] === Property.topicAlias && at + 4 <= end && (buf[at + 2] || buf[at + 3])) {
        // A topic alias alone: what a publisher sends that saves bytes.
        view.topicAlias = ((buf[at + 2] as number) << 8) | (buf[at + 3] as number)
        at += 4
      } else {
        const fault = propertyList(buf, at, end) ?? scanPublishProps(buf, list.start, list.end, Place.publish)
        if (fault !== null) return fault
        at = list.end
        view.expiry = scanned.expiry
        view.topicAlias = scanned.topicAlias
        view.props = scanned.props
      }
    }
    if (topicEnd === body + 2 && view.topicAlias === 0) return NO_TOPIC
    view.buf = buf
    view.qos = qos as QoS
    view.retain = (first & 1) !== 0
    view.dup = (first & 8) !== 0
    view.topicStart = body + 2
    view.topicEnd = topicEnd
    view.payloadStart = at
    view.payloadEnd = end
    this.sink.onPublish(view)
    view.buf = NO_BYTES // the chunk is borrowed: let it go
    return null
  }

  private onAck(buf: Uint8Array, first: number, body: number, end: number): WireFault | null {
    const type = (first >> 4) as AckType
    const fault = ackFault(buf, first, body, end, this.version)
    if (fault !== null) return fault
    const packetId = ((buf[body] as number) << 8) | (buf[body + 1] as number)
    this.sink.onAck(type, packetId, end - body > 2 ? (buf[body + 2] as number) : Reason.success)
    return null
  }

  private onConnect(buf: Uint8Array, start: number, body: number, end: number): WireFault | null {
    if (this.version !== 0) return SECOND_CONNECT
    if (((buf[start] as number) & 0xf) !== 0) return BAD_FLAGS
    const version = readVersion(buf, body, end)
    if (typeof version !== 'number') return version
    this.version = version
    this.opened = true
    this.bytesMax = this.packetBytesMax
    const packet = decodeConnect(buf, start, body, end, version)
    if (!('cmd' in packet)) return packet
    this.sink.onControl(packet)
    return null
  }

  private onControl(buf: Uint8Array, start: number, body: number, end: number): WireFault | null {
    const packet = decodeControl(buf, start, body, end, this.version as Version)
    if (!('cmd' in packet)) return packet
    this.sink.onControl(packet)
    return null
  }
}

/** Checks a PUBACK, PUBREC, PUBREL or PUBCOMP. */
export function ackFault(buf: Uint8Array, first: number, body: number, end: number, version: number): WireFault | null {
  const type = first >> 4
  const flags = first & 0xf
  if (type === PacketType.pubrel) {
    // MQTT 3.1 sets DUP on a PUBREL sent again. [MQTT-3.6.1-1]
    if (flags !== 2 && !(version === 3 && flags === 10)) return BAD_FLAGS
  } else if (flags !== 0) return BAD_FLAGS
  const length = end - body
  if (length < 2) return TRUNCATED
  if (buf[body] === 0 && buf[body + 1] === 0) return ID_ZERO
  if (length === 2) return null
  if (version !== 5) return SURPLUS
  const reason = buf[body + 2] as number
  if (!ackReasonAllowed(type, reason)) return BAD_REASON // [MQTT-3.4.2-1]
  if (length === 3) return null
  const fault = propertyList(buf, body + 3, end) ?? propertiesFault(buf, list.start, list.end, Place.ack)
  if (fault !== null) return fault
  return list.end === end ? null : SURPLUS
}

function ackReasonAllowed(type: number, reason: number): boolean {
  if (reason === Reason.success) return true
  if (type === PacketType.pubrel || type === PacketType.pubcomp) return reason === Reason.packetIdentifierNotFound
  switch (reason) {
    case Reason.noMatchingSubscribers:
    case Reason.unspecifiedError:
    case Reason.implementationSpecificError:
    case Reason.notAuthorized:
    case Reason.topicNameInvalid:
    case Reason.packetIdentifierInUse:
    case Reason.quotaExceeded:
    case Reason.payloadFormatInvalid:
      return true
    default:
      return false
  }
}
