// Passwords: users for tests, and a client's side of SCRAM, computed as RFC 5802 has it and with nothing of the server's.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { utf8 } from '../../src/base/bytes.ts'
import { type Derive, hashPassword } from '../../src/host/users/password_hash.ts'
import { Users } from '../../src/host/users/users.ts'
import { text } from './mqtt_client.ts'

/** Few: tests are about who comes in, not about how hard it is to find out. */
const ITERATIONS = 10

/** Users by name and password. */
export function usersOf(passwords: Readonly<Record<string, string>>, iterations = ITERATIONS): Users {
  return new Users(new Map(Object.entries(passwords).map(([name, pw]) => [name, hashPassword(utf8(pw), iterations)])))
}

/** On the spot, for tests that move everything by hand. */
export const deriveAtOnce: Derive = (password, salt, iterations, done) => {
  done(new Uint8Array(pbkdf2Sync(password, salt, iterations, 64, 'sha512')))
}

function hmac(key: Uint8Array, data: string | Uint8Array): Buffer {
  return createHmac('sha512', key).update(data).digest()
}

export class ScramClient {
  readonly first: Uint8Array
  /** What the server must say at last: known once its challenge is answered. */
  serverFinal = ''
  private readonly bare: string
  private readonly password: string
  private readonly gs2: string
  private readonly nonce: string

  constructor(username: string, password: string, nonce = 'fyko+d2lbbFgONRv9qkxdawL', gs2 = 'n,,') {
    this.password = password
    this.nonce = nonce
    this.gs2 = gs2
    this.bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
    this.first = utf8(gs2 + this.bare)
  }

  /** client-final-message, the answer to server-first-message. */
  answer(challenge: Uint8Array | null): Uint8Array {
    const said = text(challenge ?? new Uint8Array(0))
    const found = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(said)
    if (found === null) throw new Error(`no challenge: ${said}`)
    const [nonce, salt, iterations] = found.slice(1) as [string, string, string]
    if (!nonce.startsWith(this.nonce) || nonce.length < this.nonce.length + 16) throw new Error(`nonce: ${nonce}`)
    const salted = pbkdf2Sync(this.password, Buffer.from(salt, 'base64'), Number(iterations), 64, 'sha512')
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = `c=${Buffer.from(this.gs2).toString('base64')},r=${nonce}`
    const message = `${this.bare},${said},${withoutProof}`
    const signature = hmac(createHash('sha512').update(clientKey).digest(), message)
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] as number))
    this.serverFinal = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`
    return utf8(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)
  }
}
