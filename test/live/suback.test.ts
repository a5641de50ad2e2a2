// SUBACK means known, live: a publish on node A that is sent after SUBACK on node B arrives, each time, with no sleep between.
// `npm run suback` runs 10 000 of each kind and prints the figures.
// timeout: 600 s

import { MqttClient, text } from '../support/mqtt_client.ts'
import { PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('suback')
const flagAt = process.argv.indexOf('--count')
const PAIRS = flagAt === -1 ? 1_000 : Number(process.argv[flagAt + 1])
const LANES = 20

type Kind = {
  readonly title: string
  readonly durable: boolean
  readonly qos: 0 | 1 | 2
  readonly shape: (n: string) => string
}
const KINDS: readonly Kind[] = [
  { title: 'QoS 0, session without expiry', durable: false, qos: 0, shape: (n) => `s/${n}` },
  { title: 'QoS 1, session without expiry', durable: false, qos: 1, shape: (n) => `s/${n}` },
  { title: 'QoS 1, durable session', durable: true, qos: 1, shape: (n) => `s/${n}` },
  { title: 'QoS 2, durable session, wildcard', durable: true, qos: 2, shape: (n) => `s/${n}/#` },
]

/** One subscriber on one node, one publisher on the other: a new topic each time. @returns how many arrived */
async function lane(
  kind: Kind,
  lane: number,
  count: number,
  subscriberPort: number,
  publisherPort: number,
): Promise<number> {
  const fields = kind.durable ? { cleanStart: true, sessionExpiry: 600 } : {}
  const name = `${kind.title}-${lane}`
  const subscriber = await MqttClient.connect(subscriberPort, `${name}-sub`, fields)
  const publisher = await MqttClient.connect(publisherPort, `${name}-pub`, fields)
  let arrived = 0
  try {
    for (let i = 0; i < count; i++) {
      const topic = `s/${lane}-${kind.qos}-${i}`
      const filter = kind.shape(topic.slice(2))
      subscriber.sendSubscribe(filter, kind.qos)
      await subscriber.expect('suback')
      publisher.sendPublish(topic, `${i}`, { qos: kind.qos, packetId: 1 })
      const packet = await subscriber.next(5_000)
      if (packet?.cmd === 'publish' && packet.topic === topic && text(packet.payload) === `${i}`) arrived++
      if (packet?.cmd === 'publish' && packet.qos === 1) subscriber.sendPuback(packet.packetId)
      if (packet?.cmd === 'publish' && packet.qos === 2) {
        subscriber.sendPubrec(packet.packetId)
        await subscriber.expect('pubrel')
        subscriber.sendPubcomp(packet.packetId)
      }
      if (kind.qos === 1) await publisher.expect('puback')
      if (kind.qos === 2) {
        await publisher.expect('pubrec')
        publisher.sendPubrel(1)
        await publisher.expect('pubcomp')
      }
      subscriber.sendUnsubscribe(filter)
      await subscriber.expect('unsuback')
    }
  } finally {
    subscriber.drop()
    publisher.drop()
  }
  return arrived
}

test('each publish on one node after a SUBACK on the other arrives', async () => {
  await using pair = await PairProcesses.start()
  const [a, b] = pair.places
  for (const kind of KINDS) {
    const started = performance.now()
    const lanes = Array.from({ length: LANES }, (_, i) =>
      i % 2 === 0 ? lane(kind, i, PAIRS / LANES, b.mqtt, a.mqtt) : lane(kind, i, PAIRS / LANES, a.mqtt, b.mqtt),
    )
    const arrived = (await Promise.all(lanes)).reduce((sum, n) => sum + n, 0)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`  ${kind.title}: ${arrived} of ${PAIRS} publishes directly after SUBACK arrived, ${seconds} s`)
    assert.is(arrived, PAIRS)
  }
})

test.run()
