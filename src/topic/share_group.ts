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

export class ShareGroup<M> {
  /** The whole of it: `$share/{name}/{filter}`. */
  readonly filter: string
  /** In order of joining. */
  readonly members: M[] = []
  /** Invariant: 0, or the place of a member: who is asked first. */
  private turn = 0
  /** The member each publisher stays with. */
  private readonly stuck = new Map<string, M>()

  constructor(filter: string) {
    this.filter = filter
  }

  add(member: M): void {
    this.members.push(member)
  }

  remove(member: M): void {
    const at = this.members.indexOf(member)
    assert(at !== -1, 'a member of the group')
    this.members.splice(at, 1)
    if (at < this.turn) this.turn--
    if (this.turn === this.members.length) this.turn = 0
    for (const [publisher, to] of this.stuck) if (to === member) this.stuck.delete(publisher)
  }

  /** It subscribes again with other options: its place and its publishers stay. */
  replace(old: M, member: M): void {
    const at = this.members.indexOf(old)
    assert(at !== -1, 'a member of the group')
    this.members[at] = member
    for (const [publisher, to] of this.stuck) if (to === old) this.stuck.set(publisher, member)
  }

  /** The member that takes a message; null: nobody can. */
  pick(strategy: SharedStrategy, judge: Judge<M>, publisher: string, prng: Prng): M | null {
    switch (strategy) {
      case 'round-robin':
        return this.next(judge)
      case 'random':
        return this.any(judge, prng)
      case 'sticky':
        return this.same(judge, publisher, prng)
      case 'least-inflight':
        return this.least(judge)
    }
  }

  /** By turns. One look while the next one is online. */
  private next(judge: Judge<M>): M | null {
    const { members } = this
    let best = -1
    let rank: Rank = Rank.none
    for (let i = 0, at = this.turn; i < members.length; i++, at++) {
      if (at === members.length) at = 0
      const r = judge.rank(members[at] as M)
      if (r >= rank) continue
      best = at
      rank = r
      if (r === Rank.online) break
    }
    if (best === -1) return null
    this.turn = best + 1 === members.length ? 0 : best + 1
    return members[best] as M
  }

  /** One of the best by chance, all of them alike. */
  private any(judge: Judge<M>, prng: Prng): M | null {
    let rank: Rank = Rank.none
    let count = 0
    for (const member of this.members) {
      const r = judge.rank(member)
      if (r > rank || r === Rank.none) continue
      if (r < rank) count = 0
      rank = r
      count++
    }
    if (count === 0) return null
    let left = count === 1 ? 0 : prng.int(0, count - 1)
    for (const member of this.members) if (judge.rank(member) === rank && left-- === 0) return member
    return null
  }

  /** The one that this publisher's last message went to, while it is online; else another one, by chance. */
  private same(judge: Judge<M>, publisher: string, prng: Prng): M | null {
    const { stuck } = this
    const last = stuck.get(publisher)
    if (last !== undefined && judge.rank(last) === Rank.online) return last
    const member = this.any(judge, prng)
    if (member === null || judge.rank(member) !== Rank.online) return member
    if (stuck.size >= LIMITS.stickyPublishersMax && last === undefined) stuck.clear()
    stuck.set(publisher, member)
    return member
  }

  /**
   * The one with the least under way. One whose load is not known here gets its share by turns: it would else get all that the
   * others are too busy for, or nothing.
   */
  private least(judge: Judge<M>): M | null {
    const { members } = this
    const from = this.turn
    let best = this.next(judge)
    if (best === null || judge.rank(best) !== Rank.online) return best
    let load = judge.load(best)
    for (let i = 0, at = from; i < members.length && load > 0; i++, at++) {
      if (at === members.length) at = 0
      const member = members[at] as M
      const l = judge.load(member)
      if (l < 0 || l >= load || judge.rank(member) !== Rank.online) continue
      best = member
      load = l
    }
    return best
  }
}
