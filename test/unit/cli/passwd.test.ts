// Passwd: `tandemq passwd` as a process: files that mosquitto and this broker take, and what is said of mistakes.
// timeout: 180 s

import { spawnSync } from 'node:child_process'
import { pbkdf2Sync } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PasswordFile } from '../../../src/host/users/password_file.ts'
import type { PasswordHash } from '../../../src/host/users/password_hash.ts'
import { mosquittoPub } from '../../support/mosquitto.ts'
import { Folder, freePorts, Proc } from '../../support/processes.ts'
import { assert, suite } from '../../support/suite.ts'
import { needs } from '../../support/tools.ts'

const test = suite('passwd')
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const command = [process.execPath, ...('Deno' in globalThis ? ['run', '-A', '--no-lock'] : []), main, 'passwd']

function passwd(args: readonly string[], input = ''): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(command[0] as string, [...command.slice(1), ...args], {
    input,
    encoding: 'utf8',
  })
  return { code: status, said: stdout + stderr }
}

function done(args: readonly string[], input = ''): void {
  assert.equal(passwd(args, input), { code: 0, said: '' })
}

const lines = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1)
const users = (file: string) => lines(file).map((line) => line.split(':')[0])

needs(
  test,
  'mosquitto',
  'mosquitto_pub',
)('what it writes is taken by mosquitto, and by this broker', async () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  done(['-c', '-b', file, 'al', 'secret one'])
  done(['-b', file, 'bo', 'hidden', '-H', 'sha512'])
  done(['-I', '101', file, 'ca'], 'from stdin\nfrom stdin\n')
  assert.match(lines(file)[0] as string, /^al:\$7\$10000\$[\w+/]{16}\$[\w+/]{86}==$/)
  assert.match(lines(file)[1] as string, /^bo:\$6\$/)
  assert.match(lines(file)[2] as string, /^ca:\$7\$101\$/)
  assert.is(new PasswordFile(file, '--password-file').users.size, 3)
  const [port] = (await freePorts(1)) as [number]
  const config = join(folder.path, 'mosquitto.conf')
  // mosquitto gives up its rights to another user, who must read the file.
  chmodSync(folder.path, 0o755)
  chmodSync(file, 0o644)
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous false\npassword_file ${file}\n`)
  const mosquitto = new Proc('mosquitto', ['-c', config])
  try {
    const come = async (user: string, password: string) =>
      (await mosquittoPub(port, ['-u', user, '-P', password, '-t', 't', '-n'])).code
    for (let i = 0; (await come('al', 'secret one')) !== 0 && i < 100; i++) await sleep(50)
    assert.is(await come('al', 'secret one'), 0, mosquitto.log)
    assert.is(await come('bo', 'hidden'), 0)
    assert.is(await come('ca', 'from stdin'), 0)
    assert.is.not(await come('al', 'hidden'), 0)
  } finally {
    await mosquitto.terminate()
  }
})

test('a user is replaced in place, added at the end, deleted; comments stay', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  writeFileSync(file, '# ours\n\n')
  for (const user of ['al', 'bo', 'ca']) done(['-b', file, user, user])
  const before = lines(file)
  done(['-b', file, 'bo', 'new'])
  assert.equal(users(file), ['# ours', '', 'al', 'bo', 'ca'])
  assert.is(lines(file)[2], before[2])
  assert.is.not(lines(file)[3], before[3])
  done(['-D', file, 'al'])
  assert.equal(users(file), ['# ours', '', 'bo', 'ca'])
  done(['-c', '-b', file, 'da', 'x'])
  assert.equal(users(file), ['da'])
})

test('a new file is for its owner only, a link stays one, and nothing is left beside it', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  const link = join(folder.path, 'link')
  done(['-c', '-b', file, 'al', 'x'])
  symlinkSync(file, link)
  done(['-b', link, 'bo', 'x'])
  assert.is(statSync(file).mode & 0o777, 0o600)
  assert.ok(lstatSync(link).isSymbolicLink())
  assert.equal(users(file), ['al', 'bo'])
  assert.equal(readdirSync(folder.path).sort(), ['link', 'passwords'])
})

test('a file that its group may read, as the broker does, stays so; others may not', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  for (const [before, after] of [
    [0o640, 0o640],
    [0o644, 0o640],
    [0o777, 0o640],
    [0o400, 0o400],
  ] as const) {
    writeFileSync(file, '')
    chmodSync(file, before)
    done(['-b', file, 'al', 'x'])
    assert.is(statSync(file).mode & 0o7777, after, before.toString(8))
  }
})

// Only root may give a file away.
const asRoot = process.getuid?.() === 0 ? test : test.skip
asRoot('owner and group stay who they were', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  writeFileSync(file, '')
  for (const [uid, gid] of [
    [0, 4711],
    [4711, 0],
    [4711, 4712],
  ] as const) {
    chownSync(file, uid, gid)
    chmodSync(file, 0o640)
    done(['-b', file, 'al', 'x'])
    const now = statSync(file)
    assert.equal([now.uid, now.gid, now.mode & 0o777], [uid, gid, 0o640])
  }
})

test('-U hashes what is not hashed yet', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  done(['-c', '-b', file, 'al', 'x'])
  const hashed = lines(file)[0]
  writeFileSync(file, `${hashed}\n# plain:\nbo:$ecret\nca:other\n`)
  done(['-U', file])
  assert.equal(users(file), ['al', '# plain', 'bo', 'ca'])
  assert.is(lines(file)[0], hashed)
  assert.is(new PasswordFile(file, '--password-file').users.size, 3)
})

