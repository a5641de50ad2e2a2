// Passwords, live: mosquitto's clients and MQTT.js against real nodes with a password file; SIGHUP; logins that cost much while
// others' messages flow.
// timeout: 180 s

import { spawnSync } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient as JsClient } from 'mqtt'
import { utf8 } from '../../src/base/bytes.ts'
import { hashPassword } from '../../src/host/users/password_hash.ts'
import { MosquittoSub, mosquittoPub } from '../support/mosquitto.ts'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { ScramClient } from '../support/passwords.ts'
import { Folder, freePorts, NodeProcess, PairProcesses, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'

const test = suite('passwords, live')
const METHOD = 'SCRAM-SHA-512'
const WAIT_MS = 15_000
const al = { username: 'al', password: utf8('secret') } as const

function line(user: string, password: string, iterations = 101): string {
  return `${user}:${hashPassword(utf8(password), iterations)}\n`
}

/** A node with users of its own, who can be replaced. */
class Guarded implements AsyncDisposable {
  readonly node: NodeProcess
  readonly file: string
  readonly ws: number
  private readonly folder: Folder

  private constructor(node: NodeProcess, file: string, ws: number, folder: Folder) {
    this.node = node
    this.file = file
    this.ws = ws
    this.folder = folder
  }

  static async start(passwords: string): Promise<Guarded> {
    const folder = new Folder()
    const file = join(folder.path, 'passwords')
    writeFileSync(file, passwords)
    const [port, cluster, admin, ws] = (await freePorts(4)) as [number, number, number, number]
    const args = ['--password-file', file, '--listen-ws', `127.0.0.1:${ws}`]
    const node = new NodeProcess({ name: 'a', mqtt: port, cluster, admin }, null, folder.path, args)
    node.start()
    await node.until('ready')
    return new Guarded(node, file, ws, folder)
  }

  get port(): number {
    return this.node.place.mqtt
  }

  async metric(name: string): Promise<number> {
    const answer = await (await fetch(this.node.url('/metrics'))).text()
    const found = answer.split('\n').find((text) => text.startsWith(`tandemq_${name} `))
    if (found === undefined) throw new Error(`no metric ${name}`)
    return Number(found.split(' ')[1])
  }

  /** Writes the file, sends SIGHUP and waits until one of these counters has moved. */
  async reload(passwords: string, counter: 'reloads' | 'reload_failures'): Promise<void> {
    const name = `password_file_${counter}_total`
    const before = await this.metric(name)
    writeFileSync(`${this.file}.new`, passwords)
    renameSync(`${this.file}.new`, this.file)
    process.kill(this.node.pid as number, 'SIGHUP')
    const end = performance.now() + WAIT_MS
    while ((await this.metric(name)) === before) {
      if (performance.now() > end) throw new Error(`no ${name}\n${this.node.log}`)
      await sleep(10)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.terminate()
    this.folder[Symbol.dispose]()
  }
}

needs(
  test,
  'mosquitto_passwd',
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)(
  'mosquitto_pub and mosquitto_sub come in with their passwords, written by mosquitto_passwd, in each version',
  async () => {
    using folder = new Folder()
    const file = join(folder.path, 'passwords')
    assert.is(spawnSync('mosquitto_passwd', ['-c', '-b', file, 'al', 'secret']).status, 0)
    assert.is(spawnSync('mosquitto_passwd', ['-H', 'sha512', '-b', file, 'bo', 'hidden']).status, 0)
    await using guarded = await Guarded.start(readFileSync(file, 'utf8'))
    const sub = new MosquittoSub(guarded.port, ['-t', 't', '-u', 'bo', '-P', 'hidden', '-i', 'sub'])
    await sub.said('Subscribed')
    for (const [version, wrong, anonymous] of [
      ['31', 4, 5],
      ['311', 4, 5],
      ['5', 0x86, 0x87],
    ] as const) {
      const pub = async (...who: string[]) =>
        (await mosquittoPub(guarded.port, ['-V', version, '-t', 't', '-m', version, '-q', '1', ...who])).code
      assert.is(await pub('-u', 'al', '-P', 'secret'), 0)
      assert.is(await pub('-u', 'al', '-P', 'Secret'), wrong)
      assert.is(await pub('-u', 'nobody', '-P', 'secret'), wrong)
      assert.is(await pub('-u', 'al'), wrong)
      assert.is(await pub(), anonymous)
    }
    assert.equal(await sub.received(3), ['31', '311', '5'])
    const clients = (await (await fetch(guarded.node.url('/api/v1/clients'))).json()) as Record<string, unknown>[]
    assert.is(clients.find(({ client }) => client === 'sub')?.['username'], 'bo')
    await sub.proc.terminate()
    assert.not.match(guarded.node.log, /secret|hidden/i)
  },
)

/** The first event of either kind. */
function outcome(client: JsClient): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  client.once('connect', () => resolve('connected'))
  client.once('error', (error) => resolve(error.message))
  return promise
}

async function jsClient(url: string, options: IClientOptions): Promise<string> {
  const client = mqtt.connect(url, { reconnectPeriod: 0, ...options })
  const said = await outcome(client)
  client.end(true)
  return said
}

test('MQTT.js comes in by its password, over TCP and over WebSocket', async () => {
  await using guarded = await Guarded.start(line('al', 'secret'))
  for (const url of [`mqtt://127.0.0.1:${guarded.port}`, `ws://127.0.0.1:${guarded.ws}/mqtt`]) {
    for (const protocolVersion of [4, 5] as const) {
      assert.is(await jsClient(url, { protocolVersion, username: 'al', password: 'secret' }), 'connected')
      const wrong = await jsClient(url, { protocolVersion, username: 'al', password: 'wrong' })
      assert.match(wrong, /Connection refused: Bad (?:user|username|User Name) (?:name )?or password/i)
      assert.match(await jsClient(url, { protocolVersion }), /Connection refused: Not authorized/)
    }
  }
})

test('MQTT.js comes in by SCRAM-SHA-512, and the password never travels', async () => {
  await using guarded = await Guarded.start(line('al', 'secret', 4096))
  const url = `mqtt://127.0.0.1:${guarded.port}`
  const come = async (password: string) => {
    const scram = new ScramClient('al', password)
    const properties = { authenticationMethod: METHOD, authenticationData: Buffer.from(scram.first) }
    const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0, properties })
    client.handleAuth = (packet, callback) => {
      const challenge = packet.properties?.authenticationData as Buffer
      const authenticationData = Buffer.from(scram.answer(challenge))
      callback(undefined, {
        cmd: 'auth',
        reasonCode: 0x18,
        properties: { authenticationMethod: METHOD, authenticationData },
      })
    }
    let proof = ''
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'connack') proof = text(packet.properties?.authenticationData ?? new Uint8Array(0))
    })
    const said = await outcome(client)
    client.end(true)
    return { said, mutual: proof !== '' && proof === scram.serverFinal }
  }
  assert.equal(await come('secret'), { said: 'connected', mutual: true })
  const wrong = await come('wrong')
  assert.match(wrong.said, /Not authorized/)
  assert.not(wrong.mutual)
})

