// Stream: a steady QoS 1 stream through a broker, and the longest pause in what arrives: the gap between two deliveries.
import { BenchClient, numbered, topicOf } from './client.ts'

const TICK_MS = 1
/** PUBACKs outstanding above which the publisher waits: below any server's Receive Maximum here. */
const UNACKED_MAX = 800

/** Moments, and the longest time between two of them. */
export class Pauses {
  longestMs = 0
  count = 0
  private lastAt = 0

  at(now: number): void {
    if (this.lastAt > 0) this.longestMs = Math.max(this.longestMs, now - this.lastAt)
    this.lastAt = now
    this.count++
  }

  /** The longest so far, a pause under way included; then counts anew. */
  take(now = performance.now()): number {
    const open = this.lastAt > 0 ? now - this.lastAt : 0
    const longest = Math.max(this.longestMs, open)
    this.longestMs = 0
    return longest
  }
}

/** Publishes; who hears it is added by listen(). */
export class Stream {
  /** This process: what the publisher itself was late. */
  readonly own = new Pauses()
  readonly acks = new Pauses()
  readonly topic = 'stream/t'
  private readonly publisher: BenchClient
  private readonly name: Uint8Array
  private readonly perSecond: number
  private sent = 0
  private timer: ReturnType<typeof setInterval> | null = null

  private constructor(publisher: BenchClient, perSecond: number) {
    this.publisher = publisher
    this.perSecond = perSecond
    this.name = topicOf(this.topic)
  }

  static async start(port: number, perSecond: number): Promise<Stream> {
    const stream = new Stream(await BenchClient.connected(port, 'stream-pub', true), perSecond)
    stream.run()
    return stream
  }

  /** A persistent subscriber on that node, from its SUBACK on. */
  async listen(port: number, clientId: string): Promise<{ pauses: Pauses; client: BenchClient }> {
    const client = await BenchClient.connected(port, clientId)
    const pauses = new Pauses()
    client.onDelivery = (_packet, at) => pauses.at(at)
    await client.subscribe(this.topic, 1)
    return { pauses, client }
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.publisher.end()
  }

  private run(): void {
    let acked = 0
    this.publisher.onAck = (at) => {
      acked++
      this.acks.at(at)
    }
    let due = 0
    let lastAt = performance.now()
    this.timer = setInterval(() => {
      const now = performance.now()
      this.own.at(now)
      due = Math.min(due + ((now - lastAt) * this.perSecond) / 1000, this.perSecond)
      lastAt = now
      while (due >= 1 && this.sent - acked < UNACKED_MAX) {
        due--
        this.publisher.publish(this.name, numbered(++this.sent), 1)
      }
      this.publisher.flush()
    }, TICK_MS)
  }
}
