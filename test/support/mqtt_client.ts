// MqttClient: a scripted client: says what the test tells it to, right or wrong, and keeps what it is told. Acknowledges
// nothing by itself. Works over any transport: real sockets here, a node in this process in one_node.ts.

import { connect as connectSocket, type Socket } from 'node:net'
import { ByteWriter, utf8 } from '../../src/base/bytes.ts'
import { ClientDecoder, type Delivery, type ServerPacket } from '../../src/wire/client_decoder.ts'
import {
  type ConnectFields,
  type SubscribeFields,
  writeClientDisconnect,
  writeConnect,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../../src/wire/client_encoder.ts'
import { type AuthFields, writeAck, writeAuth, writePublish } from '../../src/wire/encoder.ts'
import { encodeMessageProps, type MessageProps } from '../../src/wire/message_props.ts'
import { type AckType, PacketType, type QoS, type Version } from '../../src/wire/packet.ts'

export type PublishFields = MessageProps & {
  qos?: QoS
  retain?: boolean
  dup?: boolean
  packetId?: number
  /** Seconds. */
  expiry?: number
  topicAlias?: number
}
export type Cmd = ServerPacket['cmd']
export type PacketOf<C extends Cmd, P = ServerPacket> = P extends { cmd: infer K }
  ? C extends K
    ? P & { cmd: C }
    : never
  : never

const WAIT_MS = 8_000

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** What both kinds of client share: packets out, packets in. */
export abstract class ScriptedClient {
  readonly version: Version
  readonly clientId: string
  /** Received and not yet taken by the test. */
  readonly inbox: ServerPacket[] = []
  /** What the server sent that no server may send. */
  fault: string | null = null
  private readonly decoder: ClientDecoder
  private lastId = 0

  constructor(clientId: string, version: Version) {
    this.clientId = clientId
    this.version = version
    this.decoder = new ClientDecoder(version, {
      onPacket: (packet) => {
        this.inbox.push(packet)
        this.onPacket(packet)
      },
      onFault: (_reason, fault) => {
        this.fault = fault
        this.onPacket(null)
      },
    })
  }

  protected abstract transmit(bytes: Uint8Array): void
  protected onPacket(_packet: ServerPacket | null): void {}

  protected received(bytes: Uint8Array): void {
    this.decoder.feed(bytes)
  }

  nextId(): number {
    this.lastId = (this.lastId % 0xffff) + 1
    return this.lastId
  }

  raw(bytes: readonly number[] | Uint8Array): void {
    this.transmit(bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes))
  }

  private say(write: (w: ByteWriter) => void): void {
    const w = new ByteWriter(256)
    write(w)
    this.transmit(w.take())
  }

  sendConnect(fields: Partial<ConnectFields> = {}): void {
    const { version, clientId } = this
    this.decoder.topicAliasMaximum = fields.topicAliasMaximum ?? 0
    this.say((w) => writeConnect(w, { version, clientId, cleanStart: true, keepAlive: 0, ...fields }))
  }

  /** @returns the packet identifier; 0 with QoS 0 */
  sendPublish(topic: string, payload: string | Uint8Array, fields: PublishFields = {}): number {
    const { qos = 0, retain = false, dup = false, expiry = -1, topicAlias = 0 } = fields
    const packetId = qos === 0 ? 0 : (fields.packetId ?? this.nextId())
    const bytes = typeof payload === 'string' ? utf8(payload) : payload
    const props = encodeMessageProps(fields)
    this.say((w) => {
      const name = utf8(topic)
      const { version } = this
      writePublish(
        w,
        version,
        name,
        bytes,
        0,
        bytes.length,
        qos,
        retain,
        dup,
        packetId,
        props,
        expiry,
        null,
        topicAlias,
      )
    })
    return packetId
  }

  /** @returns the packet identifier */
  sendSubscribe(filters: string | readonly SubscribeFields[], qos: QoS = 0, subscriptionId = 0): number {
    const packetId = this.nextId()
    const list = typeof filters === 'string' ? [{ filter: filters, qos }] : filters
    this.say((w) => writeSubscribe(w, this.version, packetId, list, subscriptionId))
    return packetId
  }

  sendUnsubscribe(...filters: string[]): number {
    const packetId = this.nextId()
    this.say((w) => writeUnsubscribe(w, this.version, packetId, filters))
    return packetId
  }

  sendPingreq(): void {
    this.say(writePingreq)
  }

  sendAck(type: AckType, packetId: number, reason = 0): void {
    this.say((w) => writeAck(w, type, packetId, reason, this.version))
  }

  sendPuback(packetId: number, reason = 0): void {
    this.sendAck(PacketType.puback, packetId, reason)
  }

  sendPubrec(packetId: number, reason = 0): void {
    this.sendAck(PacketType.pubrec, packetId, reason)
  }

  sendPubrel(packetId: number): void {
    this.sendAck(PacketType.pubrel, packetId)
  }

  sendPubcomp(packetId: number): void {
    this.sendAck(PacketType.pubcomp, packetId)
  }

  sendDisconnect(reason = 0, sessionExpiry?: number): void {
    const expiry = sessionExpiry === undefined ? {} : { sessionExpiry }
    this.say((w) => writeClientDisconnect(w, this.version, { reason, ...expiry }))
  }

  sendAuth(fields: AuthFields): void {
    this.say((w) => writeAuth(w, fields))
  }

  /** Takes everything received so far. */
  takeAll(): ServerPacket[] {
    return this.inbox.splice(0)
  }

  /** Topic and payload of a delivery, for comparisons in one line. */
  static brief(packet: Delivery): string {
    return `${packet.topic}=${text(packet.payload)}`
  }
}

