// WsMutate: a client's WebSocket stream, from its request on, around packets: cut into frames and fragments in any way, control frames
// between them, and some frames as no client may send them.

import type { Prng } from '../../src/base/prng.ts'
import { randomBytes } from '../sim/packet_generator.ts'
import { upgradeRequest } from '../support/ws_client.ts'
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  type FrameOptions,
  joined,
  PING,
  PONG,
  TEXT,
} from '../support/ws_frames.ts'

/** Counts up. */
export type Framing = { frames: number; damaged: number }

const REQUEST = upgradeRequest(80)
const HARSHNESS = 0.004

export function framed(prng: Prng, packets: readonly Uint8Array[], framing: Framing): Uint8Array {
  const out: Uint8Array[] = [request(prng)]
  const put = (payload: Uint8Array, options: FrameOptions) => {
    framing.frames++
    if (prng.chance(HARSHNESS)) {
      framing.damaged++
      out.push(damagedFrame(prng, payload, options))
    } else out.push(clientFrame(payload, options))
  }
  const whole = prng.chance(0.3) ? [joined(packets)] : packets
  for (const packet of whole) {
    const pieces = prng.chance(0.2) ? pieced(prng, packet) : [packet]
    // Frames of their own, or fragments of one message.
    const asFragments = prng.chance(0.5)
    for (const [i, piece] of pieces.entries()) {
      const fin = !asFragments || i === pieces.length - 1
      put(piece, { opcode: asFragments && i > 0 ? 0 : BINARY, fin, mask: maskOf(prng) })
      if (prng.chance(0.05)) put(randomBytes(prng, 20), { opcode: prng.pick([PING, PONG]), mask: maskOf(prng) })
    }
  }
  if (prng.chance(0.2)) put(closePayload(1000), { opcode: CLOSE, mask: maskOf(prng) })
  return joined(out)
}

function maskOf(prng: Prng): number[] {
  return [prng.int(0, 255), prng.int(0, 255), prng.int(0, 255), prng.int(0, 255)]
}

function request(prng: Prng): Uint8Array {
  if (!prng.chance(0.03)) return REQUEST
  const out = REQUEST.slice()
  for (let i = prng.int(1, 3); i > 0; i--) out[prng.int(0, out.length - 1)] = prng.int(0, 255)
  return prng.chance(0.3) ? out.slice(0, prng.int(1, out.length)) : out
}

function pieced(prng: Prng, packet: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < packet.length; ) {
    const end = pieces.length === 7 ? packet.length : Math.min(packet.length, at + prng.int(1, packet.length))
    pieces.push(packet.subarray(at, end))
    at = end
  }
  return pieces
}

function damagedFrame(prng: Prng, payload: Uint8Array, options: FrameOptions): Uint8Array {
  switch (prng.int(0, 9)) {
    case 0:
      return clientFrame(payload, { ...options, opcode: prng.int(0, 15) })
    case 1:
      return clientFrame(payload, { ...options, reserved: prng.int(1, 7) })
    case 2:
      return clientFrame(payload, { ...options, mask: null })
    case 3:
      return clientFrame(payload, {
        ...options,
        length: prng.pick([0, payload.length + 1, payload.length + 200, 2 ** 40]),
      })
    case 4:
      return clientFrame(payload, { ...options, lengthBytes: prng.pick([2, 8]) })
    case 5:
      return clientFrame(randomBytes(prng, 300), { ...options, opcode: prng.pick([PING, PONG, CLOSE]) })
    case 6:
      return clientFrame(payload, { ...options, fin: options.fin === false, opcode: prng.pick([0, TEXT, BINARY]) })
    case 7:
      return clientFrame(closePayload(prng.int(0, 5000)), { ...options, opcode: CLOSE, fin: prng.chance(0.8) })
    case 8:
      return randomBytes(prng, 30)
    default: {
      const frame = clientFrame(payload, options)
      frame[prng.int(0, Math.min(frame.length - 1, 13))] = prng.int(0, 255)
      return frame
    }
  }
}
