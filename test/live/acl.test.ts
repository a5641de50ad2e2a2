// Access control, live: mosquitto's clients against real nodes with a password file and an access-control file; SIGHUP.
// timeout: 120 s

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../../src/base/bytes.ts'
import { hashPassword } from '../../src/host/users/password_hash.ts'
import { MosquittoSub, mosquittoPub } from '../support/mosquitto.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, PairProcesses, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'

const test = suite('access control, live')
const WAIT_MS = 15_000
const NOT_AUTHORIZED = 0x87
const ACL = `
user al
topic news/#
topic deny news/secret
user bo
topic read news/#
pattern readwrite home/%u/%c
`

/** Both files, in a folder of their own. */
class Files implements Disposable {
  private readonly folder = new Folder()
  readonly acl = join(this.folder.path, 'acl')
  readonly passwords = join(this.folder.path, 'passwords')

  constructor(acl: string) {
    writeFileSync(this.acl, acl)
    const users = ['al', 'bo'].map((user) => `${user}:${hashPassword(utf8('secret'), 101)}\n`)
    writeFileSync(this.passwords, users.join(''))
  }

  get path(): string {
    return this.folder.path
  }

  get args(): string[] {
    return ['--acl-file', this.acl, '--password-file', this.passwords]
  }

  replace(acl: string): void {
    writeFileSync(`${this.acl}.new`, acl)
    renameSync(`${this.acl}.new`, this.acl)
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]()
  }
}

async function metric(node: NodeProcess, name: string): Promise<number> {
  const answer = await (await fetch(node.url('/metrics'))).text()
  const found = answer.split('\n').find((text) => text.startsWith(`tandemq_${name} `))
  if (found === undefined) throw new Error(`no metric ${name}`)
  return Number(found.split(' ')[1])
}

/** SIGHUP, and until this counter has moved. */
async function hangUp(node: NodeProcess, name: string): Promise<void> {
  const before = await metric(node, name)
  process.kill(node.pid as number, 'SIGHUP')
  const end = performance.now() + WAIT_MS
  while ((await metric(node, name)) === before) {
    if (performance.now() > end) throw new Error(`no ${name}\n${node.log}`)
    await sleep(10)
  }
}

const as = (user: string, id: string) => ['-u', user, '-P', 'secret', '-i', id]

needs(
  test,
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)('mosquitto_pub and mosquitto_sub do what the file allows them, and it is read again on SIGHUP', async () => {
  using files = new Files(ACL)
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, files.path, files.args)
  node.start()
  try {
    await node.until('ready')
    const pub = async (user: string, id: string, topic: string, message: string) =>
      (await mosquittoPub(mqtt, ['-V', '5', '-q', '1', '-t', topic, '-m', message, ...as(user, id)])).log
    const wide = new MosquittoSub(mqtt, ['-V', '5', '-t', '#', ...as('bo', 'wide')])
    await wide.said('Subscribed (mid: 1): 135')
    const sub = new MosquittoSub(mqtt, ['-t', 'news/#', '-t', 'home/bo/sub', ...as('bo', 'sub'), '-v', '-q', '1'])
    await sub.said('Subscribed')
    assert.match(await pub('bo', 'pub', 'news/a', 'of bo'), /not authorized/i)
    assert.match(await pub('al', 'pub', 'news/secret', 'told'), /not authorized/i)
    assert.match(await pub('bo', 'pub', 'home/bo/sub', 'of another'), /not authorized/i)
    assert.is(await pub('al', 'pub', 'news/a', 'of al'), '')
    assert.is(await pub('bo', 'pub', 'home/bo/pub', 'own'), '')
    assert.is(
      (await mosquittoPub(mqtt, ['-V', '311', '-q', '2', '-t', 'news/a', '-m', 'x', ...as('bo', 'pub')])).code,
      0,
    )
    assert.equal(await sub.received(1), ['news/a of al'])

    files.replace('user bo\ntopic write news/#\n')
    await hangUp(node, 'acl_file_reloads_total')
    assert.match(await pub('al', 'pub', 'news/a', 'of al again'), /not authorized/i)
    assert.is(await pub('bo', 'pub', 'news/a', 'of bo now'), '')
    assert.equal(await sub.received(2), ['news/a of al', 'news/a of bo now'])

    files.replace('user bo\ntopic writes news/#\n')
    await hangUp(node, 'acl_file_reload_failures_total')
    assert.is(await pub('bo', 'pub', 'news/a', 'still'), '')
    await sub.received(3)
    const errors = node.log.split('\n').filter((text) => / error: /.test(text))
    assert.is(errors.length, 1, errors.join('\n'))
    assert.match(errors[0] as string, /--acl-file: .*acl, line 2: "writes" is not .*; the former rules stay/)
    for (const { proc } of [wide, sub]) await proc.terminate()
  } finally {
    await node.terminate()
  }
})

test('an access-control file that cannot be used: one sentence with file and line, exit code 2', async () => {
  using files = new Files('topic a\n\ntopic b/#/c\n')
  const run = [...('Deno' in globalThis ? ['run', '-A', '--no-lock'] : []), 'src/main.ts']
  for (const flags of [['--test-config'], ['--no-data', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']]) {
    const proc = new Proc(process.execPath, [...run, ...flags, '--acl-file', files.acl])
    assert.is(await proc.ended, 2)
    assert.is(proc.log, `tandemq: --acl-file: ${files.acl}, line 3: "b/#/c" is not a topic filter\n`)
  }
})

test('a file without proof of names is warned of', async () => {
  using files = new Files(ACL)
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, files.path, ['--acl-file', files.acl])
  node.start()
  try {
    await node.until('ready')
    assert.match(
      node.log,
      / warn: .*acl has rules by user name, but without --password-file nobody has to prove a name/,
    )
  } finally {
    await node.terminate()
  }
})

test('on a pair each node judges its own clients, and a session that moves is judged where it comes to', async () => {
  using files = new Files(ACL)
  await using pair = await PairProcesses.start(files.args)
  const bo = { username: 'bo', password: utf8('secret'), cleanStart: false, sessionExpiry: 100 }
  const al = await MqttClient.connect(pair.b.place.mqtt, 'al', { username: 'al', password: utf8('secret') })
  const first = await MqttClient.connect(pair.a.place.mqtt, 'c', bo)
  assert.equal(await first.subscribe('news/#', 1), [1])
  const moved = await MqttClient.connect(pair.b.place.mqtt, 'c', bo)
  assert.ok(moved.present)
  moved.sendPublish('news/a', 'x', { qos: 1 })
  assert.is((await moved.expect('puback')).reason, NOT_AUTHORIZED)
  assert.equal(await moved.subscribe('#', 1), [NOT_AUTHORIZED])
  al.sendPublish('news/a', 'y', { qos: 1 })
  assert.is((await moved.expect('publish')).topic, 'news/a')
  for (const client of [al, moved]) client.drop()
})

test.run()
