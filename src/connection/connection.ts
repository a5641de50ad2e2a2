// Connection: one socket that speaks MQTT: what came in goes to a handler, what goes out waits for its promise in one FIFO.
// Knows no peer, no disk and no other connection.
import { assert } from '../base/assert.ts'
import type { ByteWriter } from '../base/bytes.ts'
import type { ConnId } from '../base/identity.ts'
import { LIMITS } from '../base/limits.ts'
import type { Entry } from '../session/queue.ts'
import type { Attachment, Session } from '../session/session.ts'
import type { Access } from '../topic/access.ts'
import type { TopicRef } from '../topic/topics.ts'
import { Decoder } from '../wire/decoder.ts'
import { writePingresp } from '../wire/encoder.ts'
import {
  type AckType,
  type Connect,
  type ControlPacket,
  type PacketSink,
  PacketType,
  type PublishView,
  type Version,
} from '../wire/packet.ts'
import { Reason, reasonName } from '../wire/reason.ts'
import type { InboundAliases, OutboundAliases } from './aliases.ts'
import type { Broker } from './broker.ts'
import { addGate, firstShut, gatesFrom, NO_GATES } from './gates.ts'
import { onAck } from './on_ack.ts'
import { onAuth } from './on_auth.ts'
import { onConnect } from './on_connect.ts'
import { onDisconnect } from './on_disconnect.ts'
import { onPublish } from './on_publish.ts'
import { onSubscribe, onUnsubscribe } from './on_subscribe.ts'
import { writeConnackRefusal } from './send_connack.ts'
import { sayWhy } from './sizes.ts'
import { type ConnectionState, type Exchange, move } from './states.ts'

/** The socket, as far as a connection may know it. */
export interface Socket {
  readonly transport: string
  readonly address: string
  readonly loopback: boolean
  write(bytes: Uint8Array): number
  pause(): void
  resume(): void
  end(reason: number): void
}

/** Stays empty: a connection that has any makes its own. */
const NO_AGAIN: Set<Entry> = new Set()

export class Connection implements PacketSink, Attachment {
  readonly attached = true
  readonly socket: Socket
  readonly broker: Broker
  readonly decoder: Decoder
  state: ConnectionState = 'waiting'
  version: Version | 0 = 0
  clientId = ''
  session: Session | null = null
  /** Given at CONNECT. */
  connId: ConnId | null = null
  /** The CONNECT under decision or in force. */
  connect: Connect | null = null
  /** As proven, or as claimed where nobody asks for a proof. */
  username: string | null = null
  exchange: Exchange = 'none'
  /** Number of the question about this client that is not answered; 0: none. */
  authRequest = 0
  /** The server's last word of an exchange, until CONNACK takes it along. */
  authData: Uint8Array | null = null
  keepAliveMs = 0
  /** Monotonic ms of the last byte from the client. */
  lastHeard: number
  /** QoS 1 and 2 messages the client takes at once. */
  window: number = LIMITS.inflightDefault
  maximumPacketSize = Number.POSITIVE_INFINITY
  requestProblemInformation = true
  assignedClientId = false
  /** Null until the client uses one. */
  aliasesIn: InboundAliases | null = null
  /** Null where the client takes none. */
  aliasesOut: OutboundAliases | null = null
  /** Sent by a former connection, not acknowledged since and not yet sent again by this one; in order. */
  again = NO_AGAIN
  /** QoS 2 publishes of this connection that the client has not released. */
  unreleased = 0
  /** Bytes for the client, in order; null while there are none. */
  out: ByteWriter | null = null
  /** Into `out` (gates.ts). */
  private gates = NO_GATES
  /** It stands in the broker's list of connections to write. */
  isDirty = false
  /** The socket took less than it was offered. */
  blocked = false
  /** Of its output, what the node is told the socket has not taken. */
  private held = 0
  /** The topic last published to, so that a stream of messages to one topic looks it up once. */
  topic: TopicRef | null = null
  /** Nobody gets what goes to that topic. */
  topicRefused = false
  /** What the client may publish and subscribe to; null: everything. */
  access: Access | null = null
  /** It will be disconnected: its queue is full. */
  overrun = false
  /** Reading is stopped until the pair has decided. */
  paused = false
  /** Why it is ended, for a transport that can say so. */
  private endReason: number = Reason.normalDisconnection
  readonly openedAt: number

  constructor(socket: Socket, broker: Broker, now: number) {
    this.socket = socket
    this.broker = broker
    this.lastHeard = now
    this.openedAt = now
    this.decoder = new Decoder(this, broker.policy.packetBytesMax)
  }

  // ---- in

