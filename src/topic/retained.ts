// RetainedTree: one value per topic, found by topic or by filter. Knows nothing of messages, expiry or quotas.
import { isDollar } from './name.ts'

/** One level of some topic. Invariant: below the root, a node has a value or leads to one. */
class Node<V> {
  readonly parent: Node<V> | null
  readonly level: string
  children: Map<string, Node<V>> | null = null
  /** The full name when a value is kept here, else null. */
  topic: string | null = null
  value: V | null = null
  /** Place of the topic in the order of insertion; ends a cursor. */
  born = 0

  constructor(parent: Node<V> | null, level: string) {
    this.parent = parent
    this.level = level
  }
}

/** A topic and its value, as long as both are there. `born` grows from one to the next. */
export type Kept<V> = { readonly topic: string | null; readonly value: V | null; readonly born: number }

type Visit<V> = (topic: string, value: V) => void

export type RetainedCursor<V> = {
  /** The next items, at most `max` of them; an empty answer is the end. */
  next(max: number): [topic: string, value: V][]
}

export class RetainedTree<V> {
  private readonly root = new Node<V>(null, '')
  private readonly byTopic = new Map<string, Node<V>>()
  private bornLast = 0

  get size(): number {
    return this.byTopic.size
  }

  get(topic: string): V | undefined {
    return this.byTopic.get(topic)?.value as V | undefined
  }

  /** A new value for a known topic leaves its place in the order as it is. */
  set(topic: string, value: V): void {
    let node = this.byTopic.get(topic)
    if (node === undefined) {
      node = this.root
      for (const level of topic.split('/')) node = childOf(node, level)
      node.topic = topic
      node.born = ++this.bornLast
      this.byTopic.set(topic, node)
    }
    node.value = value
  }

  /** @returns the value that was there */
  delete(topic: string): V | undefined {
    const node = this.byTopic.get(topic)
    if (node === undefined) return undefined
    const value = node.value as V
    this.byTopic.delete(topic)
    node.topic = null
    node.value = null
    prune(node)
    return value
  }

  /** Visits every topic that the well-formed filter matches, once; `visit` must not change the tree. */
  match(filter: string, visit: Visit<V>): void {
    if (filter.includes('+') || filter.includes('#')) walk(this.root, filter.split('/'), 0, visit)
    else {
      const node = this.byTopic.get(filter)
      if (node !== undefined) visitOne(node, visit)
    }
  }

  *entries(): Generator<[topic: string, value: V]> {
    for (const [topic, node] of this.byTopic) yield [topic, node.value as V]
  }

  /** Every topic with its value, in the order of insertion; may be interrupted while the tree changes. */
  kept(): IterableIterator<Kept<V>> {
    return this.byTopic.values()
  }

  /** None or one. */
  keptAt(topic: string): readonly Kept<V>[] {
    const node = this.byTopic.get(topic)
    return node === undefined ? [] : [node]
  }

  /**
   * Goes through the tree in slices, between which it may change: a topic that is there from this call to the end comes
   * exactly once, with its value of then. Topics inserted after this call do not come, so that the end is always reached.
   */
  cursor(): RetainedCursor<V> {
    const nodes = this.byTopic.values()
    const { bornLast } = this
    let done = false
    return {
      next: (max) => {
        const slice: [string, V][] = []
        while (!done && slice.length < max) {
          const { value: node } = nodes.next()
          if (node === undefined || node.born > bornLast) done = true
          else slice.push([node.topic as string, node.value as V])
        }
        return slice
      },
    }
  }
}

function walk<V>(node: Node<V>, levels: readonly string[], depth: number, visit: Visit<V>): void {
  const level = levels[depth]
  if (level === undefined || level === '#') visitOne(node, visit) // `#` matches the parent too
  if (level === undefined || node.children === null) return
  if (level !== '#' && level !== '+') {
    const child = node.children.get(level)
    if (child !== undefined) walk(child, levels, depth + 1, visit)
    return
  }
  for (const child of node.children.values()) {
    if (depth === 0 && isDollar(child.level)) continue // [MQTT-4.7.2-1]
    if (level === '#') visitAll(child, visit)
    else walk(child, levels, depth + 1, visit)
  }
}

function visitAll<V>(node: Node<V>, visit: Visit<V>): void {
  visitOne(node, visit)
  if (node.children !== null) for (const child of node.children.values()) visitAll(child, visit)
}

function visitOne<V>(node: Node<V>, visit: Visit<V>): void {
  if (node.topic !== null) visit(node.topic, node.value as V)
}

function childOf<V>(node: Node<V>, level: string): Node<V> {
  const children = (node.children ??= new Map())
  let child = children.get(level)
  if (child === undefined) children.set(level, (child = new Node(node, level)))
  return child
}

function prune<V>(node: Node<V>): void {
  while (node.parent !== null && node.topic === null && node.children === null) {
    const { parent } = node
    parent.children?.delete(node.level)
    if (parent.children?.size === 0) parent.children = null
    node = parent
  }
}
