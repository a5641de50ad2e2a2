// Property writer: the property list of the control packet being written, collected first because its length goes ahead.
// Knows the forms of values, not which packet may carry them.
import { ByteWriter, utf8 } from '../base/bytes.ts'
import { varintSize } from './text.ts'

/** The list being collected; emptied by each packet's writer before it begins. */
export const properties = new ByteWriter(256)

export function writeVarint(w: ByteWriter, value: number): void {
  while (value >= 0x80) {
    w.u8((value & 0x7f) | 0x80)
    value >>>= 7
  }
  w.u8(value)
}

/** Appends the collected list with its length. */
export function writeProperties(w: ByteWriter): void {
  writeVarint(w, properties.length)
  w.copy(properties.buf, 0, properties.length)
}

export function byteProperty(id: number, value: number | undefined): void {
  if (value === undefined) return
  properties.u8(id)
  properties.u8(value)
}

export function flagProperty(id: number, value: boolean | undefined): void {
  if (value !== undefined) byteProperty(id, value ? 1 : 0)
}

export function u16Property(id: number, value: number | undefined): void {
  if (value === undefined) return
  properties.u8(id)
  properties.u16(value)
}

export function u32Property(id: number, value: number | undefined): void {
  if (value === undefined) return
  properties.u8(id)
  properties.u32(value)
}

export function textProperty(id: number, value: string | undefined): void {
  if (value !== undefined) binaryProperty(id, utf8(value))
}

/**
 * A text that is left out where the packet would be larger with it than its receiver takes.
 * @param rest the remaining length without the list
 */
export function fittingText(id: number, value: string | undefined, rest: number, bytesMax: number): void {
  const before = properties.length
  textProperty(id, value)
  const length = rest + varintSize(properties.length) + properties.length
  if (1 + varintSize(length) + length > bytesMax) properties.length = before
}

export function binaryProperty(id: number, value: Uint8Array | undefined): void {
  if (value === undefined) return
  properties.u8(id)
  properties.u16(value.length)
  properties.copy(value)
}

export function pairProperty(id: number, name: string, value: string): void {
  binaryProperty(id, utf8(name))
  properties.u16(utf8(value).length)
  properties.copy(utf8(value))
}
