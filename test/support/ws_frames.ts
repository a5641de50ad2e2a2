// WsFrames: frames as a client sends them, right or wrong, byte by byte. Made by hand, so that the broker's reader is not judged
// by itself.

export type FrameOptions = {
  fin?: boolean
  opcode?: number
  /** Bits 4 to 6 of the first byte. */
  reserved?: number
  /** Null: not masked, as no client may do it. */
  mask?: readonly number[] | null
  /** How many bytes the length takes: 0, 2 or 8; by default as few as possible. */
  lengthBytes?: 0 | 2 | 8
  /** The length that the header names, if not that of the payload. */
  length?: number
}

export const BINARY = 2
export const TEXT = 1
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export function clientFrame(payload: Uint8Array | readonly number[], options: FrameOptions = {}): Uint8Array {
  const { fin = true, opcode = BINARY, reserved = 0, mask = [0x37, 0xfa, 0x21, 0x3d] } = options
  const length = options.length ?? payload.length
  const lengthBytes = options.lengthBytes ?? (length < 126 ? 0 : length <= 0xffff ? 2 : 8)
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode]
  const bit = mask === null ? 0 : 0x80
  head.push(bit | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127))
  for (let i = lengthBytes - 1; i >= 0; i--) head.push(Math.floor(length / 2 ** (8 * i)) % 256)
  const body = Uint8Array.from(payload, (byte, i) => byte ^ (mask === null ? 0 : (mask[i % 4] as number)))
  return Uint8Array.from([...head, ...(mask ?? []), ...body])
}

export function closePayload(code: number, reason = ''): Uint8Array {
  return Uint8Array.from([code >> 8, code & 0xff, ...new TextEncoder().encode(reason)])
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export type ServerFrame = { fin: boolean; opcode: number; payload: Uint8Array }

/** Takes whole frames of a server from the front of `bytes`. */
export function takeServerFrames(bytes: Uint8Array): { frames: ServerFrame[]; rest: Uint8Array } {
  const frames: ServerFrame[] = []
  let at = 0
  for (;;) {
    if (bytes.length < at + 2) break
    const [first, second] = [bytes[at] as number, bytes[at + 1] as number]
    if ((second & 0x80) !== 0) throw new Error('a server masks no frames')
    if ((first & 0x70) !== 0) throw new Error('reserved bits are set')
    const lengthBytes = second === 126 ? 2 : second === 127 ? 8 : 0
    const body = at + 2 + lengthBytes
    if (bytes.length < body) break
    let length = second
    if (lengthBytes > 0) length = bytes.subarray(at + 2, body).reduce((sum, byte) => sum * 256 + byte, 0)
    if (bytes.length < body + length) break
    frames.push({ fin: (first & 0x80) !== 0, opcode: first & 0x0f, payload: bytes.slice(body, body + length) })
    at = body + length
  }
  return { frames, rest: bytes.slice(at) }
}
