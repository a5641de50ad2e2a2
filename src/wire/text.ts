// Text: checks of UTF-8 strings and topic names where they lie. Knows no packet and makes no strings.
import { Reason } from './reason.ts'
import { malformed, TRUNCATED, type WireFault } from './wire_fault.ts'

const ILL_FORMED = malformed('ill-formed UTF-8') // [MQTT-1.5.4-1]
const HAS_NUL = malformed('U+0000 in a string') // [MQTT-1.5.4-2]
const HAS_WILDCARD: WireFault = { reason: Reason.topicNameInvalid, text: 'wildcard in a topic name' }

const NUL = 0x00
const HASH = 0x23
const PLUS = 0x2b

/** A topic name without wildcards; its emptiness is judged by the caller, who knows of the alias. */
export function topicNameFault(buf: Uint8Array, start: number, end: number): WireFault | null {
  for (let i = start; i < end; i++) {
    const c = buf[i] as number
    // Most bytes of a topic lie between '+' and DEL: two comparisons each.
    if (c > PLUS && c < 0x80) continue
    if (c >= 0x80) return topicNameFaultSlow(buf, start, end)
    if (c === PLUS || c === HASH) return HAS_WILDCARD // [MQTT-3.3.2-2]
    if (c === NUL) return HAS_NUL
  }
  return null
}

function topicNameFaultSlow(buf: Uint8Array, start: number, end: number): WireFault | null {
  const fault = utf8Fault(buf, start, end)
  if (fault !== null) return fault
  for (let i = start; i < end; i++) if (buf[i] === PLUS || buf[i] === HASH) return HAS_WILDCARD
  return null
}

/** Well-formed UTF-8, U+0000 included: what a payload that says it is text must be. */
export function isText(buf: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const c = buf[i] as number
    const n = c < 0x80 ? 1 : sequenceLength(buf, i, end, c)
    if (n === 0) return false
    i += n
  }
  return true
}

/** A UTF-8 Encoded String's content: well-formed, no surrogates, no U+0000. */
export function utf8Fault(buf: Uint8Array, start: number, end: number): WireFault | null {
  let i = start
  while (i < end) {
    const c = buf[i] as number
    if (c < 0x80) {
      if (c === NUL) return HAS_NUL
      i++
      continue
    }
    const n = sequenceLength(buf, i, end, c)
    if (n === 0) return ILL_FORMED
    i += n
  }
  return null
}

/** Bytes of the multi-byte sequence at `i` (Unicode, table 3-7), 0 where there is none. */
function sequenceLength(buf: Uint8Array, i: number, end: number, lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0
  const n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (i + n > end) return 0
  const second = buf[i + 1] as number
  let min = 0x80
  let max = 0xbf
  if (lead === 0xe0) min = 0xa0
  else if (lead === 0xed) max = 0x9f
  else if (lead === 0xf0) min = 0x90
  else if (lead === 0xf4) max = 0x8f
  if (second < min || second > max) return 0
  for (let k = 2; k < n; k++) if (((buf[i + k] as number) & 0xc0) !== 0x80) return 0
  return n
}

/** End of the length-prefixed field at `at`; -1 where it does not fit. */
export function fieldEnd(buf: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -1
  const next = at + 2 + (((buf[at] as number) << 8) | (buf[at + 1] as number))
  return next > end ? -1 : next
}

/** Checks the length-prefixed string at `at` together with its length. */
export function stringFault(buf: Uint8Array, at: number, end: number): WireFault | null {
  const next = fieldEnd(buf, at, end)
  return next === -1 ? TRUNCATED : utf8Fault(buf, at + 2, next)
}

/** Value of the variable byte integer at `at`; -1 where it is cut off or longer than it needs to be. */
export function varint(buf: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return -1
    const byte = buf[at + i] as number
    value |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return i > 0 && byte === 0 ? -1 : value // [MQTT-1.5.5-1]
  }
  return -1
}

/** Bytes of `value` as a variable byte integer. */
export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}
