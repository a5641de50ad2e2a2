// Lines from stdin, live: `tandemq pub -l` reads no faster than the server takes, over TCP and WebSocket, and notices the end of it all
// while no line comes.
// timeout: 120 s

import { createHash } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('stdin')
const runner = 'Deno' in globalThis ? ['run', '-A', '--no-lock', 'src/main.ts'] : ['src/main.ts']
const MIB = 1024 * 1024
/** What the kernel and a runtime hold of a stream on its way: twice 6 MiB between two sockets, and our own mebibyte. */
const ON_THE_WAY_MAX = 24 * MIB
const GIVEN = 64 * MIB
const CONNACK = [0x20, 2, 0, 0]
const CONNACK_5 = [0x20, 3, 0, 0, 0]

/** A server that says `greeting` once something has come, and then does with its socket what a test wants. */
class Rude implements AsyncDisposable {
  port = 0
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  constructor(transport: 'tcp' | 'ws', greeting: readonly number[], then: (socket: Socket) => void) {
    this.server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      let request = transport === 'tcp' ? null : ''
      socket.on('data', (bytes) => {
        if (request === null) {
          socket.removeAllListeners('data')
          const frame = transport === 'tcp' ? [] : [0x82, greeting.length]
          socket.write(Uint8Array.from([...frame, ...greeting]))
          then(socket)
          return
        }
        request += bytes.toString()
        if (!request.endsWith('\r\n\r\n')) return
        socket.write(switched(request))
        request = null
      })
    })
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.port = (this.server.address() as { port: number }).port
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/** The answer that opens a WebSocket. */
function switched(request: string): string {
  const key = /^sec-websocket-key: *(\S+)/im.exec(request)?.[1]
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`
}

function pub(port: number, ...args: string[]): Proc {
  return new Proc(process.execPath, [...runner, 'pub', '-h', '127.0.0.1', '-p', String(port), '-t', 't', ...args])
}

/** Writes lines as fast as they are read. @returns the bytes taken */
function feed(proc: Proc): { taken(): number } {
  const line = new Uint8Array(64 * 1024).fill(0x78)
  line[line.length - 1] = 0x0a
  let given = 0
  const { stdin } = proc.child
  const more = () => {
    while (given < GIVEN) {
      given += line.length
      if (stdin?.write(line) === false) return void stdin.once('drain', more)
    }
    stdin?.end()
  }
  more()
  return { taken: () => given - (stdin?.writableLength ?? 0) }
}

for (const transport of ['tcp', 'ws'] as const) {
  test(`at QoS 0 pub reads no further ahead of a slow server than a mebibyte, over ${transport}`, async () => {
    let held: Socket | null = null
    await using server = await new Rude(transport, CONNACK, (socket) => {
      held = socket.pause()
    }).listen()
    const proc = pub(server.port, '-l', ...(transport === 'ws' ? ['--ws'] : []))
    const { taken } = feed(proc)
    for (let before = -1; taken() > before || taken() === 0; await sleep(1000)) before = taken()
    assert.ok(taken() < ON_THE_WAY_MAX, `${taken() / MIB} MiB of ${GIVEN / MIB} were read`)
    let got = 0
    const socket = held as Socket | null
    socket?.on('data', (bytes) => {
      got += bytes.length
    })
    socket?.resume()
    for (let before = -1; got > before || got < GIVEN; await sleep(300)) before = got
    socket?.destroy() // or a WebSocket waits for the other side's goodbye
    assert.is(await proc.ended, 0, proc.log)
  })
}

for (const [source, given] of [
  ['-l', ''],
  ['-l', 'a line\n'],
  ['-l', 'more than it reads ahead\n'.repeat(3000)],
  ['-s', 'a part'],
] as const) {
  test(`a final DISCONNECT ends pub ${source} while stdin stays open after ${given.length} bytes`, async () => {
    await using server = await new Rude('tcp', CONNACK_5, (socket) => {
      setTimeout(() => socket.write(Uint8Array.from([0xe0, 2, 0x8e, 0])), 300)
    }).listen()
    const proc = pub(server.port, source, '-V', '5', '-q', '1')
    proc.child.stdin?.write(given)
    const code = await Promise.race([proc.ended, sleep(10_000, 'still there', { ref: false })])
    await proc.kill9()
    assert.is(code, 0x8e, proc.log)
    assert.is(proc.log, 'tandemq: disconnected: session taken over\n')
  })
}

test.run()
