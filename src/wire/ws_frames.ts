// WsFrames: WebSocket frames (RFC 6455) of one client cut out of a byte stream, and the server's frames made. Knows no MQTT, no
// handshake and no socket.
//
// Payload is not gathered into messages: MQTT packets need not be aligned with frames [MQTT-6.0.0-2], so what a chunk holds of
// it goes on at once, however large the frame or the message says it is. What is kept of an unfinished frame is its header (14
// bytes) or the payload of a control frame (125).
import { copyBytes, NO_BYTES, utf8Text } from '../base/bytes.ts'

export const WsOpcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const

/** Why a WebSocket ends. */
export const WsClose = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** The close frame names no code; never sent. */
  noStatus: 1005,
  invalidPayload: 1007,
  messageTooBig: 1009,
} as const

export interface WsSink {
  /** Payload of binary frames, unmasked. @param bytes borrowed until it returns */
  onBytes(bytes: Uint8Array): void
  /** @param payload owned */
  onPing(payload: Uint8Array): void
  /** Nothing follows. @param code `noStatus` where the frame has none */
  onClose(code: number): void
  /** Nothing follows. @param code what to close with */
  onFault(code: number, text: string): void
}

const FIN = 0x80
const RESERVED = 0x70
const MASKED = 0x80
const CONTROL = 0x8
export const CONTROL_BYTES_MAX = 125
/** Bytes of the longest header that a server sends. */
export const HEADER_BYTES_MAX = 10

export class WsReader {
  private readonly sink: WsSink
  /** Owned start of a frame's header that the last chunk ended in; null when there is none. */
  private held: Uint8Array | null = null
  /** Payload bytes of the frame under way that have not come yet. */
  private left = 0
  /** The four bytes of its mask, the first in the lowest; rotated so that the lowest is the next to be used. */
  private mask = 0
  /** Payload of a control frame as far as it has come; null within a data frame. */
  private control: Uint8Array | null = null
  private controlOpcode = 0
  /** A message has begun whose last frame has not come. */
  private inMessage = false
  private over = false
  /** What is wrong with the frame that comes next; told once the data before it is handed over. */
  private wrong: { readonly code: number; readonly text: string } | null = null

  constructor(sink: WsSink) {
    this.sink = sink
  }

  /** No more calls of the sink. Honoured from within one. */
  stop(): void {
    this.over = true
    this.held = null
    this.control = null
  }

  /** @param bytes borrowed until it returns, and overwritten: payload is unmasked in place, gaps of headers closed */
  feed(bytes: Uint8Array): void {
    if (this.over) return
    let buf = bytes
    if (this.held !== null) {
      buf = new Uint8Array(this.held.length + bytes.length)
      buf.set(this.held)
      buf.set(bytes, this.held.length)
      this.held = null
    }
    const end = buf.length
    let at = 0
    /** End of the unmasked payload that lies at the front of `buf`. */
    let put = 0
    for (;;) {
      if (this.left > 0 && at < end) {
        const n = Math.min(this.left, end - at)
        if (this.control === null) put = this.unmask(buf, at, at + n, buf, put)
        else this.unmask(buf, at, at + n, this.control, this.control.length - this.left)
        at += n
        this.left -= n
      }
      if (this.left > 0) break
      if (this.control !== null) {
        // Data goes ahead of what the control frame brings about.
        if (put > 0) this.sink.onBytes(buf.subarray(0, put))
        put = 0
        if (!this.over) this.onControl()
      }
      if (at === end || this.over || this.wrong !== null) break
      const body = this.onHeader(buf, at, end)
      if (body === 0) break
      at = body
    }
    if (put > 0 && !this.over) this.sink.onBytes(buf.subarray(0, put))
    const { wrong } = this
    if (wrong === null || this.over) return
    this.stop()
    this.sink.onFault(wrong.code, wrong.text)
  }

  /** Reads a frame's header. @returns where its payload begins; 0 where the header is cut off or wrong */
  private onHeader(buf: Uint8Array, start: number, end: number): number {
    let at = start + 2
    if (at > end) return this.hold(buf, start)
    const first = buf[start] as number
    const second = buf[start + 1] as number
    const text = this.headerFault(first, second)
    if (text !== null) return this.fault(WsClose.protocolError, text)
    const opcode = first & 0x0f
    if (opcode === WsOpcode.text)
      return this.fault(WsClose.unsupportedData, 'text frame; MQTT packets travel in binary frames') // [MQTT-6.0.0-1]
    let length = second & 0x7f
    const extra = length === 126 ? 2 : length === 127 ? 8 : 0
    if (at + extra + 4 > end) return this.hold(buf, start)
    if (extra > 0) {
      length = 0
      for (const stop = at + extra; at < stop; at++) length = length * 256 + (buf[at] as number)
      if (!Number.isSafeInteger(length)) return this.fault(WsClose.messageTooBig, 'frame length beyond 2^53')
    }
    this.mask = byteAt(buf, at) | (byteAt(buf, at + 1) << 8) | (byteAt(buf, at + 2) << 16) | (byteAt(buf, at + 3) << 24)
    this.left = length
    if ((opcode & CONTROL) !== 0) {
      this.control = length === 0 ? NO_BYTES : new Uint8Array(length)
      this.controlOpcode = opcode
    } else {
      this.inMessage = (first & FIN) === 0
    }
    return at + 4
  }

