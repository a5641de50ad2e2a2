// Spread: where one publish of this node went, as far as the other node must hear of it. One instance is reused. Knows nothing of
// who wants what.
import type { Session } from '../../session/session.ts'
import type { PickWire, TargetWire } from '../../wire/peer_message.ts'

export class Spread {
  /** A stream to the peer is open. */
  streaming = false
  /** QoS 0 for a session of the peer is kept here: the peer cannot be told. */
  qos0Waits = false
  /** The publisher's QoS 2 identifier is on record: both nodes must keep the message. */
  recorded = false
  /** The turn that must be released before it is sent on; 0: none. */
  commit = 0
  /** Somebody was there to receive it. */
  matched = false
  /** Sessions of this node that keep it. */
  targets: TargetWire[] | null = null
  /** Somebody at the peer takes it ... */
  forward = false
  /** ... or takes it with QoS 0, for which the unsequenced frame will do. */
  qos0 = false
  /** Members of shared subscriptions at the peer. */
  picks: PickWire[] | null = null
  /** Sessions of the peer that keep it here until it is acknowledged. */
  keepers: Session[] | null = null

  begin(streaming: boolean, recorded: boolean, commit: number, qos0Waits: boolean): void {
    this.streaming = streaming
    this.qos0Waits = qos0Waits
    this.recorded = recorded
    this.commit = commit
    this.matched = false
    this.targets = null
    this.forward = false
    this.qos0 = false
    this.picks = null
    this.keepers = null
  }

  /** By the stream whatever its QoS: the unsequenced frame names no member. */
  pick(share: string, client: string): void {
    this.forward = true
    this.picks ??= []
    this.picks.push([share, client])
  }
}
