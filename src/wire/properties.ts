// Properties: the table of MQTT 5.0 properties and the check of a whole property list. Knows which packet may carry what,
// not what it means there.
import { fieldEnd, utf8Fault, varint, varintSize } from './text.ts'
import { malformed, protocolError, TRUNCATED, type WireFault } from './wire_fault.ts'

export const Property = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const
const PROPERTY_MAX = 0x2a

/** Where a property list stands; one bit each. `ack` is any packet that confirms, `delivery` a PUBLISH from a server. */
export const Place = {
  connect: 1,
  will: 2,
  publish: 4,
  delivery: 8,
  ack: 16,
  subscribe: 32,
  unsubscribe: 64,
  disconnect: 128,
  auth: 256,
  connack: 512,
} as const
export type Place = (typeof Place)[keyof typeof Place]

const Kind = { flag: 1, u16: 2, u32: 3, varint: 4, text: 5, binary: 6, pair: 7 } as const

const kinds = new Uint8Array(PROPERTY_MAX + 1)
const places = new Uint16Array(PROPERTY_MAX + 1)
const nonZero = new Uint8Array(PROPERTY_MAX + 1)

function define(id: number, kind: number, where: number): void {
  kinds[id] = kind
  places[id] = where
}

const MESSAGE = Place.will | Place.publish | Place.delivery
define(Property.payloadFormatIndicator, Kind.flag, MESSAGE)
define(Property.messageExpiryInterval, Kind.u32, MESSAGE)
define(Property.contentType, Kind.text, MESSAGE)
define(Property.responseTopic, Kind.text, MESSAGE)
define(Property.correlationData, Kind.binary, MESSAGE)
define(Property.subscriptionIdentifier, Kind.varint, Place.delivery | Place.subscribe)
define(Property.sessionExpiryInterval, Kind.u32, Place.connect | Place.connack | Place.disconnect)
define(Property.authenticationMethod, Kind.text, Place.connect | Place.connack | Place.auth)
define(Property.authenticationData, Kind.binary, Place.connect | Place.connack | Place.auth)
define(Property.requestProblemInformation, Kind.flag, Place.connect)
define(Property.willDelayInterval, Kind.u32, Place.will)
define(Property.requestResponseInformation, Kind.flag, Place.connect)
define(Property.serverReference, Kind.text, Place.connack | Place.disconnect)
define(Property.reasonString, Kind.text, Place.connack | Place.ack | Place.disconnect | Place.auth)
define(Property.receiveMaximum, Kind.u16, Place.connect | Place.connack)
define(Property.topicAliasMaximum, Kind.u16, Place.connect | Place.connack)
define(Property.topicAlias, Kind.u16, Place.publish | Place.delivery)
define(Property.assignedClientIdentifier, Kind.text, Place.connack)
define(Property.serverKeepAlive, Kind.u16, Place.connack)
define(Property.responseInformation, Kind.text, Place.connack)
define(Property.maximumQos, Kind.flag, Place.connack)
define(Property.retainAvailable, Kind.flag, Place.connack)
define(Property.wildcardSubscriptionAvailable, Kind.flag, Place.connack)
define(Property.subscriptionIdentifierAvailable, Kind.flag, Place.connack)
define(Property.sharedSubscriptionAvailable, Kind.flag, Place.connack)
define(Property.userProperty, Kind.pair, 0xffff)
define(Property.maximumPacketSize, Kind.u32, Place.connect | Place.connack)
for (const id of [Property.subscriptionIdentifier, Property.receiveMaximum, Property.maximumPacketSize]) nonZero[id] = 1

const MISPLACED = malformed('property unknown or not allowed in this packet') // section 2.2.2.2
const SUBSCRIPTION_ID = protocolError('subscription identifier from a client') // [MQTT-3.3.4-6]
const TWICE = protocolError('property given twice')
const NOT_A_FLAG = protocolError('property must be 0 or 1')
const ZERO = protocolError('property must not be 0')
const LENGTH = malformed('property length')

