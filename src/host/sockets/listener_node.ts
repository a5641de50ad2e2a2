// ListenerNode: clients' TCP sockets through node:net, for Deno (and Node). Knows nothing of MQTT.
import { createServer, type Socket } from 'node:net'
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

/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 65_535

const lingering = new LingerList<Socket>((socket) => socket.destroy())

class NodeClient implements ClientSocket, Introduced {
  readonly transport: Transport = 'tcp'
  address: string
  loopback: boolean
  private readonly socket: Socket
  private readonly loop: Loop
  private readonly room: SocketRoom
  /** Whom it is told to. */
  private readonly to: ClientEvents
  /** Null while the PROXY header is incomplete, and once the node has been told of the end. */
  private connection: object | null = null
  held: Uint8Array | null = null
  /** Until that header is complete. */
  private headerTimer: ReturnType<typeof setTimeout> | undefined = undefined
  private paused = false
  private ended = false

  constructor(socket: Socket, loop: Loop, options: ListenOptions) {
    this.socket = socket
    this.loop = loop
    this.room = options.room
    this.to = options.front ?? loop.node
    const ip = plainIp(socket.remoteAddress ?? '')
    this.address = formatAddress(ip, socket.remotePort ?? 0)
    this.loopback = isLoopback(ip)
    socket.setKeepAlive(true, LIMITS.tcpKeepAliveMs)
    socket.on('data', (bytes: Uint8Array) => this.onData(bytes))
    socket.on('drain', () => this.onDrain())
    socket.on('error', () => {}) // close follows
    socket.on('close', () => this.onClose())
    if (options.proxyProtocol) {
      this.held = NO_BYTES
      // Not socket.setTimeout(), which each byte would start anew.
      this.headerTimer = setTimeout(() => socket.destroy(), options.connectTimeoutMs)
    } else {
      this.accept()
    }
  }

  write(bytes: Uint8Array): number {
    if (this.socket.destroyed) return bytes.length // the close event is on its way, so nothing is worth keeping
    if (this.socket.writableNeedDrain) return 0
    this.socket.write(bytes.slice())
    return bytes.length
  }

  pause(): void {
    if (this.ended || this.paused) return
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.socket.resume()
  }

  /** Sends what was taken, then FIN; the rest of what the client sends is read and thrown away. */
  end(): void {
    if (this.ended) return
    this.resume()
    this.ended = true
    this.socket.end()
    lingering.add(this.socket)
    this.tellClosed()
  }

  private accept(): void {
    this.loop.enter()
    this.connection = this.to.accept(this)
    if (this.ended) this.tellClosed()
  }

  private onData(bytes: Uint8Array): void {
    if (this.ended) return
    this.loop.enter()
    if (this.connection !== null) this.to.data(this.connection, bytes)
    else if (this.held !== null) this.onProxyBytes(bytes)
  }

  private onProxyBytes(bytes: Uint8Array): void {
    const rest = introduce(this, bytes)
    if (rest === null) return
    if (rest === 'bad') {
      this.socket.destroy()
      return
    }
    clearTimeout(this.headerTimer)
    this.accept()
    if (rest.length > 0) this.onData(rest)
  }

  private onDrain(): void {
    if (this.connection === null || this.ended) return
    this.loop.enter()
    this.to.writable(this.connection)
  }

  private onClose(): void {
    clearTimeout(this.headerTimer)
    this.room.leave()
    lingering.delete(this.socket)
    this.ended = true
    this.tellClosed()
  }

  private tellClosed(): void {
    const { connection } = this
    if (connection === null) return
    this.connection = null
    this.loop.later(() => this.to.closed(connection))
  }
}

export function listenNode(address: ListenAddress, loop: Loop, options: ListenOptions): Promise<Listener> {
  const { promise, resolve, reject } = Promise.withResolvers<Listener>()
  const bind = (host: string) => {
    const server = createServer({ noDelay: true }, (socket) => {
      if (loop.attached && options.room.enter()) new NodeClient(socket, loop, options)
      else socket.destroy()
    })
    server.once('error', (error: Error & { code?: string }) => {
      if (address.host === null && host === '::' && error.code !== 'EADDRINUSE') bind('0.0.0.0')
      else reject(bindFault(options.flag, address, error))
    })
    server.listen({ host, port: address.port, backlog: BACKLOG }, () => {
      const bound = server.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
      resolve({ port, stop: () => void server.close() })
    })
  }
  bind(address.host ?? '::')
  return promise
}