test('tandemq pub and sub, with a user and without', async () => {
  await using guarded = await Guarded.start(line('al', 'secret'))
  const run = [...('Deno' in globalThis ? ['run', '-A', '--no-lock'] : []), 'src/main.ts']
  const pub = async (...who: string[]) => {
    const to = ['-h', '127.0.0.1', '-p', String(guarded.port), '-t', 't', '-m', 'x', '-q', '1']
    const proc = new Proc(process.execPath, [...run, 'pub', ...to, ...who])
    return { code: await proc.ended, log: proc.log }
  }
  assert.equal(await pub('-u', 'al', '-P', 'secret'), { code: 0, log: '' })
  const refused = await pub('-u', 'al', '-P', 'wrong')
  assert.is(refused.code, 4)
  assert.match(refused.log, /^tandemq: connection refused: bad user name or password\n$/)
  assert.is((await pub()).code, 5)
})

// ---- SIGHUP

test('SIGHUP takes the file over: new users come in, those who have gone are shown out, the others stay', async () => {
  await using guarded = await Guarded.start(line('al', 'secret') + line('bo', 'hidden'))
  const bo = await MqttClient.connect(guarded.port, 'bo', { username: 'bo', password: utf8('hidden') })
  const gone = await MqttClient.connect(guarded.port, 'gone', al)
  const stays = line('bo', 'hidden')
  // bo's entry is written anew with another salt: that is another password, as far as anybody can tell.
  await guarded.reload(line('ca', 'fresh') + stays, 'reloads')
  assert.is((await gone.expect('disconnect')).reason, 0x87)
  assert.is((await bo.expect('disconnect')).reason, 0x87)
  const ca = await MqttClient.connect(guarded.port, 'ca', { username: 'ca', password: utf8('fresh') })
  const again = await MqttClient.connect(guarded.port, 'bo', { username: 'bo', password: utf8('hidden') })
  const refused = MqttClient.open(guarded.port, 'gone')
  refused.sendConnect(al)
  assert.is((await refused.expect('connack')).reason, 0x86)
  await guarded.reload(stays + line('da', 'x'), 'reloads')
  assert.is((await ca.expect('disconnect')).reason, 0x87)
  again.sendPingreq()
  await again.expect('pingresp')
  again.drop()
})

