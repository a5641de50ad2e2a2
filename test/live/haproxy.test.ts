// HAProxy, live: other people's clients through a real load balancer on two real nodes: publishers and subscribers on different
// nodes, a node that dies under its subscribers, and the clients' own addresses by PROXY protocol.
// timeout: 240 s

import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { Haproxy } from '../support/haproxy.ts'
import { MosquittoSub, mosquittoPub } from '../support/mosquitto.ts'
import { type NodeProcess, PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { has, needs } from '../support/tools.ts'

const WAIT_MS = 15_000
const TRIES_MAX = 20

type ClientRow = { client: string; node: string; connected: boolean; address: string | null }
type Received = { topic: string; text: string }

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS} ms for ${what}`)
    await sleep(10)
  }
}

async function rowOf(node: NodeProcess, client: string): Promise<ClientRow | undefined> {
  const rows = (await (await fetch(node.url('/api/v1/clients'))).json()) as ClientRow[]
  return rows.find((row) => row.client === client)
}

/** The node that has this client's connection. */
async function nodeOf(pair: PairProcesses, client: string): Promise<NodeProcess> {
  let found: NodeProcess | undefined
  await until(async () => {
    for (const node of pair.nodes) {
      const row = node.isUp ? await rowOf(node, client) : undefined
      if (row?.connected === true && row.node === node.place.name) found = node
    }
    return found !== undefined
  }, `${client} on a node`)
  return found as NodeProcess
}

/** MQTT.js, one client. */
class JsClient {
  readonly inner: MqttClient
  readonly received: Received[] = []
  readonly sessionPresent: boolean[] = []

  private constructor(inner: MqttClient) {
    this.inner = inner
    inner.on('message', (topic, payload) => void this.received.push({ topic, text: payload.toString() }))
    inner.on('connect', (packet) => void this.sessionPresent.push(packet.sessionPresent))
    inner.on('error', () => {})
  }

  static async connect(port: number, options: IClientOptions): Promise<JsClient> {
    const common = { host: '127.0.0.1', port, reconnectPeriod: 100, connectTimeout: 3_000, resubscribe: false }
    const client = new JsClient(mqtt.connect({ ...common, ...options }))
    await until(() => client.inner.connected, `${options.clientId} connected`)
    return client
  }

  /** Connects until it is on this node. */
  static async onNode(pair: PairProcesses, node: NodeProcess, port: number, options: IClientOptions) {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const client = await JsClient.connect(port, options)
      if ((await nodeOf(pair, options.clientId as string)) === node) return client
      await client.end()
    }
    throw new Error(`${options.clientId} was not put on node ${node.place.name} in ${TRIES_MAX} tries`)
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text)
  }

  async end(): Promise<void> {
    await this.inner.endAsync(true)
  }
}

const VERSIONS: readonly IClientOptions[] = [
  { protocolVersion: 4, clean: false },
  { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3600 } },
]

const all = suite<{ pair: PairProcesses; haproxy: Haproxy }>('haproxy')
const ready = has('haproxy', 'mosquitto_pub', 'mosquitto_sub', 'stdbuf')
const test = ready ? all : all.skip

all.before(async (context) => {
  if (!ready) return
  context.pair = await PairProcesses.start()
  context.haproxy = await Haproxy.start(context.pair.places)
})
all.after(async ({ pair, haproxy }) => {
  if (!ready) return
  await haproxy[Symbol.asyncDispose]()
  await pair[Symbol.asyncDispose]()
})

// A test that fails half way leaves a node dead; the next one is not to suffer from it.
all.before.each(async ({ pair, haproxy }) => {
  for (const node of pair.nodes) if (!node.isUp) node.start()
  await pair.synced()
  await haproxy.until((servers) => servers.every((server) => server.up))
})

for (const version of ['mqttv311', 'mqttv5']) {
  test(`mosquitto_pub reaches mosquitto_sub on both nodes, ${version}`, async ({ pair, haproxy }) => {
    const ids = ['s1', 's2'].map((id) => `${id}-${version}`)
    const subs: MosquittoSub[] = []
    for (const id of ids) {
      const sub = new MosquittoSub(haproxy.port, ['-V', version, '-i', id, '-t', `m/${version}/#`, '-q', '2', '-v'])
      await sub.said('Subscribed')
      subs.push(sub)
    }
    const [first, second] = [await nodeOf(pair, ids[0]!), await nodeOf(pair, ids[1]!)]
    assert.is.not(first, second, 'round robin puts the second client on the other node')
    const sent: string[] = []
    for (let i = 0; i < 6; i++) {
      const topic = `m/${version}/${i % 3}`
      const { code, log } = await mosquittoPub(haproxy.port, [
        '-V',
        version,
        '-t',
        topic,
        '-q',
        `${i % 3}`,
        '-m',
        `${i}`,
      ])
      assert.is(code, 0, log)
      sent.push(`${topic} ${i}`)
    }
    for (const sub of subs) assert.equal((await sub.received(sent.length)).toSorted(), sent.toSorted())
    for (const sub of subs) await sub.proc.terminate()
  })
}

