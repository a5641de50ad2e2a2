// Retained: one logical map over both nodes: the last value by hybrid clock wins. Knows no connections.
import type { BootId, Hlc } from '../../base/brand.ts'
import { LIMITS } from '../../base/limits.ts'
import { Timers } from '../../base/timers.ts'
import type { Journal, RetainedItem } from '../../session/journal.ts'
import type { Message } from '../../session/message.ts'
import { RetainedTree } from '../../topic/retained.ts'

export class Retained {
  readonly tree = new RetainedTree<RetainedItem>()
  private readonly journal: Journal
  /** Topics whose value expires, by when. */
  readonly expiring = new Timers<string>()
  /** Topics with a value (deleted ones remembered by the tree do not count), and their messages' bytes. */
  count = 0
  bytes = 0
  /** Deleted topics are remembered: the peer may come back with the old value. */
  remember = true
  /** A snapshot is being taken: what this node alone knew was never promised, the leader's word stands. */
  following = false
  /** Deleted topics that are remembered, with the monotonic ms of it, the oldest first; and their bytes, about. */
  private readonly deleted = new Map<string, number>()
  private deletedBytes = 0
  /** Deletions that had to be forgotten early: the peer may bring such a topic's value back. */
  forgotten = 0
  private readonly now: () => number

  /** @param now monotonic ms */
  constructor(journal: Journal, now: () => number) {
    this.journal = journal
    this.now = now
  }

  /**
   * Last writer wins by (hlc, node), on both nodes alike.
   * @param message null deletes
   */
  set(topic: string, message: Message | null, hlc: Hlc, node: BootId): boolean {
    const old = this.tree.get(topic)
    if (!this.following && old !== undefined && (old.hlc > hlc || (old.hlc === hlc && old.node >= node))) return false
    if (old?.message) {
      this.count--
      this.bytes -= old.message.bytes
    }
    if (message !== null) {
      this.count++
      this.bytes += message.bytes
      this.journal.hold(message)
    }
    if (old?.message) this.journal.release(old.message)
    if (message === null && !this.remember) this.tree.delete(topic)
    else this.tree.set(topic, { message, hlc, node, stored: old?.stored ?? false })
    this.noteExpiry(topic, message)
    this.journal.retainedTopic(topic)
    if (message !== null) this.undelete(topic)
    else if (this.remember) this.noteDeleted(topic)
    return true
  }

  private noteDeleted(topic: string): void {
    this.undelete(topic)
    this.deleted.set(topic, this.now())
    this.deletedBytes += topic.length
    const { deletedRetainedMax, deletedRetainedBytesMax } = LIMITS
    while (this.deleted.size > deletedRetainedMax || this.deletedBytes > deletedRetainedBytesMax) {
      this.drop(this.deleted.keys().next().value as string)
      this.forgotten++
    }
  }

  private undelete(topic: string): void {
    if (this.deleted.delete(topic)) this.deletedBytes -= topic.length
  }

  private noteExpiry(topic: string, message: Message | null): void {
    if (message !== null && message.expiresAt !== Number.POSITIVE_INFINITY) this.expiring.set(topic, message.expiresAt)
    else if (this.expiring.size > 0) this.expiring.clear(topic)
  }

  /** Takes out what has expired, each node by itself: a deletion with the time of the value. @returns how many */
  expire(now: number): number {
    let n = 0
    for (let topic = this.expiring.due(now); topic !== undefined; topic = this.expiring.due(now)) {
      const item = this.tree.get(topic)
      if (item === undefined || item.message === null || item.message.expiresAt > now) continue
      n++
      if (!this.remember) {
        this.drop(topic)
        continue
      }
      this.count--
      this.bytes -= item.message.bytes
      this.journal.release(item.message)
      this.tree.set(topic, { ...item, message: null })
      this.journal.retainedTopic(topic)
      this.noteDeleted(topic)
    }
    return n
  }

  drop(topic: string): void {
    const old = this.tree.delete(topic)
    this.undelete(topic)
    if (this.expiring.size > 0) this.expiring.clear(topic)
    if (old === undefined) return
    if (old.message !== null) {
      this.count--
      this.bytes -= old.message.bytes
      this.journal.release(old.message)
    }
    this.journal.retainedTopic(topic)
  }

  /** Both nodes hold the same: deletions from before this need not be remembered any longer. @param before monotonic ms */
  forgetDeleted(before: number): void {
    for (const [topic, at] of this.deleted) {
      if (at >= before) return
      this.drop(topic)
    }
  }
}