/** Over a real socket: packets are waited for. */
export abstract class LiveClient extends ScriptedClient {
  readonly socket: Socket
  /** The server (or the network) has ended the connection. */
  closed = false
  /** Of the CONNACK that handshake() waited for. */
  present = false
  readonly ended: Promise<void>
  private wake: (() => void)[] = []

  protected constructor(port: number, clientId: string, version: Version) {
    super(clientId, version)
    this.socket = connectSocket({ host: '127.0.0.1', port, noDelay: true })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.socket.on('data', (chunk: Buffer) => this.onChunk(chunk))
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
      resolve()
      this.alert()
    })
  }

  protected onChunk(chunk: Uint8Array): void {
    this.received(chunk)
  }

  /** CONNECT and CONNACK. */
  async handshake(fields: Partial<ConnectFields> = {}): Promise<this> {
    this.sendConnect(fields)
    const connack = await this.expect('connack')
    if (connack.reason !== 0) throw new Error(`${this.clientId}: CONNACK ${connack.reason.toString(16)}`)
    this.present = connack.sessionPresent
    return this
  }

  protected transmit(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes)
  }

  protected override onPacket(): void {
    this.alert()
  }

  protected alert(): void {
    for (const wake of this.wake.splice(0)) wake()
  }

  /** Something arrived, or the connection ended. */
  protected change(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), ms)
    this.wake.push(() => {
      clearTimeout(timer)
      resolve(true)
    })
    return promise
  }

  /** The next packet; null when the connection ended without one (or nothing came in time). */
  async next(ms = WAIT_MS): Promise<ServerPacket | null> {
    const until = performance.now() + ms
    for (;;) {
      const packet = this.inbox.shift()
      if (packet !== undefined) return packet
      if (this.fault !== null) throw new Error(`${this.clientId}: server sent ${this.fault}`)
      if (this.closed) return null
      const left = until - performance.now()
      if (left <= 0 || !(await this.change(left))) return null
    }
  }

  /** The next packet, which must be this one. */
  async expect<C extends Cmd>(cmd: C, ms = WAIT_MS): Promise<PacketOf<C>> {
    const packet = await this.next(ms)
    if (packet === null)
      throw new Error(`${this.clientId}: expected ${cmd}, ${this.closed ? 'closed' : 'nothing came'}`)
    if (packet.cmd !== cmd) throw new Error(`${this.clientId}: expected ${cmd}, got ${JSON.stringify(packet)}`)
    return packet as PacketOf<C>
  }

  async subscribe(filter: string | readonly SubscribeFields[], qos: QoS = 0): Promise<readonly number[]> {
    this.sendSubscribe(filter, qos)
    return (await this.expect('suback')).codes
  }

  /** All that comes until nothing comes for `ms`. */
  async quiet(ms: number): Promise<ServerPacket[]> {
    const packets: ServerPacket[] = []
    for (;;) {
      const packet = await this.next(ms)
      if (packet === null) return packets
      packets.push(packet)
    }
  }

  /** Without a word. */
  drop(): void {
    this.socket.destroy()
    this.closed = true
  }

  async disconnect(reason = 0): Promise<void> {
    this.sendDisconnect(reason)
    this.socket.end()
    await this.ended
  }
}

/** Over TCP. */
export class MqttClient extends LiveClient {
  /** Opens the socket only. */
  static open(port: number, clientId: string, version: Version = 5): MqttClient {
    return new MqttClient(port, clientId, version)
  }

  /** CONNECT and CONNACK. */
  static async connect(port: number, clientId: string, fields: Partial<ConnectFields> = {}): Promise<MqttClient> {
    return await new MqttClient(port, clientId, fields.version ?? 5).handshake(fields)
  }
}
