// Brand: numbers and strings that must not be mixed up, each with a constructor that checks it once at the boundary.
import { assert } from './assert.ts'

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** Position of an op group in one direction of the link; the first group of a stream is 1. 2^53 lasts 285 years at a million a second. */
export type Lsn = Branded<number, 'Lsn'>
export function Lsn(n: number): Lsn {
  assert(Number.isSafeInteger(n) && n >= 0, 'lsn out of range')
  return n as Lsn
}

/** Number of a turn that changed durable state; what the store and the output gates count in. */
export type Turn = Branded<number, 'Turn'>
export function Turn(n: number): Turn {
  assert(Number.isSafeInteger(n) && n >= 0, 'turn out of range')
  return n as Turn
}

/** MQTT packet identifier, 1 to 65 535. */
export type PacketId = Branded<number, 'PacketId'>
export function PacketId(n: number): PacketId {
  assert(n >= 1 && n <= 0xffff, 'packet identifier out of range')
  return n as PacketId
}

/** Place of an entry in one session's queue; grows by one, never reused within a session. */
export type QueuePos = Branded<number, 'QueuePos'>
export function QueuePos(n: number): QueuePos {
  assert(Number.isSafeInteger(n) && n >= 0, 'queue position out of range')
  return n as QueuePos
}

/** One start of one node's process: 16 bits of the durable start counter above 32 random bits (a lost disk repeats the counter). */
export type BootId = Branded<number, 'BootId'>
export function BootId(counter: number, nonce: number): BootId {
  assert(nonce >= 0 && nonce <= 0xffff_ffff, 'boot nonce is 32 bits')
  return ((counter & 0xffff) * 0x1_0000_0000 + nonce) as BootId
}

/** Hybrid logical clock: wall milliseconds × 2048 + a counter that carries over into them. Ordered as a plain number. */
export type Hlc = Branded<number, 'Hlc'>
export const HLC_TICKS_PER_MS = 2048
export function Hlc(n: number): Hlc {
  assert(Number.isSafeInteger(n) && n >= 0, 'hlc out of range')
  return n as Hlc
}
