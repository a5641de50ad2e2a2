// WebSocket, live: other people's clients (MQTT.js, a browser) and one that makes its frames by hand, on real nodes: packets cut
// and joined in any way, each thing that is refused, close codes, slow readers, drain, fail-over, origins, PROXY headers.
// timeout: 120 s

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient as JsClient } from 'mqtt'
import { utf8 } from '../../src/base/bytes.ts'
import { Chromium } from '../support/chromium.ts'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, PairProcesses, Proc, root } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'
import { upgradeRequest, WsClient } from '../support/ws_client.ts'
import { CLOSE, clientFrame, closePayload, joined, PING, PONG, TEXT } from '../support/ws_frames.ts'

const WAIT_MS = 15_000
const LOOPBACK = '127.0.0.1'

/** A node of its own with a WebSocket listener. */
class WsNode implements AsyncDisposable {
  readonly node: NodeProcess
  readonly ws: number
  private readonly folder: Folder

  private constructor(node: NodeProcess, ws: number, folder: Folder) {
    this.node = node
    this.ws = ws
    this.folder = folder
  }

  static async start(...args: string[]): Promise<WsNode> {
    const [mqtt, cluster, admin, ws] = (await freePorts(4)) as [number, number, number, number]
    const folder = new Folder()
    const listen = ['--listen-ws', `${LOOPBACK}:${ws}`, '--log-format', 'json']
    const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path, [...listen, ...args])
    node.start()
    await node.until('ready')
    return new WsNode(node, ws, folder)
  }

  get mqtt(): number {
    return this.node.place.mqtt
  }

  async metric(name: string): Promise<number> {
    const lines = (await (await fetch(this.node.url('/metrics'))).text()).split('\n')
    return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? 0)
  }

  /** Lines of the access log with this event and client. */
  async logged(event: string, match: Record<string, unknown>): Promise<Record<string, unknown>> {
    const isSo = (line: Record<string, unknown>) =>
      line['event'] === event && Object.entries(match).every(([key, value]) => line[key] === value)
    const end = performance.now() + WAIT_MS
    for (;;) {
      const lines = this.node.log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
      const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(isSo)
      if (found !== undefined) return found
      if (performance.now() > end) throw new Error(`not logged: ${event} ${JSON.stringify(match)}\n${this.node.log}`)
      await sleep(10)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.terminate()
    this.folder[Symbol.dispose]()
  }
}

function js(port: number, options: IClientOptions, path = '/mqtt'): Promise<JsClient> {
  return mqtt.connectAsync(`ws://${LOOPBACK}:${port}${path}`, { reconnectPeriod: 0, ...options })
}

const test = suite<{ a: WsNode }>('websocket')

test.before(async (context) => {
  context.a = await WsNode.start('--max-packet-bytes', '400000')
})
test.after(async ({ a }) => {
  await a[Symbol.asyncDispose]()
})

