// Shared subscriptions, live: workers of both nodes, MQTT.js, one node killed (kill -9) while messages flow. Every message that a
// publisher was told is taken reaches a worker; none reaches two that were not given it again.
// timeout: 180 s

import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import { PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('shared')
const MESSAGES = 2_000
/** Publishes under way at once: below the Receive Maximum of the broker, which the client does not heed. */
const WINDOW = 500

type Seen = { readonly worker: string; readonly dup: boolean }

/** A worker with a persistent session that reconnects to `ports` in turn, as a client behind a load balancer does. */
class Worker {
  readonly name: string
  count = 0
  private readonly client: MqttClient

  private constructor(name: string, client: MqttClient, seen: Map<string, Seen[]>) {
    this.name = name
    this.client = client
    client.on('message', (_topic, payload, packet) => {
      this.count++
      const text = payload.toString()
      const all = seen.get(text)
      const one = { worker: name, dup: packet.dup }
      if (all === undefined) seen.set(text, [one])
      else all.push(one)
    })
  }

  static async start(name: string, ports: readonly number[], filter: string, seen: Map<string, Seen[]>) {
    const client = await connectAsync({
      servers: ports.map((port) => ({ host: '127.0.0.1', port, protocol: 'mqtt' as const })),
      protocolVersion: 5,
      clientId: name,
      clean: false,
      reconnectPeriod: 50,
      properties: { sessionExpiryInterval: 600 },
    })
    const worker = new Worker(name, client, seen)
    await client.subscribeAsync(filter, { qos: 2 })
    return worker
  }

  async end(): Promise<void> {
    await this.client.endAsync(true)
  }
}

async function until(what: string, done: () => boolean, ms = 30_000): Promise<void> {
  const end = performance.now() + ms
  while (!done()) {
    if (performance.now() > end) throw new Error(`${what} takes too long`)
    await sleep(20)
  }
}

async function publisher(port: number): Promise<MqttClient> {
  return connectAsync({ host: '127.0.0.1', port, protocolVersion: 5, clientId: 'publisher', clean: false })
}

test('workers of both nodes share the messages of a publisher evenly, each one once', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const seen = new Map<string, Seen[]>()
  const workers = await Promise.all(
    [0, 1, 2, 3].map((i) => Worker.start(`w${i}`, [(i % 2 === 0 ? a : b).mqtt], '$share/workers/jobs/#', seen)),
  )
  const p = await publisher(a.mqtt)
  for (const qos of [0, 1, 2] as const) {
    seen.clear()
    for (const w of workers) w.count = 0
    for (let i = 0; i < MESSAGES; i += WINDOW) {
      const some = Array.from({ length: WINDOW }, (_, n) => `${qos}.${i + n}`)
      await Promise.all(some.map((text, n) => p.publishAsync(`jobs/${n}`, text, { qos })))
    }
    await until(`QoS ${qos}`, () => seen.size === MESSAGES)
    await sleep(100)
    for (const all of seen.values()) assert.is(all.length, 1)
    for (const w of workers) assert.is(w.count, MESSAGES / workers.length, `${w.name}, QoS ${qos}`)
  }
  await Promise.all([p.endAsync(true), ...workers.map((w) => w.end())])
})

for (const qos of [1, 2] as const)
  test(`a node is killed under its workers: nothing acknowledged is lost, QoS ${qos}`, async () => {
    await using pair = await PairProcesses.start()
    const [a, b] = pair.places
    const seen = new Map<string, Seen[]>()
    const workers = await Promise.all([
      Worker.start('stays', [a.mqtt], '$share/workers/jobs/#', seen),
      Worker.start('moves', [b.mqtt, a.mqtt], '$share/workers/jobs/#', seen),
      Worker.start('moves too', [b.mqtt, a.mqtt], '$share/workers/jobs/#', seen),
    ])
    const p = await publisher(a.mqtt)
    const acked = new Set<string>()
    const sent: Promise<void>[] = []
    for (let i = 0; i < MESSAGES; i++) {
      const text = `${i}`
      sent.push(p.publishAsync(`jobs/${i % 10}`, text, { qos }).then(() => void acked.add(text)))
      if (i === MESSAGES / 2) pair.b.kill9()
      if (i % 20 === 0) await sleep(1)
      await until('the window', () => i - acked.size < WINDOW)
    }
    await Promise.all(sent)
    assert.is(acked.size, MESSAGES)
    await until('what the dead node’s workers were given', () => seen.size === MESSAGES)
    await sleep(500)
    let again = 0
    for (const [text, all] of seen) {
      if (all.length === 1) continue
      again++
      assert.is(qos, 1, `message ${text} of QoS 2 came to ${all.map((s) => s.worker)}`)
      assert.is(new Set(all.map((s) => s.worker)).size, 1, `message ${text} came to ${all.map((s) => s.worker)}`)
    }
    console.log(
      `  QoS ${qos}: ${workers.map((w) => `${w.name} ${w.count}`).join(', ')}; ${again} came twice to one worker`,
    )
    assert.ok(workers.every((w) => w.count > MESSAGES / 10))
    await Promise.all([p.endAsync(true), ...workers.map((w) => w.end())])
  })

test('a worker without expiry dies: what it did not acknowledge goes to the others, whichever node they are at', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const seen = new Map<string, Seen[]>()
  const other = await Worker.start('other', [b.mqtt], '$queue/jobs', seen)
  const slow = await connectAsync({
    host: '127.0.0.1',
    port: a.mqtt,
    protocolVersion: 5,
    clientId: 'slow',
    properties: { receiveMaximum: 10 },
  })
  // It takes what comes and acknowledges nothing.
  slow.handleMessage = () => {}
  await slow.subscribeAsync('$queue/jobs', { qos: 1 })
  const p = await publisher(b.mqtt)
  await Promise.all(Array.from({ length: 100 }, (_, i) => p.publishAsync('jobs', `${i}`, { qos: 1 })))
  await until('the half of the other', () => seen.size === 50)
  slow.stream.destroy()
  await slow.endAsync(true)
  await until('the half of the one that died', () => seen.size === 100)
  for (const all of seen.values()) assert.is(all.length, 1)
  await Promise.all([p.endAsync(true), other.end()])
})

test.run()