for (const version of VERSIONS) {
  const name = version.protocolVersion === 5 ? '5.0' : '3.1.1'
  test(`MQTT.js ${name}: what is published on one node arrives from the other, each QoS, both ways`, async (context) => {
    const { pair, haproxy } = context
    for (const [from, to] of [pair.nodes, pair.nodes.toReversed()] as const) {
      const id = `${name}-${from!.place.name}`
      const sub = await JsClient.onNode(pair, to!, haproxy.port, { ...version, clientId: `sub-${id}` })
      const pub = await JsClient.onNode(pair, from!, haproxy.port, { ...version, clientId: `pub-${id}` })
      await sub.inner.subscribeAsync(`js/${id}/+`, { qos: 2 })
      const sent = Array.from({ length: 30 }, (_, i) => `${i}`)
      for (const text of sent) {
        const qos = (Number(text) % 3) as 0 | 1 | 2
        await pub.inner.publishAsync(`js/${id}/${qos}`, text, { qos })
      }
      await until(() => sub.received.length >= sent.length, `${sent.length} messages`)
      for (const qos of ['0', '1', '2']) {
        const own = sub.received.filter(({ topic }) => topic.endsWith(qos)).map(({ text }) => text)
        assert.equal(
          own,
          sent.filter((text) => `${Number(text) % 3}` === qos),
        )
      }
      await sub.end()
      await pub.end()
    }
  })

  test(`MQTT.js ${name}: a persistent subscriber goes on after kill -9 of its node`, async ({ pair, haproxy }) => {
    const clientId = `survivor-${name}`
    const topic = `go-on/${name}`
    const sub = await JsClient.connect(haproxy.port, { ...version, clientId })
    await sub.inner.subscribeAsync(topic, { qos: 2 })
    const node = await nodeOf(pair, clientId)
    const other = pair.other(node)
    const pub = await JsClient.onNode(pair, other, haproxy.port, { ...version, clientId: `talker-${name}` })
    const sent: string[] = []
    const publish = async (count: number) => {
      for (let i = 0; i < count; i++) {
        sent.push(`${sent.length}`)
        await pub.inner.publishAsync(topic, sent.at(-1) as string, { qos: 2 })
      }
    }
    await publish(20)
    const publishing = publish(60)
    await node.kill9()
    await publishing
    await until(() => sub.received.length >= sent.length, 'every message')
    assert.equal(sub.texts, sent)
    assert.equal(sub.sessionPresent, [false, true])
    assert.is(await nodeOf(pair, clientId), other)
    node.start()
    await pair.synced()
    await publish(10)
    await until(() => sub.received.length >= sent.length, 'what was sent after the node came back')
    assert.equal(sub.texts, sent)
    await sub.end()
    await pub.end()
  })
}

test('mosquitto_sub with a session goes on after kill -9 of its node', async ({ pair, haproxy }) => {
  const sub = new MosquittoSub(haproxy.port, ['-c', '-i', 'mosquitto-survivor', '-t', 'on/#', '-q', '1'])
  await sub.said('Subscribed')
  const node = await nodeOf(pair, 'mosquitto-survivor')
  // mosquitto_pub gives up with its connection; whoever means it tries again.
  const publish = (text: string) =>
    until(
      async () => (await mosquittoPub(haproxy.port, ['-t', 'on/1', '-q', '1', '-m', text])).code === 0,
      `"${text}" acknowledged`,
    )
  await publish('before')
  await sub.received(1)
  await node.kill9()
  await haproxy.until((servers) => servers.some((server) => !server.up))
  // mosquitto_sub waits a second before it connects again: these wait in its session.
  await publish('while away')
  await publish('still away')
  await until(() => new Set(sub.messages).size === 3, 'three messages')
  assert.equal([...new Set(sub.messages)], ['before', 'while away', 'still away'])
  assert.is(await nodeOf(pair, 'mosquitto-survivor'), pair.other(node))
  await sub.proc.terminate()
})

test('SIGTERM of a node: its clients are on the other at once, nothing is lost', async ({ pair, haproxy }) => {
  const version = VERSIONS[1] as IClientOptions
  const sub = await JsClient.connect(haproxy.port, { ...version, clientId: 'moved' })
  await sub.inner.subscribeAsync('moved', { qos: 1 })
  const node = await nodeOf(pair, 'moved')
  const pub = await JsClient.onNode(pair, pair.other(node), haproxy.port, { ...version, clientId: 'mover' })
  const publishing = (async () => {
    for (let i = 0; i < 50; i++) await pub.inner.publishAsync('moved', `${i}`, { qos: 1 })
  })()
  assert.is(await node.terminate(), 0)
  await publishing
  await until(() => new Set(sub.texts).size === 50, '50 messages')
  assert.equal(sub.sessionPresent, [false, true])
  await sub.end()
  await pub.end()
})

const proxied = suite('haproxy with PROXY protocol')

needs(
  proxied,
  'haproxy',
  'mosquitto_pub',
)("a node knows the client's own address, and takes no client without the header", async () => {
  await using pair = await PairProcesses.start(['--proxy-protocol'])
  await using haproxy = await Haproxy.start(pair.places, { sendProxy: true })
  for (const clientId of ['behind-1', 'behind-2']) {
    const client = await JsClient.connect(haproxy.port, { clientId })
    const { localPort } = client.inner.stream as unknown as Socket
    const row = await rowOf(await nodeOf(pair, clientId), clientId)
    assert.is(row?.address, `127.0.0.1:${localPort}`)
    await client.inner.subscribeAsync(clientId)
    await client.inner.publishAsync(clientId, 'hello', { qos: 1 })
    await until(() => client.received.length === 1, 'its own message')
    await client.end()
  }
  const { code } = await mosquittoPub(pair.a.place.mqtt, ['-t', 'x', '-m', 'x', '-q', '1'])
  assert.is.not(code, 0)
})

all.run()
proxied.run()