test('mistakes are told in a sentence, and change nothing', () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  done(['-c', '-b', file, 'al', 'x'])
  const before = readFileSync(file, 'utf8')
  const rows: readonly [string[], string, number, string][] = [
    [[], '', 2, 'passwd takes FILE and USER here; see tandemq passwd --help'],
    [['-b', file, 'al'], '', 2, 'passwd takes FILE, USER and PASSWORD here; see tandemq passwd --help'],
    [[file, 'al', 'x'], '', 2, 'passwd takes FILE and USER here; see tandemq passwd --help'],
    [['-c', '-D', file, 'al'], '', 2, '--create and --delete exclude each other'],
    [['-b', '-D', file, 'al'], '', 2, '--batch and --delete exclude each other'],
    [['-H', 'md5', file, 'al'], '', 2, '--hash: "md5" is not sha512-pbkdf2 or sha512'],
    [['-I', '0', file, 'al'], '', 2, '--iterations: "0" is not a whole number from 1 to 10000000'],
    [['-H', 'sha512', '-I', '5', file, 'al'], '', 2, '--iterations has no meaning for --hash sha512'],
    [['-b', file, 'a:l', 'x'], '', 2, 'USER: a user name holds no colon'],
    [['-b', file, 'al', ''], '', 1, 'an empty password is none'],
    [[file, 'al'], 'x\ny\n', 1, 'the two passwords differ'],
    [[file, 'al'], 'x\n', 1, 'the password must come twice, a line each'],
    [['-D', file, 'bo'], '', 1, `${file} has no user "bo"`],
    [['-b', `${file}2`, 'al', 'x'], '', 2, `passwd: ${file}2 is not there; --create makes it`],
    [['-c', '-b', join(file, 'below'), 'al', 'x'], '', 2, `passwd: cannot write ${join(file, 'below')} (ENOTDIR)`],
  ]
  for (const [args, input, code, sentence] of rows)
    assert.equal(passwd(args, input), { code, said: `tandemq: ${sentence}\n` })
  assert.is(readFileSync(file, 'utf8'), before)
  writeFileSync(file, 'al:$argon2id$v=19$x\n')
  assert.match(passwd(['-U', file]).said, /line 1: Argon2 is not supported/)
})

needs(test, 'script')('on a terminal it asks twice and shows nothing of what is typed', async () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  const type = async (keys: readonly string[]) => {
    const proc = new Proc('script', ['-qec', [...command, '-c', file, 'al'].join(' '), '/dev/null'])
    for (const [i, text] of keys.entries()) {
      const prompt = i === 0 ? 'Password: ' : 'Again: '
      while (!proc.log.includes(prompt) && proc.isUp) await sleep(10)
      proc.child.stdin?.write(text)
    }
    const code = await proc.ended
    return { code, log: proc.log }
  }
  const right = await type(['wrong\u0015gehö\u007feim\r', 'geheim\r'])
  assert.is(right.code, 0, right.log)
  assert.not.match(right.log, /eim/)
  const al = new PasswordFile(file, '--password-file').users.find('al') as PasswordHash
  assert.equal(new Uint8Array(pbkdf2Sync('geheim', al.salt, al.iterations, 64, 'sha512')), al.hash)
  const before = readFileSync(file, 'utf8')
  assert.is((await type(['geh\u0003'])).code, 130)
  assert.is((await type(['x\r', 'y\r'])).code, 1)
  assert.is(readFileSync(file, 'utf8'), before)
})

test.run()
