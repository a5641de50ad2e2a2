// Drain, live: `tandemq drain` and SIGTERM hand all sessions to the peer, tell clients where to go, and end with exit code 0;
// under load nothing is lost. A lone node says that it shuts down, and has everything when it comes back.
// timeout: 240 s

import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../../src/base/bytes.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, PairProcesses, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('drain')
const kept: Partial<ConnectFields> = { cleanStart: false, sessionExpiry: 600 }
const args = 'Deno' in globalThis ? ['run', '-A', '--no-lock', 'src/main.ts'] : ['src/main.ts']

async function drainByCommand(node: NodeProcess): Promise<number | null> {
  const command = new Proc(process.execPath, [...args, 'drain', '--admin', `127.0.0.1:${node.place.admin}`])
  assert.is(await command.ended, 0, command.log)
  const until = performance.now() + 15_000
  while (node.isUp && performance.now() < until) await sleep(20)
  return node.isUp ? -1 : await node.terminate()
}

/** Reconnects wherever it is let in. */
async function connectAnywhere(ports: readonly number[], id: string, fields = kept): Promise<MqttClient> {
  const until = performance.now() + 20_000
  for (let i = 0; ; i++) {
    try {
      return await MqttClient.connect(ports[i % ports.length] as number, id, fields)
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(10)
    }
  }
}

for (const way of ['tandemq drain', 'SIGTERM'] as const)
  test(`${way}: sessions go to the peer, clients are told 0x9C, exit code 0`, async () => {
    await using pair = await PairProcesses.start()
    const { a, b } = pair
    const watcher = await MqttClient.connect(b.place.mqtt, 'watcher')
    await watcher.subscribe('will/#', 1)
    const offline = await MqttClient.connect(a.place.mqtt, 'offline', kept)
    await offline.subscribe('t', 2)
    await offline.disconnect()
    const online = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        MqttClient.connect(a.place.mqtt, `c${i}`, {
          ...kept,
          will: { topic: `will/c${i}`, payload: utf8('x'), qos: 1, retain: false },
        }),
      ),
    )
    for (const client of online) await client.subscribe('t', 1)
    const old = await MqttClient.connect(a.place.mqtt, 'old', { version: 4, cleanStart: false })
    const publisher = await MqttClient.connect(b.place.mqtt, 'publisher', kept)
    for (let i = 0; i < 10; i++) {
      publisher.sendPublish('t', `${i}`, { qos: 1 })
      await publisher.expect('puback')
    }
    const started = performance.now()
    const code = way === 'SIGTERM' ? await a.terminate() : await drainByCommand(a)
    const ms = performance.now() - started
    assert.is(code, 0, a.log.slice(-2000))
    for (const client of online) {
      const packets = await client.quiet(1_000)
      assert.is(packets.length, 11)
      const last = packets.at(-1)
      assert.ok(last?.cmd === 'disconnect' && last.reason === 0x8b, JSON.stringify(last))
    }
    assert.equal(await old.quiet(100), [])
    assert.ok(old.closed)
    assert.is((await b.health('ready'))?.status, 200)
    for (let i = 0; i < 20; i++) {
      const client = await MqttClient.connect(b.place.mqtt, `c${i}`, kept)
      assert.ok(client.present)
      for (let n = 0; n < 10; n++) {
        const packet = await client.expect('publish')
        assert.is(MqttClient.brief(packet), `t=${n}`)
        assert.ok(packet.dup)
      }
      client.drop()
    }
    const waited = await MqttClient.connect(b.place.mqtt, 'offline', kept)
    assert.ok(waited.present)
    for (let n = 0; n < 10; n++) assert.is(MqttClient.brief(await waited.expect('publish')), `t=${n}`)
    assert.ok((await MqttClient.connect(b.place.mqtt, 'old', { version: 4, cleanStart: false })).present)
    assert.equal(await watcher.quiet(200), [], 'no will of those that were sent away')
    console.log(`  gone in ${ms.toFixed(0)} ms`)
    a.start()
    await pair.synced()
    for (const client of [...online, waited, publisher, watcher, old, offline]) client.drop()
  })

