// Heap: planned events by time, then by order of planning. Knows nothing of what they do.

export type Planned = { readonly at: number; readonly order: number; readonly run: () => void }

export class EventHeap {
  private readonly items: Planned[] = []
  private order = 0

  get size(): number {
    return this.items.length
  }

  /** Time of the next event; Infinity when there is none. */
  next(): number {
    return this.items.length === 0 ? Number.POSITIVE_INFINITY : (this.items[0] as Planned).at
  }

  push(at: number, run: () => void): void {
    const { items } = this
    const item = { at, order: this.order++, run }
    let i = items.length
    items.push(item)
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = items[up] as Planned
      if (before(parent, item)) break
      items[i] = parent
      i = up
    }
    items[i] = item
  }

  pop(): Planned | undefined {
    const { items } = this
    const top = items[0]
    const last = items.pop()
    if (top === undefined || last === undefined || items.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= items.length) break
      if (child + 1 < items.length && before(items[child + 1] as Planned, items[child] as Planned)) child++
      if (before(last, items[child] as Planned)) break
      items[i] = items[child] as Planned
      i = child
    }
    items[i] = last
    return top
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
