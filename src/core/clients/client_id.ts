// ClientId: names for clients that bring none. Knows no client.
import type { Prng } from '../../base/prng.ts'

const WORDS = 4

/** `tandemq-` and 64 random bits. */
export function randomClientId(prng: Prng): string {
  let id = 'tandemq-'
  for (let i = 0; i < WORDS; i++)
    id += Math.floor(prng.next() * 0x10000)
      .toString(16)
      .padStart(4, '0')
  return id
}
