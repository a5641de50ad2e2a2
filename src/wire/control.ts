// Control: SUBSCRIBE, UNSUBSCRIBE, DISCONNECT and AUTH from a client: checked byte by byte, then turned from mqtt-packet's
// objects into ours. Knows no filter syntax: which filters are acceptable is answered per subscription, further in.
import type { IAuthPacket, IDisconnectPacket, ISubscribePacket, ISubscription, IUnsubscribePacket } from 'mqtt-packet'
import { copyBytes } from '../base/bytes.ts'
import { parseFrame } from './mqtt_packet.ts'
import { type ControlPacket, PacketType, type QoS, type SubscribeRequest, type Version } from './packet.ts'
import { list, listHas, Place, Property, propertiesFault, propertyList } from './properties.ts'
import { Reason } from './reason.ts'
import { fieldEnd, utf8Fault } from './text.ts'
import { malformed, protocolError, SURPLUS, TRUNCATED, type WireFault } from './wire_fault.ts'

const BAD_FLAGS = malformed('fixed header flags') // [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
const ID_ZERO = protocolError('packet identifier 0') // [MQTT-2.2.1-3]
const NO_FILTERS = protocolError('packet without a topic filter') // [MQTT-3.8.3-2] [MQTT-3.10.3-2]
const RESERVED_OPTIONS = malformed('reserved subscription options are set') // [MQTT-3.8.3-5]
const QOS_3 = malformed('subscription with QoS 3')
const RETAIN_HANDLING_3 = protocolError('retain handling 3')
const SHARED_NO_LOCAL = protocolError('no local on a shared subscription') // [MQTT-3.8.3-4]
const BAD_REASON = protocolError('reason code not allowed in this packet') // [MQTT-3.14.2-1] [MQTT-3.15.2-1]
const AUTH_V3 = protocolError('AUTH before MQTT 5.0')
const NO_METHOD = protocolError('AUTH without an authentication method')

/** How a shared filter begins; `$queue/` is the older form. */
const SHARED = ['$share/', '$queue/']
const DUP = 0x08

/** Decodes one of the four packets; its type is in the first byte. */
export function decodeControl(
  buf: Uint8Array,
  start: number,
  body: number,
  end: number,
  version: Version,
): ControlPacket | WireFault {
  const first = buf[start] as number
  const type = first >> 4
  const requests = type === PacketType.subscribe || type === PacketType.unsubscribe
  // MQTT 3.1 sets DUP on a SUBSCRIBE or UNSUBSCRIBE sent again.
  const repeated = requests && version === 3 && (first & DUP) !== 0
  if ((first & 0xf & (repeated ? ~DUP : 0xff)) !== (requests ? 2 : 0)) return BAD_FLAGS
  if (type === PacketType.auth && version !== 5) return AUTH_V3
  const fault = requests
    ? requestFault(buf, type, body, end, version)
    : type === PacketType.disconnect
      ? disconnectFault(buf, body, end, version)
      : authFault(buf, body, end)
  if (fault !== null) return fault
  let frame = buf.subarray(start, end)
  if (repeated) {
    frame = copyBytes(frame)
    frame[0] = first & ~DUP
  }
  return convert(frame, version)
}

function convert(frame: Uint8Array, version: Version): ControlPacket | WireFault {
  const packet = parseFrame(frame, version)
  if (!('cmd' in packet)) return packet
  switch (packet.cmd) {
    case 'subscribe':
      return fromSubscribe(packet)
    case 'unsubscribe':
      return fromUnsubscribe(packet)
    case 'disconnect':
      return fromDisconnect(packet)
    default:
      return fromAuth(packet as IAuthPacket)
  }
}

function requestFault(buf: Uint8Array, type: number, body: number, end: number, version: Version): WireFault | null {
  if (body + 2 > end) return TRUNCATED
  if (buf[body] === 0 && buf[body + 1] === 0) return ID_ZERO
  const subscribes = type === PacketType.subscribe
  let at = body + 2
  if (version === 5) {
    const place = subscribes ? Place.subscribe : Place.unsubscribe
    const fault = propertyList(buf, at, end) ?? propertiesFault(buf, list.start, list.end, place)
    if (fault !== null) return fault
    at = list.end
  }
  if (at === end) return NO_FILTERS
  while (at < end) {
    const filterEnd = fieldEnd(buf, at, end)
    if (filterEnd === -1) return TRUNCATED
    const fault = utf8Fault(buf, at + 2, filterEnd) // [MQTT-3.8.3-1] [MQTT-3.10.3-1]
    if (fault !== null) return fault
    if (subscribes) {
      if (filterEnd === end) return TRUNCATED
      const wrong = optionsFault(buf[filterEnd] as number, isShared(buf, at + 2, filterEnd), version)
      if (wrong !== null) return wrong
    }
    at = subscribes ? filterEnd + 1 : filterEnd
  }
  return null
}

