// Operator's mistakes, live: each is told in one sentence that names it, with exit code 2, and nothing is left behind.
// timeout: 120 s

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'

const test = suite('operator')
const runner = 'Deno' in globalThis ? ['run', '-A', '--no-lock', 'src/main.ts'] : ['src/main.ts']
const local = (port: number) => `127.0.0.1:${port}`

const start = (...args: string[]) => new Proc(process.execPath, [...runner, ...args])

/** Ends by itself with exit code 2 and one sentence that names what is wrong. */
async function refused(proc: Proc, names: RegExp): Promise<void> {
  const timer = setTimeout(() => proc.signal('SIGKILL'), 15_000)
  const code = await proc.ended
  clearTimeout(timer)
  assert.is(code, 2, proc.log)
  const sentences = proc.log.split('\n').filter((line) => names.test(line))
  assert.is(sentences.length, 1, `one sentence:\n${proc.log}`)
  assert.not.match(proc.log, /\n {4}at /, 'no stack trace')
}

/** Ports and folder for one or two nodes. */
async function room(folder: Folder) {
  const [mqtt, admin, cluster, mqtt2, admin2, cluster2] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const one = ['--listen', local(mqtt), '--admin', local(admin), '--data', join(folder.path, 'one')]
  const two = ['--listen', local(mqtt2), '--admin', local(admin2), '--data', join(folder.path, 'two')]
  const link = ['--cluster', local(cluster), '--peer', local(cluster2)]
  const link2 = ['--cluster', local(cluster2), '--peer', local(cluster)]
  return { mqtt, admin, cluster, one, two, link, link2, cluster2 }
}

test('a wrong flag', async () => {
  await refused(start('--lissten', '1883'), /--lissten/)
})

test('a wrong value', async () => {
  await refused(start('--listen', '127.0.0.1:99999'), /--listen/)
  await refused(start('--max-qos', '3'), /--max-qos/)
})

test('a flag that is not there yet is refused, not ignored', async () => {
  await refused(start('--tls-cert', 'x'), /--tls-cert/)
})

test('a port in use', async () => {
  using folder = new Folder()
  const { mqtt, one } = await room(folder)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(mqtt, '127.0.0.1', resolve))
  try {
    await refused(start(...one), new RegExp(`--listen.*${mqtt}`))
  } finally {
    server.close()
  }
})

/** Started without the right to listen below 1024, which root has. */
function unprivileged(...args: string[]): Proc {
  if (process.getuid?.() !== 0) return start(...args)
  return new Proc('setpriv', ['--bounding-set', '-net_bind_service', process.execPath, ...runner, ...args])
}

const PORT_START = '/proc/sys/net/ipv4/ip_unprivileged_port_start'
const someAreReserved = existsSync(PORT_START) && Number(readFileSync(PORT_START, 'utf8')) > 80

;(someAreReserved ? needs(test, 'setpriv') : test.skip)('a port that needs privileges, for each listener', async () => {
  using folder = new Folder()
  const { one, mqtt, cluster2 } = await room(folder)
  const listen = ['--no-data', '--listen', local(mqtt)]
  await refused(unprivileged(...one, '--listen', '80'), /--listen: no permission .*80/)
  await refused(unprivileged(...one, '--listen-ws', '80'), /--listen-ws: no permission .*80/)
  await refused(unprivileged(...listen, '--admin', '80'), /--admin: no permission .*80/)
  await refused(unprivileged(...listen, '--admin', '127.0.0.1:80'), /--admin: no permission .*80/)
  const secret = join(folder.path, 'secret')
  writeFileSync(secret, 'correct horse battery staple', { mode: 0o600 })
  const link = ['--cluster', '80', '--peer', local(cluster2), '--cluster-secret-file', secret]
  await refused(unprivileged(...one, ...link), /--cluster: no permission .*80/)
})

test('a second node on the ports of a running one', async () => {
  using folder = new Folder()
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path)
  node.start()
  await node.until('ready')
  const [other] = (await freePorts(1)) as [number]
  const data = ['--data', join(folder.path, 'elsewhere')]
  await refused(start('--listen', local(mqtt), '--admin', local(other), ...data), new RegExp(`--listen.*${mqtt}`))
  await refused(start('--listen', local(other), '--admin', local(admin), ...data), new RegExp(`--admin.*${admin}`))
  await refused(start('--listen', local(other), '--admin', local(cluster), '--data', node.data), /--data/)
  const client = await MqttClient.connect(mqtt, 'c')
  client.drop()
  assert.is(await node.terminate(), 0)
})

