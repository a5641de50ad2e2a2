// Turns: which turn is under way, what each left behind (a group of ops, a change on disk), and up to which turn outputs may
// leave: output commit. Knows neither connections nor what was changed.
import { assert } from '../base/assert.ts'
import { Deque } from '../base/deque.ts'

/** What outputs hang on, by mode. `hold`: nothing more is released. */
export type Basis = 'peer' | 'disk' | 'both' | 'hold'

type Left = { readonly turn: number; readonly lsn: number; readonly stream: number }
type Block = { readonly from: number; until: number }

export class Turns {
  /** The turn under way; outputs of this turn wait for it. */
  current = 1
  /** Every output up to this turn may leave. Never steps back. */
  released = 0
  /** Turns up to this one are on disk (fsync). */
  synced = 0
  private left = new Deque<Left>()
  private blocks: Block[] = []

  /** Ends the turn under way, which changed something. @param lsn 0: no group */
  end(lsn: number, stream: number): void {
    this.left.push({ turn: this.current, lsn, stream })
    this.current++
  }

  /** Outputs of `from` and later wait until `resolve` names the turn they also hang on (pair.md H13: the hold queue). */
  block(from: number): Block {
    const block = { from, until: Number.POSITIVE_INFINITY }
    this.blocks.push(block)
    return block
  }

  resolve(block: Block, until: number): void {
    block.until = until
  }

  /** @returns whether more is released than before */
  advance(basis: Basis, stream: number, acked: number): boolean {
    if (basis === 'hold') return false
    const before = this.released
    let reach = this.reach
    for (;;) {
      const item = this.left.peek()
      if (item === undefined || !this.covered(item, basis, stream, acked)) break
      reach = item.turn
      this.left.shift()
    }
    this.reach = reach
    if (this.blocks.length > 0) {
      this.blocks = this.blocks.filter((b) => b.until > reach)
      for (const b of this.blocks) if (b.from <= reach) reach = b.from - 1
    }
    if (reach > this.released) this.released = reach
    assert(this.released < this.current, 'the turn under way is never released')
    return this.released > before
  }
  private reach = 0

  private covered(item: Left, basis: Basis, stream: number, acked: number): boolean {
    const onDisk = item.turn <= this.synced
    // A turn of this stream without a group replicated nothing and gates nothing; one of an older stream counts by its disk position.
    const atPeer = item.stream === stream && stream !== 0 ? item.lsn <= acked : null
    if (basis === 'peer') return atPeer ?? onDisk
    if (basis === 'disk') return onDisk
    return onDisk && atPeer !== false
  }

  /** Some output may still wait. */
  get waiting(): boolean {
    return this.left.length > 0
  }
}
