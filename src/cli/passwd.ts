// Passwd: `tandemq passwd`, with mosquitto_passwd's flags: users and hashes in a password file. Talks to no node.
import { existsSync } from 'node:fs'
import process from 'node:process'
import { utf8 } from '../base/bytes.ts'
import { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import { type PasswordLine, readPasswordLines, userFault } from '../host/users/password_file.ts'
import { hashPassword, ITERATIONS, parseHash } from '../host/users/password_hash.ts'
import { type Flag, parseArgumentsAndWords, type Values } from './arguments.ts'
import { Failure } from './failure.ts'
import { commandHelp, type Described } from './help.ts'
import { replaceFile } from './replace_file.ts'
import { readSecrets } from './terminal.ts'

const FLAGS: readonly (Described & Flag)[] = [
  { name: 'create', short: 'c', value: null, help: 'a new file; one that is there is overwritten' },
  { name: 'batch', short: 'b', value: null, help: 'take the password from the command line' },
  { name: 'delete', short: 'D', value: null, help: 'delete the user' },
  { name: 'upgrade', short: 'U', value: null, help: 'hash the passwords of a file that holds them as they are' },
  { name: 'hash', short: 'H', value: 'HASH', help: 'sha512-pbkdf2 or sha512 (default sha512-pbkdf2)' },
  { name: 'iterations', short: 'I', value: 'N', help: `of sha512-pbkdf2 (default ${ITERATIONS})` },
]
const USAGE =
  'passwd [-c | -D] [-H HASH] [-I N] FILE USER\n       tandemq passwd [-c] -b FILE USER PASSWORD\n       tandemq passwd -U FILE'
const EXCLUSIVE = ['create', 'delete', 'upgrade']

/** @throws {OperatorFault | Failure} */
export async function passwd(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    const what =
      'Sets the password of one user in a file for --password-file; asks for it, or takes two lines of stdin.'
    return console.log(commandHelp(USAGE, what, FLAGS))
  }
  const { values, words } = parseArgumentsAndWords('passwd', args, FLAGS, 3)
  const [file, user, password] = words
  const chosen = EXCLUSIVE.filter((name) => values.has(name))
  if (chosen.length > 1) throw new OperatorFault(`--${chosen[0]} and --${chosen[1]} exclude each other`)
  const wanted = values.has('upgrade') ? 1 : values.has('batch') ? 3 : 2
  if (values.has('batch') && (values.has('upgrade') || values.has('delete')))
    throw new OperatorFault(`--batch and --${chosen[0]} exclude each other`)
  if (words.length !== wanted || file === undefined)
    throw new OperatorFault(`passwd takes ${WANTED[wanted]} here; see tandemq passwd --help`)
  const iterations = readIterations(values)
  if (values.has('upgrade')) return upgrade(file, iterations)
  const wrong = userFault(user as string)
  if (wrong !== null) throw new OperatorFault(`USER: ${wrong}`)
  if (values.has('delete')) return deleteUser(file, user as string)
  const lines = values.has('create') ? [] : readLines(file)
  const secret = password ?? (await askPassword())
  replaceFile(file, withUser(lines, user as string, hashText(secret, iterations)))
}

const WANTED: Readonly<Record<number, string>> = { 1: 'FILE', 2: 'FILE and USER', 3: 'FILE, USER and PASSWORD' }

/** 0: one SHA-512. */
function readIterations(values: Values): number {
  const hash = values.get('hash')?.[0] ?? 'sha512-pbkdf2'
  if (hash !== 'sha512-pbkdf2' && hash !== 'sha512')
    throw new OperatorFault(`--hash: "${hash}" is not sha512-pbkdf2 or sha512`)
  const text = values.get('iterations')?.[0]
  if (text === undefined) return hash === 'sha512' ? 0 : ITERATIONS
  if (hash === 'sha512') throw new OperatorFault('--iterations has no meaning for --hash sha512')
  const n = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN
  if (n <= LIMITS.passwordIterationsMax) return n
  throw new OperatorFault(`--iterations: "${text}" is not a whole number from 1 to ${LIMITS.passwordIterationsMax}`)
}

function readLines(file: string): PasswordLine[] {
  if (!existsSync(file)) throw new OperatorFault(`passwd: ${file} is not there; --create makes it`)
  return readPasswordLines(file, 'passwd')
}

function hashText(password: string, iterations: number): string {
  const bytes = utf8(password)
  if (bytes.length === 0) throw new Failure('an empty password is none')
  if (bytes.length > LIMITS.passwordBytesMax)
    throw new Failure(`a password has at most ${LIMITS.passwordBytesMax} bytes`)
  return hashPassword(bytes, iterations).toString()
}

/** In the place of the user's former line, or at the end. Comments stay. */
function withUser(lines: readonly PasswordLine[], user: string, hash: string): string[] {
  const texts = lines.map((line) => (line.user === user ? `${user}:${hash}` : line.text))
  if (!lines.some((line) => line.user === user)) texts.push(`${user}:${hash}`)
  return texts
}

function deleteUser(file: string, user: string): void {
  const lines = readLines(file)
  const rest = lines.filter((line) => line.user !== user)
  if (rest.length === lines.length) throw new Failure(`${file} has no user "${user}"`)
  replaceFile(
    file,
    rest.map(({ text }) => text),
  )
}

/** Lines that are hashed already stay as they are. */
function upgrade(file: string, iterations: number): void {
  const texts = readLines(file).map(({ text, user, secret }, i) => {
    if (user === null) return text
    const hash = parseHash(secret)
    if (typeof hash !== 'string') return text
    // What was meant as a hash is no password.
    if (/^\$(?:[67]|argon2\w*)\$/.test(secret)) throw new OperatorFault(`passwd: ${file}, line ${i + 1}: ${hash}`)
    return `${user}:${hashText(secret, iterations)}`
  })
  replaceFile(file, texts)
}

async function askPassword(): Promise<string> {
  const [password, again] = await readSecrets(process.stdin, process.stderr, ['Password: ', 'Again: '])
  if (password !== again) throw new Failure('the two passwords differ')
  return password as string
}
