// PasswordFile: mosquitto's password file, one `user:hash` a line, read and checked as a whole. Checks nobody's password.
import { readFileSync } from 'node:fs'
import { utf8Text } from '../base/bytes.ts'
import { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
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

  /** As the file is now. @throws {OperatorFault} */
  read(): Users {
    const { path, label } = this
    const hashes = new Map<string, PasswordHash>()
    for (const [i, { user, secret }] of readPasswordLines(path, label).entries()) {
      if (user === null) continue
      const hash = parseHash(secret)
      if (typeof hash === 'string') throw new OperatorFault(`${label}: ${path}, line ${i + 1}: ${hash}`)
      hashes.set(user, hash)
    }
    return new Users(hashes)
  }
}

/** Lines with their users; each user once. What stands behind the colon is not judged. @throws {OperatorFault} */
export function readPasswordLines(path: string, label: string): PasswordLine[] {
  const seen = new Map<string, number>()
  const texts = readText(path, label).split('\n')
  if (texts.at(-1) === '') texts.pop()
  return texts.map((raw, i) => {
    const fail = (what: string) => new OperatorFault(`${label}: ${path}, line ${i + 1}: ${what}`)
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (text.trim() === '' || text.startsWith('#')) return { text, user: null, secret: '' }
    const colon = text.indexOf(':')
    if (colon === -1) throw fail('there is no colon between user and hash')
    const user = text.slice(0, colon).trim()
    const wrong = userFault(user)
    if (wrong !== null) throw fail(wrong)
    const before = seen.get(user)
    if (before !== undefined) throw fail(`user "${user}" stands in line ${before} already`)
    seen.set(user, i + 1)
    return { text, user, secret: text.slice(colon + 1).trim() }
  })
}

/** @returns what is wrong with a user name; null: nothing */
export function userFault(user: string): string | null {
  if (user === '') return 'the user name is empty'
  if (user.length > 0xffff) return 'the user name is too long'
  if (user.includes(':')) return 'a user name holds no colon'
  return /[\u0000-\u001f\u007f]/.test(user) ? 'a user name holds no control characters' : null
}

function readText(path: string, label: string): string {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new OperatorFault(`${label}: cannot read ${path} (${(error as { code?: string }).code ?? error})`)
  }
  if (bytes.length > LIMITS.passwordFileBytesMax)
    throw new OperatorFault(`${label}: ${path} has more than ${LIMITS.passwordFileBytesMax} bytes`)
  const text = utf8Text(bytes)
  if (text === null) throw new OperatorFault(`${label}: ${path} is not UTF-8 text`)
  return text
}
