// Identity: tokens of session ownership and generations of the pair, with the comparisons that healing needs.
// Knows nothing of sessions, links or disks.
import type { BootId } from './brand.ts'

/** Who may write a session: minted anew at every change of owner incarnation. */
export type Token = { readonly epoch: number; readonly minter: BootId; readonly n: number }

export function sameToken(a: Token, b: Token): boolean {
  return a.n === b.n && a.minter === b.minter && a.epoch === b.epoch
}

/** Larger by epoch, then minter, then count: a total order both nodes evaluate alike. */
export function compareTokens(a: Token, b: Token): number {
  return a.epoch - b.epoch || a.minter - b.minter || a.n - b.n
}

/** A token's short form for hot ops: 32 bits of the minter's nonce above 21 bits of its mint counter; unique within any stream. */
export function tokenTag(token: Token): number {
  return (token.minter % 0x1_0000_0000) * 0x20_0000 + (token.n % 0x20_0000)
}

/** One past token with the version at which its successor was minted. */
export type Ancestor = { readonly token: Token; readonly forkVer: number }

/** Generation of the pair: a new one at each change of who holds what. */
export type Generation = { readonly n: number; readonly minter: BootId }
export const GENERATION_NONE: Generation = { n: 0, minter: 0 as BootId }

export function sameGeneration(a: Generation, b: Generation): boolean {
  return a.n === b.n && a.minter === b.minter
}

export function hasGeneration(history: readonly Generation[], g: Generation): boolean {
  return history.some((h) => sameGeneration(h, g))
}

/** One connection of one client, over all nodes and starts. */
export type ConnId = { readonly boot: BootId; readonly n: number }

export function sameConn(a: ConnId, b: ConnId): boolean {
  return a.n === b.n && a.boot === b.boot
}
