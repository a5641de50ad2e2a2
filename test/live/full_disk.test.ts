// Full disk, live: a node that cannot write any more ends with exit code 74 and one sentence; what it acknowledged is on its disk,
// or with its peer, which takes over.
//
// A disk of its own is a small tmpfs, where this machine lets the test mount one; else the node's files may not grow beyond a
// limit, which its writes meet in the same way.
// timeout: 180 s

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('full disk')
const EXIT_DISK = 74
const DISK_KIB = 3 * 1024
const PAYLOAD = 'x'.repeat(4_000)
/** More than fits. */
const MESSAGES_MAX = 40_000
const AT_ONCE = 20
const kept = { cleanStart: false, sessionExpiry: 3600 }

/** Files up to this size, and no signal for those who want more. */
const fewBytes = ['sh', '-c', `trap '' XFSZ; ulimit -f ${DISK_KIB * 2}; exec "$@"`, 'sh']

/** @returns the command that gives a process a small disk at `path` */
function smallDisk(path: string): readonly string[] {
  mkdirSync(path, { recursive: true })
  const mount = ['sh', '-c', `mount -t tmpfs -o size=${DISK_KIB}k tmpfs "$0" && exec "$@"`, path]
  for (const unshare of [
    ['unshare', '-m'],
    ['unshare', '-rm'],
  ]) {
    const [command = '', ...args] = [...unshare, ...mount, 'true']
    if (spawnSync(command, args).status === 0) return [...unshare, ...mount]
  }
  return fewBytes
}

async function place(name: string): Promise<{ name: string; mqtt: number; cluster: number; admin: number }> {
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  return { name, mqtt, cluster, admin }
}

/** A session that is away, whose queue takes what comes. */
async function subscribeAndLeave(port: number): Promise<void> {
  const client = await MqttClient.connect(port, 'reader', kept)
  await client.subscribe('log/#', 1)
  await client.disconnect()
}

/** Publishes until the server goes. @returns what it has acknowledged */
async function publishUntilGone(port: number): Promise<Set<number>> {
  const client = await MqttClient.connect(port, 'writer', kept)
  const acked = new Set<number>()
  const open = new Map<number, number>()
  for (let n = 0; ; ) {
    while (open.size < AT_ONCE && n < MESSAGES_MAX && !client.closed) {
      const packetId = client.sendPublish('log/x', `${n} ${PAYLOAD}`, { qos: 1 })
      open.set(packetId, n++)
    }
    const packet = await client.next(30_000)
    if (packet === null) {
      assert.ok(client.closed, 'the server neither answers nor goes')
      return acked
    }
    if (packet.cmd !== 'puback') continue
    acked.add(open.get(packet.packetId) as number)
    open.delete(packet.packetId)
    assert.ok(acked.size < MESSAGES_MAX, 'the disk is larger than it should be')
  }
}

/** The session's client comes until it is let in: until the other node goes on alone, it is told 0x88, server unavailable. */
async function comeBack(port: number): Promise<MqttClient> {
  const until = performance.now() + 30_000
  for (;;) {
    try {
      return await MqttClient.connect(port, 'reader', kept)
    } catch (error) {
      if (!/CONNACK 88$/.test(String(error)) || performance.now() > until) throw error
      await sleep(100)
    }
  }
}

/** All that waits for the session. */
async function read(port: number): Promise<number[]> {
  const client = await comeBack(port)
  assert.ok(client.present)
  const numbers: number[] = []
  for (let packet = await client.next(2_000); packet !== null; packet = await client.next(2_000)) {
    if (packet.cmd !== 'publish') continue
    client.sendPuback(packet.packetId)
    numbers.push(Number.parseInt(text(packet.payload), 10))
  }
  client.drop()
  return numbers
}

function expectAll(acked: ReadonlySet<number>, numbers: readonly number[]): void {
  assert.ok(acked.size > 50, `only ${acked.size} acknowledged`)
  const got = new Set(numbers)
  assert.equal(
    [...acked].filter((n) => !got.has(n)),
    [],
    'acknowledged and lost',
  )
  assert.equal(
    numbers,
    [...numbers].sort((x, y) => x - y),
    'in order',
  )
}

/** One sentence that names the directory. */
async function expectEnd(node: NodeProcess): Promise<void> {
  assert.is(await node.ended(), EXIT_DISK, node.log.slice(-2_000))
  const told = node.log.split('\n').filter((line) => line.includes('error: '))
  assert.is(told.length, 1, told.join('\n'))
  assert.ok(told[0]?.includes(node.data), told[0])
}

test('a lone node whose disk is full ends with exit code 74; with room again it has all it acknowledged', async () => {
  using folder = new Folder()
  const node = new NodeProcess(await place('a'), null, folder.path)
  node.startedBy = fewBytes
  node.start()
  await node.until('ready')
  await subscribeAndLeave(node.place.mqtt)
  const acked = await publishUntilGone(node.place.mqtt)
  await expectEnd(node)
  node.startedBy = []
  node.start()
  await node.until('ready')
  expectAll(acked, await read(node.place.mqtt))
  assert.is(await node.terminate(), 0)
})

test('the disk of one node of a pair is full: the other takes over with everything that was acknowledged', async () => {
  using folder = new Folder()
  const places = [await place('a'), await place('b')] as const
  const a = new NodeProcess(places[0], places[1], folder.path)
  const b = new NodeProcess(places[1], places[0], folder.path)
  a.startedBy = smallDisk(a.data)
  try {
    for (const node of [a, b]) node.start()
    await Promise.all([a, b].map((node) => node.until('synced')))
    await subscribeAndLeave(places[0].mqtt)
    const acked = await publishUntilGone(places[0].mqtt)
    await expectEnd(a)
    await b.until('ready')
    expectAll(acked, await read(places[1].mqtt))
    // With room again it comes back.
    a.startedBy = []
    a.start()
    await Promise.all([a, b].map((node) => node.until('synced')))
  } finally {
    for (const node of [a, b]) await node.terminate()
  }
})

test.run()
