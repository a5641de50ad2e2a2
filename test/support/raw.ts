// Raw: packets put together byte by byte, as no proper client would. Knows no session and no socket.

import { utf8 } from '../../src/base/bytes.ts'

/** Bytes as they are; text with its length before it. */
export type Part = string | readonly number[] | Uint8Array

export function bytesOf(part: Part): number[] {
  if (typeof part !== 'string') return [...part]
  const bytes = utf8(part)
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes]
}

/** Ill-formed or not: bytes with their length before them. */
export function field(...bytes: number[]): number[] {
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes]
}

export function varint(value: number): number[] {
  const bytes: number[] = []
  do {
    bytes.push((value & 0x7f) | (value >= 0x80 ? 0x80 : 0))
    value >>>= 7
  } while (value > 0)
  return bytes
}

/** A packet of these parts, its remaining length right. */
export function frame(first: number, ...parts: Part[]): number[] {
  const body = parts.flatMap(bytesOf)
  return [first, ...varint(body.length), ...body]
}

/** The properties of a packet, their length before them. */
export function props(...parts: Part[]): number[] {
  const body = parts.flatMap(bytesOf)
  return [...varint(body.length), ...body]
}

/** A CONNECT of MQTT 5.0 or 3.1.1; `payload` begins with the client identifier. */
export function connectFrame(version: 4 | 5, flags: number, ...payload: Part[]): number[] {
  return frame(0x10, 'MQTT', [version, flags, 0, 0], version === 5 ? [0] : [], ...payload)
}