const versions: [string, IClientOptions][] = [
  ['3.1', { protocolVersion: 3, protocolId: 'MQIsdp' }],
  ['3.1.1', { protocolVersion: 4 }],
  ['5.0', { protocolVersion: 5 }],
]
for (const [version, options] of versions)
  test(`MQTT.js ${version}: each QoS, small and large, from WebSocket to TCP and back`, async ({ a }) => {
    const over = await js(a.ws, { ...options, clientId: `js-${version}` })
    const tcp = await MqttClient.connect(a.mqtt, `tcp-${version}`)
    await tcp.subscribe(`up-${version}/#`, 0)
    const got: string[] = []
    const { promise: all, resolve } = Promise.withResolvers<void>()
    over.on('message', (topic, payload) => {
      got.push(`${topic} ${payload.length}`)
      if (got.length === 12) resolve()
    })
    await over.subscribeAsync(`down-${version}/#`, { qos: 2 })
    const sizes = [0, 1, 120, 130, 65_530, 300_000]
    for (const [i, size] of sizes.entries()) {
      const payload = Buffer.alloc(size, i)
      await over.publishAsync(`up-${version}/${i}`, payload, { qos: (i % 3) as 0 | 1 | 2 })
      const packet = await tcp.expect('publish')
      assert.equal([packet.topic, packet.payload.length, packet.payload[0]], [`up-${version}/${i}`, size, payload[0]])
      for (const qos of [1, 2] as const) {
        tcp.sendPublish(`down-${version}/${i}`, payload, { qos, packetId: 2 * i + qos })
        await tcp.expect(qos === 1 ? 'puback' : 'pubrec')
        if (qos === 2) tcp.sendPubrel(2 * i + qos)
        if (qos === 2) await tcp.expect('pubcomp')
      }
    }
    await all
    assert.equal(
      got,
      sizes.flatMap((size, i) => [`down-${version}/${i} ${size}`, `down-${version}/${i} ${size}`]),
    )
    const row = ((await (await fetch(a.node.url('/api/v1/clients'))).json()) as Record<string, unknown>[]).find(
      ({ client }) => client === `js-${version}`,
    )
    assert.equal([row?.['transport'], row?.['protocol']], ['ws', version])
    await a.logged('connect', { client: `js-${version}`, transport: 'ws', protocol: version })
    await a.logged('connect', { client: `tcp-${version}`, transport: 'tcp' })
    await over.endAsync()
    await a.logged('disconnect', { client: `js-${version}`, clean: true })
    tcp.drop()
  })

const framings: [string, (packet: Uint8Array) => Uint8Array[]][] = [
  ['each byte a frame', (packet) => [...packet].map((byte) => clientFrame([byte]))],
  [
    'each byte a fragment of one message, pings between',
    (packet) =>
      [...packet].flatMap((byte, i) => [
        clientFrame([byte], { opcode: i === 0 ? 2 : 0, fin: i === packet.length - 1 }),
        clientFrame([i % 256], { opcode: PING }),
      ]),
  ],
]
for (const [title, framing] of framings)
  test(`[MQTT-6.0.0-2] [MQTT-3.1.1/6.0.0-2] ${title}: packets need not be aligned with frames`, async ({ a }) => {
    for (const version of [4, 5] as const) {
      const c = await WsClient.open(a.ws, 'split', version)
      c.framing = framing
      await c.handshake()
      await c.subscribe('split', 1)
      c.sendPublish('split', 'x'.repeat(200), { qos: 1 })
      const packets = [await c.next(), await c.next()]
      assert.equal(packets.map((packet) => packet?.cmd).toSorted(), ['puback', 'publish'])
      assert.ok(c.control.every(({ opcode }) => opcode === PONG))
      c.drop()
    }
  })

test('[MQTT-6.0.0-2] [MQTT-3.1.1/6.0.0-2] the whole conversation in one frame, sent byte by byte, right behind the request', async ({
  a,
}) => {
  const c = WsClient.dial(a.ws, 'eager')
  const packets: Uint8Array[] = []
  c.framing = (packet) => {
    packets.push(packet)
    return []
  }
  c.sendConnect()
  c.sendSubscribe('eager', 1)
  for (let i = 0; i < 20; i++) c.sendPublish('eager', `${i}`, { qos: 0 })
  c.sendPingreq()
  c.framing = null
  for (const byte of joined([upgradeRequest(a.ws), clientFrame(joined(packets))])) c.write(Uint8Array.of(byte))
  assert.is((await c.expect('connack')).reason, 0)
  await c.expect('suback')
  const rest: string[] = []
  while (rest.length < 21) {
    const packet = await c.next()
    if (packet === null) break
    rest.push(packet.cmd === 'publish' ? text(packet.payload) : packet.cmd)
  }
  assert.equal(
    rest.filter((item) => item !== 'pingresp'),
    Array.from({ length: 20 }, (_, i) => `${i}`),
  )
  c.drop()
})

