// Route: who wants the messages of one topic, found once and remembered with it until a subscription changes. Knows nothing of
// what is sent.
import { LIMITS } from '../../base/limits.ts'
import type { Session, Subscription } from '../../session/session.ts'
import type { Filed } from '../../session/sessions.ts'
import { ShareGroup } from '../../topic/share_group.ts'
import type { TopicRef } from '../../topic/topics.ts'
import type { QoS } from '../../wire/packet.ts'
import type { BrokerNode } from '../node.ts'

/** What one session gets of one topic. */
export type Target = {
  readonly session: Session
  readonly qos: QoS
  readonly retainAsPublished: boolean
  readonly ids: readonly number[] | null
  /** Some of the matching subscriptions do not want the client's own messages. */
  readonly noLocal: boolean
  readonly subscriptions: readonly Subscription[]
}
export type Route = {
  readonly targets: readonly Target[]
  /** Some session without expiry at the peer wants it. */
  readonly interest: boolean
  /** Shared subscriptions: one member of each takes it; null: none. */
  readonly groups: readonly ShareGroup<Subscription>[] | null
}

const NOWHERE: Route = { targets: [], interest: false, groups: null }

export class Routes {
  private readonly node: BrokerNode
  private readonly found: Filed[] = []
  /** Topics that remember a route, and what all those weigh. */
  private cached: TopicRef[] = []
  private weight = 0

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** The route of a topic, from its cache where no subscription has changed since. */
  of(topic: TopicRef): Route {
    const { tree } = this.node.sessions
    if (topic.version === tree.version) return topic.route as Route
    const { found } = this
    found.length = 0
    tree.match(topic.name, found)
    const bySession = new Map<Session, Subscription[]>()
    let interest = false
    let groups: ShareGroup<Subscription>[] | null = null
    for (const sub of found) {
      if (sub instanceof ShareGroup) {
        groups ??= []
        groups.push(sub)
      } else if (sub.session === this.node.peerInterest) interest = true
      else {
        const subs = bySession.get(sub.session)
        if (subs === undefined) bySession.set(sub.session, [sub])
        else subs.push(sub)
      }
    }
    const targets: Target[] = []
    for (const [session, subs] of bySession) targets.push(targetOf(session, subs) as Target)
    const route = targets.length === 0 && groups === null && !interest ? NOWHERE : { targets, interest, groups }
    this.remember(topic, route)
    topic.version = tree.version
    return route
  }

  /** Many topics with many subscribers each would be their product. */
  private remember(topic: TopicRef, route: Route): void {
    const before = topic.route as Route | null
    if (before === null) this.cached.push(topic)
    else this.weight -= 1 + before.targets.length
    this.weight += 1 + route.targets.length
    topic.route = route
    if (this.weight <= LIMITS.routedTargetsMax) return
    for (const each of this.cached) {
      if (each === topic) continue
      each.route = null
      each.version = -1
    }
    this.cached = [topic]
    this.weight = 1 + route.targets.length
  }
}

/** All matching subscriptions of one session become one delivery [MQTT-3.3.4-2]. */
export function targetOf(
  session: Session,
  subs: readonly Subscription[],
  publisher: string | null = null,
): Target | null {
  let qos: QoS = 0
  let any = false
  let retainAsPublished = false
  let noLocal = false
  let ids: number[] | null = null
  for (const sub of subs) {
    if (sub.noLocal) {
      noLocal = true
      if (publisher === session.clientId) continue
    }
    any = true
    if (sub.qos > qos) qos = sub.qos
    if (sub.retainAsPublished) retainAsPublished = true
    if (sub.id !== 0) {
      ids ??= []
      if (!ids.includes(sub.id)) ids.push(sub.id)
    }
  }
  return any ? { session, qos, retainAsPublished, ids, noLocal, subscriptions: subs } : null
}

/** What a session's queue takes of a message that must be kept. */
export type Want = { readonly qos: QoS; readonly retain: boolean; readonly ids: readonly number[] | null }
