// Interest, live: a message crosses the link only if somebody there wants it: the link's byte counter stays flat while QoS 0
// messages flow on topics that nobody at the peer wants. `INTEREST_MESSAGES=…` sets how many.
// timeout: 180 s

import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient } from '../support/mqtt_client.ts'
import { type NodeProcess, PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('interest')
const MESSAGES = Number(process.env['INTEREST_MESSAGES'] ?? 100_000)
const BURST = 500
/** A heartbeat frame is smaller than this; four a second. */
const HEARTBEAT_BYTES = 64

async function metric(node: NodeProcess, name: string): Promise<number> {
  const body = await (await fetch(node.url('/metrics'))).text()
  return Number(new RegExp(`^tandemq_${name} (\\d+)`, 'm').exec(body)?.[1] ?? Number.NaN)
}

/** @returns bytes the link has carried from `node` while `act` ran, and the seconds that took */
async function linkBytes(node: NodeProcess, act: () => Promise<void>): Promise<{ bytes: number; seconds: number }> {
  await sleep(300)
  const before = await metric(node, 'link_bytes_out_total')
  const started = performance.now()
  await act()
  const after = await metric(node, 'link_bytes_out_total')
  return { bytes: after - before, seconds: (performance.now() - started) / 1000 }
}

async function stream(from: MqttClient, to: MqttClient, topic: string, messages: number): Promise<void> {
  for (let sent = 0; sent < messages; sent += BURST) {
    for (let i = 0; i < BURST; i++) from.sendPublish(topic, 'a message of some thirty bytes.')
    for (let i = 0; i < BURST; i++) await to.expect('publish')
  }
}

test('QoS 0 messages that nobody at the peer wants do not cross the link, those that somebody wants do', async () => {
  await using pair = await PairProcesses.start()
  const { a, b } = pair
  const publisher = await MqttClient.connect(a.place.mqtt, 'publisher')
  const here = await MqttClient.connect(a.place.mqtt, 'here')
  await here.subscribe('data/#')
  const there = await MqttClient.connect(b.place.mqtt, 'there')
  await there.subscribe('other/#')
  await there.subscribe('data')
  const durable = await MqttClient.connect(b.place.mqtt, 'durable', { cleanStart: false, sessionExpiry: 600 })
  await durable.subscribe('other/+', 1)

  const unwanted = await linkBytes(a, () => stream(publisher, here, 'data/x', MESSAGES))
  const allowed = Math.ceil(unwanted.seconds * 4 + 3) * HEARTBEAT_BYTES
  console.log(
    `  ${MESSAGES} messages nobody there wants: ${unwanted.bytes} bytes on the link (${allowed} for heartbeats)`,
  )
  assert.ok(unwanted.bytes <= allowed, `${unwanted.bytes} bytes`)

  await there.subscribe('data/#')
  const few = 2_000
  const wanted = await linkBytes(a, async () => {
    await Promise.all([
      stream(publisher, here, 'data/x', few),
      (async () => {
        for (let i = 0; i < few; i++) await there.expect('publish')
      })(),
    ])
  })
  console.log(`  ${few} messages somebody there wants: ${wanted.bytes} bytes`)
  assert.ok(wanted.bytes > few * 30)

  there.sendUnsubscribe('data/#')
  await there.expect('unsuback')
  const again = await linkBytes(a, () => stream(publisher, here, 'data/x', few))
  assert.ok(again.bytes <= Math.ceil(again.seconds * 4 + 3) * HEARTBEAT_BYTES, `${again.bytes} bytes after UNSUBSCRIBE`)

  // A connection without expiry takes its interest along.
  await there.subscribe('data/#')
  there.drop()
  await sleep(100)
  const gone = await linkBytes(a, () => stream(publisher, here, 'data/x', few))
  assert.ok(
    gone.bytes <= Math.ceil(gone.seconds * 4 + 3) * HEARTBEAT_BYTES,
    `${gone.bytes} bytes after the client left`,
  )
  for (const client of [publisher, here, durable]) client.drop()
})

test.run()
