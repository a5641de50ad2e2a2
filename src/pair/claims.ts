// Claims: client ids that this node has asked the peer for and not been answered yet: one at a time for each id.
import type { Hlc } from '../base/brand.ts'
import type { ConnId } from '../base/identity.ts'
import type { Message } from '../session/message.ts'

/** A publish made here while the claim is open; it may match the session that is on its way. */
export type Held = {
  readonly message: Message
  /** The shared subscription that picked the session; null: it wants the message for itself. */
  readonly share: string | null
}

/** `C` is the connection, of which this layer knows nothing. */
export type Claim<C> = {
  readonly client: string
  /** The connection the CLAIM on its way names. */
  readonly connId: ConnId
  readonly hlc: Hlc
  readonly since: number
  /** Who waits for the answer: the newest CONNECT; null when it gave up. */
  pending: C | null
  /** The hold queue H: null without a replica to keep messages for. */
  held: Held[] | null
  heldBytes: number
}
