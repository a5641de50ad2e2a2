// Authentications: clients whose identity is being asked for outside, by the number of the question. Knows no user, no method and
// no packet.
import { assert } from '../../base/assert.ts'
import { LIMITS } from '../../base/limits.ts'
import type { AuthAnswer, Authentication } from '../../connection/authentication.ts'
import type { Connection } from '../../connection/connection.ts'
import { onAnswer } from '../../connection/on_auth.ts'
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'
import type { AuthPort } from '../ports.ts'

export class Authentications implements Authentication {
  /** Asked, and not told the end yet. An exchange keeps its number from its first question to its last answer. */
  readonly open = new Map<number, Connection>()
  private count = 0
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  private get port(): AuthPort {
    const { auth } = this.node.ports
    assert(auth !== undefined, 'nothing is asked where nobody knows the users')
    return auth
  }

  // ---- what connections ask

  get required(): boolean {
    return this.node.ports.auth !== undefined
  }

  offers(method: string): boolean {
    return this.node.ports.auth?.offers(method) === true
  }

  askPassword(c: Connection, username: string, password: Uint8Array | null): void {
    this.port.askPassword(this.begin(c), username, password)
  }

  askFirst(c: Connection, method: string, data: Uint8Array | null): void {
    this.port.askFirst(this.begin(c), method, data)
  }

  askNext(c: Connection, data: Uint8Array | null): void {
    this.port.askNext(c.authRequest, data)
  }

  forget(c: Connection): void {
    this.open.delete(c.authRequest)
    this.port.forget(c.authRequest)
    c.authRequest = 0
  }

  private begin(c: Connection): number {
    assert(c.authRequest === 0, 'one authentication of a connection at a time')
    c.authRequest = ++this.count
    this.open.set(c.authRequest, c)
    if (c.state === 'authenticating') this.node.keepAlive.set(c, this.node.now + LIMITS.authTimeoutMs)
    return c.authRequest
  }

  // ---- events

  /** Who asked may be gone. */
  answered(request: number, answer: AuthAnswer): void {
    const c = this.open.get(request)
    if (c === undefined) return
    this.node.begin()
    if (answer.kind !== 'challenge') {
      this.open.delete(request)
      c.authRequest = 0
    }
    onAnswer(c, answer)
  }

  /** These users, or their passwords, are no longer valid: whoever came in by them is shown out. */
  revoke(usernames: ReadonlySet<string>): void {
    const { node } = this
    for (const c of [...node.all]) {
      if (c.username === null || !usernames.has(c.username)) continue
      node.begin()
      if (c.state === 'claiming') c.refuse(Reason.notAuthorized, 'user withdrawn')
      else c.disconnect(Reason.notAuthorized, 'user withdrawn', false)
    }
  }

  /** The time for it is over: the client did not go on, or too many others are before it. */
  timedOut(c: Connection): void {
    this.node.metrics.add('authentication_timeouts')
    if (c.exchange === 'challenged') c.refuse(Reason.notAuthorized, 'authentication was not finished in time')
    else c.refuse(Reason.serverBusy, 'too many clients are being authenticated')
  }
}