function optionsFault(options: number, shared: boolean, version: Version): WireFault | null {
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) return RESERVED_OPTIONS
  if ((options & 3) === 3) return QOS_3
  if ((options & 0x30) === 0x30) return RETAIN_HANDLING_3
  return shared && (options & 4) !== 0 ? SHARED_NO_LOCAL : null
}

function isShared(buf: Uint8Array, start: number, end: number): boolean {
  return SHARED.some((prefix) => {
    if (end - start < prefix.length) return false
    for (let i = 0; i < prefix.length; i++) if (buf[start + i] !== prefix.charCodeAt(i)) return false
    return true
  })
}

function disconnectFault(buf: Uint8Array, body: number, end: number, version: Version): WireFault | null {
  if (body === end) return null
  if (version !== 5) return SURPLUS
  if (!disconnectReasonAllowed(buf[body] as number)) return BAD_REASON
  if (body + 1 === end) return null
  const fault = propertyList(buf, body + 1, end) ?? propertiesFault(buf, list.start, list.end, Place.disconnect)
  if (fault !== null) return fault
  return list.end === end ? null : SURPLUS
}

/** Reasons a client may leave with; the others are a server's. */
function disconnectReasonAllowed(reason: number): boolean {
  switch (reason) {
    case Reason.normalDisconnection:
    case Reason.disconnectWithWill:
    case Reason.unspecifiedError:
    case Reason.malformedPacket:
    case Reason.protocolError:
    case Reason.implementationSpecificError:
    case Reason.topicNameInvalid:
    case Reason.receiveMaximumExceeded:
    case Reason.topicAliasInvalid:
    case Reason.packetTooLarge:
    case Reason.messageRateTooHigh:
    case Reason.quotaExceeded:
    case Reason.administrativeAction:
    case Reason.payloadFormatInvalid:
      return true
    default:
      return false
  }
}

function authFault(buf: Uint8Array, body: number, end: number): WireFault | null {
  // Without a reason it would mean Success, which is a server's to say.
  const reason = body === end ? Reason.success : (buf[body] as number)
  if (reason !== Reason.continueAuthentication && reason !== Reason.reAuthenticate) return BAD_REASON
  if (body + 1 === end) return NO_METHOD
  const fault = propertyList(buf, body + 1, end) ?? propertiesFault(buf, list.start, list.end, Place.auth)
  if (fault !== null) return fault
  if (list.end !== end) return SURPLUS
  return listHas(Property.authenticationMethod) ? null : NO_METHOD
}

function fromSubscribe(packet: ISubscribePacket): ControlPacket {
  return {
    cmd: 'subscribe',
    packetId: packet.messageId as number,
    subscriptions: packet.subscriptions.map(fromSubscription),
    subscriptionId: packet.properties?.subscriptionIdentifier ?? 0,
  }
}

function fromSubscription(subscription: ISubscription): SubscribeRequest {
  return {
    filter: subscription.topic,
    qos: subscription.qos as QoS,
    noLocal: subscription.nl === true,
    retainAsPublished: subscription.rap === true,
    retainHandling: (subscription.rh ?? 0) as 0 | 1 | 2,
  }
}

function fromUnsubscribe(packet: IUnsubscribePacket): ControlPacket {
  return { cmd: 'unsubscribe', packetId: packet.messageId as number, filters: packet.unsubscriptions }
}

function fromDisconnect(packet: IDisconnectPacket): ControlPacket {
  return {
    cmd: 'disconnect',
    reason: packet.reasonCode ?? Reason.normalDisconnection,
    sessionExpiry: packet.properties?.sessionExpiryInterval ?? -1,
  }
}

function fromAuth(packet: IAuthPacket): ControlPacket {
  const data = packet.properties?.authenticationData
  return {
    cmd: 'auth',
    reason: packet.reasonCode,
    method: packet.properties?.authenticationMethod ?? null,
    data: data === undefined ? null : copyBytes(data),
  }
}
