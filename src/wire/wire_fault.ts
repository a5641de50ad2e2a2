// Wire fault: what is wrong with a client's bytes, as a value. Knows no packet; answered in connection/, never thrown.
import { Reason } from './reason.ts'

export type WireFault = { readonly reason: number; readonly text: string }

/** The bytes do not follow the format. */
export function malformed(text: string): WireFault {
  return { reason: Reason.malformedPacket, text }
}

/** The format holds, the protocol forbids it. */
export function protocolError(text: string): WireFault {
  return { reason: Reason.protocolError, text }
}

export const TRUNCATED = malformed('a field reaches beyond the end of its packet')
export const SURPLUS = malformed('bytes left over at the end of the packet')
