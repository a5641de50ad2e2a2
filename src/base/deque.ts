// Deque: a growing FIFO on a power-of-two ring, for queues whose bound is kept by their owner.
import { assert } from './assert.ts'

export class Deque<T> {
  private items: (T | undefined)[] = new Array(8)
  private head = 0
  length = 0

  push(item: T): void {
    if (this.length === this.items.length) this.grow()
    this.items[(this.head + this.length) & (this.items.length - 1)] = item
    this.length++
  }

  peek(): T | undefined {
    return this.length === 0 ? undefined : this.items[this.head]
  }

  /** The i-th item from the front. */
  at(i: number): T {
    assert(i >= 0 && i < this.length, 'deque index out of range')
    return this.items[(this.head + i) & (this.items.length - 1)] as T
  }

  last(): T | undefined {
    return this.length === 0 ? undefined : this.at(this.length - 1)
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.length--
    if (this.length === 0 && this.items.length > 1024) {
      this.items = new Array(8)
      this.head = 0
    }
    return item
  }

  clear(): void {
    this.items = new Array(8)
    this.head = 0
    this.length = 0
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }

  private grow(): void {
    const next: (T | undefined)[] = new Array(this.items.length * 2)
    for (let i = 0; i < this.length; i++) next[i] = this.items[(this.head + i) & (this.items.length - 1)]
    this.items = next
    this.head = 0
  }
}
