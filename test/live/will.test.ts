// Wills of a killed node, live: the survivor publishes them once, after the grace, and not for clients that came back within it.
// timeout: 180 s

import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../../src/base/bytes.ts'
import type { ConnectFields, WillFields } from '../../src/wire/client_encoder.ts'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('will')
const GRACE_MS = 2_000
const CLIENTS = 30

const kept: Partial<ConnectFields> = { cleanStart: false, sessionExpiry: 600 }
const will = (id: string, more: Partial<WillFields> = {}): WillFields => ({
  topic: `will/${id}`,
  payload: utf8(`of ${id}`),
  qos: 1,
  retain: false,
  ...more,
})

/** Counts wills by topic until told to stop, acknowledging each. */
function watch(client: MqttClient): { counts: Map<string, number>; times: Map<string, number> } {
  const counts = new Map<string, number>()
  const times = new Map<string, number>()
  void (async () => {
    for (;;) {
      const packet = await client.next(60_000).catch(() => null)
      if (packet === null) return
      if (packet.cmd !== 'publish') continue
      counts.set(packet.topic, (counts.get(packet.topic) ?? 0) + 1)
      times.set(packet.topic, performance.now())
      if (packet.qos === 1) client.sendPuback(packet.packetId)
    }
  })()
  return { counts, times }
}

test('[MQTT-3.1.2-8] a killed node’s clients’ wills come once, and not for those that come back within the grace', async () => {
  await using pair = await PairProcesses.start(['--will-grace-ms', String(GRACE_MS)])
  const { a, b } = pair
  const watcher = await MqttClient.connect(a.place.mqtt, 'watcher')
  await watcher.subscribe('will/#', 1)
  const { counts, times } = watch(watcher)
  // A durable watcher on the node that dies finds them in its queue.
  const other = await MqttClient.connect(b.place.mqtt, 'other watcher', kept)
  await other.subscribe('will/#', 1)

  const ids = Array.from({ length: CLIENTS }, (_, i) => `c${i}`)
  /** Every third comes back, every third is clean, one in three has a durable session; some retained. */
  const clients = await Promise.all(
    ids.map((id, i) =>
      MqttClient.connect(b.place.mqtt, id, {
        ...(i % 3 === 1 ? {} : kept),
        will: will(id, { retain: i % 5 === 0 }),
      }),
    ),
  )
  const polite = await MqttClient.connect(b.place.mqtt, 'polite', { ...kept, will: will('polite') })
  await polite.disconnect()
  const patient = await MqttClient.connect(b.place.mqtt, 'patient', { ...kept, will: will('patient', { delay: 5 }) })
  await sleep(200)
  assert.is(counts.size, 0)

  const killedAt = performance.now()
  await b.kill9()
  const back = ids.filter((_, i) => i % 3 === 0)
  const returned = await Promise.all(
    back.map(async (id) => {
      for (;;) {
        try {
          return await MqttClient.connect(a.place.mqtt, id, kept)
        } catch {
          await sleep(20)
        }
      }
    }),
  )
  const servedMs = performance.now() - killedAt
  assert.ok(servedMs < GRACE_MS, `served within the grace: ${servedMs.toFixed(0)} ms`)
  for (const client of returned) assert.ok(client.present)
  await sleep(GRACE_MS + 1_500)
  const gone = ids.filter((id) => !back.includes(id))
  assert.equal(
    Object.fromEntries([...counts].sort()),
    Object.fromEntries(gone.map((id) => [`will/${id}`, 1] as const).sort()),
  )
  const first = Math.min(...times.values()) - killedAt
  assert.ok(first > GRACE_MS * 0.9, `the first came ${first.toFixed(0)} ms after the kill`)
  const again = await MqttClient.connect(a.place.mqtt, 'other watcher', kept)
  const queued = (await again.quiet(500)).map((packet) => (packet.cmd === 'publish' ? packet.topic : packet.cmd))
  assert.equal(queued.sort(), gone.map((id) => `will/${id}`).sort())
  console.log(
    `  ${gone.length} wills, once each; ${back.length} clients back after ${servedMs.toFixed(0)} ms, without theirs`,
  )

  await sleep(3_000)
  assert.is(counts.get('will/patient'), 1, 'a will with a longer delay comes when that is over')
  const before = new Map(counts)
  b.start()
  await pair.synced()
  await sleep(GRACE_MS + 1_000)
  assert.equal(counts, before, 'and none of them a second time when the node is back')
  const late = await MqttClient.connect(b.place.mqtt, 'late')
  await late.subscribe('will/#')
  const retained = (await late.quiet(500)).map((packet) =>
    packet.cmd === 'publish' ? text(packet.payload) : packet.cmd,
  )
  assert.equal(
    retained.sort(),
    gone
      .filter((id) => Number(id.slice(1)) % 5 === 0)
      .map((id) => `of ${id}`)
      .sort(),
  )
  for (const client of [...clients, ...returned, watcher, again, late, patient, other]) client.drop()
})

test('[MQTT-3.1.2-8] a will of a client of one node reaches subscribers of both, once', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const watchers = await Promise.all([a, b].map((place) => MqttClient.connect(place.mqtt, `watcher ${place.name}`)))
  for (const watcher of watchers) await watcher.subscribe('will/#', 1)
  for (const [i, place] of [a, b, a, b].entries()) {
    const client = await MqttClient.connect(place.mqtt, `c${i}`, { will: will(`c${i}`) })
    client.drop()
    for (const watcher of watchers) {
      const packet = await watcher.expect('publish')
      assert.is(packet.topic, `will/c${i}`)
      watcher.sendPuback(packet.packetId)
    }
  }
  for (const watcher of watchers) {
    assert.equal(await watcher.quiet(200), [])
    watcher.drop()
  }
})

test('[MQTT-3.1.3-9] a client that comes back on the other node takes its waiting will back', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  const watcher = await MqttClient.connect(a.mqtt, 'watcher')
  await watcher.subscribe('will/#', 1)
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const client = await MqttClient.connect(from.mqtt, 'c', { ...kept, will: will('c', { delay: 1 }) })
    client.drop()
    await sleep(300)
    const again = await MqttClient.connect(to.mqtt, 'c', kept)
    assert.ok(again.present)
    assert.equal(await watcher.quiet(1_500), [])
    await again.disconnect()
  }
  const client = await MqttClient.connect(b.mqtt, 'c', { ...kept, will: will('c', { delay: 1 }) })
  client.drop()
  assert.is((await watcher.expect('publish')).topic, 'will/c')
  assert.equal(await watcher.quiet(500), [])
  watcher.drop()
})

test.run()
