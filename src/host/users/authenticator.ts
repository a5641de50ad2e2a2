// Authenticator: tells the node who its clients are: by password, hashed in the runtime's thread pool so that the event loop goes
// on, or by SCRAM. Few checks at once, the others wait. Knows no connection; forgets every password with its check.
import { timingSafeEqual } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { assert } from '../../base/assert.ts'
import { NO_BYTES } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import type { AuthAnswer } from '../../connection/authentication.ts'
import type { AuthPort } from '../../core/ports.ts'
import { Reason } from '../../wire/reason.ts'
import { type Derive, deriveInPool, type PasswordHash, sha512 } from './password_hash.ts'
import { SCRAM, ScramExchange, WRONG } from './scram.ts'
import type { Users } from './users.ts'

type Check = { readonly request: number; readonly username: string; readonly password: Uint8Array | null }

/** The event loop keeps a core for itself where there is more than one. */
const CHECKS_MAX = Math.min(LIMITS.passwordChecksMax, Math.max(1, availableParallelism() - 1))

export class Authenticator implements AuthPort {
  private users: Users
  private readonly answer: (request: number, answer: AuthAnswer) => void
  private readonly derive: Derive
  /** In order of arrival. */
  private readonly waiting = new Map<number, Check>()
  private underWay = 0
  private readonly exchanges = new Map<number, ScramExchange>()

  /** @param answer called later, never from within a question */
  constructor(users: Users, answer: (request: number, answer: AuthAnswer) => void, derive: Derive = deriveInPool) {
    this.users = users
    this.answer = answer
    this.derive = derive
  }

  /** @returns who was known by another password, or is no longer known at all */
  replace(users: Users): Set<string> {
    const gone = this.users.goneFrom(users)
    this.users = users
    return gone
  }

  // ---- passwords

  askPassword(request: number, username: string, password: Uint8Array | null): void {
    const check = { request, username, password }
    if (this.underWay < CHECKS_MAX) this.check(check)
    else if (this.waiting.size < LIMITS.passwordChecksWaitingMax) this.waiting.set(request, check)
    else this.finish(check, refusal(Reason.serverBusy, 'too many clients are being authenticated', username))
  }

  private check(check: Check): void {
    const { username } = check
    // Made up for everybody, so that it takes everybody the same time.
    const standIn = this.users.standIn(username)
    const known = this.users.find(username)
    const hash = known ?? standIn
    const password =
      check.password === null || check.password.length > LIMITS.passwordBytesMax ? NO_BYTES : check.password
    if (hash.iterations === 0) return this.judge(check, known, hash, sha512(password, hash.salt))
    this.underWay++
    this.derive(password, hash.salt, hash.iterations, (key) => {
      this.underWay--
      assert(key !== null, 'what a password file holds can be derived')
      this.judge(check, known, hash, key)
      this.next()
    })
  }

  private judge(check: Check, known: PasswordHash | undefined, hash: PasswordHash, key: Uint8Array): void {
    const { username, password } = check
    const right = timingSafeEqual(key, hash.hash)
    const given = password !== null && password.length <= LIMITS.passwordBytesMax
    // The file may have been replaced meanwhile.
    const valid = right && given && known?.equals(this.users.find(username))
    const refused = refusal(Reason.badUserNameOrPassword, WRONG, username)
    this.finish(check, valid ? { kind: 'accepted', username, data: null } : refused)
  }

  private finish(check: Check, answer: AuthAnswer): void {
    check.password?.fill(0)
    this.answer(check.request, answer)
  }

  private next(): void {
    for (const [request, check] of this.waiting) {
      if (this.underWay >= CHECKS_MAX) return
      this.waiting.delete(request)
      this.check(check)
    }
  }

  // ---- SCRAM: the client does the costly part

  offers(method: string): boolean {
    return method === SCRAM
  }

  askFirst(request: number, _method: string, data: Uint8Array | null): void {
    const exchange = ScramExchange.begin(data, this.users)
    if (typeof exchange === 'string') return this.answer(request, refusal(Reason.notAuthorized, exchange, null))
    this.exchanges.set(request, exchange)
    this.answer(request, { kind: 'challenge', data: exchange.challenge })
  }

  askNext(request: number, data: Uint8Array | null): void {
    const exchange = this.exchanges.get(request)
    assert(exchange !== undefined, 'an answer belongs to a challenge')
    this.exchanges.delete(request)
    const final = exchange.finish(data, this.users)
    if (typeof final === 'string') this.answer(request, refusal(Reason.notAuthorized, final, exchange.username))
    else this.answer(request, { kind: 'accepted', username: exchange.username, data: final })
  }

  forget(request: number): void {
    this.exchanges.delete(request)
    this.waiting.get(request)?.password?.fill(0)
    this.waiting.delete(request)
  }
}

function refusal(reason: number, why: string, username: string | null): AuthAnswer {
  return { kind: 'refused', reason, why, username }
}
