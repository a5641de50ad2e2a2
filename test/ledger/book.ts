// Book: what was sent, acknowledged and received, and the verdict over it. Knows messages by stream and number only.

import type { QoS } from '../../src/wire/packet.ts'

const DETAILS_MAX = 20

/** A byte per number, from 1 on. */
class Tally {
  private bytes = new Uint8Array(1024)

  get(n: number): number {
    return this.bytes[n] ?? 0
  }

  /** @returns the new count, which stops at 255 */
  add(n: number): number {
    if (n >= this.bytes.length) {
      const wider = new Uint8Array(Math.max(n + 1, this.bytes.length * 2))
      wider.set(this.bytes)
      this.bytes = wider
    }
    return (this.bytes[n] = Math.min(255, this.get(n) + 1))
  }
}

/** One publisher's messages of one topic and one QoS: 1, 2, 3 … */
export class Stream {
  readonly name: string
  readonly topic: string
  readonly qos: 1 | 2
  sent = 0
  acked = 0
  readonly ackedNumbers = new Tally()
  /** When, by wall clock: to find it in the nodes' logs. */
  readonly ackedAt: number[] = []

  constructor(name: string, qos: 1 | 2) {
    this.name = name
    this.topic = `ledger/${qos}/${name}`
    this.qos = qos
  }

  text(n: number): string {
    return `${this.name} ${n}`
  }
}

/** What one subscriber has received. */
export class Account {
  readonly subscriber: string
  readonly qos: QoS
  readonly received = new Map<Stream, { counts: Tally; last: number }>()

  constructor(subscriber: string, qos: QoS) {
    this.subscriber = subscriber
    this.qos = qos
  }

  has(stream: Stream, n: number): boolean {
    return (this.received.get(stream)?.counts.get(n) ?? 0) > 0
  }
}

/** One column of the final table. */
export type Totals = { sent: number; acked: number; received: number; repeated: number; lost: number; disorder: number }

export class Book {
  readonly streams = new Map<string, Stream>()
  readonly accounts: Account[] = []
  /** Deliveries, repetitions and disorder by the stream's QoS. */
  private readonly columns = { 1: column(), 2: column() }
  /** Of QoS 2 messages for subscriptions of QoS 2. */
  qos2Repeated = 0
  sessionsLost = 0
  protocolFaults = 0
  /** The first violations in words. */
  readonly details: string[] = []
  /** When anything was last received, for the end of the run. */
  lastReceived = 0

  stream(name: string, qos: 1 | 2): Stream {
    const stream = new Stream(name, qos)
    this.streams.set(stream.name, stream)
    return stream
  }

  account(subscriber: string, qos: QoS): Account {
    const account = new Account(subscriber, qos)
    this.accounts.push(account)
    return account
  }

  acknowledged(stream: Stream, n: number): void {
    if (stream.ackedNumbers.add(n) > 1) return
    stream.acked++
    stream.ackedAt[n] = Date.now()
  }

  /** A message that is new as far as the subscriber's QoS 2 identifiers tell. */
  received(account: Account, topic: string, text: string): void {
    this.lastReceived = performance.now()
    const [name = '', number = ''] = text.split(' ')
    const stream = this.streams.get(name)
    const n = Number(number)
    if (stream === undefined || stream.topic !== topic || !(n >= 1 && n <= stream.sent)) {
      this.fault(account.subscriber, `received "${text}" on ${topic}, which nobody sent`)
      return
    }
    let seen = account.received.get(stream)
    if (seen === undefined) account.received.set(stream, (seen = { counts: new Tally(), last: 0 }))
    const totals = this.columns[stream.qos]
    if (seen.counts.add(n) > 1) {
      totals.repeated++
      if (stream.qos === 2 && account.qos === 2) {
        this.qos2Repeated++
        this.detail(`${account.subscriber} received QoS 2 message ${text} twice`)
      }
      return
    }
    totals.received++
    if (n < seen.last) {
      totals.disorder++
      this.detail(`${account.subscriber} received ${text} behind ${seen.last}`)
    }
    seen.last = Math.max(seen.last, n)
  }

  lostSession(client: string): void {
    this.sessionsLost++
    this.detail(`${client}: session not present, though it existed`)
  }

  fault(client: string, text: string): void {
    this.protocolFaults++
    this.detail(`${client}: ${text}`)
  }

  detail(text: string): void {
    if (this.details.length < DETAILS_MAX) this.details.push(`${new Date().toISOString()} ${text}`)
  }

  /** Acknowledged, and not (yet) received by one of the subscribers. */
  *missing(): Generator<{ account: Account; stream: Stream; n: number }> {
    for (const stream of this.streams.values()) {
      for (let n = 1; n <= stream.sent; n++) {
        if (stream.ackedNumbers.get(n) === 0) continue
        for (const account of this.accounts) if (!account.has(stream, n)) yield { account, stream, n }
      }
    }
  }

  /** Cheap: whether `missing` could yield anything. */
  get complete(): boolean {
    const [one, two] = [this.totals(1, 0), this.totals(2, 0)]
    const all = this.accounts.length
    return one.received >= one.acked * all && two.received >= two.acked * all
  }

  totals(qos: 1 | 2, lost: number): Totals {
    const totals = { ...this.columns[qos], lost }
    for (const stream of this.streams.values()) {
      if (stream.qos !== qos) continue
      totals.sent += stream.sent
      totals.acked += stream.acked
    }
    return totals
  }

  /** Counts what is lost, with the first few in words. */
  lost(): { 1: number; 2: number } {
    const lost = { 1: 0, 2: 0 }
    for (const { account, stream, n } of this.missing()) {
      lost[stream.qos]++
      const at = new Date(stream.ackedAt[n] ?? 0).toISOString()
      this.detail(`${account.subscriber} never received ${stream.text(n)} (QoS ${stream.qos}), acknowledged ${at}`)
    }
    return lost
  }
}

function column(): Totals {
  return { sent: 0, acked: 0, received: 0, repeated: 0, lost: 0, disorder: 0 }
}
