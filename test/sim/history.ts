// History: what clients did, were promised and saw, for the checks. Changes nothing in the world.
import { matches } from '../../src/topic/name.ts'
import type { QoS } from './mqtt.ts'

const NEVER = Number.POSITIVE_INFINITY

export type Msg = {
  readonly i: number
  readonly client: string
  readonly topic: string
  readonly qos: QoS
  readonly retain: boolean
  /** Retained with no payload: takes the retained value away; nobody can tell it from another one. */
  readonly deletes: boolean
  readonly will: Conn | null
  /** Seconds; -1: none. */
  readonly expiry: number
  /** First and last time it was sent; NEVER: not yet. */
  sent: number
  resent: boolean
  /** PUBACK, PUBREC received. */
  acked: number
  /** The node's answer that takes responsibility has left it. */
  released: number
  /** By a session that survives: its identifiers do too. */
  lasting: boolean
}

export type Delivery = {
  readonly msg: Msg
  readonly at: number
  readonly qos: QoS
  readonly dup: boolean
  readonly retain: boolean
  readonly conn: Conn
}

/** A filter of one client from the SUBSCRIBE to its end; the four times bound what the broker may and must do. */
export type Sub = {
  readonly filter: string
  /** What it matches by. */
  readonly topics: string
  readonly shared: boolean
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainHandling: 0 | 1 | 2
  /** 0: none. */
  readonly id: number
  readonly asked: number
  /** SUBACK seen. */
  sure: number
  /** UNSUBSCRIBE (or another SUBSCRIBE) sent, or the session may have ended. */
  unsure: number
  /** UNSUBACK seen, or the session has certainly ended (-1: nothing of it may arrive any more). */
  gone: number
}

/** One connection of one client. */
export type Conn = {
  readonly client: string
  readonly number: number
  readonly node: string
  /** Session state kept beyond it. */
  readonly lasting: boolean
  readonly cleanStart: boolean
  readonly expirySec: number
  will: Msg | null
  readonly willDelaySec: number
  readonly begun: number
  /** CONNACK seen. */
  up: number
  /** The client's end is gone. */
  ended: number
  /** The node let go of its end. */
  serverEnded: number
  /** DISCONNECT sent: 0 none, 1 plain, 2 with the will. */
  bye: 0 | 1 | 2
  /** ... and the node has closed afterwards: it was carried out. */
  byeSeen: boolean
  /** Its node ended, or left service, while it stood. */
  died: boolean
  /** Its node stood still while it stood: the other one may have counted it as gone. */
  silentSince: number
}

export class Account {
  readonly id: string
  /** Several devices share the id: they take each other's packets. */
  readonly shared: boolean
  /** The shared subscription of whose group it is a member; null: none. */
  readonly member: string | null
  readonly subs: Sub[] = []
  readonly seen = new Map<number, Delivery[]>()
  readonly log: Delivery[] = []
  /** Messages that a node has dropped from its queue, and said so. */
  readonly lost = new Set<number>()
  readonly conns: Conn[] = []
  exists: 'yes' | 'no' | 'maybe' = 'no'
  expirySec = 0
  offlineSince = 0
  /** Its last CONNACK. */
  lastUp = 0
  /** The session may have ended last at ...: nothing sent before is owed. */
  endedAt = -1

  constructor(id: string, shared: boolean, member: string | null) {
    this.id = id
    this.shared = shared
    this.member = member
  }

  /** The session may have ended (`certain`: has ended). */
  end(now: number, certain: boolean): void {
    this.endedAt = now
    for (const sub of this.subs) {
      if (sub.unsure === NEVER) sub.unsure = now
      if (certain) sub.gone = -1
    }
  }

  /** A Clean Start that its client gave up may still have been under way at `since`: it ends the session that a later CONNECT made. */
  shaken(since: number): boolean {
    return this.conns.some((c) => c.cleanStart && c.up === NEVER && c.begun < since && c.serverEnded > since)
  }

  /** A subscription that could be why `msg` arrives now. */
  explains(msg: Msg): Sub[] {
    const since = msg.will === null ? msg.sent : 0
    return this.subs.filter(
      (s) => s.gone !== -1 && s.gone >= since && matches(s.topics, msg.topic) && !(s.noLocal && msg.client === this.id),
    )
  }

  /** It was subscribed, without any doubt, from `from` until `to`. */
  owed(msg: Msg, from: number, to: number): Sub | null {
    if (this.endedAt >= from) return null
    for (const s of this.subs) {
      if (s.shared || s.qos === 0 || s.sure > from || s.unsure <= to || (s.noLocal && msg.client === this.id)) continue
      if (this.shaken(s.asked)) continue
      if (matches(s.topics, msg.topic)) return s
    }
    return null
  }
}

export class History {
  readonly msgs: Msg[] = []
  readonly accounts = new Map<string, Account>()
  private conns = 0

  account(id: string, shared = false, member: string | null = null): Account {
    let found = this.accounts.get(id)
    if (found === undefined) {
      found = new Account(id, shared, member)
      this.accounts.set(id, found)
    }
    return found
  }

  message(
    fields: Pick<Msg, 'client' | 'topic' | 'qos' | 'retain' | 'deletes' | 'will' | 'expiry' | 'lasting'>,
    now: number,
  ): Msg {
    const msg: Msg = { ...fields, i: this.msgs.length, sent: now, resent: false, acked: NEVER, released: NEVER }
    this.msgs.push(msg)
    return msg
  }

  conn(
    fields: Omit<Conn, 'number' | 'up' | 'ended' | 'serverEnded' | 'bye' | 'byeSeen' | 'died' | 'silentSince' | 'will'>,
  ): Conn {
    const conn: Conn = {
      ...fields,
      number: ++this.conns,
      will: null,
      up: NEVER,
      ended: NEVER,
      serverEnded: NEVER,
      bye: 0,
      byeSeen: false,
      died: false,
      silentSince: NEVER,
    }
    this.account(conn.client).conns.push(conn)
    return conn
  }
}

export function payloadOf(msg: Msg, bytes: number): Uint8Array {
  const text = `${msg.i}.${msg.client}.`
  return new TextEncoder().encode(text.length < bytes ? text.padEnd(bytes, '-') : text)
}

/** Number of the message, from its payload; -1 where it does not say. */
export function messageNumber(payload: Uint8Array): number {
  let n = 0
  for (let i = 0; i < payload.length; i++) {
    const c = payload[i] as number
    if (c === 0x2e) return i === 0 ? -1 : n
    if (c < 0x30 || c > 0x39) return -1
    n = n * 10 + c - 0x30
  }
  return -1
}