  private headerFault(first: number, second: number): string | null {
    if ((first & RESERVED) !== 0) return 'reserved bits are set, but no extension was agreed on'
    if ((second & MASKED) === 0) return 'frame of a client without mask'
    const opcode = first & 0x0f
    switch (opcode) {
      case WsOpcode.continuation:
        return this.inMessage ? null : 'continuation without a message'
      case WsOpcode.binary:
      case WsOpcode.text:
        return this.inMessage ? 'a message within a message' : null
      case WsOpcode.close:
      case WsOpcode.ping:
      case WsOpcode.pong:
        if ((first & FIN) === 0) return 'control frame in fragments'
        return (second & 0x7f) > CONTROL_BYTES_MAX ? 'control frame of more than 125 bytes' : null
      default:
        return `opcode ${opcode} is reserved`
    }
  }

  private onControl(): void {
    const payload = this.control as Uint8Array
    this.control = null
    if (this.controlOpcode === WsOpcode.ping) this.sink.onPing(payload)
    else if (this.controlOpcode === WsOpcode.close) this.onClose(payload)
  }

  private onClose(payload: Uint8Array): void {
    if (payload.length === 0) return this.close(WsClose.noStatus)
    const code = payload.length === 1 ? 0 : byteAt(payload, 0) * 256 + byteAt(payload, 1)
    if (!validCloseCode(code)) this.fault(WsClose.protocolError, 'close frame with a code that may not be sent')
    else if (utf8Text(payload.subarray(2)) === null)
      this.fault(WsClose.invalidPayload, 'close frame whose reason is not UTF-8')
    else this.close(code)
  }

  private close(code: number): void {
    this.stop()
    this.sink.onClose(code)
  }

  private fault(code: number, text: string): 0 {
    this.wrong = { code, text }
    return 0
  }

  private hold(buf: Uint8Array, start: number): 0 {
    this.held = copyBytes(buf, start)
    return 0
  }

  /** Unmasks src[from, to) into `out` at `put`, which may be the same bytes or lie before them. @returns the end in `out` */
  private unmask(src: Uint8Array, from: number, to: number, out: Uint8Array, put: number): number {
    const { mask } = this
    const m0 = mask & 0xff
    const m1 = (mask >>> 8) & 0xff
    const m2 = (mask >>> 16) & 0xff
    const m3 = mask >>> 24
    let o = put
    let i = from
    for (const whole = to - 3; i < whole; i += 4) {
      out[o] = byteAt(src, i) ^ m0
      out[o + 1] = byteAt(src, i + 1) ^ m1
      out[o + 2] = byteAt(src, i + 2) ^ m2
      out[o + 3] = byteAt(src, i + 3) ^ m3
      o += 4
    }
    const odd = to - i
    for (let shift = 0; i < to; shift += 8) out[o++] = byteAt(src, i++) ^ ((mask >>> shift) & 0xff)
    if (odd > 0) this.mask = (mask >>> (8 * odd)) | (mask << (32 - 8 * odd))
    return o
  }
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}

/** Codes that may stand in a close frame: those of the standard and its registry, of libraries (3000) and of applications (4000). */
function validCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
}

/** Writes the header of an unmasked, unfragmented frame at the front of `out`. @returns its length */
export function writeFrameHeader(out: Uint8Array, opcode: number, length: number): number {
  out[0] = FIN | opcode
  if (length <= CONTROL_BYTES_MAX) {
    out[1] = length
    return 2
  }
  if (length <= 0xffff) {
    out[1] = 126
    out[2] = length >>> 8
    out[3] = length & 0xff
    return 4
  }
  out[1] = 127
  for (let i = 0, rest = length; i < 8; i++, rest = Math.floor(rest / 256)) out[9 - i] = rest & 0xff
  return 10
}

/** A whole ping, pong or close frame. */
export function controlFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + payload.length)
  frame.set(payload, writeFrameHeader(frame, opcode, payload.length))
  return frame
}

/** @param code `noStatus` makes a frame without code */
export function closeFrame(code: number): Uint8Array {
  const payload = code === WsClose.noStatus ? NO_BYTES : Uint8Array.of(code >>> 8, code & 0xff)
  return controlFrame(WsOpcode.close, payload)
}
