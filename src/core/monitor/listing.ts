// Listing: the lists of the API, a page at a time: no request holds the node for longer than a page takes, however much there is.
// Changes nothing; knows no HTTP.
//
// Rows come in the order in which their sessions, connections and topics came to be. What is there from the first page to the last
// comes once; what comes or goes meanwhile may be missed. A cursor is a place in that order: it can be used again.
import { LIMITS } from '../../base/limits.ts'
import type { Connection } from '../../connection/connection.ts'
import type { RetainedItem } from '../../session/journal.ts'
import { Session } from '../../session/session.ts'
import { canonicalFilter, matches, shareName } from '../../topic/name.ts'
import type { Kept } from '../../topic/retained.ts'
import type { Presence } from '../clients/presence.ts'
import type { BrokerNode } from '../node.ts'

export type ListName = 'clients' | 'sessions' | 'subscriptions' | 'retained'

/** Null: whichever. */
export type ListQuery = {
  /** Rows at most; fewer come where much was passed over. */
  readonly limit: number
  /** Where a former page ended. */
  readonly cursor: string | null
  readonly client: string | null
  readonly node: string | null
  readonly connected: boolean | null
  /** A subscription's. */
  readonly filter: string | null
  /** Of retained messages: a name or a filter. */
  readonly topic: string | null
}

export type Row = Record<string, unknown>

/** `next`: the cursor of the page that follows; null after the last. */
export type Page = { readonly rows: readonly Row[]; readonly next: string | null }

/** What rows are made of. `born` grows from one to the next. */
type Item = Session | Presence | Kept<RetainedItem>

const NO_ROWS: readonly Row[] = []

/** One way through a list, interrupted between pages. */
class Walk {
  /** Behind the item born at `place`; at it where some of its rows are `given` already. */
  place: number
  given: number
  private ahead: Item | null = null
  private readonly items: Iterator<Item>

  constructor(items: Iterator<Item>, place: number, given: number) {
    this.items = items
    this.place = place
    this.given = given
  }

  peek(): Item | null {
    while (this.ahead === null) {
      const { value, done } = this.items.next()
      if (done) return null
      if (value.born < this.place || (value.born === this.place && this.given === 0)) continue
      if (value.born !== this.place) this.given = 0
      this.ahead = value
    }
    return this.ahead
  }

  pass(item: Item): void {
    this.ahead = null
    this.place = item.born
    this.given = 0
  }
}

export class Listing {
  private readonly node: BrokerNode
  /** The walk of the last page: the next one mostly goes on with it, and need not pass all that came before. */
  private left: { key: string; walk: Walk } | null = null

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** @returns null where the cursor is not one of this node since its start */
  page(list: ListName, query: ListQuery): Page | null {
    const walk = this.walk(list, query)
    if (walk === null) return null
    const rows: Row[] = []
    let effort = 0
    while (effort < LIMITS.listEffortMax) {
      const item = walk.peek()
      if (item === null) return { rows, next: null }
      const made = this.rowsOf(list, item, query)
      const from = walk.given
      const until = Math.min(made.length, from + query.limit - rows.length)
      for (let i = from; i < until; i++) rows.push(made[i] as Row)
      effort += 1 + made.length + (list === 'clients' && item instanceof Session ? item.subscriptions.size : 0)
      if (until < made.length) {
        if (until === 0) break
        walk.place = item.born
        walk.given = until
        break
      }
      walk.pass(item)
    }
    const next = [this.node.boot, walk.place, walk.given].map((n) => n.toString(36)).join('-')
    this.left = { key: keyOf(list, next, query), walk }
    return { rows, next }
  }

  private walk(list: ListName, query: ListQuery): Walk | null {
    if (query.cursor === null) return new Walk(this.items(list, query), 0, 0)
    const { left } = this
    if (left?.key === keyOf(list, query.cursor, query)) {
      this.left = null
      return left.walk
    }
    const [boot, place, given] = query.cursor.split('-').map((part) => Number.parseInt(part, 36))
    if (boot !== this.node.boot || !((place as number) >= 0 && (given as number) >= 0)) return null
    return new Walk(this.items(list, query), place as number, given as number)
  }

