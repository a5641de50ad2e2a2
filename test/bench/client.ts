// BenchClient: an MQTT client that notes when things arrive: on Bun's own sockets, on src/wire's client side, with as little
// as possible between the socket and the clock. Acknowledges what it gets. Ends the bench where the server breaks the rules.
import type { Socket } from 'bun'
import { ByteWriter, utf8 } from '../../src/base/bytes.ts'
import { ClientDecoder, type Delivery, type ServerPacket } from '../../src/wire/client_decoder.ts'
import { type ConnectFields, writeConnect, writeSubscribe } from '../../src/wire/client_encoder.ts'
import { writeAck, writePublish } from '../../src/wire/encoder.ts'
import { PacketType, type QoS } from '../../src/wire/packet.ts'

const VERSION = 4
const WAIT_MS = 20_000
const OUT_BYTES = 512

export type Arrival = { readonly at: number; readonly sessionPresent: boolean }

/** Resolves to `performance.now()` when what was asked has arrived. */
type Waiting = { readonly resolve: (at: number) => void; left: number }

export class BenchClient {
  readonly clientId: string
  onDelivery: ((packet: Delivery, at: number) => void) | null = null
  onAck: ((at: number) => void) | null = null
  /** The server, or the network, has ended the connection. */
  onClosed: ((at: number) => void) | null = null
  closed = false
  private socket!: Socket<undefined>
  private readonly out = new ByteWriter(OUT_BYTES)
  private unsent: Uint8Array | null = null
  private at = 0
  private lastId = 0
  private welcome: PromiseWithResolvers<Arrival> | null = null
  private subscribed: Waiting | null = null
  private acked: Waiting | null = null
  private readonly decoder = new ClientDecoder(VERSION, {
    onPacket: (packet) => this.onPacket(packet),
    onFault: (_reason, text) => {
      throw new Error(`${this.clientId}: the server sent ${text}`)
    },
  })

  private constructor(clientId: string) {
    this.clientId = clientId
  }

  /** Opens the socket only. @throws where nobody listens */
  static async open(port: number, clientId: string, hostname = '127.0.0.1'): Promise<BenchClient> {
    const client = new BenchClient(clientId)
    const over = () => client.over()
    client.socket = await Bun.connect({
      hostname,
      port,
      socket: {
        binaryType: 'uint8array',
        data: (_socket, bytes: Uint8Array) => client.onBytes(bytes),
        drain: () => client.flush(),
        close: over,
        end: over,
        error: over,
      },
    })
    client.socket.setNoDelay(true)
    return client
  }

  /** CONNECT to CONNACK. @throws where it is refused */
  async connect(cleanStart = false, more: Partial<ConnectFields> = {}): Promise<Arrival> {
    this.welcome = Promise.withResolvers<Arrival>()
    writeConnect(this.out, { version: VERSION, clientId: this.clientId, cleanStart, keepAlive: 0, ...more })
    this.flush()
    return this.inTime(this.welcome.promise, 'CONNACK')
  }

  static async connected(port: number, clientId: string, cleanStart = false): Promise<BenchClient> {
    const client = await BenchClient.open(port, clientId)
    await client.connect(cleanStart)
    return client
  }

  async subscribe(filter: string, qos: QoS): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.subscribed = { resolve, left: 1 }
    writeSubscribe(this.out, VERSION, this.nextId(), [{ filter, qos }])
    this.flush()
    await this.inTime(promise, 'SUBACK')
  }

  /** Appends a PUBLISH; flush() sends it. */
  publish(topic: Uint8Array, payload: Uint8Array, qos: QoS, retain = false): void {
    const id = qos === 0 ? 0 : this.nextId()
    writePublish(this.out, VERSION, topic, payload, 0, payload.length, qos, retain, false, id, null, -1, null, 0)
  }

  /** When so many PUBACKs have come from now on. */
  async acks(count: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.acked = { resolve, left: count }
    return await this.inTime(promise, 'PUBACK')
  }

  flush(): void {
    if (this.closed) return
    const bytes = this.unsent ?? this.out.view()
    if (bytes.length === 0) return
    const taken = Math.max(0, this.socket.write(bytes))
    const rest = bytes.subarray(taken)
    if (this.unsent !== null) {
      this.unsent = rest.length === 0 ? null : rest
      if (this.unsent === null) this.flush()
      return
    }
    this.unsent = rest.length === 0 ? null : rest.slice()
    this.out.clear()
  }

  /** FIN: what was said before it arrives. */
  end(): void {
    this.onClosed = null
    this.closed = true
    this.socket.end()
  }

  private nextId(): number {
    this.lastId = (this.lastId % 0xffff) + 1
    return this.lastId
  }

  private over(): void {
    if (this.closed) return
    this.closed = true
    this.welcome?.reject(new Error(`${this.clientId}: closed`))
    this.onClosed?.(performance.now())
  }

  private onBytes(bytes: Uint8Array): void {
    this.at = performance.now()
    this.decoder.feed(bytes)
    this.flush()
  }

  private onPacket(packet: ServerPacket): void {
    switch (packet.cmd) {
      case 'publish':
        if (packet.qos === 1) writeAck(this.out, PacketType.puback, packet.packetId, 0, VERSION)
        this.onDelivery?.(packet, this.at)
        return
      case 'puback':
        this.onAck?.(this.at)
        if (this.acked !== null && --this.acked.left === 0) this.acked.resolve(this.at)
        return
      case 'connack':
        if (packet.reason !== 0) this.welcome?.reject(new Error(`${this.clientId}: refused with ${packet.reason}`))
        this.welcome?.resolve({ at: this.at, sessionPresent: packet.sessionPresent })
        return
      case 'suback':
        this.subscribed?.resolve(this.at)
        return
      default:
        throw new Error(`${this.clientId}: unexpected ${packet.cmd}`)
    }
  }

  private async inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`${this.clientId}: no ${what} in ${WAIT_MS} ms`)), WAIT_MS)
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A payload that begins with a number. */
export function numbered(n: number, bytes = 64): Uint8Array {
  const payload = new Uint8Array(bytes)
  new DataView(payload.buffer).setUint32(0, n)
  return payload
}

export function numberOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0)
}

export const topicOf = utf8
