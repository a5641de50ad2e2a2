// Holdings: which messages stand with a session, found without a walk through its queue. For turns in which many are asked for: a node
// that goes alone, a session that changes its owner. Knows no journal.
import type { Message } from './message.ts'
import type { Session } from './session.ts'

/** Up to so many entries a walk costs less than an index. */
const WALK_MAX = 32

export class Holdings {
  private readonly known = new Map<Session, Set<string>>()

  /** True when the message stands in the queue or among the shadows, for this share, or did so earlier in this turn. */
  has(session: Session, message: Message, share: string | null): boolean {
    const known = this.known.get(session) ?? this.index(session)
    if (known !== null) return known.has(keyOf(message, share))
    for (const entry of session.queue) if (entry.share === share && entry.message.same(message)) return true
    for (const shadow of session.shadows) if (shadow.share === share && shadow.message.same(message)) return true
    return false
  }

  private index(session: Session): Set<string> | null {
    if (session.queue.count + session.shadows.length <= WALK_MAX) return null
    const known = new Set<string>()
    for (const entry of session.queue) known.add(keyOf(entry.message, entry.share))
    for (const shadow of session.shadows) known.add(keyOf(shadow.message, shadow.share))
    this.known.set(session, known)
    return known
  }

  /** It stands with the session from now on. */
  added(session: Session, message: Message, share: string | null): void {
    if (this.known.size > 0) this.known.get(session)?.add(keyOf(message, share))
  }

  /** The turn is over. */
  forget(): void {
    if (this.known.size > 0) this.known.clear()
  }
}

function keyOf(message: Message, share: string | null): string {
  return `${message.origin} ${message.seq} ${share ?? ''}`
}
