// Listener, on real sockets: a client stays for as long as the node wants it to, whatever timers the runtime keeps for its sockets,
// and no longer than it is there.

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../../../src/base/limits.ts'
import type { ClientSocket } from '../../../src/core/ports.ts'
import type { ClientEvents, HostedNode } from '../../../src/host/hosted_node.ts'
import { Loop } from '../../../src/host/loop.ts'
import type { Listener, ListenOptions } from '../../../src/host/sockets/listener.ts'
import { listenClients } from '../../../src/host/sockets/runtime.ts'
import { SocketRoom } from '../../../src/host/sockets/socket_room.ts'
import { OneNode } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('listener')

/** Bun looks at its timers every four seconds. */
const FIRED_MS = 9_000

type RuntimeSocket = { timeout?: (seconds: number) => void; setTimeout?: (ms: number) => void }

/** Of the runtime, below a client: its timer goes off after a second. Bun sets one of 120 s by itself. */
function armTimer(client: ClientSocket): void {
  const { socket } = client as unknown as { socket: RuntimeSocket }
  if (socket.timeout !== undefined) socket.timeout(1)
  else socket.setTimeout?.(1_000)
}

type Told = { accept(socket: ClientSocket): void; data(bytes: Uint8Array): void; closed(): void }

/** A listener that tells this much of its clients. */
async function listening(told: Partial<Told>, options: Partial<ListenOptions> = {}): Promise<Listener & Disposable> {
  const loop = new Loop(() => {})
  loop.attach(new OneNode().node as unknown as HostedNode)
  const front: ClientEvents = {
    accept: (socket) => {
      told.accept?.(socket)
      return socket
    },
    data: (_connection, bytes) => told.data?.(bytes),
    closed: () => told.closed?.(),
    writable: () => {},
  }
  const room = new SocketRoom(
    { connections: 1, descriptors: Number.POSITIVE_INFINITY, addresses: 1 },
    () => {},
    () => 0,
  )
  const all = { flag: '--listen', room, proxyProtocol: false, connectTimeoutMs: 1_000, front, ...options }
  const listener = await listenClients({ host: '127.0.0.1', port: 0 }, loop, all)
  const stop = () => {
    listener.stop()
    loop.stop()
  }
  return { port: listener.port, stop, [Symbol.dispose]: stop }
}

test('a client is not closed because a timer of the runtime went off', async () => {
  const heard: string[] = []
  using it = await listening({
    accept: armTimer,
    data: (bytes) => void heard.push(new TextDecoder().decode(bytes)),
    closed: () => void heard.push('closed'),
  })
  const client = connect({ host: '127.0.0.1', port: it.port })
  client.on('error', () => {})
  client.write('a')
  await sleep(FIRED_MS)
  client.write('b')
  for (let i = 0; i < 100 && heard.length < 2; i++) await sleep(50)
  assert.equal(heard, ['a', 'b'])
  client.destroy()
})

const TIMER_IS_KEEP_ALIVE = '02'
const TICKS_PER_SECOND = 100

/** Seconds until the kernel asks whether the other side of this port's only connection is still there; null: never. */
function probeSeconds(port: number): number | null {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const ESTABLISHED = '01'
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local = '', , state, , timer = ''] = line.trim().split(/\s+/)
    if (!local.endsWith(`:${hex}`) || state !== ESTABLISHED) continue
    const [kind, ticks = ''] = timer.split(':')
    return kind === TIMER_IS_KEEP_ALIVE ? Number.parseInt(ticks, 16) / TICKS_PER_SECOND : null
  }
  throw new Error(`no connection on port ${port}`)
}

const onLinux = process.platform === 'linux' ? test : test.skip

onLinux('a client that says nothing is asked by the kernel whether it is still there', async () => {
  const { promise: accepted, resolve } = Promise.withResolvers<ClientSocket>()
  using it = await listening({ accept: (socket) => void resolve(socket) })
  const client = connect({ host: '127.0.0.1', port: it.port })
  await accepted
  const seconds = probeSeconds(it.port)
  client.destroy()
  assert.ok(seconds !== null && seconds > LIMITS.tcpKeepAliveMs / 1000 - 5, `${seconds}`)
  assert.ok(seconds <= LIMITS.tcpKeepAliveMs / 1000, `${seconds}`)
})

test('a PROXY header has its time as a whole, however its bytes come', async () => {
  using it = await listening({}, { proxyProtocol: true })
  const client = connect({ host: '127.0.0.1', port: it.port })
  client.on('error', () => {})
  let open = true
  client.on('close', () => {
    open = false
  })
  const header = 'PROXY TCP4 192.0.2.9 10.0.0.1 40320 1883\r\n'
  for (const byte of header.slice(0, FIRED_MS / 250)) {
    if (!open) break
    client.write(byte)
    await sleep(250)
  }
  client.destroy()
  assert.is(open, false)
})

test('a client that was introduced in time stays', async () => {
  const heard: string[] = []
  using it = await listening(
    { data: (bytes) => void heard.push(new TextDecoder().decode(bytes)), closed: () => void heard.push('closed') },
    { proxyProtocol: true },
  )
  const client = connect({ host: '127.0.0.1', port: it.port })
  client.on('error', () => {})
  client.write('PROXY TCP4 192.0.2.9 10.0.0.1 40320 1883\r\na')
  await sleep(FIRED_MS)
  client.write('b')
  for (let i = 0; i < 100 && heard.length < 2; i++) await sleep(50)
  client.destroy()
  assert.equal(heard, ['a', 'b'])
})

test('a socket has its place from accept to close, however it ends; one too many is closed and takes none', async () => {
  let refused = 0
  const descriptors = LIMITS.descriptorsKept + 2
  const room = new SocketRoom(
    { connections: 1, descriptors, addresses: 0 },
    () => refused++,
    () => 0,
  )
  const accepted: ClientSocket[] = []
  using it = await listening({ accept: (socket) => void accepted.push(socket) }, { room })
  const dial = () => {
    const client = connect({ host: '127.0.0.1', port: it.port })
    client.on('error', () => {})
    client.resume()
    return client
  }
  const until = async (condition: () => boolean) => {
    for (let i = 0; i < 100 && !condition(); i++) await sleep(50)
    assert.ok(condition())
  }
  for (let round = 1; round <= 3; round++) {
    const [a, b] = [dial(), dial()]
    await until(() => accepted.length === 2)
    const third = dial()
    await until(() => third.closed)
    assert.equal([refused, accepted.length], [round, 2])
    a.destroy()
    accepted[1]?.end(0)
    b.destroy()
    accepted.length = 0
    await until(() => (room as unknown as { open: number }).open === 0)
  }
})

test.run()