test('[MQTT-6.0.0-1] [MQTT-3.1.1/6.0.0-1] a text frame: the client is told, closed with 1003, its will is sent, it is logged and counted', async ({
  a,
}) => {
  const watcher = await MqttClient.connect(a.mqtt, 'watcher')
  await watcher.subscribe('will', 0)
  const before = await a.metric('tandemq_faults_total{reason="protocolError"}')
  const will = { topic: 'will', payload: utf8('gone'), qos: 0 as const, retain: false }
  const c = await WsClient.connect(a.ws, 'texter', { will })
  c.frame(utf8('hello'), { opcode: TEXT })
  assert.is((await c.expect('disconnect')).reason, 0x82)
  assert.is(await c.closeOf(), 1003)
  assert.is(MqttClient.brief(await watcher.expect('publish')), 'will=gone')
  const { text: why } = await a.logged('client_fault', { client: 'texter' })
  assert.match(String(why), 'WebSocket: text frame')
  assert.is(await a.metric('tandemq_faults_total{reason="protocolError"}'), before + 1)
  watcher.drop()
  const old = await WsClient.connect(a.ws, 'old texter', { version: 4 })
  old.frame(utf8('hello'), { opcode: TEXT })
  assert.is(await old.closeOf(), 1003)
  assert.equal(old.takeAll(), [])
  const early = await WsClient.open(a.ws, 'early texter')
  early.frame(utf8('hello'), { opcode: TEXT })
  assert.is(await early.closeOf(), 1003)
})

test('[MQTT-6.0.0-3] [MQTT-3.1.1/6.0.0-3] a client that offers no subprotocol of MQTT gets 400 and is told what is expected', async ({
  a,
}) => {
  for (const offered of [null, 'soap', 'MQTT']) {
    const c = WsClient.dial(a.ws)
    c.write(upgradeRequest(a.ws, { 'Sec-WebSocket-Protocol': offered }))
    await c.ended
    assert.is(c.status, 400, c.answer)
    assert.match(c.answer, `Sec-WebSocket-Protocol must offer mqtt (or mqttv3.1), not ${offered ?? 'none'}`)
  }
})

test('[MQTT-6.0.0-4] [MQTT-3.1.1/6.0.0-4] the subprotocol is named in the answer, any path is taken, no extension is agreed on', async ({
  a,
}) => {
  for (const [offered, chosen] of [
    ['mqtt', 'mqtt'],
    ['mqttv3.1', 'mqttv3.1'],
    ['wamp, mqtt', 'mqtt'],
  ] as const)
    for (const path of ['/', '/mqtt', '/a/b?c=d']) {
      const c = WsClient.dial(a.ws)
      const fields = { 'Sec-WebSocket-Protocol': offered, 'Sec-WebSocket-Extensions': 'permessage-deflate' }
      c.write(upgradeRequest(a.ws, fields, path))
      await c.until(() => c.status === 101, '101')
      assert.match(c.answer, `\r\nSec-WebSocket-Protocol: ${chosen}\r\n`)
      assert.not.match(c.answer, /extensions/i)
      c.drop()
    }
})

test('whoever comes without WebSocket is told so: a page, an MQTT client', async ({ a }) => {
  const answer = await fetch(`http://${LOOPBACK}:${a.ws}/mqtt`)
  assert.is(answer.status, 426)
  assert.is(await answer.text(), 'this port takes MQTT over WebSocket only\n')
  const plain = WsClient.dial(a.ws)
  plain.write(Uint8Array.of(0x10, 0x0c))
  await plain.ended
  assert.is(plain.status, 400)
  assert.match(plain.answer, 'not an HTTP request')
})

test('pings are answered with their payload, also between the bytes of a packet; pongs are not', async ({ a }) => {
  const c = await WsClient.connect(a.ws, 'pinger')
  c.frame([], { opcode: PONG })
  for (const size of [0, 1, 125]) {
    const payload = Uint8Array.from({ length: size }, (_, i) => i)
    c.frame(payload, { opcode: PING })
    await c.until(() => c.control.length === 1, 'a pong')
    const pong = c.control.pop()
    assert.equal([pong?.opcode, pong?.payload], [PONG, payload])
  }
  await c.subscribe('still/there', 0)
  c.drop()
})