  /** What the list is made of, in its order; where the query names one, only that. */
  private *items(list: ListName, { client, topic }: ListQuery): Generator<Item> {
    const { sessions, presences, retained } = this.node
    if (list === 'retained') {
      if (topic === null || /[+#]/.test(topic)) yield* retained.tree.kept()
      else yield* retained.tree.keptAt(topic)
      return
    }
    if (client === null) yield* sessions.byClient.values()
    else yield* [sessions.get(client)].filter((s) => s !== undefined)
    if (list !== 'clients') return
    if (client === null) yield* presences.byClient.values()
    else yield* [presences.get(client)].filter((p) => p !== undefined)
  }

  /** None where the item does not match the query, or is gone by now. */
  private rowsOf(list: ListName, item: Item, query: ListQuery): readonly Row[] {
    if (list === 'retained') return retainedRows(item as Kept<RetainedItem>, query)
    if (item instanceof Session && item.ended) return NO_ROWS
    if (list === 'clients') return this.clientRows(item as Session | Presence, query)
    return list === 'sessions' ? this.sessionRows(item as Session, query) : subscriptionRows(item as Session, query)
  }

  private nodeOf(mine: boolean): string {
    return mine ? this.node.config.name : this.node.pairing.peerName
  }

  /** A client id that is connected or has a session, whichever node it is on. */
  private clientRows(item: Session | Presence, query: ListQuery): readonly Row[] {
    const session = item instanceof Session ? item : null
    const client = item instanceof Session ? item.clientId : item.client
    const p = this.node.presences.get(client)
    // Of a connection whose session is known here there is a row already.
    if (session === null && (p === undefined || this.node.sessions.get(client) !== undefined)) return NO_ROWS
    const c = (session?.attachment ?? null) as Connection | null
    const connected = c !== null || p?.up === true
    const node = this.nodeOf(c !== null || (p !== undefined ? p.mine : session?.mine === true))
    if (query.node !== null && query.node !== node) return NO_ROWS
    if (query.connected !== null && query.connected !== connected) return NO_ROWS
    const row = {
      client,
      node,
      connected,
      username: c?.username ?? null,
      address: c?.socket.address ?? null,
      transport: c?.socket.transport ?? null,
      protocol: c === null ? null : c.version === 5 ? '5.0' : c.version === 4 ? '3.1.1' : '3.1',
      expiry: session?.expiry ?? p?.expiry ?? 0,
      queued: session?.queue.count ?? 0,
      inflight: session?.inflight.size ?? 0,
      subscriptions: session === null ? [] : [...session.subscriptions.keys()],
    }
    return [row]
  }

  private sessionRows(session: Session, query: ListQuery): readonly Row[] {
    const { clientId: client, durable, mine, token, expiry, queue, inflight, inbound } = session
    const node = this.nodeOf(mine)
    if (query.node !== null && query.node !== node) return NO_ROWS
    if (query.connected !== null && query.connected !== (this.node.presences.get(client)?.up === true)) return NO_ROWS
    const counts = { queued: queue.count, inflight: inflight.size, inbound: inbound.size }
    return [{ client, node, durable, mine, epoch: token.epoch, expiry, ...counts }]
  }
}

function keyOf(list: ListName, cursor: string, { client, topic }: ListQuery): string {
  return JSON.stringify([list, cursor, client, topic])
}

function subscriptionRows(session: Session, query: ListQuery): readonly Row[] {
  const { clientId: client, subscriptions } = session
  const row = (filter: string, qos: number): Row => ({ client, filter, qos, share: shareName(filter) })
  if (query.filter === null) return Array.from(subscriptions.values(), (sub) => row(sub.filter, sub.qos))
  const one = subscriptions.get(canonicalFilter(query.filter))
  return one === undefined ? NO_ROWS : [row(one.filter, one.qos)]
}

function retainedRows({ topic, value }: Kept<RetainedItem>, query: ListQuery): readonly Row[] {
  const message = value?.message ?? null
  if (topic === null || message === null) return NO_ROWS
  if (query.topic !== null && !matches(query.topic, topic)) return NO_ROWS
  return [{ topic, qos: message.qos, bytes: message.payload.length, publisher: message.publisher }]
}
