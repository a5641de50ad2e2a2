// Connect: checks a CONNECT byte by byte, then turns what mqtt-packet makes of it into ours. Knows no broker policy:
// which client identifiers, users and keep-alives are welcome is decided in connection/.
import type { IConnectPacket } from 'mqtt-packet'
import { copyBytes } from '../base/bytes.ts'
import { parseFrame } from './mqtt_packet.ts'
import { type Connect, type QoS, SESSION_NEVER_EXPIRES, type Version, type Will } from './packet.ts'
import { list, listHas, Place, Property, propertiesFault, propertyList } from './properties.ts'
import { scanned, scanPublishProps } from './publish_props.ts'
import { Reason } from './reason.ts'
import { fieldEnd, stringFault, topicNameFault } from './text.ts'
import { malformed, protocolError, SURPLUS, TRUNCATED, type WireFault } from './wire_fault.ts'

const UNSUPPORTED: WireFault = { reason: Reason.unsupportedProtocolVersion, text: 'unsupported protocol version' } // [MQTT-3.1.2-1]
const RESERVED_FLAG = malformed('reserved connect flag is set') // [MQTT-3.1.2-3]
const WILL_QOS_3 = malformed('will QoS 3') // [MQTT-3.1.2-12]
const WILL_FLAGS = malformed('will QoS or will retain without a will') // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
const LONE_PASSWORD = malformed('password without user name') // 3.1.1, section 3.1.2.9; allowed in 5.0
const WILL_TOPIC_EMPTY: WireFault = { reason: Reason.topicNameInvalid, text: 'empty will topic' } // [MQTT-4.7.3-1]
const LONE_AUTH_DATA = protocolError('authentication data without a method')

const Flag = { cleanStart: 0x02, will: 0x04, willQos: 0x18, willRetain: 0x20, password: 0x40, username: 0x80 } as const

/** Protocol name and level: MQIsdp 3, MQTT 4, MQTT 5. Bridges' high bit is not ours to speak. */
export function readVersion(buf: Uint8Array, body: number, end: number): Version | WireFault {
  const nameEnd = fieldEnd(buf, body, end)
  if (nameEnd === -1 || nameEnd >= end) return TRUNCATED
  const level = buf[nameEnd]
  if (isName(buf, body + 2, nameEnd, 'MQTT') && (level === 4 || level === 5)) return level // [MQTT-3.1.2-2]
  if (isName(buf, body + 2, nameEnd, 'MQIsdp') && level === 3) return level
  return UNSUPPORTED
}

function isName(buf: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false
  for (let i = 0; i < name.length; i++) if (buf[start + i] !== name.charCodeAt(i)) return false
  return true
}

/** User Name and Password flags that checkConnect found set without their field. */
let unmet = 0

/** What checkConnect learned of a will's properties; null where there is no will. */
type WillProps = { delay: number; expiry: number; props: Uint8Array | null }
let willProps: WillProps | null = null

/** @param version as readVersion gave it */
export function decodeConnect(
  buf: Uint8Array,
  start: number,
  body: number,
  end: number,
  version: Version,
): Connect | WireFault {
  willProps = null
  unmet = 0
  const fault = checkConnect(buf, body, end, version)
  const will = willProps
  willProps = null
  if (fault !== null) return fault
  let frame = buf.subarray(start, end)
  if (unmet !== 0) {
    const flagsAt = fieldEnd(buf, body, end) + 1 - start
    frame = copyBytes(frame)
    frame[flagsAt] = (frame[flagsAt] as number) & ~unmet
  }
  const packet = parseFrame(frame, version)
  return 'cmd' in packet ? fromMqttPacket(packet as IConnectPacket, version, will) : packet
}

