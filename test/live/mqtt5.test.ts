// MQTT 5.0, live: MQTT.js against two real nodes: topic aliases both ways, response information, reasons in words, server reference.
// timeout: 120 s

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import mqtt, { type IClientOptions, type MqttClient as JsClient } from 'mqtt'
import type { IPublishPacket, Packet } from 'mqtt-packet'
import { Folder, freePorts, type NodePlace, NodeProcess, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('MQTT 5.0, live')
const WAIT_MS = 15_000

/** A pair whose nodes know where clients reach the other one. */
class Pair implements AsyncDisposable {
  readonly a: NodeProcess
  readonly b: NodeProcess
  private readonly folder = new Folder()

  private constructor(a: NodePlace, b: NodePlace) {
    const flags = (other: NodePlace) => [
      ...['--server-reference', `127.0.0.1:${other.mqtt}`],
      ...['--response-information', 'answers/%c/', '--validate-utf8-payload', '--max-topic-levels', '5'],
    ]
    this.a = new NodeProcess(a, b, this.folder.path, flags(b))
    this.b = new NodeProcess(b, a, this.folder.path, flags(a))
  }

  static async start(): Promise<Pair> {
    const ports = await freePorts(6)
    const place = (name: string, i: number): NodePlace => {
      const [port, cluster, admin] = ports.slice(i, i + 3) as [number, number, number]
      return { name, mqtt: port, cluster, admin }
    }
    const pair = new Pair(place('a', 0), place('b', 3))
    pair.a.start()
    pair.b.start()
    await pair.a.until('synced')
    await pair.b.until('synced')
    return pair
  }

  /** A file that is no text. */
  notText(): string {
    const file = join(this.folder.path, 'bytes')
    writeFileSync(file, Uint8Array.of(0xff))
    return file
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a.kill9(), this.b.kill9()])
    this.folder[Symbol.dispose]()
  }
}

type Connack = Packet & { cmd: 'connack' }

async function connect(node: NodeProcess, clientId: string, options: IClientOptions): Promise<[JsClient, Connack]> {
  const url = `mqtt://127.0.0.1:${node.place.mqtt}`
  const client = mqtt.connect(url, { clientId, protocolVersion: 5, reconnectPeriod: 0, ...options })
  const { promise, resolve, reject } = Promise.withResolvers<Connack>()
  client.on('connect', (connack) => resolve(connack as Connack))
  client.on('error', reject)
  return [client, await promise]
}

/** The next packets of a kind that a client receives. */
async function received(client: JsClient, cmd: string, count = 1): Promise<Packet[]> {
  const found: Packet[] = []
  const { promise, resolve, reject } = Promise.withResolvers<Packet[]>()
  const timer = setTimeout(() => reject(new Error(`${found.length} of ${count} ${cmd} came`)), WAIT_MS)
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== cmd || found.length === count) return
    found.push(packet)
    if (found.length === count) resolve(found)
  })
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

test('MQTT.js uses topic aliases towards the one node and understands those of the other', async () => {
  await using pair = await Pair.start()
  const [sub] = await connect(pair.b, 'sub', { properties: { topicAliasMaximum: 3 } })
  await sub.subscribeAsync('plant/#', { qos: 1 })
  const [pub, connack] = await connect(pair.a, 'pub', { autoAssignTopicAlias: true })
  assert.is(connack.properties?.topicAliasMaximum, 65_535)
  const rounds = 6
  const topics = ['plant/hall/1/temperature', 'plant/hall/2/temperature', 'plant/hall/3/humidity']
  const expected: string[] = []
  const sent: string[] = []
  pub.on('packetsend', (packet) => {
    if (packet.cmd === 'publish') sent.push(packet.topic as string)
  })
  const got: string[] = []
  const wire: IPublishPacket[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  sub.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish') wire.push({ ...packet })
  })
  sub.on('message', (topic, payload) => {
    got.push(`${topic}=${payload}`)
    if (got.length === rounds * topics.length) resolve()
  })
  for (let i = 0; i < rounds; i++)
    for (const topic of topics) {
      expected.push(`${topic}=${i}`)
      await pub.publishAsync(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 0 })
    }
  await promise
  assert.equal(got.sort(), expected.sort())
  const aliased = wire.filter(({ properties }) => properties?.topicAlias !== undefined)
  assert.is(aliased.length, rounds * topics.length, 'the first of each topic gives it its alias')
  assert.is(wire.filter(({ topic }) => topic !== '').length, topics.length, 'and alone has its name')
  assert.is(new Set(aliased.map(({ properties }) => properties?.topicAlias)).size, 3)
  assert.ok(sent.includes(''), 'the publisher did too')
  await Promise.all([sub.endAsync(), pub.endAsync()])
})

test('MQTT.js and tandemq are told where answers go, why a payload is refused, and where to go when its node leaves', async () => {
  await using pair = await Pair.start()
  const [client, connack] = await connect(pair.a, 'c1', { properties: { requestResponseInformation: true } })
  assert.is(connack.properties?.responseInformation, 'answers/c1/')
  const refused = received(client, 'puback')
  const bad = { qos: 1, properties: { payloadFormatIndicator: true } } as const
  await client.publishAsync('t', Buffer.of(0xff), bad).catch(() => {})
  const [puback] = (await refused) as [Packet & { cmd: 'puback' }]
  assert.is(puback.reasonCode, 0x99)
  assert.is(puback.properties?.reasonString, 'payload is not UTF-8')
  const port = `${pair.a.place.mqtt}`
  const format = ['-D', 'publish', 'payload-format-indicator', '1']
  for (const [words, args] of [
    [/filter 1: not well formed, too long, or of too many levels/, ['sub', '-p', port, '-V', '5', '-t', 'a/b/c/d/e/f']],
    [/payload is not UTF-8/, ['pub', '-p', port, '-q', '1', '-t', 't', '-f', pair.notText(), ...format]],
  ] as const) {
    const proc = new Proc(process.execPath, [
      ...('Deno' in globalThis ? ['run', '-A', '--no-lock'] : []),
      'src/main.ts',
      ...args,
    ])
    assert.is.not(await proc.ended, 0)
    assert.match(proc.log, words)
  }
  const goodbye = received(client, 'disconnect')
  const ended = pair.a.terminate()
  const [disconnect] = (await goodbye) as [Packet & { cmd: 'disconnect' }]
  assert.is(disconnect.reasonCode, 0x9c)
  const reference = (disconnect.properties as { serverReference?: string } | undefined)?.serverReference
  assert.is(reference, `127.0.0.1:${pair.b.place.mqtt}`)
  assert.is(await ended, 0)
  const [moved] = await connect(pair.b, 'c1', {})
  await moved.endAsync()
})

test.run()
