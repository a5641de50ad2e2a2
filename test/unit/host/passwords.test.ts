// Passwords: mosquitto's file, its hashes, who is made up for strangers, and checks that queue.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../../src/base/bytes.ts'
import { OperatorFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { AuthAnswer } from '../../../src/connection/authentication.ts'
import { Authenticator } from '../../../src/host/users/authenticator.ts'
import { PasswordFile } from '../../../src/host/users/password_file.ts'
import { deriveInPool, hashPassword, PasswordHash, parseHash, sha512 } from '../../../src/host/users/password_hash.ts'
import { Users } from '../../../src/host/users/users.ts'
import { deriveAtOnce, usersOf } from '../../support/passwords.ts'
import { assert, suite } from '../../support/suite.ts'
import { needs } from '../../support/tools.ts'

const test = suite('passwords')
const folder = mkdtempSync(join(tmpdir(), 'tandemq-passwords-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
function file(text: string | Uint8Array): string {
  const path = join(folder, `passwords-${++files}`)
  writeFileSync(path, text)
  return path
}

function mosquittoPasswd(path: string, ...args: string[]): void {
  const { status, stderr } = spawnSync('mosquitto_passwd', [...args.slice(0, -2), path, ...args.slice(-2)], {
    encoding: 'utf8',
  })
  assert.is(status, 0, stderr)
}

const read = (path: string) => new PasswordFile(path, '--password-file').users

/** The one sentence that the file is refused with. */
function refusal(text: string | Uint8Array): string {
  const path = file(text)
  try {
    read(path)
  } catch (error) {
    assert.instance(error, OperatorFault)
    return (error as Error).message.replace(path, 'FILE')
  }
  throw new Error(`taken: ${text}`)
}

const derive = (password: string, { salt, iterations }: PasswordHash) =>
  new Promise<Uint8Array | null>((resolve) => deriveInPool(utf8(password), salt, iterations, resolve))

// ---- hashes

needs(test, 'mosquitto_passwd')('what mosquitto_passwd writes is what we compute, $7$ and $6$', async () => {
  const path = file('')
  mosquittoPasswd(path, '-b', 'al', 'pass wörd')
  mosquittoPasswd(path, '-H', 'sha512', '-b', 'bo', 'geheim')
  const users = read(path)
  assert.is(users.size, 2)
  const [al, bo] = [users.find('al') as PasswordHash, users.find('bo') as PasswordHash]
  assert.is(al.iterations, 101)
  assert.equal(await derive('pass wörd', al), al.hash)
  assert.not.equal(await derive('pass word', al), al.hash)
  assert.equal(bo.iterations, 0)
  assert.equal(sha512(utf8('geheim'), bo.salt), bo.hash)
})

test('a hash is written as it was read, whatever the length of its salt', () => {
  for (const bytes of [1, 12, 64, 256]) {
    for (const iterations of [0, 1, 101, 10_000_000]) {
      const hash = new PasswordHash(iterations, new Uint8Array(bytes).fill(7), new Uint8Array(64).fill(255))
      const again = parseHash(hash.toString())
      assert.instance(again, PasswordHash, String(again))
      assert.ok(hash.equals(again as PasswordHash))
    }
  }
})

test('a new hash has a salt of its own', () => {
  const [one, two] = [hashPassword(utf8('x'), 10), hashPassword(utf8('x'), 10)]
  assert.not(one.equals(two))
  assert.is(one.salt.length, 12)
  assert.is(one.hash.length, 64)
})

test('an empty password can be hashed: it is one like any other', async () => {
  const hash = hashPassword(utf8(''), 10)
  assert.equal(await derive('', hash), hash.hash)
})

// ---- the file

const HASH = hashPassword(utf8('x'), 10).toString()

test('blank lines, comments, white space and Windows line ends are borne', () => {
  const users = read(file(`# users\r\n\r\n  al : ${HASH}  \r\nbö: ${HASH}\n   \n`))
  assert.is(users.size, 2)
  assert.ok(users.find('al')?.equals(users.find('bö')))
  assert.is(read(file('')).size, 0)
})

test('what is wrong is told in one sentence with file and line', () => {
  const [, , , salt, hash] = HASH.split('$') as [string, string, string, string, string]
  const at = (line: number, what: string) => `--password-file: FILE, line ${line}: ${what}`
  const rows: readonly [string, string][] = [
    [`al:${HASH}\nnobody`, at(2, 'there is no colon between user and hash')],
    [`:${HASH}`, at(1, 'the user name is empty')],
    ['al:', at(1, 'a password hash begins with $7$ or $6$')],
    ['al:plain', at(1, 'a password hash begins with $7$ or $6$')],
    ['al:$1$x$y', at(1, 'a password hash begins with $7$ or $6$')],
    [`al:${HASH}\n\n#\nal:${HASH}`, at(4, 'user "al" stands in line 1 already')],
    [`al:$7$10$${salt}`, at(1, 'a $7$ hash has three parts')],
    [`al:$6$10$${salt}$${hash}`, at(1, 'a $6$ hash has two parts')],
    [`al:$7$0$${salt}$${hash}`, at(1, 'the iterations are not a whole number from 1 to 10000000')],
    [`al:$7$1e3$${salt}$${hash}`, at(1, 'the iterations are not a whole number from 1 to 10000000')],
    [`al:$7$10000001$${salt}$${hash}`, at(1, 'the iterations are not a whole number from 1 to 10000000')],
    [`al:$7$10$$${hash}`, at(1, 'the salt has not 1 to 256 bytes')],
    [`al:$7$10$${'AAAA'.repeat(86)}$${hash}`, at(1, 'the salt has not 1 to 256 bytes')],
    [`al:$7$10$sa!t$${hash}`, at(1, 'the salt is not base64')],
    [`al:$7$10$${salt}$${hash.slice(0, -4)}`, at(1, 'the hash has 63 bytes instead of 64')],
    [`al:$7$10$${salt}$${hash.slice(0, -1)}`, at(1, 'the hash is not base64')],
    [`al:$7$10$${salt}$${hash} x`, at(1, 'the hash is not base64')],
    [
      'al:$argon2id$v=19$m=65536,t=1,p=1$c2FsdA$aGFzaA',
      at(1, 'Argon2 is not supported; set this password anew with tandemq passwd'),
    ],
    [`a\u0007l:${HASH}`, at(1, 'a user name holds no control characters')],
  ]
  for (const [text, sentence] of rows) assert.is(refusal(text), sentence)
  assert.is(refusal(new Uint8Array([0x61, 0xff])), '--password-file: FILE is not UTF-8 text')
  assert.throws(() => read(join(folder, 'none')), /--password-file: cannot read .*none \(ENOENT\)/)
})

test('a file read again is the one that is there then, in slices, and its faults are the same', async () => {
  const path = file(`al:${HASH}\n`)
  const it = new PasswordFile(path, '--password-file')
  const large = Array.from({ length: 5000 }, (_, i) => `user${i}:${HASH}\n`).join('')
  assert.is([...it.parse(utf8(large))].length, 5, 'others have their turn in between')
  writeFileSync(path, large)
  assert.equal([it.users.size, (await it.readAgain()).size], [1, 5000])
  writeFileSync(path, `al:${HASH}\nbo:plain\n`)
  const said = await it.readAgain().then(String, (error: Error) => error.message)
  assert.match(said, /line 2: a password hash begins with/)
  rmSync(path)
  assert.match(await it.readAgain().then(String, (error: Error) => error.message), /cannot read .*ENOENT/)
})

test('whether everybody may read it', () => {
  const path = file(`al:${HASH}\n`)
  const it = new PasswordFile(path, '--password-file')
  chmodSync(path, 0o640)
  assert.not(it.isOpenToAll)
  chmodSync(path, 0o644)
  assert.ok(it.isOpenToAll)
})

// ---- strangers

test('a stranger gets one of the forms that are there, always the same, and on another node too', () => {
  const one = new Users(new Map([['al', hashPassword(utf8('x'), 10)]]))
  const same = one.standIn('nobody')
  assert.ok(same.equals(one.standIn('nobody')))
  assert.not(same.equals(one.standIn('nobody else')))
  assert.equal([same.iterations, same.salt.length], [10, 12])
  const al = one.find('al') as PasswordHash
  const grown = new Users(
    new Map([
      ['al', al],
      ['bo', hashPassword(utf8('y'), 10)],
    ]),
  )
  assert.ok(same.equals(grown.standIn('nobody')), 'unchanged by a further user')
})

test('forms are drawn from all that are there; SCRAM takes only those it can serve', () => {
  const old = new PasswordHash(0, new Uint8Array(12), new Uint8Array(64))
  const long = new PasswordHash(101, new Uint8Array(64), new Uint8Array(64))
  const users = new Users(
    new Map([
      ['al', old],
      ['bo', long],
    ]),
  )
  const names = Array.from({ length: 64 }, (_, i) => `user${i}`)
  const forms = new Set(names.map((name) => users.standIn(name)).map((h) => `${h.iterations} ${h.salt.length}`))
  assert.equal([...forms].sort(), ['0 12', '101 64'])
  const scram = new Set(names.map((name) => users.scramStandIn(name).iterations))
  assert.equal([...scram], [101])
  assert.is(new Users(new Map([['al', old]])).scramStandIn('x').iterations > 1000, true)
})

// ---- checks

/** An authenticator whose hashing ends when the test says so. */
function byHand(users: Users) {
  const jobs: (() => void)[] = []
  const answers = new Map<number, AuthAnswer>()
  const it = new Authenticator(
    users,
    (request, answer) => void answers.set(request, answer),
    (password, salt, iterations, done) => {
      jobs.push(() => deriveAtOnce(password, salt, iterations, done))
    },
  )
  return { it, jobs, answers }
}

test('few checks are under way at once, the others wait in order, and beyond a bound they are told so', () => {
  const { it, jobs, answers } = byHand(usersOf({ al: 'x' }))
  const total = LIMITS.passwordChecksMax + LIMITS.passwordChecksWaitingMax + 1
  for (let i = 1; i <= total; i++) it.askPassword(i, 'al', utf8('x'))
  const underWay = jobs.length
  assert.ok(underWay >= 1 && underWay <= LIMITS.passwordChecksMax)
  const busy = [...answers.values()]
  assert.is(busy.length, total - underWay - LIMITS.passwordChecksWaitingMax)
  for (const answer of busy) assert.is(answer.kind === 'refused' && answer.reason, 0x89)
  jobs[0]?.()
  assert.is(answers.get(1)?.kind, 'accepted')
  assert.is(jobs.length, underWay + 1, 'the next one begins')
})

test('a check that nobody waits for any more is not begun', () => {
  const { it, jobs, answers } = byHand(usersOf({ al: 'x' }))
  for (let i = 1; i <= 10; i++) it.askPassword(i, 'al', utf8('x'))
  const underWay = jobs.length
  for (let i = underWay + 1; i <= 10; i++) it.forget(i)
  for (let i = 0; i < jobs.length; i++) jobs[i]?.()
  assert.is(jobs.length, underWay)
  assert.is(answers.size, underWay)
})

test('an unknown user costs a hash as well, and the password is erased in any case', () => {
  for (const [username, text, kind] of [
    ['al', 'x', 'accepted'],
    ['al', 'y', 'refused'],
    ['nobody', 'x', 'refused'],
  ] as const) {
    const { it, jobs, answers } = byHand(usersOf({ al: 'x' }))
    const password = utf8(text)
    it.askPassword(1, username, password)
    assert.is(jobs.length, 1)
    jobs[0]?.()
    assert.is(answers.get(1)?.kind, kind)
    assert.equal(password, new Uint8Array(1))
  }
})

test('a user who is withdrawn while the password is checked does not come in; one who is written again does', () => {
  const users = usersOf({ al: 'x' })
  for (const [next, kind] of [
    [usersOf({ bo: 'x' }), 'refused'],
    [usersOf({ al: 'x' }), 'refused'],
    [
      new Users(new Map([['al', parseHash((users.find('al') as PasswordHash).toString()) as PasswordHash]])),
      'accepted',
    ],
  ] as const) {
    const { it, jobs, answers } = byHand(users)
    it.askPassword(1, 'al', utf8('x'))
    it.replace(next)
    jobs[0]?.()
    assert.is(answers.get(1)?.kind, kind)
  }
})

test.run()