test('both nodes one after the other, again and again, under load: nothing is lost, nothing of QoS 2 doubled', async () => {
  await using pair = await PairProcesses.start()
  const ports = pair.places.map((place) => place.mqtt)
  const got = new Map<string, number>()
  let over = false
  const subscriber = (async () => {
    const held = new Set<number>()
    for (let idle = 0; idle < 4; ) {
      const client = await connectAnywhere(ports, 'subscriber')
      if (!got.has('start')) {
        await client.subscribe('load/#', 2)
        got.set('start', 1)
      } else assert.ok(client.present)
      for (;;) {
        const packet = await client.next(500)
        if (packet === null && over) idle++
        if (packet === null && (client.closed || idle >= 4)) break
        if (packet?.cmd === 'disconnect') break
        if (packet?.cmd === 'pubrel') {
          held.delete(packet.packetId)
          client.sendPubcomp(packet.packetId)
        }
        if (packet?.cmd !== 'publish') continue
        const key = `${packet.qos} ${text(packet.payload)}`
        if (packet.qos === 1) client.sendPuback(packet.packetId)
        else {
          if (held.has(packet.packetId)) {
            client.sendPubrec(packet.packetId)
            continue
          }
          held.add(packet.packetId)
          client.sendPubrec(packet.packetId)
        }
        got.set(key, (got.get(key) ?? 0) + 1)
      }
      client.drop()
    }
  })()
  while (!got.has('start')) await sleep(10)
  const acknowledged: string[] = []
  const publish = async (qos: 1 | 2) => {
    let client = await connectAnywhere(ports, `publisher ${qos}`)
    let n = 0
    let half = false
    let dup = false
    while (!over) {
      const again = async () => {
        client.drop()
        client = await connectAnywhere(ports, `publisher ${qos}`)
        assert.ok(client.present)
        dup = !half
      }
      if (half) client.sendPubrel(1)
      else client.sendPublish(`load/${qos}`, `${n}`, { qos, packetId: 1, dup })
      const packet = await client.next(20_000)
      if (packet === null || packet.cmd === 'disconnect') {
        await again()
        continue
      }
      dup = false
      if (packet.cmd === 'pubrec') half = true
      if (packet.cmd === 'puback' || packet.cmd === 'pubcomp') {
        half = false
        acknowledged.push(`${qos} ${n++}`)
      }
    }
    client.drop()
  }
  const publishers = [publish(1), publish(2)]
  for (let round = 0; round < 4; round++) {
    const node = round % 2 === 0 ? pair.a : pair.b
    await sleep(300)
    assert.is(round < 2 ? await node.terminate() : await drainByCommand(node), 0, node.log.slice(-3000))
    await sleep(200)
    node.start()
    await pair.synced()
  }
  over = true
  await Promise.all(publishers)
  await subscriber
  const lost = acknowledged.filter((key) => !got.has(key))
  const doubled = [...got].filter(([key, count]) => key.startsWith('2') && count > 1)
  console.log(
    `  4 drains, ${acknowledged.length} messages acknowledged, ${lost.length} lost, ${doubled.length} of QoS 2 doubled`,
  )
  assert.equal(lost, [])
  assert.equal(doubled, [])
  assert.ok(acknowledged.length > 100)
})

test('SIGTERM of a lone node: clients are told 0x8B, exit code 0, all is there after the next start', async () => {
  using folder = new Folder()
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path)
  node.start()
  await node.until('ready')
  const client = await MqttClient.connect(mqtt, 'c', kept)
  await client.subscribe('t', 1)
  client.sendPublish('t', 'x', { qos: 1 })
  const packets = [await client.next(), await client.next()].map((packet) => packet?.cmd).sort()
  assert.equal(packets, ['puback', 'publish'])
  assert.is(await node.terminate(), 0, node.log.slice(-2000))
  assert.is((await client.expect('disconnect')).reason, 0x8b)
  node.start()
  await node.until('ready')
  const again = await MqttClient.connect(mqtt, 'c', kept)
  assert.ok(again.present)
  assert.is(MqttClient.brief(await again.expect('publish')), 't=x')
  again.drop()
  await node.terminate()
})

test.run()
