// Rows: the tables of one store, changed by batches exactly as image.ts says, read back as an image. Knows no time.
import type {
  Batch,
  Image,
  InboundRow,
  MessageRow,
  PresenceRow,
  QueueRow,
  RetainedRow,
  SessionRow,
  ShadowRow,
  SubscriptionRow,
} from '../../src/session/image.ts'
import type { Held } from './check_promises.ts'
import { messageNumber } from './history.ts'

const NOTHING = new Uint8Array(0)

export class Rows {
  private readonly sessions = new Map<string, SessionRow>()
  private readonly subscriptions = new Map<string, Map<string, SubscriptionRow>>()
  private readonly messages = new Map<number, MessageRow>()
  private readonly queue = new Map<string, Map<number, QueueRow>>()
  private readonly shadows = new Map<string, Map<string, ShadowRow>>()
  private readonly inbound = new Map<string, Map<number, InboundRow>>()
  private readonly retained = new Map<string, RetainedRow>()
  private readonly presence = new Map<string, PresenceRow>()

  /** One transaction: first all that is gone, then the rows. */
  apply(batch: Batch): void {
    for (const client of batch.sessionsGone) {
      this.sessions.delete(client)
      this.subscriptions.delete(client)
      this.queue.delete(client)
      this.shadows.delete(client)
      this.inbound.delete(client)
    }
    for (const { client, filter } of batch.subscriptionsGone) this.subscriptions.get(client)?.delete(filter)
    for (const id of batch.messagesGone) this.messages.delete(id)
    for (const { client, pos } of batch.queueGone) this.queue.get(client)?.delete(pos)
    for (const row of batch.shadowsGone) this.shadows.get(row.client)?.delete(shadowKey(row))
    for (const { client, packetId } of batch.inboundGone) this.inbound.get(client)?.delete(packetId)
    for (const topic of batch.retainedGone) this.retained.delete(topic)
    for (const client of batch.presenceGone) this.presence.delete(client)
    for (const row of batch.sessions) this.sessions.set(row.client, row)
    for (const row of batch.subscriptions) inner(this.subscriptions, row.client).set(row.filter, row)
    for (const row of batch.messages) this.messages.set(row.id, row)
    for (const row of batch.queue) inner(this.queue, row.client).set(row.pos, row)
    for (const row of batch.shadows) inner(this.shadows, row.client).set(shadowKey(row), row)
    for (const row of batch.inbound) inner(this.inbound, row.client).set(row.packetId, row)
    for (const row of batch.retained) this.retained.set(row.topic, row)
    for (const row of batch.presence) this.presence.set(row.client, row)
  }

  /** What a start from this disk would find, for checks. */
  get held(): Held {
    const number = (row: { message: number }): number =>
      messageNumber(this.messages.get(row.message)?.payload ?? NOTHING)
    return {
      filters: (client) =>
        this.sessions.has(client) ? new Set(this.subscriptions.get(client)?.keys() ?? []) : undefined,
      inbound: (client, pid) => this.inbound.get(client)?.has(pid) === true,
      sent: (client, pid) => {
        for (const row of this.queue.get(client)?.values() ?? []) if (row.packetId === pid) return row.state
        return 0
      },
      message: (client, wanted) => {
        for (const row of this.queue.get(client)?.values() ?? []) if (number(row) === wanted) return true
        for (const row of this.shadows.get(client)?.values() ?? []) if (number(row) === wanted) return true
        return false
      },
    }
  }

  image(): Image {
    return {
      sessions: [...this.sessions.values()],
      subscriptions: flat(this.subscriptions),
      messages: [...this.messages.values()],
      queue: flat(this.queue).sort((a, b) => (a.client < b.client ? -1 : a.client > b.client ? 1 : a.pos - b.pos)),
      shadows: flat(this.shadows),
      inbound: flat(this.inbound),
      retained: [...this.retained.values()],
      presence: [...this.presence.values()],
    }
  }

  /** A group is on disk whole or not at all: nothing refers to what is not there. */
  flaw(): string | null {
    for (const row of flat(this.queue)) {
      if (!this.messages.has(row.message)) return `queue of ${row.client} refers to message ${row.message}, not there`
      if (!this.sessions.has(row.client)) return `queue row of ${row.client}, no session`
    }
    for (const row of flat(this.shadows)) {
      if (!this.messages.has(row.message)) return `shadow of ${row.client} refers to message ${row.message}, not there`
    }
    for (const row of this.retained.values()) {
      if (row.message !== 0 && !this.messages.has(row.message)) return `retained ${row.topic} refers to ${row.message}`
    }
    for (const row of flat(this.subscriptions)) {
      if (!this.sessions.has(row.client)) return `subscription ${row.filter} of ${row.client}, no session`
    }
    for (const row of flat(this.inbound)) {
      if (!this.sessions.has(row.client)) return `inbound ${row.packetId} of ${row.client}, no session`
    }
    return null
  }
}

function shadowKey(row: { readonly message: number; readonly share: string | null }): string {
  return `${row.message} ${row.share ?? ''}`
}

function inner<K, V>(table: Map<string, Map<K, V>>, key: string): Map<K, V> {
  let found = table.get(key)
  if (found === undefined) {
    found = new Map()
    table.set(key, found)
  }
  return found
}

function flat<K, V>(table: Map<string, Map<K, V>>): V[] {
  const all: V[] = []
  for (const rows of table.values()) for (const row of rows.values()) all.push(row)
  return all
}
