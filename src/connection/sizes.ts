// Sizes: what a client is not sent because it takes no packet of that size, or no reasons in words. Messages are judged in send.ts.
import { ByteWriter } from '../base/bytes.ts'
import { type DisconnectFields, writeDisconnect } from '../wire/encoder.ts'
import { PacketType } from '../wire/packet.ts'
import { varintSize } from '../wire/text.ts'
import type { Connection } from './connection.ts'

/** A DISCONNECT with nothing but its reason. */
const DISCONNECT_BYTES = 3
/** What a property of ASCII text takes besides the text. */
const TEXT_PROPERTY_BYTES = 3

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

/** Is a reason said in words? Only to who wants them and takes them [MQTT-3.2.2-19] [MQTT-3.14.2-3]. @param bare bytes without */
export function inWords(c: Connection, text: string, bare: number): boolean {
  return c.requestProblemInformation && text !== '' && bare + TEXT_PROPERTY_BYTES + text.length <= c.maximumPacketSize
}

/** DISCONNECT, where the client's version has one and it takes so many bytes; without what does not fit. */
export function sayWhy(c: Connection, reason: number, text: string, serverReference?: string): void {
  if (c.version !== 5 || c.maximumPacketSize < DISCONNECT_BYTES) return
  const fields: DisconnectFields = { reason }
  let bytes = DISCONNECT_BYTES + 1
  if (serverReference !== undefined && bytes + TEXT_PROPERTY_BYTES + serverReference.length <= c.maximumPacketSize) {
    fields.serverReference = serverReference
    bytes += TEXT_PROPERTY_BYTES + serverReference.length
  }
  if (inWords(c, text, bytes)) fields.reasonString = text
  writeDisconnect(c.writer(PacketType.disconnect), fields)
}
