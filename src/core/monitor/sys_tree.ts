// SysTree: what the node tells of itself under $SYS, to those who ask. Rendered when somebody wants it; never kept, queued, sent to the
// peer or written to disk. Knows neither what the values mean nor how they read.
import { utf8 } from '../../base/bytes.ts'
import type { Session, Subscription } from '../../session/session.ts'
import { isSys, SYS, topicFilter } from '../../topic/name.ts'
import { RetainedTree } from '../../topic/retained.ts'
import { TopicRef } from '../../topic/topics.ts'
import type { BrokerNode } from '../node.ts'
import { SysFigures, sysTopics } from './sys_topics.ts'

class Value {
  readonly topic: TopicRef
  private readonly read: () => string | number
  /** What every subscriber was told last; null: not all were told the same. */
  told: string | null = null

  constructor(name: string, read: () => string | number) {
    this.topic = new TopicRef(name, utf8(name))
    this.read = read
  }

  get text(): string {
    return String(this.read())
  }
}

export class SysTree {
  private readonly values = new RetainedTree<Value>()
  private readonly figures: SysFigures
  /** Monotonic ms of the next interval's begin; Infinity: there is no tree. */
  private nextAt: number
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    const { sysIntervalMs } = node.config
    this.node = node
    this.figures = new SysFigures(node)
    this.nextAt = sysIntervalMs === 0 ? Number.POSITIVE_INFINITY : node.now + sysIntervalMs
    if (sysIntervalMs === 0) return
    for (const [name, read] of sysTopics(node, this.figures)) this.values.set(name, new Value(name, read))
  }

  /** Some session of the pair has a filter that begins with $SYS. */
  private get wanted(): boolean {
    return this.node.sessions.tree.leadsTo(SYS)
  }

  /** An interval has passed: what has changed goes to its subscribers. */
  tick(): void {
    const { node } = this
    if (node.now < this.nextAt) return
    this.nextAt = node.now + node.config.sysIntervalMs
    this.figures.sample()
    if (!this.wanted) return
    for (const [, value] of this.values.entries()) {
      if (node.router.audience(value.topic) === 0) continue
      const { text } = value
      if (text === value.told) continue
      value.told = text
      node.router.tell(value.topic, utf8(text))
    }
  }

  /** Nobody is woken for values that nobody wants; loads are sampled with the first drain behind an interval all the same. */
  deadline(): number {
    return this.wanted ? this.nextAt : Number.POSITIVE_INFINITY
  }

  /** A new subscription gets the values as they are now, as retained messages [MQTT-3.3.1-8]. */
  replay(sub: Subscription): void {
    const { router } = this.node
    this.values.match(sub.filter, (_name, value) => {
      const { text } = value
      if (text !== value.told) value.told = router.audience(value.topic) === 1 ? text : null
      router.tellOne(sub, value.topic, utf8(text))
    })
  }

  /** A session goes on, perhaps from the other node: what its client knows of $SYS is old, or the other node's. */
  resumed(session: Session): void {
    if (!this.wanted) return
    for (const filter of session.subscriptions.keys())
      if (isSys(topicFilter(filter))) {
        for (const [, value] of this.values.entries()) value.told = null
        return
      }
  }
}
