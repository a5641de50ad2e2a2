// AclFile test: mosquitto's access-control file: what is read, what is refused and in which words.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperatorFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { readConfig } from '../../../src/cli/config.ts'
import { AclFile } from '../../../src/host/users/acl_file.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('access-control file')
const dir = mkdtempSync(join(tmpdir(), 'tandemq-acl-'))
const path = join(dir, 'acl')

function read(text: string | Uint8Array): AclFile {
  writeFileSync(path, text)
  return new AclFile(path, '--acl-file')
}

function refusal(text: string | Uint8Array): string {
  try {
    read(text)
  } catch (error) {
    assert.instance(error, OperatorFault)
    return (error as OperatorFault).message.replace(path, 'FILE')
  }
  return 'taken'
}

test('lines before any user are for anonymous clients, the others for their user, patterns for all', () => {
  const { rules } = read(`
# a comment
topic read news/#
topic deny news/secret

user al
topic al/#
  topic write   log/with spaces here\t
user an na\r
topic readwrite both
pattern write %u/out/%c
user al
topic read news
#user nobody
`)
  assert.equal({ ...rules.anonymous }, { read: ['news/#'], write: [], deny: ['news/secret'] })
  assert.equal([...rules.users.keys()], ['al', 'an na'])
  assert.equal(
    { ...rules.users.get('al') },
    { read: ['al/#', 'news'], write: ['al/#', 'log/with spaces here'], deny: [] },
  )
  assert.equal({ ...rules.users.get('an na') }, { read: ['both'], write: ['both'], deny: [] })
  assert.equal({ ...rules.patterns }, { read: [], write: ['%u/out/%c'], deny: [] })
})

test('an empty file grants nothing; a topic may be called like an access word', () => {
  assert.equal({ ...read('').rules.anonymous }, { read: [], write: [], deny: [] })
  assert.equal({ ...read('topic read').rules.anonymous }, { read: ['read'], write: ['read'], deny: [] })
  assert.equal({ ...read('topic write deny').rules.anonymous }, { read: [], write: ['deny'], deny: [] })
  assert.equal(read('topic a%c/%u').rules.anonymous.read, ['a%c/%u'])
})

test('a line with a mistake: one sentence with file and line', () => {
  const rows: readonly [string, string][] = [
    ['topics a', '"topics" is not topic, pattern or user'],
    ['Topic a', '"Topic" is not topic, pattern or user'],
    ['topic', 'the topic filter is missing'],
    ['pattern  ', 'the topic filter is missing'],
    ['user', 'the user name is missing'],
    ['topic rw a', '"rw" is not read, write, readwrite or deny'],
    ['topic constructor a', '"constructor" is not read, write, readwrite or deny'],
    ['topic read a/#/b', '"a/#/b" is not a topic filter'],
    ['topic a+', '"a+" is not a topic filter'],
    ['topic a\0', '"a\0" is not a topic filter'],
    ['topic read $share/g/a', '"$share/g/a": shared subscriptions are judged by what follows the share name'],
    ['pattern read a/x%c', '"a/x%c": %c and %u stand for a whole level each'],
    ['pattern %u%c/#', '"%u%c/#": %c and %u stand for a whole level each'],
  ]
  for (const [line, what] of rows) assert.is(refusal(`# x\n\n${line}\n`), `--acl-file: FILE, line 3: ${what}`)
  assert.is(refusal(new Uint8Array([0x61, 0xff])), '--acl-file: FILE is not UTF-8 text')
  assert.match(refusal(new Uint8Array(LIMITS.aclFileBytesMax + 1)), /^--acl-file: FILE has more than \d+ bytes$/)
  assert.throws(() => new AclFile(join(dir, 'none'), '--acl-file'), /--acl-file: cannot read .*none \(ENOENT\)/)
})

test('it is read again as it is then, however long, and a mistake in it changes nothing', async () => {
  const file = read('topic a')
  writeFileSync(path, `${'topic read x\n'.repeat(2500)}user al\ntopic b\n`)
  const rules = await file.readAgain()
  assert.is(rules.anonymous.read.length, 2500)
  assert.equal(rules.users.get('al')?.write, ['b'])
  writeFileSync(path, 'user al\ntopic b\nnonsense')
  let said = ''
  await file.readAgain().catch((error: OperatorFault) => {
    said = error.message
  })
  assert.match(said, /line 3: "nonsense"/)
  assert.equal(file.rules.anonymous.read, ['a'])
})

test('as a setting it is the node’s rules; without it there are none', () => {
  writeFileSync(path, 'topic read a')
  assert.equal(readConfig(['--acl-file', path], {}).node.access?.anonymous.read, ['a'])
  assert.equal(readConfig([], { TANDEMQ_ACL_FILE: path }).host.acl?.path, path)
  assert.is(readConfig([], {}).node.access, null)
})

test.after(() => rmSync(dir, { recursive: true }))

test.run()