test('a data directory that cannot be written', async () => {
  using folder = new Folder()
  const { one } = await room(folder)
  const taken = join(folder.path, 'file')
  writeFileSync(taken, '')
  await refused(start(...one, '--data', join(taken, 'below')), /--data/)
  const closed = join(folder.path, 'closed')
  mkdirSync(closed)
  chmodSync(closed, 0o500)
  if (process.getuid?.() !== 0) await refused(start(...one, '--data', join(closed, 'below')), /--data/)
})

test('a secret is required where the link leaves this machine', async () => {
  using folder = new Folder()
  const { one, cluster } = await room(folder)
  await refused(start(...one, '--cluster', `0.0.0.0:${cluster}`, '--peer', '192.0.2.1'), /--cluster-secret-file/)
})

test('two nodes of one name', async () => {
  using folder = new Folder()
  const { one, two, link, link2 } = await room(folder)
  const first = start('--name', 'twin', ...one, ...link)
  const second = start('--name', 'twin', ...two, ...link2)
  await Promise.all([refused(first, /--name: both nodes are called twin/), refused(second, /--name/)])
})

test('two nodes with different secrets', async () => {
  using folder = new Folder()
  const { one, two, link, link2 } = await room(folder)
  const secret = (name: string, text: string) => {
    const file = join(folder.path, name)
    writeFileSync(file, text, { mode: 0o600 })
    return ['--cluster-secret-file', file]
  }
  const first = start('--name', 'a', ...one, ...link, ...secret('s1', 'correct horse battery staple 1'))
  const second = start('--name', 'b', ...two, ...link2, ...secret('s2', 'correct horse battery staple 2'))
  const sentence = /--cluster-secret-file: the peer/
  await Promise.all([refused(first, sentence), refused(second, sentence)])
})

test('a secret on one node only', async () => {
  using folder = new Folder()
  const { one, two, link, link2 } = await room(folder)
  const file = join(folder.path, 's')
  writeFileSync(file, 'correct horse battery staple', { mode: 0o600 })
  const first = start('--name', 'a', ...one, ...link, '--cluster-secret-file', file)
  const second = start('--name', 'b', ...two, ...link2)
  await Promise.all([refused(first, /--cluster-secret-file/), refused(second, /--cluster-secret-file/)])
})

test('a node that is its own peer', async () => {
  using folder = new Folder()
  const { one, cluster } = await room(folder)
  await refused(start(...one, '--cluster', local(cluster), '--peer', local(cluster)), /--peer/)
})

/** Something that answers at the peer's address with these bytes. */
async function impostor(port: number, answer: Uint8Array): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write(answer)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  }
}

test('a peer of another version of the link', async () => {
  using folder = new Folder()
  const { one, link, cluster2 } = await room(folder)
  const body = new TextEncoder().encode(JSON.stringify({ t: 'hello', magic: 'TandeMQ', version: 99, name: 'z' }))
  const frame = new Uint8Array(4 + body.length)
  new DataView(frame.buffer).setUint32(0, body.length)
  frame.set(body, 4)
  const close = await impostor(cluster2, frame)
  try {
    await refused(start('--name', 'a', ...one, ...link), /--peer: z .*version 99/)
  } finally {
    await close()
  }
})

test('something else at the peer’s address is told once, and tried again: it may be the right one soon', async () => {
  using folder = new Folder()
  const { one, link, link2, two, admin, cluster2 } = await room(folder)
  const close = await impostor(cluster2, new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const first = start('--name', 'a', ...one, ...link)
  try {
    const ready = async () => (await fetch(`http://${local(admin)}/health/synced`).catch(() => null))?.status
    await sleep(1_500)
    assert.is(await ready(), 503)
    assert.is(first.log.split('--peer: what answers at').length, 2, first.log)
    await close()
    const second = start('--name', 'b', ...two, ...link2)
    for (let i = 0; i < 200 && (await ready()) !== 200; i++) await sleep(50)
    assert.is(await ready(), 200, first.log)
    await Promise.all([first.terminate(), second.terminate()])
  } finally {
    await first.terminate()
  }
})

test.run()
