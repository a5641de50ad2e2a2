// Msgpack writer: the few kinds of MessagePack that ops are made of, written in place. The package's encoder takes any value and
// seven times as long; the link lives by this one, and a test holds the two against each other. Knows no ops.
import { assert, unreachable } from '../base/assert.ts'
import { type ByteWriter, utf8 } from '../base/bytes.ts'

export type Packable = null | number | string | Uint8Array | readonly Packable[]

/** Appends one value. Numbers are whole and safe. */
export function writeValue(w: ByteWriter, value: Packable): void {
  if (typeof value === 'number') writeInteger(w, value)
  else if (typeof value === 'string') writeText(w, value)
  else if (value === null) w.u8(0xc0)
  else if (value instanceof Uint8Array) writeBytes(w, value)
  else if (Array.isArray(value)) writeArray(w, value)
  else unreachable(value as never)
}

function writeArray(w: ByteWriter, items: readonly Packable[]): void {
  writeArrayHeader(w, items.length)
  for (let i = 0; i < items.length; i++) writeValue(w, items[i] as Packable)
}

/** What stands before the values of an array. */
export function writeArrayHeader(w: ByteWriter, length: number): void {
  if (length < 16) w.u8(0x90 | length)
  else if (length < 0x1_0000) {
    w.u8(0xdc)
    w.u16(length)
  } else {
    w.u8(0xdd)
    w.u32(length)
  }
}

function writeInteger(w: ByteWriter, n: number): void {
  assert(Number.isSafeInteger(n), 'whole number expected')
  if (n >= 0) {
    if (n < 0x80) w.u8(n)
    else if (n < 0x100) {
      w.u8(0xcc)
      w.u8(n)
    } else if (n < 0x1_0000) {
      w.u8(0xcd)
      w.u16(n)
    } else if (n < 0x1_0000_0000) {
      w.u8(0xce)
      w.u32(n)
    } else {
      w.u8(0xcf)
      w.u32(Math.floor(n / 0x1_0000_0000))
      w.u32(n >>> 0)
    }
  } else if (n >= -0x20) w.u8(n & 0xff)
  else {
    w.u8(0xd3)
    w.u32(Math.floor(n / 0x1_0000_0000) >>> 0)
    w.u32(n >>> 0)
  }
}

function writeText(w: ByteWriter, text: string): void {
  const { length } = text
  const start = w.length
  textHeader(w, length)
  w.reserve(length)
  const { buf } = w
  let at = w.length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) {
      w.length = start
      const bytes = utf8(text)
      textHeader(w, bytes.length)
      w.copy(bytes)
      return
    }
    buf[at++] = code
  }
  w.length = at
}

function textHeader(w: ByteWriter, length: number): void {
  if (length < 32) w.u8(0xa0 | length)
  else if (length < 0x100) {
    w.u8(0xd9)
    w.u8(length)
  } else if (length < 0x1_0000) {
    w.u8(0xda)
    w.u16(length)
  } else {
    w.u8(0xdb)
    w.u32(length)
  }
}

function writeBytes(w: ByteWriter, bytes: Uint8Array): void {
  const { length } = bytes
  if (length < 0x100) {
    w.u8(0xc4)
    w.u8(length)
  } else if (length < 0x1_0000) {
    w.u8(0xc5)
    w.u16(length)
  } else {
    w.u8(0xc6)
    w.u32(length)
  }
  w.copy(bytes)
}
