// Interest: how many subscribers want each filter, so that the peer hears of the first and the last only.
import { assert } from '../base/assert.ts'

export class InterestCount {
  /** Invariant: every count is at least 1. */
  private readonly counts = new Map<string, number>()

  /** @returns true when this is the filter's first */
  add(filter: string): boolean {
    const count = this.counts.get(filter) ?? 0
    this.counts.set(filter, count + 1)
    return count === 0
  }

  /**
   * Takes back one add.
   * @returns true when it was the filter's last
   */
  remove(filter: string): boolean {
    const count = this.counts.get(filter)
    assert(count !== undefined, 'interest removed more often than added')
    if (count > 1) this.counts.set(filter, count - 1)
    else this.counts.delete(filter)
    return count === 1
  }

  /** Every filter that somebody wants, once. */
  filters(): IterableIterator<string> {
    return this.counts.keys()
  }
}
