// Aliases: the topic aliases of one connection, both ways: what the client calls its topics, and what we call ours towards it.
// Knows no packets. Nothing of it outlives its connection [MQTT-3.3.2-7], and none of it may stand in bytes that connections share.
import { LIMITS } from '../base/limits.ts'
import type { TopicRef } from '../topic/topics.ts'
import { ALIAS_BYTES_MAX } from '../wire/encoder.ts'

/** The client's: made with its first alias. */
export class InboundAliases {
  private readonly topics = new Map<number, TopicRef>()
  private bytes = 0

  get(alias: number): TopicRef | undefined {
    return this.topics.get(alias)
  }

  /** @returns false where the names would take more room than a connection gets */
  set(alias: number, topic: TopicRef): boolean {
    const old = this.topics.get(alias)
    if (old === topic) return true
    const bytes = this.bytes + topic.bytes.length - (old === undefined ? 0 : old.bytes.length)
    if (bytes > LIMITS.aliasBytesMax) return false
    this.bytes = bytes
    this.topics.set(alias, topic)
    return true
  }
}

/** A topic that was met once. */
const MET = 0

/**
 * Ours: made for a client that takes some. While there are any, a topic gets its alias at once. Later it must come again before as
 * many others were met as there are aliases, for a name that comes once would only grow by its alias; then the alias that rested
 * longest goes to it (second chance), so that a few busy topics keep theirs among many rare ones.
 */
export class OutboundAliases {
  /** [MQTT-3.1.2-26] */
  private readonly max: number
  /** An alias, or MET. */
  private readonly known = new Map<TopicRef, number>()
  /** By alias - 1. */
  private readonly topics: TopicRef[] = []
  private readonly used: boolean[] = []
  private hand = 0
  /** The topics met last, in a ring. */
  private readonly met: TopicRef[] = []
  private metAt = 0
  /** A stream of messages to one topic looks it up once. */
  private last: TopicRef | null = null
  private lastAlias = 0

  constructor(max: number) {
    this.max = Math.min(max, LIMITS.aliasesOutMax)
  }

  /** The alias by which the client knows this topic; 0: none. */
  of(topic: TopicRef): number {
    if (topic === this.last) return this.lastAlias
    const alias = this.known.get(topic)
    if (alias === undefined || alias === MET) return 0
    this.used[alias - 1] = true
    this.last = topic
    this.lastAlias = alias
    return alias
  }

  /**
   * For a topic that is to be sent, and will be.
   * @param room bytes that the packet may still grow by
   * @returns the alias that goes in place of the name; 0: the name goes alone; below 0: the name goes with this alias
   */
  choose(topic: TopicRef, room: number): number {
    const alias = this.of(topic)
    if (alias !== 0 || room < ALIAS_BYTES_MAX) return alias
    const given = this.give(topic)
    return given === 0 ? 0 : -given
  }

  /** An alias for a topic that has none; 0: not yet. */
  private give(topic: TopicRef): number {
    if (topic.bytes.length < LIMITS.aliasedBytesMin) return 0
    const isLeft = this.topics.length < this.max
    if (!isLeft && !this.known.has(topic)) {
      this.meet(topic)
      return 0
    }
    const alias = isLeft ? this.topics.length + 1 : this.free()
    this.topics[alias - 1] = topic
    this.used[alias - 1] = true
    this.known.set(topic, alias)
    return alias
  }

  private meet(topic: TopicRef): void {
    const { met, known } = this
    const oldest = met[this.metAt]
    if (oldest !== undefined && known.get(oldest) === MET) known.delete(oldest)
    met[this.metAt] = topic
    this.metAt = this.metAt + 1 === this.max ? 0 : this.metAt + 1
    known.set(topic, MET)
  }

  private free(): number {
    while (this.used[this.hand] === true) this.advance()
    const alias = this.hand + 1
    const old = this.topics[this.hand] as TopicRef
    this.known.delete(old)
    if (this.last === old) this.last = null
    this.advance()
    return alias
  }

  private advance(): void {
    this.used[this.hand] = false
    this.hand = this.hand + 1 === this.max ? 0 : this.hand + 1
  }
}
