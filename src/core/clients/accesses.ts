// Accesses: the access rules in force, and their replacement while clients are connected. Judges nothing itself.
import type { AccessControl } from '../../connection/broker.ts'
import { Access, type AccessRules } from '../../topic/access.ts'
import type { BrokerNode } from '../node.ts'

export class Accesses implements AccessControl {
  /** Null until the first replacement. */
  private newer: AccessRules | null = null
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  of(username: string | null, clientId: string): Access | null {
    const rules = this.newer ?? this.node.config.access
    return rules === null ? null : new Access(rules, username, clientId)
  }

  /** Publishes and new subscriptions are judged by these from now on; subscriptions that are there stay. */
  replace(rules: AccessRules): void {
    this.newer = rules
    for (const c of this.node.all) {
      if (c.connect === null) continue
      c.access = this.of(c.username, c.connect.clientId)
      c.topic = null // judged anew with the next publish
    }
  }
}
