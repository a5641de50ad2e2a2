// PasswordFile: mosquitto's password file, one `user:hash` a line, read and checked as a whole. Checks nobody's password.
import { statSync } from 'node:fs'
import process from 'node:process'
import { OperatorFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import { atOnce, inSlices, LINES_PER_SLICE, readBytes, readBytesLater, textOf } from '../text_file.ts'
import { type PasswordHash, parseHash } from './password_hash.ts'
import { Users } from './users.ts'

export type PasswordLine = {
  /** Without its line end. */
  readonly text: string
  /** Null: a blank line or a comment. */
  readonly user: string | null
  /** Everything behind the colon. */
  readonly secret: string
}

export class PasswordFile {
  readonly path: string
  /** Of the start. */
  readonly users: Users
  private readonly label: string

  /** @param label what names the file, for messages: `--password-file` @throws {OperatorFault} */
  constructor(path: string, label: string) {
    this.path = path
    this.label = label
    this.users = this.read()
  }

  /** @throws {OperatorFault} */
  private read(): Users {
    return atOnce(this.parse(readBytes(this.path, this.label)))
  }

  /** As the file is now. A large one takes a second; the event loop goes on meanwhile. @throws {OperatorFault} */
  async readAgain(): Promise<Users> {
    return inSlices(this.parse(await readBytesLater(this.path, this.label)))
  }

  /** Stops between slices of the file. @throws {OperatorFault} */
  *parse(bytes: Uint8Array): Generator<void, Users> {
    const { path, label } = this
    const hashes = new Map<string, PasswordHash>()
    let line = 0
    for (const { user, secret } of passwordLines(bytes, path, label)) {
      if (++line % LINES_PER_SLICE === 0) yield
      if (user === null) continue
      const hash = parseHash(secret)
      if (typeof hash === 'string') throw new OperatorFault(`${label}: ${path}, line ${line}: ${hash}`)
      hashes.set(user, hash)
    }
    return new Users(hashes)
  }

  /** Everybody on this machine may read it. */
  get isOpenToAll(): boolean {
    const found = statSync(this.path, { throwIfNoEntry: false })
    return process.platform !== 'win32' && found !== undefined && (found.mode & 0o004) !== 0
  }
}

/** @throws {OperatorFault} */
export function readPasswordLines(path: string, label: string): PasswordLine[] {
  return [...passwordLines(readBytes(path, label), path, label)]
}

/** Lines with their users; each user once. What stands behind the colon is not judged. @throws {OperatorFault} */
function* passwordLines(bytes: Uint8Array, path: string, label: string): Generator<PasswordLine> {
  const seen = new Map<string, number>()
  const texts = textOf(bytes, LIMITS.passwordFileBytesMax, path, label).split('\n')
  if (texts.at(-1) === '') texts.pop()
  for (const [i, raw] of texts.entries()) {
    const fail = (what: string) => new OperatorFault(`${label}: ${path}, line ${i + 1}: ${what}`)
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (text.trim() === '' || text.startsWith('#')) {
      yield { text, user: null, secret: '' }
      continue
    }
    const colon = text.indexOf(':')
    if (colon === -1) throw fail('there is no colon between user and hash')
    const user = text.slice(0, colon).trim()
    const wrong = userFault(user)
    if (wrong !== null) throw fail(wrong)
    const before = seen.get(user)
    if (before !== undefined) throw fail(`user "${user}" stands in line ${before} already`)
    seen.set(user, i + 1)
    yield { text, user, secret: text.slice(colon + 1).trim() }
  }
}

/** @returns what is wrong with a user name; null: nothing */
export function userFault(user: string): string | null {
  if (user === '') return 'the user name is empty'
  if (user.length > 0xffff) return 'the user name is too long'
  if (user.includes(':')) return 'a user name holds no colon'
  return /[\u0000-\u001f\u007f]/.test(user) ? 'a user name holds no control characters' : null
}