const ends: [string, (c: WsClient) => void, number][] = [
  ['DISCONNECT: 1000', (c) => c.sendDisconnect(), 1000],
  ['a close frame with 1001: the same', (c) => c.frame(closePayload(1001, 'bye'), { opcode: CLOSE }), 1001],
  ['a close frame with 4000: the same', (c) => c.frame(closePayload(4000), { opcode: CLOSE }), 4000],
  ['a close frame without code: one without code', (c) => c.frame([], { opcode: CLOSE }), 1005],
  ['a frame without mask: 1002', (c) => c.frame([0xc0, 0], { mask: null }), 1002],
  ['a reserved bit: 1002', (c) => c.frame([0xc0, 0], { reserved: 4 }), 1002],
  ['a close frame with 1005: 1002', (c) => c.frame(closePayload(1005), { opcode: CLOSE }), 1002],
  ['a close reason that is not UTF-8: 1007', (c) => c.frame([3, 0xe8, 0xc3], { opcode: CLOSE }), 1007],
  ['a malformed MQTT packet: 1002', (c) => c.frame([0xc1, 0]), 1002],
  [
    'an MQTT packet beyond --max-packet-bytes: 1009',
    (c) => c.frame([0x30, 0xff, 0xff, 0x7f], { length: 9_000_000 }),
    1009,
  ],
]
for (const [title, act, code] of ends)
  test(`how it ends: ${title}`, async ({ a }) => {
    for (const version of [4, 5] as const) {
      const c = await WsClient.connect(a.ws, 'ender', { version })
      act(c)
      assert.is(await c.closeOf(), code)
    }
  })

test('a frame of any length is taken while its packets are small: nothing of it is kept', async ({ a }) => {
  const c = await WsClient.connect(a.ws, 'endless')
  const packets = 20_000
  c.frame([], { length: 2 ** 40 })
  const pingreqs = new Uint8Array(2 * packets)
  const mask = [0x37, 0xfa, 0x21, 0x3d]
  for (let i = 0; i < pingreqs.length; i++) pingreqs[i] = (i % 2 === 0 ? 0xc0 : 0) ^ (mask[i % 4] as number)
  c.write(pingreqs)
  for (let i = 0; i < packets; i++) await c.expect('pingresp')
  c.drop()
})

test('a reader that stands still costs nobody else anything; when it reads again, its QoS 1 messages are all there', async ({
  a,
}) => {
  const c = await WsClient.connect(a.ws, 'slow', { cleanStart: false, sessionExpiry: 60 })
  await c.subscribe('flood', 1)
  c.socket.pause()
  const count = 400
  const pub = await MqttClient.connect(a.mqtt, 'flooder')
  const other = await WsClient.connect(a.ws, 'other')
  await other.subscribe('flood', 0)
  const payload = new Uint8Array(50_000)
  for (let i = 0; i < count; i++) {
    payload[0] = i % 256
    pub.sendPublish('flood', payload, { qos: 1, packetId: i + 1 })
    assert.is((await pub.expect('puback')).packetId, i + 1)
    assert.is((await other.expect('publish')).payload[0], i % 256)
  }
  c.frame([1], { opcode: PING })
  c.frame([2], { opcode: PING })
  c.socket.resume()
  for (let i = 0; i < count; i++) {
    const packet = await c.expect('publish')
    assert.equal([packet.payload.length, packet.payload[0]], [payload.length, i % 256])
    c.sendPuback(packet.packetId)
  }
  await c.until(() => c.control.some(({ payload: [first] }) => first === 2), 'the pong to the last ping')
  assert.ok(Math.max(...c.sizes) <= 65_536)
  for (const client of [c, pub, other]) client.drop()
})

