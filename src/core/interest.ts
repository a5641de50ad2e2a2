// Interest: filters of sessions without expiry, told to the peer as one set, so that it forwards what somebody here wants and
// nothing else. Sessions with expiry need none: the peer has their subscriptions.
import { type Session, Subscription } from '../session/session.ts'
import { InterestCount } from '../topic/interest.ts'
import { OpKind } from '../wire/peer_message.ts'
import type { BrokerNode } from './node.ts'

export class Interest {
  private readonly own = new InterestCount()
  private readonly peers = new Map<string, Subscription>()
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  add(filter: string): void {
    if (this.own.add(filter)) this.node.emitter.emit([OpKind.interest, [filter], []])
  }

  remove(filter: string): void {
    if (this.own.remove(filter)) this.node.emitter.emit([OpKind.interest, [], [filter]])
  }

  /** A session without expiry is about to end. */
  dropAll(session: Session): void {
    const gone: string[] = []
    for (const filter of session.subscriptions.keys()) if (this.own.remove(filter)) gone.push(filter)
    if (gone.length > 0) this.node.emitter.emit([OpKind.interest, [], gone])
  }

  /** A stream begins: the peer knows nothing. */
  tellAll(): void {
    const all = [...this.own.filters()]
    if (all.length > 0) this.node.emitter.emit([OpKind.interest, all, []])
  }

  applyPeer(add: readonly string[], del: readonly string[]): void {
    const { tree } = this.node.sessions
    for (const filter of add) {
      if (this.peers.has(filter)) continue
      const sub = new Subscription(this.node.peerInterest, filter, 2, 0)
      this.peers.set(filter, sub)
      tree.add(filter, sub)
    }
    for (const filter of del) {
      const sub = this.peers.get(filter)
      if (sub === undefined) continue
      this.peers.delete(filter)
      tree.remove(filter, sub)
    }
  }

  clearPeer(): void {
    this.applyPeer([], [...this.peers.keys()])
  }
}
