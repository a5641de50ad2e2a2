// HandOver: a client that goes from one living node to the other, again and again, and messages that cross between the two.
import type { TandemPair } from './brokers.ts'
import { BenchClient, numbered, numberOf, topicOf } from './client.ts'
import type { Series } from './series.ts'

const WARM_UP = 100
const QUEUED = 1000

/** CONNECT to CONNACK with nothing queued. The old connection ends as the new one opens. */
export async function emptyHandOver(pair: TandemPair, tries: number, times: Series): Promise<void> {
  const { a, b } = pair
  let client = await BenchClient.connected(a.pub, 'mover')
  await client.subscribe('mover/t', 1)
  for (let i = 0; i < tries + WARM_UP; i++) {
    client.end()
    client = await BenchClient.open((i % 2 === 0 ? b : a).pub, 'mover')
    const from = performance.now()
    const { at, sessionPresent } = await client.connect()
    if (!sessionPresent) throw new Error('hand-over: the session is not there')
    if (i >= WARM_UP) times.add(at - from)
  }
  client.end()
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

/** One message at a time: published on one node, its subscriber on the other. */
export async function acrossNodes(pair: TandemPair, tries: number, acked: Series, delivered: Series): Promise<void> {
  const subscriber = await BenchClient.connected(pair.sub, 'across-sub')
  await subscriber.subscribe('across/t', 1)
  const publisher = await BenchClient.connected(pair.pub, 'across-pub', true)
  const topic = topicOf('across/t')
  for (let i = 0; i < tries + WARM_UP; i++) {
    const { promise, resolve } = Promise.withResolvers<number>()
    subscriber.onDelivery = (packet, at) => {
      if (numberOf(packet.payload) === i) resolve(at)
    }
    const from = performance.now()
    publisher.publish(topic, numbered(i), 1)
    const ack = publisher.acks(1)
    publisher.flush()
    const [ackAt, deliveredAt] = await Promise.all([ack, within(promise, 'the message on the other node')])
    if (i < WARM_UP) continue
    acked.add(ackAt - from)
    delivered.add(deliveredAt - from)
  }
  publisher.end()
  subscriber.end()
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
