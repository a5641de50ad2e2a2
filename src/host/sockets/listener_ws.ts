// ListenerWs: WebSocket between the sockets of a listener and the node, on any runtime: to the node each client is a socket like
// any other. Knows nothing of what the frames carry but what MQTT's close reasons are called in WebSocket.
import { copyBytes } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import type { ClientSocket, Transport } from '../../core/ports.ts'
import { Reason } from '../../wire/reason.ts'
import {
  closeFrame,
  controlFrame,
  HEADER_BYTES_MAX,
  WsClose,
  WsOpcode,
  WsReader,
  type WsSink,
  writeFrameHeader,
} from '../../wire/ws_frames.ts'
import type { ClientEvents, HostedConnection, HostedNode } from '../hosted_node.ts'
import { LingerList } from './linger.ts'
import { readUpgrade } from './ws_upgrade.ts'

/** The frame being made; a socket takes what it is given or says how much of it, so one is enough for all. */
const frame = new Uint8Array(HEADER_BYTES_MAX + LIMITS.wsFrameBytesMax)

/** MQTT reasons that WebSocket has a close code for; 3.x clients learn them in no other way. */
const CLOSE_CODES = new Map<number, number>([
  [Reason.malformedPacket, WsClose.protocolError],
  [Reason.protocolError, WsClose.protocolError],
  [Reason.packetTooLarge, WsClose.messageTooBig],
  [Reason.serverShuttingDown, WsClose.goingAway],
  [Reason.useAnotherServer, WsClose.goingAway],
  [Reason.serverMoved, WsClose.goingAway],
])

/** `upgrading` until the request is answered; `closing`: nothing is taken in either direction, but the last frames wait. */
type WsState = 'upgrading' | 'open' | 'closing' | 'closed'

class WsClient implements ClientSocket, WsSink {
  readonly transport: Transport = 'ws'
  readonly address: string
  loopback: boolean
  /** The node's. */
  connection: HostedConnection | null = null
  readonly reader = new WsReader(this)
  private state: WsState = 'upgrading'
  /** The beginning of the request, while it is incomplete. */
  private request: Uint8Array | null = null
  /** Owned rest of a frame (or of the answer to the request) that the socket has not taken. */
  private tail: Uint8Array | null = null
  /** The last ping that found a frame half written; earlier ones need no answer. */
  private ping: Uint8Array | null = null
  /** The last words, which wait for `tail`. */
  private last: Uint8Array | null = null
  private closeCode = 0
  private readonly socket: ClientSocket
  private readonly clients: WsClients

  constructor(socket: ClientSocket, clients: WsClients) {
    this.socket = socket
    this.clients = clients
    this.address = socket.address
    this.loopback = socket.loopback
  }

  // ---- the node's side

