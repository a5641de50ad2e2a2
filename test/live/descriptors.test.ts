// Descriptors, live: more clients than a node has descriptors for cost it neither the other node nor its admin port.

import { connect, type Socket } from 'node:net'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../../src/base/limits.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, type NodePlace, NodeProcess } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('descriptors')
const onLinux = process.platform === 'linux' ? test : test.skip
const DESCRIPTORS = 400
const ROOM = DESCRIPTORS - LIMITS.descriptorsKept - LIMITS.descriptorsKeptPerAddress

async function metric(node: NodeProcess, name: string): Promise<number> {
  const text = await (await fetch(node.url('/metrics'))).text()
  return Number(new RegExp(`^tandemq_${name} (\\d+)$`, 'm').exec(text)?.[1])
}

onLinux(
  'clients beyond the descriptors are closed at once, counted and told of once; the pair stays in step',
  async () => {
    using folder = new Folder()
    const ports = await freePorts(6)
    const place = (name: string, i: number): NodePlace => {
      const [mqtt, cluster, admin] = ports.slice(i, i + 3) as [number, number, number]
      return { name, mqtt, cluster, admin }
    }
    const [a, b] = [place('a', 0), place('b', 3)]
    const nodes = [
      new NodeProcess(a, b, folder.path, ['--partition', 'stall', '--max-connections', '1000']),
      new NodeProcess(b, a, folder.path, ['--partition', 'stall']),
    ] as const
    const [crowded, other] = nodes
    crowded.startedBy = ['sh', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh']
    for (const node of nodes) node.start()
    await Promise.all(nodes.map((node) => node.until('synced')))
    assert.match(
      crowded.log,
      `--max-connections: 1000 clients do not fit into ${DESCRIPTORS} descriptors (ulimit -n), ${ROOM} do`,
    )
    assert.not.match(other.log, '--max-connections')

    const sockets: Socket[] = []
    let open = 0
    const flood = async () => {
      for (let i = 0; i < 1_000; i++) {
        const socket = connect({ host: '127.0.0.1', port: a.mqtt })
        socket.on('connect', () => open++)
        socket.on('error', () => {})
        socket.once('close', (failed) => failed || open--)
        socket.resume()
        sockets.push(socket)
      }
      await sleep(1_000)
    }
    const first = await MqttClient.connect(a.mqtt, 'first')
    await flood()
    await flood()
    assert.is(sockets.filter((socket) => !socket.closed).length, ROOM - 1, 'with the first client')
    assert.is(await metric(crowded, 'sockets_refused_descriptors_total'), sockets.length - (ROOM - 1))
    assert.is(crowded.log.split('further ones are closed at once').length, 2, crowded.log.slice(-2_000))
    await first.subscribe('t', 1)
    for (const node of nodes) assert.is((await node.health('synced'))?.status, 200, node.log.slice(-2_000))

    await other.terminate()
    other.start()
    await Promise.all(nodes.map((node) => node.until('synced')))

    for (const socket of sockets) socket.destroy()
    await sleep(500)
    const late = await MqttClient.connect(a.mqtt, 'late')
    await Promise.all([first.disconnect(), late.disconnect()])
    for (const node of nodes) assert.is(await node.terminate(), 0)
  },
)

test.run()
