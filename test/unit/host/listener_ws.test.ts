// ListenerWs: a real node behind it, a socket before it that takes as few bytes as it is told to: frames stay whole, back-pressure
// reaches the node and the socket, pings and the close wait for the frame under way, and who never reads is cut.
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../../../src/base/limits.ts'
import type { HostedNode } from '../../../src/host/hosted_node.ts'
import { WsClients } from '../../../src/host/sockets/listener_ws.ts'
import { ScriptedClient } from '../../support/mqtt_client.ts'
import { OneNode, TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'
import { upgradeRequest } from '../../support/ws_client.ts'
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  joined,
  PING,
  PONG,
  takeServerFrames,
} from '../../support/ws_frames.ts'

const test = suite('WebSocket on a socket')

class Client extends ScriptedClient {
  /** Bytes the socket still takes. */
  room = Number.POSITIVE_INFINITY
  paused = false
  ended = false
  /** All that the server wrote. */
  said: Uint8Array = new Uint8Array(0)
  readonly world: OneNode | TwoNodes
  private readonly clients: WsClients
  private readonly ws: ReturnType<WsClients['accept']>

  constructor(world: OneNode | TwoNodes, clientId = 'c', origins: string[] = []) {
    super(clientId, 5)
    this.world = world
    const node = world instanceof TwoNodes ? world.a : world.node
    this.clients = new WsClients(() => node as unknown as HostedNode, origins)
    this.ws = this.clients.accept({
      transport: 'tcp',
      address: 'test:1',
      loopback: true,
      write: (bytes) => {
        const taken = Math.min(this.room, bytes.length)
        this.room -= taken
        this.said = joined([this.said, bytes.subarray(0, taken)])
        return taken
      },
      pause: () => void (this.paused = true),
      resume: () => void (this.paused = false),
      end: () => {
        if (this.ended) return
        this.ended = true
        queueMicrotask(() => this.clients.closed(this.ws))
      },
    })
    world.drive()
  }

  /** WebSocket and MQTT are open; what the server said so far is forgotten. */
  static opened(world: OneNode, clientId = 'c'): Client {
    const c = new Client(world, clientId)
    c.send(upgradeRequest(8083))
    c.sendConnect({ cleanStart: false, sessionExpiry: 60 })
    c.said = new Uint8Array(0)
    return c
  }

  send(...parts: Uint8Array[]): void {
    this.clients.data(this.ws, joined(parts))
    this.world.drive()
  }

  /** Takes packets instead of the socket. */
  framing: ((packet: Uint8Array) => void) | null = null

  protected transmit(packet: Uint8Array): void {
    if (this.framing !== null) this.framing(packet)
    else this.send(clientFrame(packet))
  }

  expect(cmd: 'connack') {
    const packet = this.inbox.shift()
    if (packet?.cmd !== cmd) throw new Error(`expected ${cmd}, got ${JSON.stringify(packet)}`)
    return packet
  }

  /** The socket takes some bytes more. */
  unblock(bytes: number): void {
    this.room = bytes
    this.clients.writable(this.ws)
    this.world.drive()
  }

  /** The socket has gone. */
  vanish(): void {
    this.clients.closed(this.ws)
    this.world.drive()
  }

  get frames() {
    const { frames, rest } = takeServerFrames(this.said)
    assert.is(rest.length, 0, 'a frame is not whole')
    return frames
  }

  /** Lets the packet reader see all that came in binary frames. */
  read(): this {
    for (const { opcode, payload } of this.frames) if (opcode === BINARY) this.received(payload)
    assert.is(this.fault, null)
    return this
  }
}

test('however few bytes the socket takes at a time, frames stay whole and every message comes once, in order', () => {
  for (const step of [1, 2, 3, 7, 64, 1000, 70_000]) {
    const world = new OneNode()
    const c = Client.opened(world)
    c.sendSubscribe('t', 1)
    const count = step < 64 ? 3 : 40
    const size = step < 64 ? 300 : 20_000
    const p = world.connect('p')
    c.said = new Uint8Array(0)
    c.room = 0
    for (let i = 0; i < count; i++) p.sendPublish('t', new Uint8Array(size).fill(i), { qos: 1 })
    let turns = 0
    while (c.room === 0 || turns === 0) {
      c.unblock(step)
      if (++turns > 1_000_000) throw new Error('no end')
    }
    const got = c.read().takeAll()
    assert.equal(got.length, count, `${step} bytes at a time`)
    for (const [i, packet] of got.entries()) assert.ok(packet.cmd === 'publish' && packet.payload[size - 1] === i)
    assert.ok(c.frames.every(({ payload }) => payload.length <= LIMITS.wsFrameBytesMax))
  }
})

test('a socket that takes nothing of a frame: all of it stays with the node', () => {
  const world = new OneNode()
  const c = Client.opened(world)
  c.room = 0
  c.sendPingreq()
  const connection = world.node.live.get('c') as unknown as { outBytes: number }
  assert.is(connection.outBytes, 2)
  c.unblock(1)
  assert.is(connection.outBytes, 0, 'a frame that is begun is no longer its business')
  c.unblock(10)
  assert.equal([...c.said], [0x82, 2, 0xd0, 0])
})

