// Scram: the server's side of one SCRAM-SHA-512 exchange (RFC 5802) over a password file's `$7$` hash, which is SCRAM's salted
// password as it stands. Knows no packet and no file.
import { Buffer } from 'node:buffer'
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { utf8 } from '../../base/bytes.ts'
import { type PasswordHash, sha512 } from './password_hash.ts'
import { type ClientFirst, parseClientFinal, parseClientFirst } from './scram_messages.ts'
import type { Users } from './users.ts'

export const SCRAM = 'SCRAM-SHA-512'

const NONCE_BYTES = 18

/** A client that has named itself and was sent its challenge. */
export class ScramExchange {
  readonly username: string
  /** server-first-message */
  readonly challenge: Uint8Array
  private readonly first: ClientFirst
  private readonly nonce: string
  private readonly challengeText: string
  /** Null: nobody's; whatever the proof is, it is wrong. */
  private readonly known: PasswordHash | null
  private readonly hash: PasswordHash

  private constructor(first: ClientFirst, users: Users, nonce: string) {
    this.first = first
    this.username = first.username
    this.nonce = first.nonce + nonce
    // Made up for everybody, so that it takes everybody the same time.
    const standIn = users.scramStandIn(first.username)
    const found = users.find(first.username)
    this.known = found !== undefined && found.iterations > 0 ? found : null
    this.hash = this.known ?? standIn
    const salt = Buffer.from(this.hash.salt).toString('base64')
    this.challengeText = `r=${this.nonce},s=${salt},i=${this.hash.iterations}`
    this.challenge = utf8(this.challengeText)
  }

  /** @param data client-first-message @returns what is wrong with it, where it is none */
  static begin(data: Uint8Array | null, users: Users): ScramExchange | string {
    const first = parseClientFirst(data)
    if (typeof first === 'string') return first
    return new ScramExchange(first, users, randomBytes(NONCE_BYTES).toString('base64'))
  }

  /** @param data client-final-message @param users as they are now @returns server-final-message, or why the client is refused */
  finish(data: Uint8Array | null, users: Users): Uint8Array | string {
    const final = parseClientFinal(data)
    if (typeof final === 'string') return final
    if (final.nonce !== this.nonce) return 'SCRAM: another nonce'
    if (!Buffer.from(final.binding).equals(utf8(this.first.gs2Header))) return 'SCRAM: another gs2 header'
    const text = utf8(`${this.first.bare},${this.challengeText},${final.withoutProof}`)
    const storedKey = sha512(hmac(this.hash.hash, utf8('Client Key')))
    const signature = hmac(storedKey, text)
    const clientKey = final.proof.map((byte, i) => byte ^ (signature[i] as number))
    const right = timingSafeEqual(sha512(clientKey), storedKey)
    const serverSignature = hmac(hmac(this.hash.hash, utf8('Server Key')), text)
    if (!right || this.known === null || !this.known.equals(users.find(this.username))) return WRONG
    return utf8(`v=${Buffer.from(serverSignature).toString('base64')}`)
  }
}

/** One answer, whatever of the two is wrong. */
export const WRONG = 'user name or password is wrong'

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha512', key).update(data).digest())
}
