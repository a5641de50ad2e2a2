// A node alone, live: killed (kill -9) between each two packets of a QoS 1 and a QoS 2 flow and started again on its data:
// nothing acknowledged is lost, QoS 2 stays exactly once. `ALONE_KILLS=50 bun test/live/alone.test.ts` kills more.
// timeout: 600 s

import { setTimeout as sleep } from 'node:timers/promises'
import { Flow, STEPS, type Step } from '../support/flows.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('alone')
const KILLS = Number(process.env['ALONE_KILLS'] ?? 6)
/** Milliseconds between the last packet and the kill, by round. */
const DELAYS = [0, 1, 3, 0, 10, 60]
const COPIES = 4

const problems = new Map<string, string[]>()
const titleOf = (qos: number, step: Step) => `QoS ${qos}, killed when the ${step}`

async function startAlone(folder: string): Promise<NodeProcess> {
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder)
  node.start()
  await node.until('ready')
  return node
}

async function round(node: NodeProcess, number: number): Promise<void> {
  const { mqtt } = node.place
  const flows: { flow: Flow; title: string }[] = []
  for (const qos of [1, 2] as const)
    for (const step of STEPS[qos])
      for (let copy = 0; copy < COPIES; copy++)
        flows.push({ flow: new Flow(`${number}-${flows.length}`, qos, step), title: titleOf(qos, step) })
  await Promise.all(flows.map(({ flow }) => flow.prepare(mqtt, mqtt)))
  for (const { flow } of flows) flow.letGo()
  const delay = DELAYS[number % DELAYS.length] as number
  if (delay > 0) await sleep(delay)
  await node.kill9()
  node.start()
  await node.until('ready')
  await Promise.all(flows.map(({ flow }) => flow.resume(mqtt, mqtt)))
  await sleep(200)
  for (const { flow, title } of flows) {
    flow.judge()
    const list = problems.get(title) ?? []
    list.push(...flow.problems.map((problem) => `round ${number} (${delay} ms): ${problem}`))
    problems.set(title, list)
  }
}

test('the node is killed in each round, and started again on its data', async () => {
  using folder = new Folder()
  const node = await startAlone(folder.path)
  try {
    for (let number = 0; number < KILLS; number++) await round(node, number)
    console.log(`  ${KILLS} kills`)
  } finally {
    await node.terminate()
  }
})

for (const qos of [1, 2] as const)
  for (const step of STEPS[qos])
    test(titleOf(qos, step), () => {
      const found = problems.get(titleOf(qos, step))
      assert.ok(found !== undefined, 'no flow came to this step')
      assert.equal(found, [])
    })

test('what else was promised is there after kill -9: subscriptions, retained messages, queues, their order', async () => {
  using folder = new Folder()
  const node = await startAlone(folder.path)
  try {
    const { mqtt } = node.place
    const kept = { cleanStart: false, sessionExpiry: 3600 }
    const c = await MqttClient.connect(mqtt, 'c', kept)
    await c.subscribe([
      { filter: 'a/#', qos: 2 },
      { filter: 'gone', qos: 1 },
    ])
    c.sendUnsubscribe('gone')
    await c.expect('unsuback')
    await c.disconnect()
    const p = await MqttClient.connect(mqtt, 'p', kept)
    for (let i = 0; i < 200; i++) p.sendPublish('a/x', `${i}`, { qos: 1, packetId: i + 1 })
    for (let i = 0; i < 200; i++) assert.is((await p.expect('puback')).packetId, i + 1)
    p.sendPublish('r/kept', 'new', { qos: 1, retain: true })
    p.sendPublish('r/deleted', 'x', { qos: 1, retain: true })
    p.sendPublish('r/deleted', '', { qos: 1, retain: true })
    p.sendPublish('gone', 'x', { qos: 1 })
    for (let i = 0; i < 4; i++) await p.expect('puback')
    await node.kill9()
    node.start()
    await node.until('ready')
    const again = await MqttClient.connect(mqtt, 'c', kept)
    assert.ok(again.present)
    for (let i = 0; i < 200; i++) {
      const d = await again.expect('publish')
      assert.is(MqttClient.brief(d), `a/x=${i}`)
      again.sendPuback(d.packetId)
    }
    assert.equal(await again.quiet(200), [])
    again.sendSubscribe('r/#', 1)
    await again.expect('suback')
    assert.is(MqttClient.brief(await again.expect('publish')), 'r/kept=new')
    assert.equal(await again.quiet(200), [])
    again.drop()
  } finally {
    await node.terminate()
  }
})

test.run()
