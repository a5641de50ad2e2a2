// Crowd: all publishers and subscribers of a run, of both protocol versions, some of them roaming.

import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import type { Book } from './book.ts'
import type { StrictClient } from './client.ts'
import { Publisher } from './publisher.ts'
import { Subscriber } from './subscriber.ts'

export type CrowdSize = { readonly publishers: number; readonly subscribers: number; readonly perSecond: number }

export class Crowd {
  readonly publishers: Publisher[] = []
  readonly subscribers: Subscriber[] = []
  private readonly book: Book
  private waiting: { since: number; tell: (ms: number) => void } | null = null

  constructor(size: CrowdSize, port: number, book: Book, seed: number) {
    this.book = book
    const prng = (i: number) => new Prng(seed * 1000 + i)
    for (let i = 0; i < size.publishers; i++) {
      const spec = { id: `publisher-${i}`, version: i % 2 === 0 ? 5 : 4, roams: i % 3 === 2 } as const
      const publisher = new Publisher(spec, port, book, prng(i), size.perSecond / size.publishers)
      publisher.onAcked = (sentAt) => this.onAcked(sentAt)
      this.publishers.push(publisher)
    }
    for (let i = 0; i < size.subscribers; i++) {
      const spec = {
        ...({ id: `subscriber-${i}`, version: i % 2 === 0 ? 4 : 5, roams: i % 3 === 1 } as const),
        ...({ qos: i % 4 === 3 ? 1 : 2, slow: i % 2 === 1, resubscribes: i % 3 === 0 } as const),
      }
      this.subscribers.push(new Subscriber(spec, port, book, prng(500 + i)))
    }
  }

  get all(): readonly StrictClient[] {
    return [...this.publishers, ...this.subscribers]
  }

  /** Connects everybody; publishing begins once every subscription is acknowledged. */
  async start(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.start()
    await until(() => this.subscribers.every((s) => s.subscribed), 20_000, 'every SUBACK')
    for (const publisher of this.publishers) {
      publisher.start()
      publisher.publish(true)
    }
  }

  /** Milliseconds from now until a message sent from now on is acknowledged. */
  firstAck(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.waiting = { since: performance.now(), tell: resolve }
    return promise
  }

  private onAcked(sentAt: number): void {
    const { waiting } = this
    if (waiting === null || sentAt < waiting.since) return
    this.waiting = null
    waiting.tell(performance.now() - waiting.since)
  }

  /** Everybody but the roaming is connected. */
  async allUp(): Promise<void> {
    const stable = this.all.filter((client) => !client.spec.roams)
    await until(() => stable.every((client) => client.up), 30_000, 'every client connected')
  }

  /**
   * No new messages; waits until all are acknowledged and received, or nothing comes any more. Then everybody connects once
   * more: what a node still holds for somebody shows up here.
   */
  async settle(quietMs: number, msMax: number): Promise<void> {
    for (const publisher of this.publishers) publisher.publish(false)
    await this.quiet(quietMs, msMax)
    for (const client of this.all) client.roam()
    await until(() => this.all.every((client) => client.up), 30_000, 'every client connected').catch(() => {})
    await sleep(500)
    await this.quiet(quietMs, msMax)
  }

  private async quiet(quietMs: number, msMax: number): Promise<void> {
    const begun = performance.now()
    for (let now = begun; now - begun < msMax; now = performance.now()) {
      const idle = this.publishers.every((publisher) => publisher.idle)
      if (idle && this.book.complete) return
      if (idle && now - Math.max(begun, this.book.lastReceived) > quietMs) return
      await sleep(50)
    }
  }

  stop(): void {
    for (const client of this.all) client.stop()
  }
}

async function until(isSo: () => boolean, ms: number, what: string): Promise<void> {
  const end = performance.now() + ms
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`)
    await sleep(5)
  }
}
