// Modes: what a node may do towards its clients and its peer. Every change goes through moveMode().
import { assert } from '../base/assert.ts'

const NEXT = {
  /** The start's own record is being written. */
  BOOT: ['WAIT_PEER', 'SOLO', 'GONE'],
  /** Serves nobody until the peer is there, or the wait is over. */
  WAIT_PEER: ['JOINING', 'DECIDE', 'STALL', 'GONE'],
  /** Follows: clients closed, takes the leader's snapshot. */
  JOINING: ['SYNC', 'STALL', 'WAIT_PEER', 'SOLO', 'DECIDE', 'GONE'],
  /** Both nodes hold everything that was promised. */
  SYNC: ['STALL', 'DECIDE', 'WAIT_PEER', 'GONE'],
  /** The link is gone for a moment: promises wait. */
  STALL: ['SYNC', 'DECIDE', 'FENCED', 'JOINING', 'WAIT_PEER', 'GONE'],
  /** Goes on alone, not yet durably: nothing is released. */
  DECIDE: ['SOLO', 'GONE'],
  /** Alone, durably so: promises hang on the own disk. */
  SOLO: ['SYNC', 'STALL', 'JOINING', 'WAIT_PEER', 'DECIDE', 'GONE'],
  /** The policy leaves service to the other node. */
  FENCED: ['JOINING', 'DECIDE', 'WAIT_PEER', 'GONE'],
  GONE: [],
} as const satisfies Record<string, readonly string[]>

export type Mode = keyof typeof NEXT
export const MODES = Object.keys(NEXT) as Mode[]

export function moveMode(from: Mode, to: Mode): Mode {
  assert((NEXT[from] as readonly string[]).includes(to), 'no such transition of a node')
  return to
}

/** Clients may be served. */
export function serves(mode: Mode): boolean {
  return mode === 'SYNC' || mode === 'STALL' || mode === 'SOLO'
}
