// WsClient: a scripted client over WebSocket that makes its frames by hand: right or wrong, in any pieces. Sees the server's
// answer to the upgrade, its control frames and its close code.

import { utf8 } from '../../src/base/bytes.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import type { Version } from '../../src/wire/packet.ts'
import { LiveClient } from './mqtt_client.ts'
import {
  BINARY,
  CLOSE,
  clientFrame,
  type FrameOptions,
  joined,
  type ServerFrame,
  takeServerFrames,
} from './ws_frames.ts'

const WAIT_MS = 8_000
const NO_BYTES = new Uint8Array(0)

/** Header fields of the request; null leaves one out. */
export type RequestFields = Readonly<Record<string, string | null>>

export function upgradeRequest(port: number, fields: RequestFields = {}, path = '/mqtt'): Uint8Array {
  const all: RequestFields = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'mqtt',
    ...fields,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : `${name}: ${value}\r\n`))
  return utf8(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
}

export class WsClient extends LiveClient {
  /** The server's answer to the request, head and (where it refuses) body. */
  answer = ''
  /** Frames but for binary ones, whose payload went to the packet reader. */
  readonly control: ServerFrame[] = []
  /** Payload bytes of each binary frame. */
  readonly sizes: number[] = []
  /** Pieces in which packets are put into frames; null: a frame a packet. */
  framing: ((packet: Uint8Array) => readonly Uint8Array[]) | null = null
  private upgraded = false
  private rest: Uint8Array = NO_BYTES

  /** Opens the socket only. */
  static dial(port: number, clientId = 'raw', version: Version = 5): WsClient {
    return new WsClient(port, clientId, version)
  }

  /** Opens the WebSocket. */
  static async open(
    port: number,
    clientId: string,
    version: Version = 5,
    fields: RequestFields = {},
  ): Promise<WsClient> {
    const client = WsClient.dial(port, clientId, version)
    client.write(upgradeRequest(port, fields))
    await client.until(() => client.upgraded, 'the upgrade')
    return client
  }

  /** CONNECT and CONNACK too. */
  static async connect(port: number, clientId: string, fields: Partial<ConnectFields> = {}): Promise<WsClient> {
    return await (await WsClient.open(port, clientId, fields.version ?? 5)).handshake(fields)
  }

  get status(): number {
    return Number(this.answer.slice(9, 12))
  }

  /** The code in the server's close frame; null: there was none. */
  get closeCode(): number | null {
    const payload = this.control.find(({ opcode }) => opcode === CLOSE)?.payload
    return payload === undefined ? null : payload.length === 0 ? 1005 : payload[0]! * 256 + payload[1]!
  }

  /** Bytes as they are. */
  write(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(joined(bytes))
  }

  frame(payload: Uint8Array | readonly number[], options: FrameOptions = {}): void {
    this.write(clientFrame(payload, options))
  }

  protected override transmit(packet: Uint8Array): void {
    if (this.framing === null) this.frame(packet)
    else this.write(...this.framing(packet))
  }

  protected override onChunk(chunk: Uint8Array): void {
    this.rest = joined([this.rest, chunk])
    if (!this.upgraded) this.onAnswer()
    if (this.upgraded) {
      const { frames, rest } = takeServerFrames(this.rest)
      this.rest = rest
      for (const frame of frames) {
        if (frame.opcode !== BINARY) this.control.push(frame)
        else {
          this.sizes.push(frame.payload.length)
          this.received(frame.payload)
        }
      }
    }
    this.alert()
  }

  private onAnswer(): void {
    const text = new TextDecoder('latin1').decode(this.rest)
    const end = text.indexOf('\r\n\r\n') + 4
    if (end < 4) return
    this.upgraded = /^HTTP\/1\.1 101 /.test(text)
    this.answer = this.upgraded ? text.slice(0, end) : text
    if (this.upgraded) this.rest = this.rest.slice(end)
  }

  async until(isSo: () => boolean, what: string, ms = WAIT_MS): Promise<void> {
    const end = performance.now() + ms
    while (!isSo()) {
      const left = end - performance.now()
      const how = this.closed ? `closed (${this.answer})` : 'it did not come'
      if (this.closed || left <= 0 || !(await this.change(left)))
        throw new Error(`${this.clientId}: waited for ${what}, ${how}`)
    }
  }

  /** Until the server has ended the connection. @returns the code in its close frame */
  async closeOf(): Promise<number | null> {
    await this.ended
    return this.closeCode
  }
}
