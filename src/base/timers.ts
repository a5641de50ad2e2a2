// Timers: one deadline per key in a binary heap; setting a key again moves it. Reads no clock.
import { assert } from './assert.ts'

type Item<K> = { key: K; at: number; live: boolean }

export class Timers<K> {
  private heap: Item<K>[] = []
  private byKey = new Map<K, Item<K>>()

  /** @param at monotonic milliseconds */
  set(key: K, at: number): void {
    assert(Number.isFinite(at), 'deadline must be finite')
    const old = this.byKey.get(key)
    if (old !== undefined) old.live = false
    const item = { key, at, live: true }
    this.byKey.set(key, item)
    this.heap.push(item)
    this.up(this.heap.length - 1)
    this.compactIfMostlyDead()
  }

  clear(key: K): void {
    const old = this.byKey.get(key)
    if (old === undefined) return
    old.live = false
    this.byKey.delete(key)
    this.compactIfMostlyDead()
  }

  has(key: K): boolean {
    return this.byKey.has(key)
  }

  deadline(key: K): number | undefined {
    return this.byKey.get(key)?.at
  }

  get size(): number {
    return this.byKey.size
  }

  /** The earliest deadline, Infinity when there is none. */
  next(): number {
    this.dropDead()
    return this.heap.length === 0 ? Number.POSITIVE_INFINITY : (this.heap[0] as Item<K>).at
  }

  /** Removes and returns one key whose deadline is not after `now`; undefined when none is due. */
  due(now: number): K | undefined {
    this.dropDead()
    const top = this.heap[0]
    if (top === undefined || top.at > now) return undefined
    this.pop()
    this.byKey.delete(top.key)
    return top.key
  }

  private dropDead(): void {
    while (this.heap.length > 0 && !(this.heap[0] as Item<K>).live) this.pop()
  }

  private compactIfMostlyDead(): void {
    if (this.heap.length <= 64 || this.byKey.size * 4 >= this.heap.length) return
    const live = this.heap.filter((item) => item.live)
    this.heap = []
    for (const item of live) {
      this.heap.push(item)
      this.up(this.heap.length - 1)
    }
  }

  private up(i: number): void {
    const { heap } = this
    const item = heap[i] as Item<K>
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as Item<K>
      if (above.at <= item.at) break
      heap[i] = above
      i = parent
    }
    heap[i] = item
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop() as Item<K>
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Item<K>).at < (heap[child] as Item<K>).at) child++
      if ((heap[child] as Item<K>).at >= last.at) break
      heap[i] = heap[child] as Item<K>
      i = child
    }
    heap[i] = last
  }
}
