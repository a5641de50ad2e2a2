// Users: whose password is which, and what is shown to those who ask for somebody unknown. Knows no file and no client.
import { createHmac, randomBytes } from 'node:crypto'
import { utf8 } from '../../base/bytes.ts'
import { HASH_BYTES, ITERATIONS, PasswordHash, SALT_BYTES } from './password_hash.ts'

/** What an entry costs and shows: two entries of one shape are alike to a stranger. */
type Shape = { readonly iterations: number; readonly saltBytes: number }

const DEFAULT: Shape = { iterations: ITERATIONS, saltBytes: SALT_BYTES }

export class Users {
  private readonly hashes: ReadonlyMap<string, PasswordHash>
  private readonly shapes: readonly Shape[]
  private readonly scramShapes: readonly Shape[]
  /**
   * Makes up salts. From the first user's hash, which never leaves the process: so a name nobody has is shown the same salt by
   * both nodes, after a restart, and when users are added, as a real one is.
   */
  private readonly secret: Uint8Array

  constructor(hashes: ReadonlyMap<string, PasswordHash>) {
    this.hashes = hashes
    const shapes = new Map<string, Shape>()
    let first: PasswordHash | null = null
    let last: PasswordHash | null = null
    for (const hash of hashes.values()) {
      first ??= hash
      // Most are alike.
      if (hash.iterations === last?.iterations && hash.salt.length === last.salt.length) continue
      last = hash
      const shape = { iterations: hash.iterations, saltBytes: hash.salt.length }
      shapes.set(`${shape.iterations} ${shape.saltBytes}`, shape)
    }
    this.shapes = shapes.size === 0 ? [DEFAULT] : [...shapes.values()]
    const scram = this.shapes.filter(({ iterations }) => iterations > 0)
    this.scramShapes = scram.length === 0 ? [DEFAULT] : scram
    this.secret = first?.hash ?? new Uint8Array(randomBytes(HASH_BYTES))
  }

  get size(): number {
    return this.hashes.size
  }

  find(username: string): PasswordHash | undefined {
    return this.hashes.get(username)
  }

  /** For an unknown user: takes as long to check as one of the others. Nobody's password. */
  standIn(username: string): PasswordHash {
    return this.makeUp(username, this.shapes)
  }

  /** For a user whom SCRAM cannot serve: unknown, or with a `$6$` hash. */
  scramStandIn(username: string): PasswordHash {
    return this.makeUp(username, this.scramShapes)
  }

  private makeUp(username: string, shapes: readonly Shape[]): PasswordHash {
    const drawn = this.hmac(`shape ${username}`)
    const { iterations, saltBytes } = shapes[(drawn[0] as number) % shapes.length] as Shape
    let salt = new Uint8Array(0)
    for (let i = 0; salt.length < saltBytes; i++)
      salt = new Uint8Array([...salt, ...this.hmac(`salt ${i} ${username}`)])
    return new PasswordHash(iterations, salt.slice(0, saltBytes), this.hmac(`hash ${username}`))
  }

  private hmac(text: string): Uint8Array {
    return new Uint8Array(createHmac('sha512', this.secret).update(utf8(text)).digest())
  }

  /** Users of this list that the next one does not know, or knows by another password. */
  goneFrom(next: Users): Set<string> {
    const gone = new Set<string>()
    for (const [username, hash] of this.hashes) {
      if (!hash.equals(next.find(username))) gone.add(username)
    }
    return gone
  }
}