function checkConnect(buf: Uint8Array, body: number, end: number, version: Version): WireFault | null {
  let at = fieldEnd(buf, body, end) + 1
  if (at + 3 > end) return TRUNCATED
  const flags = buf[at] as number
  const flagsWrong = flagsFault(flags, version)
  if (flagsWrong !== null) return flagsWrong
  at += 3
  if (version === 5) {
    const wrong = propertyList(buf, at, end) ?? propertiesFault(buf, list.start, list.end, Place.connect)
    if (wrong !== null) return wrong
    if (listHas(Property.authenticationData) && !listHas(Property.authenticationMethod)) return LONE_AUTH_DATA
    at = list.end
  }
  const idWrong = stringFault(buf, at, end) // [MQTT-3.1.3-4]
  if (idWrong !== null) return idWrong
  at = fieldEnd(buf, at, end)
  if ((flags & Flag.will) !== 0) {
    const wrong = checkWill(buf, at, end, version)
    if (wrong !== null) return wrong
    at = willEnd
  }
  // MQTT 3.1: the remaining length has precedence over these two flags.
  if (version === 3 && at === end) {
    unmet = flags & (Flag.username | Flag.password)
    return null
  }
  if ((flags & Flag.username) !== 0) {
    const wrong = stringFault(buf, at, end) // [MQTT-3.1.3-12]
    if (wrong !== null) return wrong
    at = fieldEnd(buf, at, end)
  }
  if ((flags & Flag.password) !== 0) {
    if (version === 3 && at === end) unmet = Flag.password
    else at = fieldEnd(buf, at, end)
    if (at === -1) return TRUNCATED
  }
  return at === end ? null : SURPLUS
}

function flagsFault(flags: number, version: Version): WireFault | null {
  if ((flags & 1) !== 0) return RESERVED_FLAG
  if ((flags & Flag.will) === 0) {
    if ((flags & (Flag.willQos | Flag.willRetain)) !== 0) return WILL_FLAGS
  } else if ((flags & Flag.willQos) === Flag.willQos) return WILL_QOS_3
  if (version !== 5 && (flags & Flag.password) !== 0 && (flags & Flag.username) === 0) return LONE_PASSWORD
  return null
}

/** End of the will: what checkWill found last. */
let willEnd = 0

function checkWill(buf: Uint8Array, at: number, end: number, version: Version): WireFault | null {
  willProps = { delay: 0, expiry: -1, props: null }
  if (version === 5) {
    const wrong = propertyList(buf, at, end) ?? scanPublishProps(buf, list.start, list.end, Place.will)
    if (wrong !== null) return wrong
    willProps = { delay: scanned.willDelay, expiry: scanned.expiry, props: scanned.props }
    at = list.end
  }
  const topicEnd = fieldEnd(buf, at, end)
  if (topicEnd === -1) return TRUNCATED
  if (topicEnd === at + 2) return WILL_TOPIC_EMPTY
  const topicWrong = topicNameFault(buf, at + 2, topicEnd) // [MQTT-3.1.3-11]
  if (topicWrong !== null) return topicWrong
  willEnd = fieldEnd(buf, topicEnd, end)
  return willEnd === -1 ? TRUNCATED : null
}

function fromMqttPacket(packet: IConnectPacket, version: Version, willProps: WillProps | null): Connect {
  const { properties } = packet
  const clean = packet.clean === true
  return {
    cmd: 'connect',
    version,
    clientId: packet.clientId,
    cleanStart: clean,
    keepAlive: packet.keepalive ?? 0,
    username: packet.username ?? null,
    password: owned(packet.password),
    will: willProps === null ? null : willOf(packet, willProps),
    sessionExpiry: version === 5 ? (properties?.sessionExpiryInterval ?? 0) : clean ? 0 : SESSION_NEVER_EXPIRES,
    receiveMaximum: properties?.receiveMaximum ?? 0xffff,
    maximumPacketSize: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    requestResponseInformation: properties?.requestResponseInformation ?? false,
    requestProblemInformation: properties?.requestProblemInformation ?? true,
    authMethod: properties?.authenticationMethod ?? null,
    authData: owned(properties?.authenticationData),
  }
}

function willOf(packet: IConnectPacket, willProps: WillProps): Will {
  const will = packet.will as NonNullable<IConnectPacket['will']>
  return {
    topic: will.topic,
    payload: copyBytes(will.payload as Buffer),
    qos: (will.qos ?? 0) as QoS,
    retain: will.retain === true,
    delay: willProps.delay,
    props: willProps.props,
    expiry: willProps.expiry,
  }
}

function owned(bytes: Uint8Array | undefined): Uint8Array | null {
  return bytes === undefined ? null : copyBytes(bytes)
}
