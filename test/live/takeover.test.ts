// Take-over, live: one client identifier on both nodes at once, many times: never two connections that have their CONNACK and
// stay open, and one of them does. `TAKEOVER_DUELS=1000` fights more.
// timeout: 300 s

import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient } from '../support/mqtt_client.ts'
import { PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('takeover')
const DUELS = Number(process.env['TAKEOVER_DUELS'] ?? 150)
/** Two connections may be seen open for as long as the close takes to arrive. */
const CLOSE_MS = 250

type Contender = { client: MqttClient; accepted: boolean; reason: number | null }

function contend(port: number, id: string, durable: boolean): Contender {
  const client = MqttClient.open(port, id)
  client.sendConnect(durable ? { cleanStart: false, sessionExpiry: 60 } : {})
  const contender: Contender = { client, accepted: false, reason: null }
  void (async () => {
    for (;;) {
      const packet = await client.next(30_000).catch(() => null)
      if (packet === null) return
      if (packet.cmd === 'connack') contender.accepted = packet.reason === 0
      if (packet.cmd === 'connack' && packet.reason !== 0) contender.reason = packet.reason
      if (packet.cmd === 'disconnect') contender.reason = packet.reason
    }
  })()
  return contender
}

/** @returns whether exactly one of them is left, once everything has come to rest */
async function rest(contenders: readonly Contender[]): Promise<string | null> {
  const until = performance.now() + 8_000
  let problem: string | null = null
  for (;;) {
    await sleep(20)
    const open = contenders.filter((c) => !c.client.closed)
    const waiting = open.filter((c) => !c.accepted)
    const twice = open.filter((c) => c.accepted)
    if (waiting.length === 0 && twice.length === 1) return problem
    if (twice.length > 1) {
      await sleep(CLOSE_MS)
      const still = contenders.filter((c) => c.accepted && !c.client.closed)
      if (still.length > 1) problem = `${still.length} connections accepted and open`
      if (problem !== null && performance.now() > until) return problem
    }
    if (performance.now() > until)
      return `${twice.length} accepted and open, ${waiting.length} without an answer, of ${contenders.length}`
  }
}

for (const durable of [true, false])
  test(`[MQTT-3.1.4-3] ${durable ? 'a durable session' : 'a session without expiry'}: two at once, one stays`, async () => {
    await using pair = await PairProcesses.start()
    const [a, b] = pair.places
    const problems: string[] = []
    let told = 0
    for (let duel = 0; duel < DUELS; duel++) {
      const id = `duel-${duel % 7}`
      const ports = duel % 2 === 0 ? [a.mqtt, b.mqtt] : [b.mqtt, a.mqtt]
      if (duel % 3 === 2) ports.push(a.mqtt, b.mqtt)
      const contenders = ports.map((port) => contend(port, id, durable))
      const problem = await rest(contenders)
      if (problem !== null) problems.push(`duel ${duel}: ${problem}`)
      for (const { reason } of contenders) {
        if (reason === 0x8e) told++
        else if (reason !== null) problems.push(`duel ${duel}: told 0x${reason.toString(16)}`)
      }
      if (duel % 2 === 0) for (const { client } of contenders) client.drop()
    }
    console.log(`  ${DUELS} duels, ${told} told 0x8E`)
    assert.equal(problems, [])
  })

test('[MQTT-3.1.4-5] what a client sends behind CONNECT without waiting is done in order, once its session is there', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const kept = { cleanStart: false, sessionExpiry: 600 }
  for (let i = 0; i < 20; i++) {
    const client = MqttClient.open((i % 2 === 0 ? a : b).mqtt, 'hasty')
    client.sendConnect(kept)
    client.sendSubscribe('hasty', 1)
    client.sendPublish('hasty', `${i}`, { qos: 1 })
    client.sendPingreq()
    assert.is((await client.expect('connack')).sessionPresent, i > 0)
    await client.expect('suback')
    const rest = [await client.next(), await client.next(), await client.next()].map((packet) => packet?.cmd)
    assert.equal(rest.sort(), ['pingresp', 'puback', 'publish'])
    await client.disconnect()
    const again = await MqttClient.connect(a.mqtt, 'hasty', kept)
    again.sendPuback((await again.expect('publish')).packetId)
    await again.disconnect()
  }
})

test('a client that sends much before its CONNACK is not read further, and loses nothing', async () => {
  await using pair = await PairProcesses.start(['--suspect-ms', '8000', '--solo-ms', '9000'])
  const { a, b } = pair
  const received = async () => {
    const body = await (await fetch(a.url('/metrics'))).text()
    return Number(/^tandemq_bytes_received_total (\d+)/m.exec(body)?.[1])
  }
  const before = await received()
  b.pause()
  const client = MqttClient.open(a.place.mqtt, 'eager')
  client.sendConnect({ cleanStart: false, sessionExpiry: 60 })
  const messages = 200
  for (let i = 0; i < messages; i++) client.sendPublish('nowhere', 'x'.repeat(100_000))
  client.sendPublish('nowhere', 'last', { qos: 1 })
  await sleep(1_000)
  const held = (await received()) - before
  b.resume()
  await client.expect('connack')
  await client.expect('puback', 20_000)
  console.log(`  ${(held / 1024).toFixed(0)} KiB taken of ${(messages * 100_000) / 1024} before CONNACK`)
  assert.ok(held < 2 * 1024 * 1024, `${held} bytes`)
  assert.ok((await received()) - before > messages * 100_000)
  client.drop()
})

test('a session that hops between the nodes as fast as it can keeps its queue and its subscriptions', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const kept = { cleanStart: false, sessionExpiry: 600 }
  const first = await MqttClient.connect(a.mqtt, 'hopper', kept)
  await first.subscribe('hop', 2)
  const publisher = await MqttClient.connect(b.mqtt, 'publisher', kept)
  const times: number[] = []
  const seen = new Set<number>()
  let twice = 0
  const hops = 300
  const publishing = (async () => {
    for (let i = 0; i < hops; i++) {
      publisher.sendPublish('hop', `${i}`, { qos: 1, packetId: 1 + (i % 1000) })
      await publisher.expect('puback')
      await sleep(2)
    }
  })()
  let over = false
  void publishing.then(() => {
    over = true
  })
  for (let hop = 0; !over || hop % 2 === 1; hop++) {
    const started = performance.now()
    const client = await MqttClient.connect((hop % 2 === 0 ? b : a).mqtt, 'hopper', kept)
    times.push(performance.now() - started)
    assert.ok(client.present, `hop ${hop}`)
    const packet = await client.next(5)
    if (packet?.cmd === 'publish') {
      client.sendPuback(packet.packetId)
      const n = Number(new TextDecoder().decode(packet.payload))
      if (seen.has(n)) twice++
      seen.add(n)
    }
    client.drop()
  }
  await publishing
  const last = await MqttClient.connect(a.mqtt, 'hopper', kept)
  for (const packet of await last.quiet(500)) {
    if (packet.cmd === 'publish') seen.add(Number(new TextDecoder().decode(packet.payload)))
  }
  times.sort((x, y) => x - y)
  const p = (q: number) => times[Math.floor(times.length * q)]?.toFixed(1)
  console.log(`  ${times.length} hops, CONNECT to CONNACK p50 ${p(0.5)} ms, p99 ${p(0.99)} ms; ${twice} seen twice`)
  assert.is(seen.size, hops)
  for (const client of [publisher, last, first]) client.drop()
})

test.run()
