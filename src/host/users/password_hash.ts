// PasswordHash: one password as mosquitto's files keep it: `$7$iterations$salt$hash` (PBKDF2 with HMAC-SHA-512) or `$6$salt$hash`
// (one SHA-512 over password and salt). Knows no user and no file.
import { Buffer } from 'node:buffer'
import { createHash, pbkdf2, pbkdf2Sync, randomBytes } from 'node:crypto'
import { LIMITS } from '../../base/limits.ts'

export const HASH_BYTES = 64
/** As mosquitto_passwd 2.0. */
export const SALT_BYTES = 12
/** A hundred times mosquitto 2.0's; 7 ms of a core, so 1000 clients of a node that died are let in by one core of the other in 7 s. */
export const ITERATIONS = 10_000

export class PasswordHash {
  /** Of PBKDF2; 0: a single SHA-512. */
  readonly iterations: number
  readonly salt: Uint8Array
  readonly hash: Uint8Array

  constructor(iterations: number, salt: Uint8Array, hash: Uint8Array) {
    this.iterations = iterations
    this.salt = salt
    this.hash = hash
  }

  equals(other: PasswordHash | undefined): boolean {
    if (other === undefined || other.iterations !== this.iterations) return false
    return Buffer.compare(this.salt, other.salt) === 0 && Buffer.compare(this.hash, other.hash) === 0
  }

  toString(): string {
    const [salt, hash] = [this.salt, this.hash].map((bytes) => Buffer.from(bytes).toString('base64'))
    return this.iterations === 0 ? `$6$${salt}$${hash}` : `$7$${this.iterations}$${salt}$${hash}`
  }
}

/** @returns what is wrong with the text, as the end of a sentence, where it is no such hash */
export function parseHash(text: string): PasswordHash | string {
  if (text.startsWith('$argon2')) return 'Argon2 is not supported; set this password anew with tandemq passwd'
  const parts = text.split('$')
  const [before, kind] = parts
  if (before !== '' || (kind !== '6' && kind !== '7')) return 'a password hash begins with $7$ or $6$'
  if (parts.length !== (kind === '7' ? 5 : 4)) return `a $${kind}$ hash has ${kind === '7' ? 'three' : 'two'} parts`
  const [saltText, hashText] = parts.slice(-2) as [string, string]
  const iterations = kind === '6' ? 0 : wholeNumber(parts[2] as string)
  if (kind === '7' && !(iterations >= 1 && iterations <= LIMITS.passwordIterationsMax))
    return `the iterations are not a whole number from 1 to ${LIMITS.passwordIterationsMax}`
  const salt = fromBase64(saltText)
  if (salt === null) return 'the salt is not base64'
  if (salt.length === 0 || salt.length > LIMITS.saltBytesMax)
    return `the salt has not 1 to ${LIMITS.saltBytesMax} bytes`
  const hash = fromBase64(hashText)
  if (hash === null) return 'the hash is not base64'
  if (hash.length !== HASH_BYTES) return `the hash has ${hash.length} bytes instead of ${HASH_BYTES}`
  return new PasswordHash(iterations, salt, hash)
}

function wholeNumber(text: string): number {
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN
}

/** @returns null where the text is not base64 to the last character; Buffer.from takes anything */
export function fromBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : null
}

export function sha512(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** A new hash with a salt of its own. Blocks: for the command line. @param iterations 0: one SHA-512 */
export function hashPassword(password: Uint8Array, iterations: number): PasswordHash {
  const salt = new Uint8Array(randomBytes(SALT_BYTES))
  const hash = iterations === 0 ? sha512(password, salt) : pbkdf2Sync(password, salt, iterations, HASH_BYTES, 'sha512')
  return new PasswordHash(iterations, salt, new Uint8Array(hash))
}

/** PBKDF2 somewhere else than on the event loop. */
export type Derive = (
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  done: (key: Uint8Array | null) => void,
) => void

/** In the runtime's thread pool. @param password borrowed until `done` */
export const deriveInPool: Derive = (password, salt, iterations, done) => {
  pbkdf2(password, salt, iterations, HASH_BYTES, 'sha512', (error, key) =>
    done(error === null ? new Uint8Array(key) : null),
  )
}
