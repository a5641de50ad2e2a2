// SentBack: messages that the peer has picked a member of this node for, and that went back because nobody here could take them. Until
// the peer is known to have found them a place they have none but this: should it die, this node finds one. Knows no sessions.
import { NO_BYTES } from '../../base/bytes.ts'
import type { Forward } from '../../pair/out_stream.ts'
import type { Message } from '../../session/message.ts'
import { OpKind } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'

export class SentBack {
  /** By message and share, until the group that took it back is acknowledged: what came of it stands before that. */
  private readonly byKey = new Map<string, Forward>()
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** @param ref the number under which the peer knows the message */
  send(message: Message, ref: number, shares: string[]): void {
    const { node } = this
    const picks = shares.map((share) => [share, ''] as const)
    // Numbered like a forward of this node, but never referred to: the message is the peer's own.
    const forward: Forward = {
      ref: ++node.sequence,
      message,
      routed: false,
      targets: null,
      picks,
      again: true,
      keepers: null,
    }
    for (const share of shares) this.byKey.set(keyOf(message, share), forward)
    node.emitter.pub([OpKind.bounce, ref, shares], NO_BYTES, node.config.mutations.has('shareReroute') ? null : forward)
  }

  /** The peer has found it a place. */
  placed(message: Message, share: string): void {
    if (this.byKey.size === 0) return
    const forward = this.byKey.get(keyOf(message, share))
    if (forward !== undefined) this.node.shares.settled(forward, share)
  }

  /** The peer has taken it back, or this node has found it a place itself. */
  letGo(forward: Forward): void {
    if (this.byKey.size === 0) return
    for (const [key, one] of this.byKey) if (one === forward) this.byKey.delete(key)
  }
}

function keyOf(message: Message, share: string): string {
  return `${message.origin} ${message.seq} ${share}`
}
