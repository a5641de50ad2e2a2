// HandOver: a client that goes from one living node to the other, again and again, and messages that cross between the two.
import type { Brokers, TandemPair } from './brokers.ts'
import { BenchClient, numbered, numberOf, topicOf } from './client.ts'
import type { Series } from './series.ts'

const WARM_UP = 100
const QUEUED = 1000

/**
 * CONNECT to CONNACK with nothing queued. The old connection ends as the new one opens. Each try is followed by one on a lone
 * broker, which moves nothing: what the machine itself makes late strikes both.
 */
export async function emptyHandOver(
  pair: TandemPair,
  control: Brokers,
  tries: number,
  times: Series,
  controlTimes: Series,
): Promise<void> {
  const moving = await BenchClient.connected(pair.a.pub, 'mover')
  const staying = await BenchClient.connected(control.pub, 'stayer')
  await Promise.all([moving.subscribe('mover/t', 1), staying.subscribe('stayer/t', 1)])
  let clients = [moving, staying]
  for (let i = 0; i < tries + WARM_UP; i++) {
    const places = [(i % 2 === 0 ? pair.b : pair.a).pub, control.pub]
    const next: BenchClient[] = []
    for (const [k, client] of clients.entries()) {
      client.end()
      const again = await BenchClient.open(places[k] as number, client.clientId)
      const from = performance.now()
      const { at, sessionPresent } = await again.connect()
      if (!sessionPresent) throw new Error('hand-over: the session is not there')
      if (i >= WARM_UP) (k === 0 ? times : controlTimes).add(at - from)
      next.push(again)
    }
    clients = next
  }
  for (const client of clients) client.end()
}

/** Messages were published while the client was away, on the node it had left; it comes back on the other one. */
export async function queuedHandOver(pair: TandemPair, tries: number, welcome: Series, last: Series): Promise<void> {
  const { a, b } = pair
  const topic = topicOf('queued/t')
  const payload = (n: number) => numbered(n)
  const publishers = await Promise.all([a, b].map((node, i) => BenchClient.connected(node.pub, `filler${i}`, true)))
  let client = await BenchClient.connected(a.pub, 'returner')
  await client.subscribe('queued/t', 1)
  let n = 0
  for (let i = 0; i < tries + 20; i++) {
    client.end()
    const publisher = publishers[i % 2] as BenchClient
    for (let j = 0; j < QUEUED; j++) publisher.publish(topic, payload(++n), 1)
    const acked = publisher.acks(QUEUED)
    publisher.flush()
    await acked
    client = await BenchClient.open((i % 2 === 0 ? b : a).pub, 'returner')
    const { promise, resolve } = Promise.withResolvers<number>()
    client.onDelivery = (packet, at) => {
      if (numberOf(packet.payload) === n) resolve(at)
    }
    const from = performance.now()
    const { at, sessionPresent } = await client.connect()
    if (!sessionPresent) throw new Error('hand-over: the session is not there')
    const lastAt = await within(promise, 'the last queued message')
    if (i < 20) continue
    welcome.add(at - from)
    last.add(lastAt - from)
  }
  for (const one of [client, ...publishers]) one.end()
}

/** One message at a time: published on one place, its subscriber on another. */
export class Crossing {
  private readonly publisher: BenchClient
  private readonly subscriber: BenchClient
  private readonly acked: Series
  private readonly delivered: Series
  private n = 0

  private constructor(publisher: BenchClient, subscriber: BenchClient, acked: Series, delivered: Series) {
    this.publisher = publisher
    this.subscriber = subscriber
    this.acked = acked
    this.delivered = delivered
  }

  static async open({ pub, sub }: Brokers, acked: Series, delivered: Series): Promise<Crossing> {
    const subscriber = await BenchClient.connected(sub, 'across-sub')
    await subscriber.subscribe('across/t', 1)
    return new Crossing(await BenchClient.connected(pub, 'across-pub', true), subscriber, acked, delivered)
  }

  async once(): Promise<void> {
    const { publisher, subscriber } = this
    const n = this.n++
    const { promise, resolve } = Promise.withResolvers<number>()
    subscriber.onDelivery = (packet, at) => {
      if (numberOf(packet.payload) === n) resolve(at)
    }
    const from = performance.now()
    publisher.publish(topicOf('across/t'), numbered(n), 1)
    const ack = publisher.acks(1)
    publisher.flush()
    const [ackAt, deliveredAt] = await Promise.all([ack, within(promise, 'the message on the other side')])
    if (n < WARM_UP) return
    this.acked.add(ackAt - from)
    this.delivered.add(deliveredAt - from)
  }

  end(): void {
    this.publisher.end()
    this.subscriber.end()
  }
}

/** The pair and the control in turns. */
export async function acrossNodes(crossings: readonly Crossing[], tries: number): Promise<void> {
  for (let i = 0; i < tries + WARM_UP; i++) for (const crossing of crossings) await crossing.once()
  for (const crossing of crossings) crossing.end()
}

async function within(promise: Promise<number>, what: string): Promise<number> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what} did not come in 20 s`)), 20_000)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
