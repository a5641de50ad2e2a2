// Swarm: the fuzzed connections, so many at a time, each playing its script to the end. Sees that none is left open, and that what the
// server says is well-formed where it is clear whom it speaks to.

import { connect, type Socket } from 'node:net'
import { ClientDecoder } from '../../src/wire/client_decoder.ts'
import { takeServerFrames } from '../support/ws_frames.ts'
import { joined, type Script } from './script.ts'

export type SwarmOptions = {
  readonly ports: { readonly tcp: number; readonly ws: number }
  readonly connections: number
  /** How long a connection may stay open once all is said: FIN answered, silence noticed. */
  readonly closeMsMax: number
  /** The script of a number; null: none any more. */
  readonly next: () => Script | null
}

/** Answers of one connection in so many are read, not only counted. */
const JUDGED_IN = 4
const REST_BYTES_MAX = 4_000_000

export class Swarm {
  connections = 0
  valid = 0
  damaged = 0
  frames = 0
  damagedFrames = 0
  answeredPackets = 0
  bytesIn = 0
  /** The number of the script that each open connection plays. */
  readonly playing = new Map<number, string>()
  readonly problems: string[] = []
  private readonly options: SwarmOptions

  constructor(options: SwarmOptions) {
    this.options = options
  }

  /** Until there is no further script and all connections are closed. */
  async run(): Promise<void> {
    const lanes = Array.from({ length: this.options.connections }, async () => {
      for (;;) {
        const script = this.options.next()
        if (script === null) return
        await this.play(script)
      }
    })
    await Promise.all(lanes)
  }

  problem(script: Script, what: string): void {
    if (this.problems.length < 20)
      this.problems.push(`script ${script.number} (${script.overWs ? 'ws' : 'tcp'}): ${what}`)
  }

  private play(script: Script): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { ports, closeMsMax } = this.options
    const socket = connect({
      host: '127.0.0.1',
      port: script.overWs ? ports.ws : ports.tcp,
      noDelay: true,
      allowHalfOpen: true,
    })
    const judge = script.number % JUDGED_IN === 0 && script.aliases !== null ? new Judge(this, script) : null
    this.playing.set(script.number, script.overWs ? 'ws' : 'tcp')
    let opened = false
    const timer = setTimeout(() => {
      this.problem(script, `${opened ? `still open (${script.leaving})` : 'not accepted'} after ${closeMsMax} ms`)
      socket.destroy()
    }, closeMsMax)
    socket.on('connect', () => {
      opened = true
      speak(socket, script, 0)
    })
    socket.on('data', (bytes: Uint8Array) => {
      this.bytesIn += bytes.length
      judge?.take(bytes)
    })
    // The server's FIN: nothing more is to be said.
    socket.on('end', () => socket.end())
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      this.playing.delete(script.number)
      this.count(script, opened)
      resolve()
    })
    return promise
  }

  private count(script: Script, opened: boolean): void {
    if (!opened) return
    this.connections++
    this.valid += script.valid
    this.damaged += script.damaged
    this.frames += script.frames.frames
    this.damagedFrames += script.frames.damaged
  }
}

function speak(socket: Socket, script: Script, from: number): void {
  const { pieces, leaving } = script
  if (socket.destroyed) return
  if (from < pieces.length) {
    socket.write(pieces[from] as Uint8Array)
    if (from + 1 < pieces.length) return void setImmediate(speak, socket, script, from + 1)
  }
  if (leaving === 'end') socket.end()
  else if (leaving === 'abort') setImmediate(() => socket.resetAndDestroy())
}

/** Reads what the server says to one client. */
class Judge {
  private readonly decoder: ClientDecoder
  private readonly overWs: boolean
  private rest: Uint8Array = new Uint8Array(0)
  private upgraded = false
  private done = false
  private readonly fail: (what: string) => void

  constructor(swarm: Swarm, script: Script) {
    this.overWs = script.overWs
    this.fail = (what) => {
      this.done = true
      swarm.problem(script, what)
    }
    this.decoder = new ClientDecoder(script.version, {
      onPacket: () => void swarm.answeredPackets++,
      onFault: (_reason, text) => this.fail(`the server sent what no server may send: ${text}`),
    })
    this.decoder.topicAliasMaximum = script.aliases ?? 0
  }

  take(bytes: Uint8Array): void {
    if (this.done) return
    if (!this.overWs) return this.decoder.feed(bytes)
    this.rest = this.rest.length === 0 ? bytes.slice() : joined([this.rest, bytes])
    if (!this.upgraded) {
      const text = new TextDecoder('latin1').decode(this.rest)
      const end = text.indexOf('\r\n\r\n')
      if (end === -1) return
      // A damaged request may be refused.
      if (!/^HTTP\/1\.1 101 /.test(text)) {
        this.done = true
        return
      }
      this.upgraded = true
      this.rest = this.rest.slice(end + 4)
    }
    this.frames()
    if (this.rest.length > REST_BYTES_MAX) this.fail('a frame without end')
  }

  private frames(): void {
    try {
      const { frames, rest } = takeServerFrames(this.rest)
      this.rest = rest
      for (const frame of frames) if (frame.opcode === 2 && !this.done) this.decoder.feed(frame.payload)
    } catch (error) {
      this.fail(`a wrong frame: ${error instanceof Error ? error.message : error}`)
    }
  }
}
