// States: where one connection is in its life. Every change goes through move().
import { assert } from '../base/assert.ts'

const NEXT = {
  /** Accepted; the first packet must be CONNECT [MQTT-3.1.0-1]. */
  waiting: ['authenticating', 'claiming', 'closing', 'closed'],
  /** Who the client is, is being found out (Exchange says whose turn it is). */
  authenticating: ['claiming', 'closing', 'closed'],
  /** CONNECT is decided by the pair; later bytes of the client wait. */
  claiming: ['open', 'closing', 'closed'],
  /** CONNACK is on its way or sent. */
  open: ['closing', 'closed'],
  /** The last bytes wait for their gate, and then for the socket, but not for ever; nothing more is read. */
  closing: ['closed'],
  closed: [],
} as const satisfies Record<string, readonly string[]>

export type ConnectionState = keyof typeof NEXT

export function move(from: ConnectionState, to: ConnectionState): ConnectionState {
  assert((NEXT[from] as readonly string[]).includes(to), 'no such transition of a connection')
  return to
}

const EXCHANGES = {
  none: ['asked'],
  /** Whoever knows the users was asked: about a password, or about the client's last word. */
  asked: ['challenged', 'none'],
  /** The client was asked, by AUTH. */
  challenged: ['asked', 'none'],
} as const satisfies Record<string, readonly string[]>

/** Whose turn it is while a client proves who it is: before it is admitted, or again while its connection is open. */
export type Exchange = keyof typeof EXCHANGES

export function moveExchange(from: Exchange, to: Exchange): Exchange {
  assert((EXCHANGES[from] as readonly string[]).includes(to), 'no such transition of an exchange')
  return to
}
