// FilterTree: which values were filed under filters that match a topic. Knows nothing of clients, QoS or share groups.
import { assert } from '../base/assert.ts'
import { isDollar } from './name.ts'

/** One level of some filter. Invariant: below the root, a node holds values or leads to some. */
class Node<V> {
  /** Values of filters that end at this level. */
  here: Set<V> | null = null
  /** Values of filters that end in `/#` below this level. */
  rest: Set<V> | null = null
  plus: Node<V> | null = null
  children: Map<string, Node<V>> | null = null

  isEmpty(): boolean {
    return this.here === null && this.rest === null && this.plus === null && this.children === null
  }
}

export class FilterTree<V> {
  private readonly root = new Node<V>()
  /** Grows whenever an answer of match may have changed: results are cached beside it. */
  version = 0
  /** Pairs of filter and value. */
  size = 0

  /** Files `value` under a well-formed filter; a pair that is there already changes nothing. */
  add(filter: string, value: V): void {
    const levels = filter.split('/')
    const rest = takeRest(levels)
    let node = this.root
    for (const level of levels) {
      if (level === '+') node = node.plus ??= new Node()
      else node = childOf(node, level)
    }
    const values = rest ? (node.rest ??= new Set()) : (node.here ??= new Set())
    if (values.has(value)) return
    values.add(value)
    this.size++
    this.version++
  }

  /** @returns false where the pair was not there */
  remove(filter: string, value: V): boolean {
    const levels = filter.split('/')
    const rest = takeRest(levels)
    const path: Node<V>[] = [this.root]
    let node = this.root
    for (const level of levels) {
      const next = level === '+' ? node.plus : node.children?.get(level)
      if (next == null) return false
      path.push((node = next))
    }
    const values = rest ? node.rest : node.here
    if (values === null || !values.delete(value)) return false
    if (values.size === 0) {
      if (rest) node.rest = null
      else node.here = null
      prune(path, levels)
    }
    this.size--
    this.version++
    return true
  }

  /** Some filter has this as its first level, and no wildcard. */
  leadsTo(level: string): boolean {
    return this.root.children?.has(level) === true
  }

  /** Appends every value whose filter matches: once per filter, values under one filter in the order they were added. */
  match(topic: string, out: V[]): void {
    const levels = topic.split('/')
    if (!isDollar(topic)) walk(this.root, levels, 0, out)
    else {
      const first = this.root.children?.get(levels[0] as string) // [MQTT-4.7.2-1] neither root.rest nor root.plus
      if (first !== undefined) walk(first, levels, 1, out)
    }
  }
}

function walk<V>(node: Node<V>, levels: readonly string[], depth: number, out: V[]): void {
  if (node.rest !== null) for (const value of node.rest) out.push(value)
  if (depth === levels.length) {
    if (node.here !== null) for (const value of node.here) out.push(value)
    return
  }
  const child = node.children?.get(levels[depth] as string)
  if (child !== undefined) walk(child, levels, depth + 1, out)
  if (node.plus !== null) walk(node.plus, levels, depth + 1, out)
}

/** Cuts a last level `#` off. */
function takeRest(levels: string[]): boolean {
  const at = levels.indexOf('#')
  if (at === -1) return false
  assert(at === levels.length - 1, 'a multi-level wildcard ends its filter')
  levels.pop()
  return true
}

function childOf<V>(node: Node<V>, level: string): Node<V> {
  const children = (node.children ??= new Map())
  let child = children.get(level)
  if (child === undefined) children.set(level, (child = new Node()))
  return child
}

/** Removes the empty nodes at the end of a path; levels[i] leads from path[i] to path[i + 1]. */
function prune<V>(path: readonly Node<V>[], levels: readonly string[]): void {
  for (let i = levels.length - 1; i >= 0 && (path[i + 1] as Node<V>).isEmpty(); i--) {
    const parent = path[i] as Node<V>
    if (levels[i] === '+') parent.plus = null
    else if (parent.children !== null) {
      parent.children.delete(levels[i] as string)
      if (parent.children.size === 0) parent.children = null
    }
  }
}