  /** One frame for each 64 KiB; what is left of one that the socket has begun is kept here and counts as taken. */
  write(bytes: Uint8Array): number {
    if (this.state !== 'open') return bytes.length // nobody is to get it any more
    let taken = 0
    while (taken < bytes.length && this.tail === null) {
      const size = Math.min(bytes.length - taken, LIMITS.wsFrameBytesMax)
      const header = writeFrameHeader(frame, WsOpcode.binary, size) // [MQTT-6.0.0-1]
      frame.set(size === bytes.length ? bytes : bytes.subarray(taken, taken + size), header)
      if (!this.send(frame.subarray(0, header + size), true)) break
      taken += size
    }
    return taken
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** @param reason MQTT's */
  end(reason: number): void {
    const code = this.closeCode !== 0 ? this.closeCode : (CLOSE_CODES.get(reason) ?? WsClose.normal)
    this.finish(this.state === 'open' ? closeFrame(code) : null)
  }

  // ---- the socket's side

  data(bytes: Uint8Array): void {
    if (this.state === 'open') this.reader.feed(bytes)
    else if (this.state === 'upgrading') this.onRequest(bytes)
  }

  writable(): void {
    if (this.tail !== null) {
      const { tail } = this
      this.tail = null
      this.send(tail, false)
    }
    if (this.tail !== null) return
    if (this.state === 'closing') return this.close()
    if (this.ping !== null) {
      this.onPing(this.ping)
      if (this.tail !== null) return
    }
    if (this.connection !== null) this.clients.node.writable(this.connection)
  }

  closed(): void {
    this.state = 'closed'
    this.reader.stop()
    this.clients.lingering.delete(this)
  }

  private onRequest(bytes: Uint8Array): void {
    let all = bytes
    if (this.request !== null) {
      all = new Uint8Array(this.request.length + bytes.length)
      all.set(this.request)
      all.set(bytes, this.request.length)
    }
    const upgrade = readUpgrade(all, this.clients.origins, all.length - bytes.length)
    if (upgrade.kind === 'more') {
      this.request = all === bytes ? copyBytes(bytes) : all
      return
    }
    this.request = null
    if (upgrade.kind === 'refused') {
      this.finish(upgrade.response)
      this.fault(upgrade.status === 403 ? Reason.notAuthorized : Reason.protocolError, `WebSocket: ${upgrade.text}`)
      return
    }
    if (!upgrade.direct) this.loopback = false
    this.state = 'open'
    this.send(upgrade.response, false)
    if (upgrade.bytes < all.length) this.reader.feed(all.subarray(upgrade.bytes))
  }

  // ---- frames of the client

  onBytes(bytes: Uint8Array): void {
    if (this.connection !== null) this.clients.node.data(this.connection, bytes)
  }

  onPing(payload: Uint8Array): void {
    if (this.state !== 'open') return
    this.ping = this.tail === null ? null : payload
    if (this.tail === null) this.send(controlFrame(WsOpcode.pong, payload), false)
  }

  onClose(code: number): void {
    this.finish(closeFrame(code))
  }

  onFault(code: number, text: string): void {
    this.closeCode = code
    this.fault(Reason.protocolError, `WebSocket: ${text}`)
  }

  /** The node logs and counts it, says DISCONNECT where it can, and ends the connection. */
  private fault(reason: number, text: string): void {
    this.connection?.onTransportFault(reason, text)
  }

  // ---- out

  /** @param all take it as a whole or leave it, but for a part once begun  @returns false where it was left */
  private send(bytes: Uint8Array, all: boolean): boolean {
    const taken = this.socket.write(bytes)
    if (taken === bytes.length) return true
    if (taken === 0 && all) return false
    this.tail = copyBytes(bytes, taken)
    return true
  }

  /** Says the last words behind what is half said, then FIN; a client that does not read has a second or two for it. */
  private finish(last: Uint8Array | null): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.state = 'closing'
    this.reader.stop()
    this.last = last
    if (this.tail === null) this.close()
    else this.clients.lingering.add(this)
  }

  private close(): void {
    if (this.last !== null) {
      this.send(this.last, false)
      this.last = null
      if (this.tail !== null) return this.clients.lingering.add(this)
    }
    this.cut()
  }

  cut(): void {
    this.clients.lingering.delete(this)
    this.state = 'closed'
    this.socket.end(Reason.success)
  }
}

/** What a listener tells of its sockets, told to the node of the WebSocket clients on them. */
export class WsClients implements ClientEvents {
  /** Origins of pages that may connect, in lower case; empty: all. */
  readonly origins: readonly string[]
  readonly lingering = new LingerList<WsClient>((client) => client.cut())
  private readonly theNode: () => HostedNode

  /** @param node asked for at each event: addresses are bound before it is made */
  constructor(node: () => HostedNode, origins: readonly string[]) {
    this.theNode = node
    this.origins = origins
  }

  get node(): HostedNode {
    return this.theNode()
  }

  /** The node's time for CONNECT begins with the socket: the request is part of it. */
  accept(socket: ClientSocket): WsClient {
    const client = new WsClient(socket, this)
    client.connection = this.node.accept(client)
    return client
  }

  data(client: WsClient, bytes: Uint8Array): void {
    client.data(bytes)
  }

  writable(client: WsClient): void {
    client.writable()
  }

  closed(client: WsClient): void {
    client.closed()
    const { connection } = client
    client.connection = null
    if (connection !== null) this.node.closed(connection)
  }
}
