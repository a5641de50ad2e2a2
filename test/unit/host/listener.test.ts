// Listener, on real sockets: a client stays for as long as the node wants it to, whatever timers the runtime keeps for its sockets.

import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientSocket } from '../../../src/core/ports.ts'
import type { ClientEvents, HostedNode } from '../../../src/host/hosted_node.ts'
import { Loop } from '../../../src/host/loop.ts'
import { listenClients } from '../../../src/host/sockets/runtime.ts'
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

test('a client is not closed because a timer of the runtime went off', async () => {
  const loop = new Loop(() => {})
  loop.attach(new OneNode().node as unknown as HostedNode)
  const heard: string[] = []
  const front: ClientEvents = {
    accept: (socket) => {
      armTimer(socket)
      return socket
    },
    data: (_connection, bytes) => void heard.push(new TextDecoder().decode(bytes)),
    closed: () => void heard.push('closed'),
    writable: () => {},
  }
  const options = { flag: '--listen', proxyProtocol: false, connectTimeoutMs: 1_000, front }
  const listener = await listenClients({ host: '127.0.0.1', port: 0 }, loop, options)
  const client = connect({ host: '127.0.0.1', port: listener.port })
  client.on('error', () => {})
  client.write('a')
  await sleep(FIRED_MS)
  client.write('b')
  for (let i = 0; i < 100 && heard.length < 2; i++) await sleep(50)
  assert.equal(heard, ['a', 'b'])
  client.destroy()
  listener.stop()
  loop.stop()
})

test.run()
