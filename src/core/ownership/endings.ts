// Endings: sessions that ended here while the other node could not be told: when the two meet, its copies of them end too. In memory
// alone: what a restart forgets comes back, as what was never ended. Knows no frames.
import { LIMITS } from '../../base/limits.ts'
import type { Session } from '../../session/session.ts'
import { type Branch, contained } from './branch.ts'

export class Endings {
  /** As it was at its end, by client; the oldest first. */
  private readonly byClient = new Map<string, Branch>()
  /** Endings that had to be forgotten: the other node's copy of such a session comes back. */
  forgotten = 0

  note(session: Session): void {
    const { clientId, token, ver, lineage } = session
    this.byClient.delete(clientId)
    this.byClient.set(clientId, { token, ver, lineage })
    if (this.byClient.size <= LIMITS.endedSessionsMax) return
    this.byClient.delete(this.byClient.keys().next().value as string)
    this.forgotten++
  }

  /** A new session of a client whose former one ended here: it stands behind that one, and takes nothing from it. */
  succeed(session: Session): void {
    const ended = this.byClient.get(session.clientId)
    if (ended === undefined) return
    const { token, ver, lineage } = ended
    session.lineage = [...lineage, { token, forkVer: ver }].slice(-LIMITS.lineageMax)
  }

  /** All that the other side's branch went through had ended here. */
  has(client: string, theirs: Branch): boolean {
    const ended = this.byClient.get(client)
    return ended !== undefined && contained(theirs, ended)
  }

  all(): IterableIterator<[client: string, ended: Branch]> {
    return this.byClient.entries()
  }

  /** Both nodes hold the same. */
  clear(): void {
    this.byClient.clear()
  }
}