test('a broken file at SIGHUP changes nothing, is told once, and the next good one is taken', async () => {
  await using guarded = await Guarded.start(line('al', 'secret'))
  const client = await MqttClient.connect(guarded.port, 'c', al)
  await guarded.reload(`${line('bo', 'hidden')}nonsense\n`, 'reload_failures')
  client.sendPingreq()
  await client.expect('pingresp')
  const other = await MqttClient.connect(guarded.port, 'other', al)
  other.drop()
  const errors = guarded.node.log.split('\n').filter((text) => / error: /.test(text))
  assert.is(errors.length, 1, errors.join('\n'))
  assert.match(errors[0] as string, /--password-file: .*passwords, line 2: there is no colon between user and hash/)
  await guarded.reload(line('bo', 'hidden'), 'reloads')
  assert.is((await client.expect('disconnect')).reason, 0x87)
})

// ---- the start

test('a password file that cannot be used: one sentence with file and line, exit code 2', async () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  const run = [...('Deno' in globalThis ? ['run', '-A', '--no-lock'] : []), 'src/main.ts']
  for (const [passwords, what] of [
    [`${line('al', 'x')}bo:plain\n`, 'line 2: a password hash begins with'],
    [`${line('al', 'x')}\nbo:$argon2id$v=19$m=47104,t=1,p=1$c2FsdA$aGFzaA\n`, 'line 3: Argon2 is not supported'],
  ] as const) {
    writeFileSync(file, passwords)
    for (const flags of [['--test-config'], ['--no-data', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']]) {
      const proc = new Proc(process.execPath, [...run, ...flags, '--password-file', file])
      assert.is(await proc.ended, 2)
      assert.ok(proc.log.startsWith(`tandemq: --password-file: ${file}, ${what}`), proc.log)
      assert.is(proc.log.split('\n').length, 2)
    }
  }
})

// ---- what hashing costs others

test('messages of others flow while 50 logins with a costly hash are under way', async () => {
  await using guarded = await Guarded.start(line('quick', 'x', 1) + line('al', 'secret', 30_000))
  const quick = await MqttClient.connect(guarded.port, 'quick', { username: 'quick', password: utf8('x') })
  await quick.subscribe('t', 1)
  const logins = Array.from({ length: 50 }, (_, i) => MqttClient.open(guarded.port, `login${i}`))
  for (const login of logins) login.sendConnect(al)
  const answered = () => logins.filter(({ inbox }) => inbox.length > 0).length
  // Until the node has heard of some: a node that hashes on its event loop does not answer before it has done all it has heard of.
  for (let i = 0; i < 5; i++) await guarded.metric('authentications_open')
  for (let i = 0; i < 100; i++) {
    const id = quick.sendPublish('t', String(i), { qos: 1 })
    const packets = [await quick.next(), await quick.next()]
    assert.ok(packets.some((packet) => packet?.cmd === 'puback' && packet.packetId === id))
    const delivery = packets.find((packet) => packet?.cmd === 'publish')
    assert.is(delivery?.cmd === 'publish' ? text(delivery.payload) : '', String(i))
    if (delivery?.cmd === 'publish') quick.sendPuback(delivery.packetId)
  }
  assert.ok(answered() < logins.length, 'the messages came before the logins were through')
  for (const login of logins) {
    assert.is((await login.expect('connack', 100_000)).reason, 0)
    login.drop()
  }
})

// ---- the pair

test('on a pair nobody with a wrong password moves a session, and a stranger cannot tell the nodes by their salts', async () => {
  using folder = new Folder()
  const file = join(folder.path, 'passwords')
  writeFileSync(file, line('al', 'secret') + line('bo', 'hidden'))
  await using pair = await PairProcesses.start(['--password-file', file])
  const kept = { cleanStart: false, sessionExpiry: 100 }
  const owner = await MqttClient.connect(pair.a.place.mqtt, 'c', { ...al, ...kept })
  const thief = MqttClient.open(pair.b.place.mqtt, 'c')
  thief.sendConnect({ ...al, ...kept, password: utf8('guess') })
  assert.is((await thief.expect('connack')).reason, 0x86)
  owner.sendPingreq()
  await owner.expect('pingresp')
  const moved = await MqttClient.connect(pair.b.place.mqtt, 'c', { ...al, ...kept })
  assert.ok(moved.present)
  assert.is((await owner.expect('disconnect')).reason, 0x8e)
  const challenge = async (node: NodeProcess) => {
    const client = MqttClient.open(node.place.mqtt, 'x')
    client.sendConnect({ authMethod: METHOD, authData: new ScramClient('nobody', 'x').first })
    const { data } = await client.expect('auth')
    client.drop()
    return text(data as Uint8Array).replace(/^r=[^,]+,/, '')
  }
  assert.is(await challenge(pair.a), await challenge(pair.b))
  moved.drop()
})

test.run()