test('anonymous clients are taken from this machine: not from a page of another site, not through a proxy', async ({
  a,
}) => {
  const connack = async (fields: Record<string, string>) => {
    const c = await WsClient.open(a.ws, 'anonymous', 5, fields)
    c.sendConnect()
    const { reason } = await c.expect('connack')
    c.drop()
    return reason
  }
  assert.is(await connack({}), 0)
  assert.is(await connack({ Origin: 'http://localhost:3000' }), 0)
  assert.is(await connack({ Origin: 'https://example.com' }), 0x87)
  assert.is(await connack({ 'X-Forwarded-For': '127.0.0.1' }), 0x87)
})

test('--ws-origin refuses other pages with 403, --proxy-protocol tells the address of a client over WebSocket', async () => {
  await using b = await WsNode.start('--ws-origin', 'https://Example.com:443', '--proxy-protocol', '--allow-anonymous')
  const header = utf8('PROXY TCP4 192.0.2.9 10.0.0.1 40320 8083\r\n')
  const answers: number[] = []
  for (const Origin of ['https://example.com', null, 'https://example.org', 'null']) {
    const c = WsClient.dial(b.ws, 'far')
    c.write(header, upgradeRequest(b.ws, { Origin }))
    await c.until(() => c.status > 0, 'an answer')
    answers.push(c.status)
    if (c.status === 101) await c.handshake()
    else await c.ended
    c.drop()
  }
  assert.equal(answers, [101, 101, 403, 403])
  await b.logged('connect', { client: 'far', address: '192.0.2.9:40320', transport: 'ws' })
  await b.logged('client_fault', { address: '192.0.2.9:40320', reason: 'notAuthorized' })
})

test('SIGTERM: clients over WebSocket are told and closed with 1001', async () => {
  await using b = await WsNode.start()
  const c = await WsClient.connect(b.ws, 'drained')
  const old = await WsClient.connect(b.ws, 'old drained', { version: 4 })
  assert.is(await b.node.terminate(), 0)
  assert.is((await c.expect('disconnect')).reason, 0x8b)
  assert.equal([await c.closeOf(), await old.closeOf()], [1001, 1001])
})

test('MQTT.js over WebSocket, its node killed: on the other node it goes on with its session', async () => {
  await using pair = await PairProcesses.start(['--listen-ws', `${LOOPBACK}:0`])
  const urls: string[] = []
  for (const node of pair.nodes) {
    const status = (await (await fetch(node.url('/api/v1/status'))).json()) as { listeners: { ws: string[] } }
    urls.push(status.listeners.ws[0] as string)
  }
  const servers = urls.map((url) => ({ host: LOOPBACK, port: Number(url.split(':')[1]), protocol: 'ws' as const }))
  const options: IClientOptions = { clientId: 'mover', clean: false, protocolVersion: 4, reconnectPeriod: 100 }
  const c = await mqtt.connectAsync({ ...options, servers, connectTimeout: 2_000 })
  c.on('error', () => {})
  await c.subscribeAsync('t', { qos: 1 })
  const { promise: moved, resolve } = Promise.withResolvers<boolean>()
  c.on('connect', ({ sessionPresent }) => resolve(sessionPresent))
  const { promise: got, resolve: onMessage } = Promise.withResolvers<string>()
  c.on('message', (_topic, payload) => onMessage(payload.toString()))
  await pair.a.kill9()
  assert.is(await moved, true)
  const pub = await MqttClient.connect(pair.b.place.mqtt, 'pub')
  pub.sendPublish('t', 'here', { qos: 1 })
  await pub.expect('puback')
  assert.is(await got, 'here')
  pub.drop()
  await c.endAsync(true)
})

