// MqttClient: one client that stays connected: it dials, keeps alive, and after a loss dials again and goes on with its
// session. For the command line; knows nothing of terminals.
import { assert } from '../base/assert.ts'
import { ByteWriter, utf8 } from '../base/bytes.ts'
import type { DialAddress } from '../host/address.ts'
import type { Pipe, Pipes } from '../host/pipe.ts'
import { ClientDecoder, type Delivery, type ServerPacket } from '../wire/client_decoder.ts'
import {
  type ConnectFields,
  type SubscribeFields,
  writeClientDisconnect,
  writeConnect,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../wire/client_encoder.ts'
import { writeAck, writePublish } from '../wire/encoder.ts'
import { PacketType, type QoS } from '../wire/packet.ts'
import { Failure } from './failure.ts'
import { fatalRefusal, refusalText } from './refusal.ts'

const DIAL_MS_MAX = 5000
const CONNACK_MS_MAX = 10_000
const RETRY_MS = 500
/** Messages under way where the server names no Receive Maximum. */
const INFLIGHT_MAX = 100

export type Message = {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly props: Uint8Array | null
  readonly expiry: number
  readonly topicAlias: number
}

export type ClientEvents = {
  /** @param again after a loss */
  onConnected(sessionPresent: boolean, again: boolean): void
  /** @returns false to leave it unacknowledged */
  onMessage(message: Delivery): boolean
  onSuback(codes: readonly number[]): void
  /** The server has taken it; `reason` as in the acknowledgement, 0 with QoS 0. */
  onPublished(message: Message, reason: number): void
  /** Everything that has just arrived has been handed over, and its acknowledgements not been sent yet. */
  onBatch(): void
  /** Nothing can be done any more. */
  onFailed(failure: Failure): void
  debug(text: string): void
}

/** `released`: PUBREC has come, the message itself is no longer needed. */
type Outgoing = { readonly message: Message; released: boolean }

export class MqttClient {
  private readonly to: DialAddress
  private readonly connect: ConnectFields
  private readonly pipes: Pipes
  private readonly events: ClientEvents
  private readonly out = new ByteWriter(1024)
  private pipe: Pipe | null = null
  private connected = false
  private everConnected = false
  private ended = false
  private lastPacketId = 0
  private inflightMax = INFLIGHT_MAX
  private readonly outgoing = new Map<number, Outgoing>()
  private waiting: Message[] = []
  /** QoS 2 identifiers whose PUBREL has not come. */
  private readonly incoming = new Set<number>()
  private keepAlive: ReturnType<typeof setInterval> | null = null
  private heard = false

  constructor(to: DialAddress, connect: ConnectFields, pipes: Pipes, events: ClientEvents) {
    this.to = to
    this.connect = connect
    this.pipes = pipes
    this.events = events
  }

  start(): void {
    if (this.ended) return
    this.pipes.dial(
      this.to,
      DIAL_MS_MAX,
      (pipe) => this.onPipe(pipe),
      ({ why }) => {
        if (this.everConnected) setTimeout(() => this.start(), RETRY_MS)
        else this.events.onFailed(new Failure(`cannot connect to ${this.to.host}:${this.to.port} (${why})`))
      },
    )
  }

  /** Messages given and not yet taken by the server. */
  get pending(): number {
    return this.outgoing.size + this.waiting.length
  }

  publish(message: Message): void {
    this.waiting.push(message)
    this.pump()
    this.flush()
  }

  subscribe(filters: readonly SubscribeFields[], subscriptionId: number): void {
    this.events.debug(`SUBSCRIBE ${filters.map(({ filter }) => filter).join(' ')}`)
    writeSubscribe(this.out, this.connect.version, this.nextPacketId(), filters, subscriptionId)
    this.flush()
  }

  unsubscribe(filters: readonly string[]): void {
    writeUnsubscribe(this.out, this.connect.version, this.nextPacketId(), filters)
    this.flush()
  }

  /** Says goodbye and closes. */
  end(): void {
    if (this.ended) return
    this.ended = true
    if (this.keepAlive !== null) clearInterval(this.keepAlive)
    if (this.pipe === null) return
    if (this.connected) writeClientDisconnect(this.out, this.connect.version, { reason: 0 })
    this.flush()
    this.pipe.events = null
    this.pipe.end()
  }

  private onPipe(pipe: Pipe): void {
    this.pipe = pipe
    this.out.clear()
    const { version, keepAlive } = this.connect
    const decoder = new ClientDecoder(version, {
      onPacket: (packet) => this.onPacket(packet),
      onFault: (_reason, text) => this.lose(`the server's bytes are wrong: ${text}`),
    })
    const timer = setTimeout(() => this.lose('no CONNACK came'), CONNACK_MS_MAX)
    pipe.events = {
      onData: (bytes) => {
        this.heard = true
        decoder.feed(bytes)
        if (this.connected) clearTimeout(timer)
        this.events.onBatch()
        this.flush()
      },
      onDrain: () => {},
      onClose: (why) => {
        clearTimeout(timer)
        this.lose(why)
      },
    }
    this.events.debug(`CONNECT ${this.connect.clientId}`)
    writeConnect(this.out, this.connect)
    this.flush()
    if (keepAlive > 0) this.keepAlive = setInterval(() => this.onKeepAlive(), (keepAlive * 1000) / 2)
  }

  private onKeepAlive(): void {
    if (!this.heard && this.connected) {
      this.lose('the server is silent')
      return
    }
    this.heard = false
    writePingreq(this.out)
    this.flush()
  }

  private lose(why: string): void {
    if (this.pipe === null || this.ended) return
    this.events.debug(`connection lost: ${why}`)
    this.pipe.destroy()
    this.pipe = null
    const wasConnected = this.connected
    this.connected = false
    if (this.keepAlive !== null) clearInterval(this.keepAlive)
    if (!this.everConnected)
      this.events.onFailed(new Failure(`connection to ${this.to.host}:${this.to.port} lost (${why})`))
    else setTimeout(() => this.start(), wasConnected ? RETRY_MS / 10 : RETRY_MS)
  }

  private onPacket(packet: ServerPacket): void {
    if (this.ended || this.pipe === null) return
    this.events.debug(
      `received ${packet.cmd.toUpperCase()}${'packetId' in packet && packet.packetId > 0 ? ` m${packet.packetId}` : ''}`,
    )
    switch (packet.cmd) {
      case 'connack':
        this.onConnack(packet)
        break
      case 'publish':
        this.onPublish(packet)
        break
      case 'puback':
        this.finish(packet.packetId, packet.reason)
        break
      case 'pubrec': {
        const item = this.outgoing.get(packet.packetId)
        if (packet.reason >= 0x80) this.finish(packet.packetId, packet.reason)
        else {
          if (item !== undefined) item.released = true
          writeAck(this.out, PacketType.pubrel, packet.packetId, item === undefined ? 0x92 : 0, this.connect.version)
        }
        break
      }
      case 'pubcomp':
        this.finish(packet.packetId, 0)
        break
      case 'pubrel':
        this.incoming.delete(packet.packetId)
        writeAck(this.out, PacketType.pubcomp, packet.packetId, 0, this.connect.version)
        break
      case 'suback':
        this.events.onSuback(packet.codes)
        break
      case 'disconnect':
        this.lose(refusalText(packet.reason, 5))
        break
      default:
    }
  }

  private onConnack(packet: ServerPacket & { cmd: 'connack' }): void {
    const { version } = this.connect
    if (packet.reason !== 0) {
      const text = `connection refused: ${refusalText(packet.reason, version)}`
      if (!this.everConnected || fatalRefusal(packet.reason, version))
        this.events.onFailed(new Failure(text, packet.reason))
      else this.lose(text)
      return
    }
    const again = this.everConnected
    this.connected = true
    this.everConnected = true
    this.inflightMax = Math.min(INFLIGHT_MAX, packet.receiveMaximum ?? INFLIGHT_MAX)
    this.resume(packet.sessionPresent)
    this.events.onConnected(packet.sessionPresent, again)
    this.pump()
  }

  /** What was under way is sent again; to a server without our session as new messages. */
  private resume(sessionPresent: boolean): void {
    if (!sessionPresent) this.incoming.clear()
    for (const [packetId, { message, released }] of this.outgoing) {
      if (!released) this.send(message, packetId, sessionPresent)
      else if (sessionPresent) writeAck(this.out, PacketType.pubrel, packetId, 0, this.connect.version)
      else this.finish(packetId, 0)
    }
  }

  private onPublish(packet: Delivery): void {
    const { qos, packetId } = packet
    const repeated = qos === 2 && this.incoming.has(packetId)
    if (!repeated && !this.events.onMessage(packet)) return
    if (qos === 1) writeAck(this.out, PacketType.puback, packetId, 0, this.connect.version)
    if (qos === 2) {
      this.incoming.add(packetId)
      writeAck(this.out, PacketType.pubrec, packetId, 0, this.connect.version)
    }
  }

  private pump(): void {
    while (this.connected && this.waiting.length > 0 && this.outgoing.size < this.inflightMax) {
      const message = this.waiting.shift() as Message
      const packetId = message.qos === 0 ? 0 : this.nextPacketId()
      if (packetId > 0) this.outgoing.set(packetId, { message, released: false })
      this.send(message, packetId, false)
      if (packetId === 0) this.events.onPublished(message, 0)
    }
  }

  private send(message: Message, packetId: number, dup: boolean): void {
    const { topic, payload, qos, retain, props, expiry, topicAlias } = message
    const { version } = this.connect
    this.events.debug(`PUBLISH ${topic} (${payload.length} bytes)${packetId > 0 ? ` m${packetId}` : ''}`)
    writePublish(
      this.out,
      version,
      utf8(topic),
      payload,
      0,
      payload.length,
      qos,
      retain,
      dup,
      packetId,
      props,
      expiry,
      null,
      topicAlias,
    )
  }

  private finish(packetId: number, reason: number): void {
    const item = this.outgoing.get(packetId)
    if (item === undefined) return
    this.outgoing.delete(packetId)
    this.events.onPublished(item.message, reason)
    this.pump()
  }

  private nextPacketId(): number {
    assert(this.outgoing.size < 0xffff, 'packet identifiers are left')
    do this.lastPacketId = (this.lastPacketId % 0xffff) + 1
    while (this.outgoing.has(this.lastPacketId))
    return this.lastPacketId
  }

  private flush(): void {
    if (this.pipe === null || this.out.length === 0) return
    this.pipe.write(this.out.view())
    this.out.clear()
  }
}
