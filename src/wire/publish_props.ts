// Publish props: the properties of one application message (of PUBLISH and of a will), split into those the broker acts on
// and those that travel on untouched. Knows nothing of the rest of the packet.
import { ByteWriter, copyBytes } from '../base/bytes.ts'
import { beginList, Place, Property, propertyEnd, propertyFault, repeatFault } from './properties.ts'
import { Reason } from './reason.ts'
import { topicNameFault, varint } from './text.ts'
import type { WireFault } from './wire_fault.ts'

const ALIAS_ZERO: WireFault = { reason: Reason.topicAliasInvalid, text: 'topic alias 0' } // [MQTT-3.3.2-8]

/** The scratch buffer keeps at most this many bytes between packets. */
const KEEP_BYTES_MAX = 64 * 1024
let keep = new ByteWriter(0)

/** What scanPublishProps found last; read before the next scan. */
export const scanned = {
  /** Seconds; -1: none. */
  expiry: -1,
  /** 0: none. */
  topicAlias: 0,
  /** Seconds; a will's only. */
  willDelay: 0,
  /** Properties to be passed on, as on the wire, in order of arrival; owned; null when there are none. */
  props: null as Uint8Array | null,
  /** Of a PUBLISH from a server; null when there are none. */
  subscriptionIds: null as number[] | null,
}

/** Checks the properties in [start, end) and sorts them into `scanned`. */
export function scanPublishProps(buf: Uint8Array, start: number, end: number, place: Place): WireFault | null {
  scanned.expiry = -1
  scanned.topicAlias = 0
  scanned.willDelay = 0
  scanned.props = null
  scanned.subscriptionIds = null
  keep.clear()
  beginList()
  let at = start
  let run = start // first byte of the run to be passed on that `at` ends
  while (at < end) {
    const id = buf[at] as number
    const fault = propertyFault(buf, at, end, place) ?? repeatFault(id, place)
    if (fault !== null) return fault
    const next = propertyEnd
    if (consume(buf, at + 1, next, id)) {
      keep.copy(buf, run, at)
      run = next
    } else if (id === Property.responseTopic) {
      const wildcard = topicNameFault(buf, at + 3, next) // [MQTT-3.3.2-14]
      if (wildcard !== null) return wildcard
    } else if (id === Property.topicAlias) return ALIAS_ZERO
    at = next
  }
  if (run === start) scanned.props = end === start ? null : copyBytes(buf, start, end)
  else {
    keep.copy(buf, run, end)
    scanned.props = keep.length === 0 ? null : keep.take()
    if (keep.buf.length > KEEP_BYTES_MAX) keep = new ByteWriter(0)
  }
  return null
}

/** Takes the value of a property that ends here; false for one that travels on (or is not acceptable). */
function consume(buf: Uint8Array, at: number, end: number, id: number): boolean {
  switch (id) {
    case Property.messageExpiryInterval:
      scanned.expiry = u32(buf, at)
      return true
    case Property.willDelayInterval:
      scanned.willDelay = u32(buf, at)
      return true
    case Property.topicAlias:
      scanned.topicAlias = ((buf[at] as number) << 8) | (buf[at + 1] as number)
      return scanned.topicAlias !== 0
    case Property.subscriptionIdentifier:
      scanned.subscriptionIds ??= []
      scanned.subscriptionIds.push(varint(buf, at, end))
      return true
    default:
      return false
  }
}

/** Whether passed-on properties say that the payload is UTF-8 text. */
export function saysText(props: Uint8Array | null): boolean {
  if (props === null) return false
  for (let at = 0; at < props.length; at = propertyEnd) {
    if (props[at] === Property.payloadFormatIndicator) return props[at + 1] === 1
    if (propertyFault(props, at, props.length, Place.publish) !== null) return false
  }
  return false
}

function u32(buf: Uint8Array, at: number): number {
  const high = ((buf[at] as number) << 8) | (buf[at + 1] as number)
  return high * 0x1_0000 + (((buf[at + 2] as number) << 8) | (buf[at + 3] as number))
}
