// ListenerBun: clients' TCP sockets on Bun, one handler set for all of them. Knows nothing of MQTT.
import process from 'node:process'
import type { Socket, SocketHandler, TCPSocketListener } from 'bun'
import { NO_BYTES } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import type { ClientSocket, Transport } from '../../core/ports.ts'
import { bindFault, formatAddress, isLoopback, type ListenAddress, plainIp } from '../address.ts'
import type { ClientEvents } from '../hosted_node.ts'
import type { Loop } from '../loop.ts'
import { LingerList } from './linger.ts'
import type { Listener, ListenOptions } from './listener.ts'
import { type Introduced, introduce } from './proxy_protocol.ts'
import type { SocketRoom } from './socket_room.ts'

/**
 * Bun's accept queue holds 512 connections and cannot be set; 10 000 clients connecting at once lost their SYNs and took 4 s.
 * Eight listeners on one port share them out: 0.2 s. Only Linux balances between listeners of one port.
 */
const LISTENERS = process.platform === 'linux' ? 8 : 1

/** One client's socket: all that an idle connection costs here besides Bun's own. */
class BunClient implements ClientSocket, Introduced {
  readonly transport: Transport = 'tcp'
  readonly socket: Socket<BunClient>
  /** Null while the PROXY header is incomplete, and once the node has been told of the end. */
  connection: object | null = null
  /** Bytes of an incomplete PROXY header. */
  held: Uint8Array | null = null
  address: string
  loopback: boolean
  paused = false
  /** The node has ended it: what still arrives is thrown away. */
  ended = false
  private readonly clients: BunClients

  constructor(socket: Socket<BunClient>, clients: BunClients) {
    this.socket = socket
    this.clients = clients
    // Undefined, whatever the types say, where the client has gone again already.
    const ip = plainIp(socket.remoteAddress ?? '')
    this.address = formatAddress(ip, socket.remotePort ?? 0)
    this.loopback = isLoopback(ip)
  }

  write(bytes: Uint8Array): number {
    const taken = this.socket.write(bytes)
    // Negative: closed meanwhile. The close event is on its way, so nothing is worth keeping.
    return taken < 0 ? bytes.length : taken
  }

  pause(): void {
    if (this.paused || this.ended) return
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.socket.resume()
  }

  end(): void {
    this.clients.end(this)
  }
}

class BunClients {
  readonly handlers: SocketHandler<BunClient, 'uint8array'>
  private readonly loop: Loop
  private readonly proxyProtocol: boolean
  /** From when it is set on, whatever comes meanwhile. Bun looks every four seconds. */
  private readonly headerSeconds: number
  private readonly room: SocketRoom
  private readonly front: ClientEvents | null
  private readonly lingering = new LingerList<BunClient>((client) => client.socket.terminate())

  constructor(loop: Loop, options: ListenOptions) {
    this.loop = loop
    this.proxyProtocol = options.proxyProtocol
    this.headerSeconds = Math.ceil(options.connectTimeoutMs / 1000)
    this.room = options.room
    this.front = options.front
    this.handlers = {
      binaryType: 'uint8array',
      open: (socket) => this.onOpen(socket),
      data: (socket, bytes) => this.onData(socket.data, bytes),
      drain: (socket) => this.onDrain(socket.data),
      close: (socket) => this.onClose(socket.data),
      timeout: (socket) => this.onTimeout(socket.data),
      error: (_socket, error) => {
        // Failures of the socket itself have a code and are followed by close; anything else was thrown by us.
        if (!('code' in error)) queueMicrotask(() => Promise.reject(error))
      },
    }
  }

  /** Whom sockets are told to. */
  private get to(): ClientEvents {
    return this.front ?? this.loop.node
  }

  /** Sends what was taken, then FIN; a plain close would become RST where the client's bytes lie unread. */
  end(client: BunClient): void {
    if (client.ended) return
    client.resume()
    client.ended = true
    client.socket.shutdown()
    this.lingering.add(client)
    this.tellClosed(client)
  }

  private onOpen(socket: Socket<BunClient>): void {
    if (!this.loop.attached || !this.room.enter()) {
      socket.terminate()
      return
    }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, LIMITS.tcpKeepAliveMs)
    const client = new BunClient(socket, this)
    socket.data = client
    if (this.proxyProtocol) {
      client.held = NO_BYTES
      socket.timeout(this.headerSeconds)
      return
    }
    this.loop.enter()
    this.accept(client)
  }

  private accept(client: BunClient): void {
    client.connection = this.to.accept(client)
    if (client.ended) this.tellClosed(client)
  }

  private onData(client: BunClient, bytes: Uint8Array): void {
    if (client.ended) return
    this.loop.enter()
    if (client.connection !== null) this.to.data(client.connection, bytes)
    else if (client.held !== null) this.onProxyBytes(client, bytes)
  }

  private onProxyBytes(client: BunClient, bytes: Uint8Array): void {
    const rest = introduce(client, bytes)
    if (rest === null) return
    if (rest === 'bad') {
      client.socket.terminate()
      return
    }
    client.socket.timeout(0)
    this.accept(client)
    if (rest.length > 0) this.onData(client, rest)
  }

  /** Bun calls this for every socket after 120 s, asked or not: only who is still to be introduced is too late. */
  private onTimeout(client: BunClient | undefined): void {
    if (client !== undefined && client.connection === null && client.held !== null) client.socket.terminate()
  }

  private onDrain(client: BunClient): void {
    if (client.connection === null || client.ended) return
    this.loop.enter()
    this.to.writable(client.connection)
  }

  private onClose(client: BunClient | undefined): void {
    if (client === undefined) return
    this.room.leave()
    if (client.ended) this.lingering.delete(client)
    client.ended = true
    this.tellClosed(client)
  }

  private tellClosed(client: BunClient): void {
    const { connection } = client
    if (connection === null) return
    client.connection = null
    this.loop.later(() => this.to.closed(connection))
  }
}

export function listenBun(address: ListenAddress, loop: Loop, options: ListenOptions): Listener {
  const socket = new BunClients(loop, options).handlers as unknown as SocketHandler<BunClient>
  const listeners: TCPSocketListener<BunClient>[] = []
  try {
    const { hostname, port } = reserve(address)
    // reusePort is missing in Bun's types of TCP listeners, not in Bun.
    const shared = { hostname, port, socket, reusePort: LISTENERS > 1 }
    for (let i = 0; i < LISTENERS; i++) listeners.push(Bun.listen<BunClient>(shared))
    const stop = () => {
      for (const listener of listeners) listener.stop(false)
    }
    return { port, stop }
  } catch (error) {
    for (const listener of listeners) listener.stop(true)
    throw bindFault(options.flag, address, error)
  }
}

/** Binds once for itself alone, so that a port some other program (or broker) shares or owns is refused. */
function reserve(address: ListenAddress): { hostname: string; port: number } {
  const probe = (hostname: string) => {
    const listener = Bun.listen({ hostname, port: address.port, socket: { data() {} } })
    const { port } = listener
    listener.stop(true)
    return { hostname, port }
  }
  if (address.host !== null) return probe(address.host)
  try {
    return probe('::')
  } catch (error) {
    if ((error as { code?: string }).code === 'EADDRINUSE') throw error
    return probe('0.0.0.0') // a machine without IPv6
  }
}
