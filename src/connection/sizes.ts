// Sizes: what a client is not sent because it takes no packet of that size, or no reasons in words. Messages are judged in send.ts.
import { ByteWriter } from '../base/bytes.ts'
import { writeDisconnect } from '../wire/encoder.ts'
import { PacketType } from '../wire/packet.ts'
import { varintSize } from '../wire/text.ts'
import type { Connection } from './connection.ts'

/** A DISCONNECT with nothing but its reason. */
const DISCONNECT_BYTES = 3

const scratch = new ByteWriter(256)

/** Does the client take the packet that this writes [MQTT-3.1.2-24]? For packets that are rare. */
export function takes(c: Connection, write: (w: ByteWriter) => void): boolean {
  if (c.maximumPacketSize === Number.POSITIVE_INFINITY) return true
  scratch.length = 0
  write(scratch)
  return scratch.length <= c.maximumPacketSize
}

/** Does it take the SUBACK or UNSUBACK of so many filters? */
export function takesCodes(c: Connection, filters: number): boolean {
  const length = 3 + filters
  return 1 + varintSize(length) + length <= c.maximumPacketSize
}

/** A reason is said in words only to who wants them [MQTT-3.1.2-29]; where they do not fit, the encoder leaves them out. */
export function words(c: Connection, text: string): string | undefined {
  return c.requestProblemInformation && text !== '' ? text : undefined
}

/** DISCONNECT, where the client's version has one. */
export function sayWhy(c: Connection, reason: number, text: string, serverReference?: string): void {
  if (c.version !== 5 || c.maximumPacketSize < DISCONNECT_BYTES) return
  const fields = { reason, reasonString: words(c, text), serverReference }
  writeDisconnect(c.writer(PacketType.disconnect), fields, c.maximumPacketSize)
}