test('a socket that takes nothing: bytes wait in the node, where limits count them, and not here', () => {
  const world = new OneNode()
  const c = Client.opened(world)
  c.sendSubscribe('t', 0)
  c.room = 0
  const p = world.connect('p')
  const payload = new Uint8Array(100_000)
  const copies = Math.ceil(LIMITS.outBytesQos0Max / payload.length) + 10
  for (let i = 0; i < copies; i++) p.sendPublish('t', payload)
  assert.match(world.node.metrics.render(), /^tandemq_dropped_total\{.*\} [1-9]/m, 'QoS 0 is dropped for a slow reader')
  assert.is(c.ended, false)
})

test('pings that find a frame half written are answered behind it, the last one only', () => {
  const world = new OneNode()
  const c = Client.opened(world)
  c.room = 1
  c.sendPingreq()
  for (const byte of [1, 2, 3]) c.send(clientFrame([byte], { opcode: PING }))
  c.unblock(1_000)
  assert.equal(
    c.frames.map(({ opcode, payload }) => [opcode, ...payload]),
    [
      [BINARY, 0xd0, 0],
      [PONG, 3],
    ],
  )
})

test('the close frame waits for the frame under way, then FIN; nothing is written between', async () => {
  for (const how of ['DISCONNECT', 'close frame', 'text frame'] as const) {
    const world = new OneNode()
    const c = Client.opened(world)
    c.room = 1
    c.sendPingreq()
    if (how === 'DISCONNECT') c.sendDisconnect()
    else if (how === 'close frame') c.send(clientFrame(closePayload(1000), { opcode: CLOSE }))
    else c.send(clientFrame([0x41], { opcode: 1 }))
    assert.is(c.ended, false)
    while (!c.ended) c.unblock(1)
    const opcodes = c.frames.map(({ opcode }) => opcode)
    assert.equal(opcodes, how === 'text frame' ? [BINARY, BINARY, CLOSE] : [BINARY, CLOSE])
    const last = c.frames.at(-1)?.payload
    assert.is((last?.[0] as number) * 256 + (last?.[1] as number), how === 'text frame' ? 1003 : 1000)
    const { length } = c.said
    c.unblock(1_000)
    assert.is(c.said.length, length)
    await Promise.resolve()
    world.drive()
    assert.is(world.node.all.size, 0)
  }
})

test('a client that asks for the end and reads nothing is cut all the same', async () => {
  const world = new OneNode()
  const c = Client.opened(world)
  c.room = 1
  c.sendPingreq()
  c.send(clientFrame([], { opcode: CLOSE }))
  assert.is(c.ended, false)
  const until = performance.now() + 20_000
  while (!c.ended && performance.now() < until) await sleep(50)
  assert.is(c.ended, true)
})

test('a fault while the pair decides on the CONNECT: the client is refused, and may come again', () => {
  const world = new TwoNodes()
  const c = new Client(world)
  const frames: Uint8Array[] = []
  c.send(upgradeRequest(8083))
  c.said = new Uint8Array(0)
  c.framing = (packet) => void frames.push(clientFrame(packet))
  c.sendConnect({ cleanStart: false, sessionExpiry: 60 })
  c.framing = null
  c.send(...frames, clientFrame([0x41], { opcode: 1 }))
  assert.equal(
    c.frames.map(({ opcode }) => opcode),
    [BINARY, CLOSE],
  )
  assert.equal([...c.frames[1]!.payload], [1003 >> 8, 1003 & 0xff])
  const connack = c.read().expect('connack')
  assert.is(connack.reason, 0x82)
  assert.ok(c.ended)
  c.vanish()
  world.settle()
  assert.is(world.a.all.size, 0)
  for (const node of [world.b, world.a])
    world.connect(node, 'c', { cleanStart: false, sessionExpiry: 60 }).sendDisconnect()
})

test('the node stops and starts the reading of the socket', () => {
  const world = new OneNode()
  const c = Client.opened(world)
  const connection = world.node.live.get('c')
  connection?.socket.pause()
  assert.is(c.paused, true)
  connection?.socket.resume()
  assert.is(c.paused, false)
})

test('the time for CONNECT begins with the socket: without a request, without a CONNECT', () => {
  for (const start of [new Uint8Array(0), upgradeRequest(8083).subarray(0, 40), upgradeRequest(8083)]) {
    const world = new OneNode()
    const c = new Client(world)
    if (start.length > 0) c.send(start)
    world.pass(LIMITS.connectTimeoutMs - 1)
    assert.is(c.ended, false)
    world.pass(2)
    assert.is(c.ended, true)
    assert.is(world.metric('connect_timeouts'), 1)
  }
})

test('a socket that vanishes, before and after the request: the node hears of it once', () => {
  const world = new OneNode()
  for (const start of [new Uint8Array(0), upgradeRequest(8083)]) {
    const c = new Client(world)
    if (start.length > 0) c.send(start)
    c.vanish()
    c.vanish()
    assert.is(world.node.all.size, 0)
  }
  const c = Client.opened(world)
  c.vanish()
  assert.is(world.metric('disconnects'), 1)
})

test('what is refused is told to the client, logged once and counted once', async () => {
  const world = new OneNode()
  const c = new Client(world, 'c', ['https://example.com'])
  c.send(upgradeRequest(8083, { Origin: 'https://example.org' }))
  assert.match(
    new TextDecoder().decode(c.said),
    /^HTTP\/1\.1 403 .*https:\/\/example\.org is not among --ws-origin\n$/s,
  )
  assert.is(c.ended, true)
  await Promise.resolve()
  const lines = world.log.filter(({ name }) => name === 'client_fault')
  assert.is(lines.length, 1)
  assert.is(world.metric('faults_notAuthorized'), 1)
  assert.is(world.node.all.size, 0)
})

test.run()
