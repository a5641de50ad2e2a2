// StrictClient: what publishers and subscribers share: a persistent session, a connection that is opened again whenever it
// ends, and the suspicion that a silent server is dead. What is said on it is theirs.

import { connect, type Socket } from 'node:net'
import { ByteWriter } from '../../src/base/bytes.ts'
import type { Prng } from '../../src/base/prng.ts'
import { ClientDecoder, type ServerPacket } from '../../src/wire/client_decoder.ts'
import { writeClientDisconnect, writeConnect, writePingreq } from '../../src/wire/client_encoder.ts'
import { writeAck } from '../../src/wire/encoder.ts'
import type { AckType, Version } from '../../src/wire/packet.ts'
import type { Book } from './book.ts'

const RETRY_MS = [20, 120] as const
/** CONNACK must come, and a server with a question open must say something, within: longer than any stall that is promised. */
const SILENCE_MS_MAX = 12_000
const PING_MS = 2_000
const ROAM_MS = [400, 3_000] as const
const SESSION_EXPIRY_SEC = 86_400

export type ClientSpec = {
  readonly id: string
  readonly version: Version
  /** Breaks off its connection at random, and so moves between the nodes. */
  readonly roams: boolean
}

export abstract class StrictClient {
  readonly spec: ClientSpec
  protected readonly book: Book
  protected readonly prng: Prng
  private readonly port: number
  private socket: Socket | null = null
  private readonly timers = new Set<ReturnType<typeof setTimeout>>()
  private stopped = false
  /** A CONNACK was received: from then on the server may not forget. */
  private exists = false
  private heardAt = 0
  /** Connected and welcome. */
  up = false
  /** Milliseconds from the loss of a connection to the next CONNACK. */
  readonly gapsMs: number[] = []
  private downSince = -1

  constructor(spec: ClientSpec, port: number, book: Book, prng: Prng) {
    this.spec = spec
    this.port = port
    this.book = book
    this.prng = prng
  }

  protected abstract onUp(sessionPresent: boolean, receiveMaximum: number): void
  protected abstract onPacket(packet: ServerPacket): void
  protected abstract onDown(): void

  start(): void {
    this.dial()
    if (this.spec.roams) this.roamLater()
  }

  /** For good, without a word. */
  stop(): void {
    this.stopped = true
    for (const timer of this.timers) clearTimeout(timer)
    this.socket?.destroy()
  }

  /** Breaks off the connection; the next one goes where the load balancer says. */
  roam(): void {
    if (!this.up) return
    if (this.prng.chance(0.5)) {
      this.say((w) => writeClientDisconnect(w, this.spec.version, { reason: 0 }))
      this.socket?.end()
    } else this.socket?.destroy()
    this.lost()
  }

  protected say(write: (w: ByteWriter) => void): void {
    const w = new ByteWriter(128)
    write(w)
    this.socket?.write(w.take())
  }

  protected ack(type: AckType, packetId: number): void {
    this.say((w) => writeAck(w, type, packetId, 0, this.spec.version))
  }

  protected later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      run()
    }, ms)
    this.timers.add(timer)
  }

  private roamLater(): void {
    this.later(this.prng.int(...ROAM_MS), () => {
      this.roam()
      this.roamLater()
    })
  }

  private dial(): void {
    const { spec } = this
    const socket = connect({ host: '127.0.0.1', port: this.port, noDelay: true })
    this.socket = socket
    this.heardAt = performance.now()
    const isMine = () => this.socket === socket
    const decoder = new ClientDecoder(spec.version, {
      onPacket: (packet) => {
        if (isMine()) this.onAny(packet)
      },
      onFault: (_reason, text) => {
        if (isMine()) this.book.fault(spec.id, `server sent ${text}`)
        socket.destroy()
      },
    })
    socket.on('data', (chunk: Uint8Array) => {
      this.heardAt = performance.now()
      decoder.feed(chunk)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (isMine()) this.lost()
    })
    const { version, id: clientId } = spec
    const expiry = version === 5 ? { sessionExpiry: SESSION_EXPIRY_SEC, receiveMaximum: 50 } : {}
    this.say((w) => writeConnect(w, { version, clientId, cleanStart: false, keepAlive: 30, ...expiry }))
    this.watch(socket)
  }

  /** Pings, and gives up a server that says nothing. */
  private watch(socket: Socket): void {
    this.later(PING_MS, () => {
      if (this.socket !== socket) return
      if (performance.now() - this.heardAt > SILENCE_MS_MAX) socket.destroy()
      else if (this.up) this.say(writePingreq)
      this.watch(socket)
    })
  }

  private lost(): void {
    this.socket = null
    if (this.up) this.downSince = performance.now()
    this.up = false
    this.onDown()
    if (!this.stopped) this.later(this.prng.int(...RETRY_MS), () => this.dial())
  }

  private onAny(packet: ServerPacket): void {
    const { book, spec } = this
    if (packet.cmd === 'connack') return this.onConnack(packet)
    if (packet.cmd === 'disconnect') return
    if (!this.up) book.fault(spec.id, `${packet.cmd} before CONNACK`)
    else if (packet.cmd !== 'pingresp') this.onPacket(packet)
  }

  private onConnack(packet: ServerPacket & { cmd: 'connack' }): void {
    const { book, spec } = this
    if (this.up) book.fault(spec.id, 'second CONNACK')
    if (packet.reason !== 0) {
      this.socket?.destroy()
      return
    }
    if (!packet.sessionPresent && this.exists) book.lostSession(spec.id)
    this.exists = true
    this.up = true
    if (this.downSince >= 0) this.gapsMs.push(performance.now() - this.downSince)
    this.onUp(packet.sessionPresent, packet.receiveMaximum ?? 65_535)
  }
}