  /** @param bytes borrowed until it returns */
  data(bytes: Uint8Array): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.lastHeard = this.broker.now
    this.decoder.feed(bytes)
    if (this.state === 'claiming' || this.state === 'authenticating') this.holdBack()
  }

  /** A client may go on before CONNACK [MQTT-3.1.4-5]; what it sends until it is admitted is kept, but not without end. */
  private holdBack(): void {
    if (this.paused || this.decoder.heldBytes <= LIMITS.connectBytesMax) return
    if (this.exchange === 'challenged') return this.fail(Reason.packetTooLarge, 'packet too large for an answer')
    this.paused = true
    this.socket.pause()
  }

  /** What was held back is handled now. */
  readOn(): void {
    if (this.paused) {
      this.paused = false
      this.socket.resume()
    }
    this.decoder.resume()
  }

  onPublish(view: PublishView): void {
    const { broker } = this
    broker.traffic.received(PacketType.publish)
    broker.traffic.payloadBytesIn += view.payloadEnd - view.payloadStart
    broker.begin()
    onPublish(this, view)
  }

  onAck(type: AckType, packetId: number, reason: number): void {
    this.broker.traffic.received(type)
    this.broker.begin()
    onAck(this, type, packetId, reason)
  }

  onPingreq(): void {
    this.broker.traffic.received(PacketType.pingreq)
    if (this.state === 'open')
      writePingresp(this.writer(PacketType.pingresp)) // [MQTT-3.12.4-1]
    else this.early()
  }

  /** Only AUTH and DISCONNECT may come until the client is authenticated. */
  early(): void {
    this.fail(Reason.protocolError, 'packet before the end of authentication') // [MQTT-3.1.2-30]
  }

  onControl(packet: ControlPacket): void {
    this.broker.traffic.received(PacketType[packet.cmd])
    this.broker.begin()
    switch (packet.cmd) {
      case 'connect':
        return onConnect(this, packet)
      case 'subscribe':
        return onSubscribe(this, packet)
      case 'unsubscribe':
        return onUnsubscribe(this, packet)
      case 'disconnect':
        return onDisconnect(this, packet)
      case 'auth':
        return onAuth(this, packet)
    }
  }

  onFault(reason: number, text: string): void {
    // A CONNECT that is wrong behind its protocol version can be answered in that version.
    if (this.version === 0) this.version = this.decoder.version
    this.fail(reason, text)
  }

  /** What carries the packets was used against its own rules. */
  onTransportFault(reason: number, text: string): void {
    this.broker.begin()
    this.fail(reason, text)
  }

  // ---- out

  /** The buffer to append one packet to; the connection will be written at the end of the turn. */
  writer(type: PacketType): ByteWriter {
    this.broker.traffic.sent(type)
    return this.buffer()
  }

  private buffer(): ByteWriter {
    if (this.out === null) this.out = this.broker.writers.take()
    if (!this.isDirty) this.broker.dirty(this)
    return this.out
  }

  /** What is appended from now on leaves only when the turn is released. Turn 0 gates nothing. */
  gate(turn: number): void {
    if (turn <= this.broker.released) return
    this.gates = addGate(this.gates, this.buffer().length, turn)
  }

  /** Bytes not yet taken by the socket. */
  get outBytes(): number {
    return this.out === null ? 0 : this.out.length
  }

  /** Writes what is released, and closes who does not read at all. @returns true when a gate still holds bytes back */
  flush(): boolean {
    const waits = this.offer()
    if (this.outBytes !== this.held) this.held = this.broker.writers.account(this.held, this.outBytes)
    if (this.outBytes <= LIMITS.outBytesMax) return waits
    this.dropSlow('slow reader')
    return false
  }

  /** Offers the socket what is released. Nobody's connection ends by it, so it may be called in the middle of a publish. */
  private offer(): boolean {
    const { out } = this
    if (out === null || this.state === 'closed') return false
    const { gates } = this
    const shut = firstShut(gates, this.broker.released)
    // A gate with nothing behind it holds back the end: a goodbye is carried out before the socket closes.
    const waits = shut < gates.length
    const limit = waits ? (gates[shut] as number) : out.length
    let taken = 0
    if (limit > 0 && !this.blocked) {
      taken = this.socket.write(limit === out.buf.length ? out.buf : out.buf.subarray(0, limit))
      if ((this.state as ConnectionState) === 'closed') return false
      if (taken < limit) this.blocked = true
      this.broker.traffic.bytesOut += taken
    }
    if (taken === out.length && !waits) {
      // The session stopped at this mark, and no event of the socket will follow.
      if (taken >= LIMITS.outBytesTightMax && this.session !== null) this.broker.pump(this.session)
      this.gates = NO_GATES
      this.out = null
      this.broker.writers.give(out)
      if (this.state === 'closing') this.finish()
      return false
    }
    if (taken > 0) out.buf.copyWithin(0, taken, out.length)
    out.length -= taken
    if (shut > 0 || taken > 0) this.gates = gatesFrom(gates, shut, taken)
    return waits
  }

  /** More than enough waits: the socket is offered it before the end of the turn. @returns false where it does not take it */
  relieve(): boolean {
    if (!this.blocked) this.offer()
    return this.outBytes <= this.broker.writers.qos0Max
  }

  writable(): void {
    this.blocked = false
    if (this.out !== null && !this.isDirty) this.broker.dirty(this)
    if (this.session !== null) this.broker.pump(this.session)
  }

  // ---- ends

  /** The client did something wrong: it is told why where its version can be told, and closed [MQTT-4.13.1-1]. */
  fail(reason: number, text: string): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.logFault(reasonName(reason), text)
    this.broker.count(`faults_${reasonName(reason)}`)
    if (this.state === 'open') this.disconnect(reason, text, false)
    else this.answer(reason, text)
  }

  /** The one line about it. */
  logFault(reason: string, text: string): void {
    this.broker.log('client_fault', { client: this.clientId, address: this.socket.address, reason, text })
  }

  /** Answers a CONNECT that is right in itself with a refusal and closes. @param username as the client has named itself, if it has */
  refuse(reason: number, text: string, serverReference?: string, username: string | null = null): void {
    if (this.state === 'closing' || this.state === 'closed') return
    const { clientId: client, socket, connect } = this
    const user = username ?? connect?.username ?? null
    const name = reasonName(reason)
    this.broker.count(`refused_${name}`)
    this.broker.log('connect_refused', { client, username: user, address: socket.address, reason: name, why: text })
    this.answer(reason, text, serverReference)
  }

  private answer(reason: number, text: string, serverReference?: string): void {
    this.endReason = reason
    if (this.version !== 0 || reason === Reason.unsupportedProtocolVersion)
      writeConnackRefusal(this, reason, text, serverReference)
    this.close()
  }

  /** Tells a 5.0 client why and closes. @param clean its will is not sent */
  disconnect(reason: number, text: string, clean: boolean, serverReference?: string): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.endReason = reason
    const wasOpen = this.state === 'open'
    if (wasOpen) sayWhy(this, reason, text, serverReference)
    this.close()
    this.broker.ended(this, clean)
  }

  /** Nothing more is read; closed once the last bytes are out. */
  close(): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.state = move(this.state, 'closing')
    this.decoder.stop()
    if (this.authRequest !== 0) this.broker.authentication.forget(this)
    if (!this.isDirty) this.broker.dirty(this)
    if (this.out === null) this.out = this.broker.writers.take()
  }

  /** Cut at once: what is gated is discarded, what is already released is written if the socket takes it. */
  cut(reason: number, text: string, serverReference?: string): void {
    if (this.state === 'closed') return
    this.endReason = reason
    const { gates, out } = this
    // Outputs whose promise is not kept yet must never leave after the session has gone elsewhere.
    const shut = firstShut(gates, this.broker.released)
    if (out !== null && shut < gates.length) out.length = gates[shut] as number
    this.gates = NO_GATES
    if (this.state === 'open') sayWhy(this, reason, text, serverReference)
    else if (this.state === 'claiming' || this.state === 'authenticating')
      writeConnackRefusal(this, reason, text, serverReference)
    this.decoder.stop()
    if (this.state !== 'closing') this.state = move(this.state, 'closing')
    this.offer()
    if ((this.state as ConnectionState) !== 'closed') this.finish()
  }

  /** It does not read what there is for it. */
  dropSlow(why: string): void {
    this.broker.count('connections_closed_slow')
    this.drop(why)
  }

  /** Cut without a word. */
  drop(why: string): void {
    if (this.state === 'closed') return
    this.broker.log('connection_dropped', { client: this.clientId, address: this.socket.address, why })
    const open = this.state === 'open'
    this.finish()
    if (open) this.broker.ended(this, false)
  }

  /** The socket has gone. */
  onClosed(): void {
    if (this.state === 'closed') return
    const before = this.state
    this.release()
    if (before === 'open' || before === 'claiming') this.broker.ended(this, false)
  }

  private finish(): void {
    this.release()
    this.socket.end(this.endReason)
  }

  private release(): void {
    this.state = move(this.state, 'closed')
    this.decoder.stop()
    if (this.authRequest !== 0) this.broker.authentication.forget(this)
    if (this.out !== null) this.broker.writers.give(this.out)
    this.out = null
    this.held = this.broker.writers.account(this.held, 0)
    this.gates = NO_GATES
  }

  /** Room for `n` more QoS 1 or 2 messages? */
  hasWindow(session: Session): boolean {
    return session.inflight.size < this.window && this.again.size === 0 && this.outBytes < this.broker.writers.pumpMax
  }

  opened(): void {
    assert(this.version !== 0 && this.session !== null, 'an open connection has a version and a session')
    this.state = move(this.state, 'open')
    this.authData = null
  }
}
