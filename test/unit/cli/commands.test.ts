// Commands: pub, sub, clients, status and drain as real processes against a real node.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../../support/suite.ts'

const test = suite('commands')
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'tandemq-commands-'))
const children = new Set<ChildProcess>()

type Running = { child: ChildProcess; out: () => string; err: () => string; end: Promise<number | null> }

function run(args: string[], input?: string): Running {
  const runtime = 'Deno' in globalThis ? ['run', '-A', '--no-lock', main] : [main]
  const child = spawn(process.execPath, [...runtime, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  children.add(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  child.stdin.end(input ?? '')
  const { promise: end, resolve } = Promise.withResolvers<number | null>()
  child.on('close', (code) => {
    children.delete(child)
    resolve(code)
  })
  return { child, out: () => out, err: () => err, end }
}

async function until(condition: () => boolean, ms = 15_000): Promise<void> {
  const limit = performance.now() + ms
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`not within ${ms} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

type Node = Running & { port: string; admin: string }

async function node(port: string, more: string[]): Promise<Node> {
  const it = run(['--name', 'n', '--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0', ...more])
  await until(() => it.err().includes('ready') && /mqtt on/.test(it.err()))
  const [, bound, admin] = /mqtt on 127\.0\.0\.1:(\d+), admin on (\S+)/.exec(it.err()) as unknown as [
    string,
    string,
    string,
  ]
  return { ...it, port: bound, admin }
}

/** Deno's child.kill() reports the signal it sent as the way the process ended, whatever that was. */
function terminate(it: Running): Promise<number | null> {
  process.kill(it.child.pid as number, 'SIGTERM')
  return it.end
}

async function ok(args: string[], input?: string): Promise<string> {
  const it = run(args, input)
  assert.is(await it.end, 0, `${args.join(' ')}: ${it.err()}`)
  return it.out()
}

test('what pub sends sub prints, at every quality of service and version, exactly as it was', async () => {
  const it = await node('0', ['--no-data'])
  for (const version of ['31', '311', '5']) {
    for (const qos of ['0', '1', '2']) {
      const sub = run([
        'sub',
        '-h',
        '127.0.0.1',
        '-p',
        it.port,
        '-V',
        version,
        '-q',
        qos,
        '-t',
        'a/#',
        '-d',
        '-F',
        '%q %t %p',
        '-C',
        '3',
      ])
      await until(() => sub.err().includes('SUBACK'))
      await ok(['pub', '-h', '127.0.0.1', '-p', it.port, '-V', version, '-q', qos, '-t', 'a/007', '-m', '-1e3'])
      await ok(['pub', '-h', '127.0.0.1', '-p', it.port, '-V', version, '-q', qos, '-t', 'a/l', '-l'], 'one\n\ntwo')
      assert.is(await sub.end, 0)
      assert.is(sub.out(), `${qos} a/007 -1e3\n${qos} a/l one\n${qos} a/l two\n`)
    }
  }
  await ok(['drain', '--admin', it.admin])
  assert.is(await it.end, 0)
})

test('clients and status show who is there; retained messages come with -r and go with -n', async () => {
  const it = await node('0', ['--no-data'])
  const at = ['-L', `mqtt://127.0.0.1:${it.port}/r`]
  await ok(['pub', ...at, '-m', 'kept', '-r'])
  assert.is(await ok(['sub', ...at, '-C', '1', '-v']), 'r kept\n')
  await ok(['pub', ...at, '-n', '-r'])
  const sub = run(['sub', ...at, '-i', '0815', '-W', '2', '-d'])
  await until(() => sub.err().includes('SUBACK'))
  const rows = JSON.parse(await ok(['clients', '--json', '--admin', it.admin]))
  assert.ok(rows.some((row: { client: string }) => row.client === '0815'))
  assert.match(await ok(['clients', '--admin', it.admin]), /0815/)
  assert.is(JSON.parse(await ok(['status', '--json', '--admin', it.admin])).node, 'n')
  assert.match(await ok(['status', '--admin', it.admin]), /^mode +SOLO$/m)
  assert.is(await sub.end, 27, 'the time of -W is over')
  assert.is(sub.out(), '', 'nothing retained is left')
  assert.is(await terminate(it), 0)
})

test('sub and pub survive a node that is killed and comes back', async () => {
  const data = ['--data', join(dir, 'survive')]
  const first = await node('0', data)
  const at = ['-h', '127.0.0.1', '-p', first.port, '-q', '2']
  const sub = run(['sub', ...at, '-c', '-i', 's', '-t', 'x', '-C', '200', '-d'])
  await until(() => sub.err().includes('SUBACK'))
  const pub = run(['pub', ...at, '-c', '-i', 'p', '-t', 'x', '-m', 'm', '--repeat', '200', '--repeat-delay', '0.005'])
  await until(() => sub.out().length > 40)
  first.child.kill('SIGKILL')
  await first.end
  const second = await node(first.port, data)
  assert.is(await pub.end, 0, pub.err())
  assert.is(await sub.end, 0)
  assert.is(sub.out(), 'm\n'.repeat(200))
  assert.is(await terminate(second), 0)
})

test('pub and sub notice that going on is no use, with a sentence', async () => {
  const it = await node('0', ['--no-data', '--max-packet-bytes', '128', '--max-qos', '1', '--no-retained'])
  const at = ['-h', '127.0.0.1', '-p', it.port, '-t', 't']
  const large = ['-m', 'x'.repeat(1000)]
  const pubs: [string[], string][] = [
    [['-V', '5', '-q', '1', ...large], 'the server refused the message on t: packet too large: at most 128 bytes'],
    [['-V', '5', '-q', '2', '-m', 'x'], 'the server refused the message on t: qos not supported: at most 1'],
    [['-V', '5', '-r', '-m', 'x'], 'the server refused the message on t: retain not supported'],
    [
      ['-V', '311', '-q', '1', ...large],
      'the connection was lost 8 times in a row (closed by the other side) with a message of 1000 bytes on t under way',
    ],
  ]
  const ended = pubs.map(async ([args, sentence]) => {
    const pub = run(['pub', ...at, ...args])
    assert.is(await pub.end, 1, pub.err())
    assert.is(pub.err(), `tandemq: ${sentence}\n`)
  })
  const first = run(['sub', ...at, '-V', '5', '-i', 'same', '-d'])
  await until(() => first.err().includes('SUBACK'))
  const second = run(['sub', ...at, '-V', '5', '-i', 'same', '-C', '1', '-d'])
  assert.is(await first.end, 0x8e, first.err())
  assert.match(first.err(), /^tandemq: disconnected: session taken over: another connection took over$/m)
  await until(() => second.err().includes('SUBACK'))
  await ok(['pub', ...at, '-m', 'x'])
  assert.is(await second.end, 0, second.err())
  await Promise.all(ended)
  assert.is(await terminate(it), 0)
})

test('PROXY headers replace the address; a connection without one is closed', async () => {
  const it = await node('0', ['--no-data', '--proxy-protocol'])
  const CONNECT = Uint8Array.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x63])
  const dial = (bytes: Uint8Array[]) => {
    const socket = connect(Number(it.port), '127.0.0.1')
    const got: number[] = []
    let closed = false
    socket.on('data', (chunk: Uint8Array) => got.push(...chunk))
    socket.on('close', () => {
      closed = true
    })
    socket.on('error', () => {})
    for (const part of bytes) socket.write(part)
    return { socket, got, closed: () => closed }
  }
  const header = new TextEncoder().encode('PROXY TCP4 127.0.0.9 127.0.0.1 4711 1883\r\n')
  const good = dial([header.subarray(0, 9), header.subarray(9), CONNECT])
  await until(() => good.got.length >= 4)
  assert.equal(good.got, [0x20, 2, 0, 0])
  assert.match(await ok(['clients', '--admin', it.admin]), /127\.0\.0\.9:4711/)
  const foreign = dial([new TextEncoder().encode('PROXY TCP4 192.0.2.9 127.0.0.1 4711 1883\r\n'), CONNECT])
  await until(() => foreign.got.length >= 4)
  assert.equal(foreign.got, [0x20, 2, 0, 5], 'anonymous from elsewhere: not authorized')
  const bare = dial([CONNECT])
  await until(() => bare.closed())
  assert.equal(bare.got, [])
  good.socket.destroy()
  foreign.socket.destroy()
  assert.is(await terminate(it), 0)
})

test.after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

test.run()
