// Pipe: one direction of a byte stream: in order, delayed, sometimes slow, sometimes frozen. Knows nothing of its ends.
import type { World } from './world.ts'

/** How long things take on a network, drawn once per run. */
export type Latency = {
  readonly baseMs: number
  readonly jitterMs: number
  readonly tail: number
  readonly tailMs: number
}

export function draw(world: World, latency: Latency): number {
  const { prng } = world
  const ms = latency.baseMs + prng.next() * latency.jitterMs
  return latency.tail > 0 && prng.chance(latency.tail) ? ms + prng.next() * latency.tailMs : ms
}

type Item<T> = { at: number; readonly item: T; readonly size: number }

export class Pipe<T> {
  /** Bytes under way. */
  size = 0
  private readonly world: World
  private readonly latency: Latency
  private readonly deliver: (item: T) => void
  private items: Item<T>[] = []
  private last = 0
  private frozenUntil = 0
  private planned = false

  constructor(world: World, latency: Latency, deliver: (item: T) => void) {
    this.world = world
    this.latency = latency
    this.deliver = deliver
  }

  get empty(): boolean {
    return this.items.length === 0
  }

  get frozen(): boolean {
    return this.world.now < this.frozenUntil
  }

  push(item: T, size = 0): void {
    this.last = Math.max(this.last, this.world.now + draw(this.world, this.latency))
    this.items.push({ at: this.last, item, size })
    this.size += size
    this.plan()
  }

  /** Nothing arrives before `until`; Infinity: not before the next call. */
  freeze(until: number): void {
    this.frozenUntil = until
    this.plan()
  }

  /** Loses a random part of what is under way, from the end. */
  cut(): void {
    const keep = this.world.prng.int(0, this.items.length)
    for (const lost of this.items.splice(keep)) this.size -= lost.size
  }

  clear(): void {
    this.items = []
    this.size = 0
  }

  private plan(): void {
    const first = this.items[0]
    if (this.planned || first === undefined || this.frozenUntil === Number.POSITIVE_INFINITY) return
    this.planned = true
    this.world.at(Math.max(first.at, this.frozenUntil), this.fire)
  }

  private readonly fire = (): void => {
    this.planned = false
    const { now } = this.world
    while (now >= this.frozenUntil) {
      const first = this.items[0]
      if (first === undefined || first.at > now) break
      this.items.shift()
      this.size -= first.size
      this.deliver(first.item)
    }
    this.plan()
  }
}