/** Body of the property list at `at`, or its end: what propertyList found last. */
export const list = { start: 0, end: 0 }

/** Finds the list whose length stands at `at`; result in `list`. */
export function propertyList(buf: Uint8Array, at: number, end: number): WireFault | null {
  const length = varint(buf, at, end)
  if (length < 0) return LENGTH
  list.start = at + varintSize(length)
  list.end = list.start + length
  return list.end > end ? LENGTH : null
}

/** End of the property that begins with its identifier at `at`: what propertyFault found last. */
export let propertyEnd = 0

/** Checks the property at `at`, its value and its right to be here; leaves its end in `propertyEnd`. */
export function propertyFault(buf: Uint8Array, at: number, end: number, place: Place): WireFault | null {
  const id = buf[at] as number // identifiers above 127 do not exist: one byte is the whole variable byte integer
  if (id > PROPERTY_MAX || ((places[id] as number) & place) === 0) {
    return id === Property.subscriptionIdentifier && place === Place.publish ? SUBSCRIPTION_ID : MISPLACED
  }
  const value = at + 1
  const kind = kinds[id] as number
  switch (kind) {
    case Kind.flag:
      propertyEnd = value + 1
      if (propertyEnd > end) return TRUNCATED
      return (buf[value] as number) > 1 ? NOT_A_FLAG : null
    case Kind.u16:
    case Kind.u32: {
      propertyEnd = value + (kind === Kind.u16 ? 2 : 4)
      if (propertyEnd > end) return TRUNCATED
      if (nonZero[id] === 0) return null
      for (let i = value; i < propertyEnd; i++) if (buf[i] !== 0) return null
      return ZERO
    }
    case Kind.varint: {
      const n = varint(buf, value, end)
      if (n < 0) return TRUNCATED
      propertyEnd = value + varintSize(n)
      return n === 0 ? ZERO : null
    }
    case Kind.binary:
      propertyEnd = fieldEnd(buf, value, end)
      return propertyEnd === -1 ? TRUNCATED : null
    case Kind.text:
      propertyEnd = fieldEnd(buf, value, end)
      return propertyEnd === -1 ? TRUNCATED : utf8Fault(buf, value + 2, propertyEnd)
    default: {
      const middle = fieldEnd(buf, value, end)
      if (middle === -1) return TRUNCATED
      propertyEnd = fieldEnd(buf, middle, end)
      if (propertyEnd === -1) return TRUNCATED
      return utf8Fault(buf, value + 2, middle) ?? utf8Fault(buf, middle + 2, propertyEnd)
    }
  }
}

let seenLow = 0
let seenHigh = 0

/** Forgets which properties were seen; before each list. */
export function beginList(): void {
  seenLow = 0
  seenHigh = 0
}

/** Notes that `id` was met in this list; a second time is a fault unless it may repeat. */
export function repeatFault(id: number, place: Place): WireFault | null {
  if (id === Property.userProperty) return null
  if (id === Property.subscriptionIdentifier && place === Place.delivery) return null
  const bit = 1 << (id & 31)
  if (id < 32) {
    if ((seenLow & bit) !== 0) return TWICE
    seenLow |= bit
  } else {
    if ((seenHigh & bit) !== 0) return TWICE
    seenHigh |= bit
  }
  return null
}

/** Whether the list just checked holds `id`. */
export function listHas(id: number): boolean {
  return ((id < 32 ? seenLow : seenHigh) & (1 << (id & 31))) !== 0
}

/** Checks all properties of [at, end). */
export function propertiesFault(buf: Uint8Array, at: number, end: number, place: Place): WireFault | null {
  beginList()
  while (at < end) {
    const fault = propertyFault(buf, at, end, place) ?? repeatFault(buf[at] as number, place)
    if (fault !== null) return fault
    at = propertyEnd
  }
  return null
}
