// MqttClient: one client that stays connected: it dials, keeps alive, and after a loss dials again and goes on with its
// session. For the command line; knows nothing of terminals.
import { ByteWriter } from '../../base/bytes.ts'
import type { DialAddress } from '../../host/address.ts'
import type { Dialer, Pipe } from '../../host/sockets/pipe.ts'
import { ClientDecoder, type Delivery, type ServerPacket } from '../../wire/client_decoder.ts'
import {
  type ConnectFields,
  type SubscribeFields,
  writeClientDisconnect,
  writeConnect,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../../wire/client_encoder.ts'
import { writeAck } from '../../wire/encoder.ts'
import { PacketType } from '../../wire/packet.ts'
import { Failure } from '../failure.ts'
import { isFinal, refusalText } from '../refusal.ts'
import { type Message, MqttOutbox, type OnPublished } from './mqtt_outbox.ts'

const DIAL_MS_MAX = 5000
const CONNACK_MS_MAX = 10_000
/** The wait before the next dial, doubled at each loss. mosquitto's clients wait a second each time. */
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 2000
/** A connection that has lived this long is no part of a row of losses. */
const STEADY_MS = 10_000
/** Connections lost in a row without an answer to a message under way, before it is taken for their cause: five seconds. */
const FRUITLESS_MAX = 8

export type ClientEvents = {
  /** @param again after a loss */
  onConnected(sessionPresent: boolean, again: boolean): void
  /** @returns false to leave it unacknowledged */
  onMessage(message: Delivery): boolean
  onSuback(codes: readonly number[], words?: string): void
  readonly onPublished: OnPublished
  /** Everything that has just arrived has been handed over, and its acknowledgements not been sent yet. */
  onBatch(): void
  /** The backlog is gone, or the connection with it. */
  onDrain(): void
  /** Nothing can be done any more. */
  onFailed(failure: Failure): void
  debug(text: string): void
}

export class MqttClient {
  private readonly to: DialAddress
  private readonly connect: ConnectFields
  private readonly dialer: Dialer
  private readonly events: ClientEvents
  private readonly out = new ByteWriter(1024)
  private pipe: Pipe | null = null
  private connected = false
  private everConnected = false
  private ended = false
  private readonly outbox: MqttOutbox
  /** QoS 2 identifiers whose PUBREL has not come. */
  private readonly incoming = new Set<number>()
  private keepAlive: ReturnType<typeof setInterval> | null = null
  private connackTimer: ReturnType<typeof setTimeout> | null = null
  private retryTimer: ReturnType<typeof setTimeout> | null = null
  private retryMs = RETRY_MS_MIN
  private connectedAt = 0
  /** Connections lost since the last answer to a message. */
  private fruitless = 0
  private heard = false

  constructor(to: DialAddress, connect: ConnectFields, dialer: Dialer, events: ClientEvents) {
    this.to = to
    this.connect = connect
    this.dialer = dialer
    this.events = events
    this.outbox = new MqttOutbox(this.out, connect.version, events.onPublished)
  }

  start(): void {
    if (this.ended) return
    this.dialer.dial(
      this.to,
      DIAL_MS_MAX,
      (pipe) => this.onPipe(pipe),
      ({ why }) => {
        if (this.everConnected) this.retry()
        else this.events.onFailed(new Failure(`cannot connect to ${this.to.host}:${this.to.port} (${why})`))
      },
    )
  }

  /** Messages given and not yet taken by the server. */
  get pending(): number {
    return this.outbox.pending
  }

  /** Bytes written and not yet on their way. */
  get backlog(): number {
    return this.pipe?.backlog() ?? 0
  }

  publish(message: Message): void {
    this.events.debug(`PUBLISH ${message.topic} (${message.payload.length} bytes)`)
    this.outbox.push(message)
    if (!this.connected) return
    this.outbox.pump()
    this.flush()
  }

  subscribe(filters: readonly SubscribeFields[], subscriptionId: number): void {
    this.events.debug(`SUBSCRIBE ${filters.map(({ filter }) => filter).join(' ')}`)
    writeSubscribe(this.out, this.connect.version, this.outbox.nextPacketId(), filters, subscriptionId)
    this.flush()
  }

  unsubscribe(filters: readonly string[]): void {
    writeUnsubscribe(this.out, this.connect.version, this.outbox.nextPacketId(), filters)
    this.flush()
  }

  /** Says goodbye and closes. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.clearTimers()
    if (this.pipe === null) return
    if (this.connected) writeClientDisconnect(this.out, this.connect.version, { reason: 0 })
    this.flush()
    this.pipe.events = null
    this.pipe.end()
  }

  private onPipe(pipe: Pipe): void {
    if (this.ended) {
      pipe.destroy()
      return
    }
    this.pipe = pipe
    this.out.clear()
    const { version } = this.connect
    const decoder = new ClientDecoder(version, {
      onPacket: (packet) => this.onPacket(packet),
      onFault: (_reason, text) => this.lose(`the server's bytes are wrong: ${text}`),
    })
    decoder.topicAliasMaximum = this.connect.topicAliasMaximum ?? 0
    this.connackTimer = setTimeout(() => this.lose('no CONNACK came'), CONNACK_MS_MAX)
    pipe.events = {
      onData: (bytes) => {
        this.heard = true
        decoder.feed(bytes)
        if (this.connected) this.outbox.pump()
        this.events.onBatch()
        this.flush()
      },
      onDrain: () => this.events.onDrain(),
      onClose: (why) => this.lose(why),
    }
    this.events.debug(`CONNECT ${this.connect.clientId}`)
    writeConnect(this.out, this.connect)
    this.flush()
  }

  private onKeepAlive(): void {
    if (!this.heard) {
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
    const lived = this.connected ? performance.now() - this.connectedAt : 0
    const guilty = this.connected ? this.outbox.oldest : null
    this.close()
    if (!this.everConnected) return this.fail(`connection to ${this.to.host}:${this.to.port} lost (${why})`)
    if (guilty !== null && ++this.fruitless === FRUITLESS_MAX)
      return this.fail(
        `the connection was lost ${FRUITLESS_MAX} times in a row (${why}) with a message of ${guilty.payload.length} bytes on ${guilty.topic} under way`,
      )
    if (lived >= STEADY_MS) this.retryMs = RETRY_MS_MIN
    this.retry()
    this.events.onDrain()
  }

  private retry(): void {
    this.retryTimer = setTimeout(() => this.start(), this.retryMs)
    this.retryMs = Math.min(2 * this.retryMs, RETRY_MS_MAX)
  }

  private fail(text: string, exitCode = 1): void {
    this.close()
    this.events.onFailed(new Failure(text, exitCode))
  }

  private close(): void {
    this.pipe?.destroy()
    this.pipe = null
    this.connected = false
    this.clearTimers()
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
      case 'pubcomp':
        this.fruitless = 0
        this.outbox.finish(packet.packetId, packet.reason, packet.reasonString)
        break
      case 'pubrec':
        this.fruitless = 0
        this.outbox.onPubrec(packet.packetId, packet.reason, packet.reasonString)
        break
      case 'pubrel':
        this.incoming.delete(packet.packetId)
        writeAck(this.out, PacketType.pubcomp, packet.packetId, 0, this.connect.version)
        break
      case 'suback':
        this.events.onSuback(packet.codes, packet.reasonString)
        break
      case 'disconnect':
        this.onDisconnect(packet.reason, packet.reasonString)
        break
      default:
    }
  }

  private onConnack(packet: ServerPacket & { cmd: 'connack' }): void {
    const { version } = this.connect
    if (packet.reason !== 0) {
      const text = `connection refused: ${refusalText(packet.reason, version, packet.reasonString)}`
      if (!this.everConnected || isFinal(packet.reason, version)) this.fail(text, packet.reason)
      else this.lose(text)
      return
    }
    const again = this.everConnected
    this.connected = true
    this.connectedAt = performance.now()
    this.everConnected = true
    if (this.connackTimer !== null) clearTimeout(this.connackTimer)
    if (!packet.sessionPresent) this.incoming.clear()
    const keepAlive = packet.serverKeepAlive ?? this.connect.keepAlive // [MQTT-3.1.2-21]
    if (keepAlive > 0) this.keepAlive = setInterval(() => this.onKeepAlive(), (keepAlive * 1000) / 2)
    this.outbox.resume(packet)
    this.events.onConnected(packet.sessionPresent, again)
  }

  private onDisconnect(reason: number, words?: string): void {
    const text = refusalText(reason, 5, words)
    if (isFinal(reason, 5)) this.fail(`disconnected: ${text}`, reason)
    else this.lose(text)
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

  private clearTimers(): void {
    if (this.keepAlive !== null) clearInterval(this.keepAlive)
    if (this.connackTimer !== null) clearTimeout(this.connackTimer)
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
  }

  private flush(): void {
    if (this.pipe === null || this.out.length === 0) return
    this.pipe.write(this.out.view())
    this.out.clear()
  }
}