test('tandemq sub and pub over WebSocket: what is sent is printed, a node that was killed is found again', async () => {
  await using b = await WsNode.start()
  const runner = 'Deno' in globalThis ? ['run', '-A', '--no-lock', 'src/main.ts'] : ['src/main.ts']
  const tandemq = (...args: string[]) => new Proc(process.execPath, [...runner, ...args])
  const flags = ['-V', '5', '-q', '2', '-c', '-i', 'cli', '-C', '2', '-d', '-F', '%t %l']
  const sub = tandemq('sub', '-L', `ws://${LOOPBACK}:${b.ws}/a/#`, ...flags)
  await b.logged('subscribe', { client: 'cli' })
  await b.logged('connect', { client: 'cli', transport: 'ws', protocol: '5.0' })
  const publish = async (topic: string, message: string) => {
    const pub = tandemq('pub', '--ws', '-h', LOOPBACK, '-p', `${b.ws}`, '-t', topic, '-m', message, '-q', '2')
    assert.is(await pub.ended, 0, pub.log)
  }
  await publish('a/1', 'x'.repeat(100_000))
  await b.node.kill9()
  b.node.start()
  await b.node.until('ready')
  await publish('a/2', '')
  assert.is(await sub.ended, 0, sub.log)
  assert.match(sub.log, /^a\/1 100000$/m)
  assert.match(sub.log, /^a\/2 0$/m)
  const [nobody] = (await freePorts(1)) as [number]
  const lost = tandemq('pub', '--ws', '-h', LOOPBACK, '-p', `${nobody}`, '-t', 't', '-m', 'x')
  assert.is(await lost.ended, 1)
  assert.match(lost.log, `cannot connect to ${LOOPBACK}:${nobody}`)
})

needs(test, 'chromium')(
  'MQTT.js in a browser: a page publishes and receives, and hears why its connection ends',
  async ({ a }) => {
    const script = readFileSync(join(root, 'node_modules/mqtt/dist/mqtt.min.js'))
    const page = '<!doctype html><script src="/mqtt.min.js"></script>'
    const site = createServer((request, response) => {
      const isScript = request.url === '/mqtt.min.js'
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? script : page)
    })
    await new Promise<void>((resolve) => site.listen(0, LOOPBACK, resolve))
    try {
      await using browser = await Chromium.start()
      await browser.open(`http://${LOOPBACK}:${(site.address() as AddressInfo).port}/`)
      const tcp = await MqttClient.connect(a.mqtt, 'beside the browser')
      await tcp.subscribe('from/page/#', 0)
      for (const version of [4, 5]) {
        const answer = browser.run(`(async () => {
        const c = await mqtt.connectAsync('ws://${LOOPBACK}:${a.ws}/mqtt', {
          clientId: 'page-${version}', protocolVersion: ${version}, reconnectPeriod: 0 })
        const got = []
        const all = new Promise((resolve) => c.on('message', (topic, payload) => {
          got.push(topic + ' ' + payload.length)
          if (got.length === 4) resolve()
        }))
        await c.subscribeAsync(['to/page', 'from/page/#'], { qos: 2 })
        for (const qos of [0, 1, 2]) await c.publishAsync('from/page/' + qos, new Uint8Array(100000), { qos })
        await all
        await c.endAsync()
        return got.sort()
      })()`)
        for (const qos of [0, 1, 2]) {
          const packet = await tcp.expect('publish', WAIT_MS)
          assert.equal([packet.topic, packet.payload.length], [`from/page/${qos}`, 100_000])
        }
        tcp.sendPublish('to/page', 'x'.repeat(200_000))
        const own = [0, 1, 2].map((qos) => `from/page/${qos} 100000`)
        assert.equal(await answer, [...own, 'to/page 200000'])
      }
      const closed = await browser.run(`new Promise((resolve) => {
      const socket = new WebSocket('ws://${LOOPBACK}:${a.ws}/', ['mqtt'])
      socket.onopen = () => socket.send('text')
      socket.onclose = ({ code, wasClean }) => resolve(code + ' ' + wasClean + ' ' + socket.protocol)
    })`)
      assert.is(closed, '1003 true mqtt')
      const refused = await browser.run(`new Promise((resolve) => {
      const socket = new WebSocket('ws://${LOOPBACK}:${a.ws}/')
      socket.onclose = ({ code }) => resolve(code)
    })`)
      assert.is(refused, 1006)
      tcp.drop()
    } finally {
      site.close()
      site.closeAllConnections()
    }
  },
)

test.run()
