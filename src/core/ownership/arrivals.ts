// Arrivals: sessions that a node which leaves gives to this one unasked, many in one group. What this node forwarded and the peer has
// not acknowledged may have met them neither there nor here, so it joins them. What did meet them there stands in their queues, for
// the peer says what it has acknowledged before it gives away (leave.ts). Knows nothing of claims.
import type { Message } from '../../session/message.ts'
import type { Session, Subscription } from '../../session/session.ts'
import { FilterTree } from '../../topic/filter_tree.ts'
import type { BrokerNode } from '../node.ts'
import type { Want } from '../routing/route.ts'
import { append } from './promote.ts'

/** share: by which it comes; null: by none. */
type Hit = { readonly message: Message; readonly share: string | null; readonly want: Want }

export class Arrivals {
  private waiting: Session[] = []
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  add(session: Session): void {
    if (this.node.forwarded.size > 0) this.waiting.push(session)
  }

  /** To be called before anything else may join their queues; then each gets its messages in the order of publishing. */
  fold(): void {
    if (this.waiting.length === 0) return
    const { node, waiting } = this
    this.waiting = []
    for (const [session, hits] of this.match(waiting)) {
      if (hits.length === 0 || session.ended) continue
      for (const { message, share, want } of hits)
        if (!node.sessions.has(session, message, share)) append(node, session, message, want, share)
    }
  }

  /** Each message is matched once against all that have arrived: there may be thousands of both. */
  private match(sessions: readonly Session[]): Map<Session, Hit[]> {
    const { node } = this
    const tree = new FilterTree<Subscription>()
    const all = new Map<Session, Hit[]>()
    const byClient = new Map<string, Session>()
    for (const session of sessions) {
      for (const sub of session.subscriptions.values()) if (!sub.shared) tree.add(sub.filter, sub)
      all.set(session, [])
      byClient.set(session.clientId, session)
    }
    const note = (session: Session, message: Message, share: string | null, want: Want | null): void => {
      if (want !== null) all.get(session)?.push({ message, share, want })
    }
    const found: Subscription[] = []
    for (const { message, routed, picks } of node.forwarded.values()) {
      if (routed) {
        found.length = 0
        tree.match(message.topic.name, found)
        for (const [session, subs] of Map.groupBy(found, (sub) => sub.session))
          note(session, message, null, node.router.wantedBy(session, subs, message))
      }
      for (const [share, client] of picks ?? []) {
        const session = byClient.get(client)
        if (session !== undefined) note(session, message, share, node.claims.wanted(session, message, share))
      }
    }
    return all
  }
}
