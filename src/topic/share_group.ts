// ShareGroup: the members of one shared subscription, and which of them takes the next message. Knows neither sessions nor
// connections: how good a member is for a message, it is told.
import { assert } from '../base/assert.ts'
import { LIMITS } from '../base/limits.ts'
import type { Prng } from '../base/prng.ts'

export const SHARED_STRATEGIES = ['round-robin', 'random', 'sticky', 'least-inflight'] as const
export type SharedStrategy = (typeof SHARED_STRATEGIES)[number]

/** What a member is worth for the message at hand; the least takes it. */
export const Rank = { online: 0, offline: 1, full: 2, none: 3 } as const
export type Rank = (typeof Rank)[keyof typeof Rank]

export interface Judge<M> {
  /** `none`: it must not get the message. */
  rank(member: M): Rank
  /** Messages under way to it; -1: not known here. */
  load(member: M): number
}

/** A member's place. It outlives the member's options, and is known to be gone where somebody still refers to it. */
type Place<M> = { member: M; at: number }
const GONE = -1

export class ShareGroup<M> {
  /** The whole of it: `$share/{name}/{filter}`. */
  readonly filter: string
  private readonly places: Place<M>[] = []
  private readonly byMember = new Map<M, Place<M>>()
  /** Invariant: 0, or a place: who is asked first. */
  private turn = 0
  /** Where each publisher stays. */
  private readonly stuck = new Map<string, Place<M>>()

  constructor(filter: string) {
    this.filter = filter
  }

  get size(): number {
    return this.places.length
  }

  get members(): MapIterator<M> {
    return this.byMember.keys()
  }

  add(member: M): void {
    const place = { member, at: this.places.length }
    this.places.push(place)
    this.byMember.set(member, place)
  }

  /** The last one takes its place: thousands may leave at once. */
  remove(member: M): void {
    const place = this.byMember.get(member)
    const last = this.places.pop()
    assert(place !== undefined && last !== undefined, 'a member of the group')
    if (last !== place) {
      this.places[place.at] = last
      last.at = place.at
    }
    place.at = GONE
    this.byMember.delete(member)
    if (this.turn === this.places.length) this.turn = 0
  }

  /** It subscribes again with other options: its place and its publishers stay. */
  replace(old: M, member: M): void {
    const place = this.byMember.get(old)
    assert(place !== undefined, 'a member of the group')
    place.member = member
    this.byMember.delete(old)
    this.byMember.set(member, place)
  }

  /** The member that takes a message; null: nobody can. */
  pick(strategy: SharedStrategy, judge: Judge<M>, publisher: string, prng: Prng): M | null {
    switch (strategy) {
      case 'round-robin':
        return this.next(judge)?.member ?? null
      case 'random':
        return this.any(judge, prng)?.member ?? null
      case 'sticky':
        return this.same(judge, publisher, prng)?.member ?? null
      case 'least-inflight':
        return this.least(judge)?.member ?? null
    }
  }

  /** By turns. One look while the next one is online. */
  private next(judge: Judge<M>): Place<M> | null {
    const { places } = this
    let best: Place<M> | null = null
    let rank: Rank = Rank.none
    for (let i = 0, at = this.turn; i < places.length; i++, at++) {
      if (at === places.length) at = 0
      const place = places[at] as Place<M>
      const r = judge.rank(place.member)
      if (r >= rank) continue
      best = place
      rank = r
      if (r === Rank.online) break
    }
    if (best !== null) this.turn = best.at + 1 === places.length ? 0 : best.at + 1
    return best
  }

  /** One of the best by chance, all of them alike. */
  private any(judge: Judge<M>, prng: Prng): Place<M> | null {
    let rank: Rank = Rank.none
    let count = 0
    for (const { member } of this.places) {
      const r = judge.rank(member)
      if (r > rank || r === Rank.none) continue
      if (r < rank) count = 0
      rank = r
      count++
    }
    if (count === 0) return null
    let left = count === 1 ? 0 : prng.int(0, count - 1)
    for (const place of this.places) if (judge.rank(place.member) === rank && left-- === 0) return place
    return null
  }

  /** The one that this publisher's last message went to, while it is online; else another one, by chance. */
  private same(judge: Judge<M>, publisher: string, prng: Prng): Place<M> | null {
    const { stuck } = this
    const last = stuck.get(publisher)
    if (last !== undefined && last.at !== GONE && judge.rank(last.member) === Rank.online) return last
    const place = this.any(judge, prng)
    if (place === null || judge.rank(place.member) !== Rank.online) return place
    if (stuck.size >= LIMITS.stickyPublishersMax && last === undefined) stuck.clear()
    stuck.set(publisher, place)
    return place
  }

  /**
   * The one with the least under way. One whose load is not known here gets its share by turns: it would else get all that the
   * others are too busy for, or nothing.
   */
  private least(judge: Judge<M>): Place<M> | null {
    const { places } = this
    const from = this.turn
    let best = this.next(judge)
    if (best === null || judge.rank(best.member) !== Rank.online) return best
    let load = judge.load(best.member)
    for (let i = 0, at = from; i < places.length && load > 0; i++, at++) {
      if (at === places.length) at = 0
      const place = places[at] as Place<M>
      const l = judge.load(place.member)
      if (l < 0 || l >= load || judge.rank(place.member) !== Rank.online) continue
      best = place
      load = l
    }
    return best
  }
}
