// $SYS, live: mosquitto_sub shown the values of a node and of a real mosquitto: the same topics but for those named here, in the
// same form; and what mosquitto_pub hears when it tries to publish there.
// timeout: 120 s

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MosquittoSub, mosquittoPub } from '../support/mosquitto.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, PairProcesses, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'

const test = suite('$SYS live')

/** Ours alone, with the reason. */
const OURS: Readonly<Record<string, string>> = {
  'messages/inflight': 'in mosquitto’s manual, no longer in its tree',
  'connections/socket/count': 'mosquitto has it since 2.1',
}
/** Mosquitto's alone, with the reason. */
const THEIRS: Readonly<Record<string, string>> = {}
/** Depends on how mosquitto was built, or on its version. */
const EITHER = [
  'heap/current',
  'heap/maximum',
  'clients/maximum',
  'packet/out/count',
  'packet/out/bytes',
  ...Object.keys(OURS),
]

const ROOT = '$SYS/broker/'

/** The values that a first subscription gets, by topic. */
async function valuesAt(port: number, more: readonly string[] = []): Promise<Map<string, string>> {
  const sub = new MosquittoSub(port, ['-t', '$SYS/#', '-F', '%r %q %t=%p', ...more])
  try {
    await sub.said(`${ROOT}version`)
    await sub.received(40)
  } finally {
    await sub.proc.terminate()
  }
  const values = new Map<string, string>()
  for (const line of sub.messages) {
    const [, retain, qos, topic, value] = /^(\d) (\d) ([^=]+)=(.*)$/.exec(line) ?? []
    if (topic === undefined || value === undefined) throw new Error(`mosquitto_sub: ${line}`)
    if (retain === '0') continue // it has changed meanwhile
    assert.is(qos, '0', line)
    values.set(topic.slice(ROOT.length), value)
  }
  return values
}

/** `12 seconds` and `7 seconds` are of one form. */
function form(value: string): string {
  return value.replace(/\d+/g, 'N')
}

async function startMosquitto(folder: string): Promise<{ port: number; proc: Proc }> {
  const [port] = (await freePorts(1)) as [number]
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n`)
  const proc = new Proc('mosquitto', ['-c', file])
  const until = performance.now() + 10_000
  for (;;) {
    const client = await MqttClient.connect(port, 'first').catch(() => null)
    if (client !== null) {
      client.drop()
      return { port, proc }
    }
    if (performance.now() > until || !proc.isUp) throw new Error(`mosquitto does not start:\n${proc.log}`)
  }
}

async function beside(act: (ours: number, theirs: number) => Promise<void>): Promise<void> {
  using folder = new Folder()
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path, ['--sys-interval', '1'])
  const mosquitto = await startMosquitto(folder.path)
  node.start()
  try {
    await node.until('ready')
    await act(mqtt, mosquitto.port)
  } finally {
    await Promise.all([node.terminate(), mosquitto.proc.terminate()])
  }
}

needs(
  test,
  'mosquitto',
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)('the topics are mosquitto’s, and each value has its form', async () => {
  await beside(async (ourPort, theirPort) => {
    const ours = await valuesAt(ourPort)
    const theirs = await valuesAt(theirPort)
    const only = (a: Map<string, string>, b: Map<string, string>) =>
      [...a.keys()].filter((name) => !b.has(name) && !EITHER.includes(name)).sort()
    assert.equal(only(theirs, ours), Object.keys(THEIRS).sort())
    assert.equal(only(ours, theirs), [])
    for (const name of Object.keys(OURS)) assert.ok(ours.has(name), name)
    console.log(`  ${ours.size} topics of ours, ${theirs.size} of mosquitto's`)
    for (const [name, value] of theirs) {
      const own = ours.get(name)
      if (own === undefined || name === 'version') continue
      assert.is(form(own), form(value), `${name}: ${own}, ${value}`)
    }
    assert.match(ours.get('version') ?? '', /^tandemq version \d+\.\d+\.\d+/)
  })
})

needs(
  test,
  'mosquitto',
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)('mosquitto_pub hears the same of a publish to $SYS from both', async () => {
  await beside(async (ourPort, theirPort) => {
    for (const version of ['5', 'mqttv311'])
      for (const qos of ['0', '1', '2']) {
        const args = ['-V', version, '-q', qos, '-t', '$SYS/broker/x', '-m', 'x', '-i', 'p']
        const ours = await mosquittoPub(ourPort, args)
        const theirs = await mosquittoPub(theirPort, args)
        // Ours may say more: why.
        assert.equal(
          { code: ours.code, log: ours.log.slice(0, theirs.log.length) },
          theirs,
          `version ${version}, QoS ${qos}`,
        )
      }
  })
})

needs(
  test,
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)('values that change come again, as live ones, at a persistent mosquitto_sub too', async () => {
  await beside(async (port) => {
    const sub = new MosquittoSub(port, [
      '-V',
      '5',
      '-c',
      '-i',
      's',
      '-x',
      '60',
      '-q',
      '2',
      '-t',
      '$SYS/broker/uptime',
      '-F',
      '%r %q %p',
    ])
    const messages = await sub.received(4)
    await sub.proc.terminate()
    assert.match(messages[0] as string, /^1 0 \d+ seconds$/)
    for (const message of messages.slice(1)) assert.match(message, /^0 0 \d+ seconds$/)
    assert.is(new Set(messages).size, messages.length)
  })
})

needs(
  test,
  'mosquitto_pub',
  'mosquitto_sub',
  'stdbuf',
)('a session served by the other node after a crash sees that node’s values', async () => {
  await using pair = await PairProcesses.start(['--sys-interval', '1'])
  const { a, b } = pair
  const fields = { cleanStart: false, sessionExpiry: 600 }
  const first = await MqttClient.connect(a.place.mqtt, 'watcher', fields)
  await first.subscribe('$SYS/broker/pair/+')
  assert.is(await nodeNamed(first), 'a')
  await a.kill9()
  await b.until('ready')
  const second = await MqttClient.connect(b.place.mqtt, 'watcher', fields)
  assert.ok(second.present)
  assert.is(await nodeNamed(second), 'b')
  second.drop()
})

async function nodeNamed(c: MqttClient): Promise<string> {
  for (;;) {
    const packet = await c.expect('publish')
    if (packet.topic === '$SYS/broker/pair/node') return new TextDecoder().decode(packet.payload)
  }
}

test.run()
