// Properties: rows about what MQTT 5.0 sends along with messages, and the limits that clients set.

import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from '../support/suite.ts'
import { until } from './client.ts'
import { type Feature, texts } from './feature.ts'

const NOT_TOLD = 'does not pass on the reason of an acknowledgement'

export const properties: readonly Feature[] = [
  {
    title: 'message expiry, counted down',
    since: '5.0',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      await (await cell.listen(cell.b, {}, options)).leave()
      for (const messageExpiryInterval of [100, 1])
        await cell.publish(cell.a, { payloads: [`${messageExpiryInterval}`], properties: { messageExpiryInterval } })
      await sleep(1_100)
      await cell.publish(cell.a, { payloads: ['ever'] })
      const [first, second] = await (await cell.listen(cell.a, { filters: [] }, options)).received(2)
      assert.equal([first?.payload, second?.payload], ['100', 'ever'])
      const left = first?.properties.messageExpiryInterval as number
      assert.ok(left > 0 && left < 100, `${left} s left`)
      assert.is(second?.properties.messageExpiryInterval, undefined)
    },
  },
  {
    title: 'user properties, in order',
    since: '5.0',
    run: async (cell) => {
      const userProperty: [string, string][] = [
        ['b', '1'],
        ['b', '2'],
        ['a', '3'],
        ['c', ''],
      ]
      const sub = await cell.listen(cell.b)
      await cell.publish(cell.a, { properties: { userProperty } })
      assert.equal((await sub.received(1))[0]?.properties, { userProperty })
    },
  },
  {
    title: 'content type, payload format',
    since: '5.0',
    run: async (cell) => {
      const sub = await cell.listen(cell.b)
      const given = { payloadFormatIndicator: 1, contentType: 'application/json; charset=utf-8' }
      await cell.publish(cell.a, { payloads: ['{}'], properties: given })
      assert.equal((await sub.received(1))[0]?.properties, given)
    },
  },
  {
    title: 'request and response',
    cannot: Object.fromEntries(
      ['MQTT.js', 'Paho Python'].flatMap((program) =>
        ['3.1', '3.1.1'].map((version) => [`${program} ${version}`, `not in MQTT ${version}`]),
      ),
    ),
    run: async (cell) => {
      const [topic, answers] = [cell.name('questions'), cell.name('answers')]
      const responder = await cell.listen(cell.b, { filters: [topic] })
      const asking = cell.ask(cell.a, { topic, answers, text: '6 x 7' })
      asking.catch(() => {}) // it is waited for below
      const [question] = await responder.received(1)
      const { responseTopic = answers, correlationData } = question?.properties ?? {}
      if (cell.version === '5.0') assert.equal([responseTopic, correlationData], [answers, '6 x 7'])
      const back = correlationData === undefined ? {} : { correlationData }
      await cell.publish(cell.b, { topic: responseTopic, payloads: ['42'], properties: back })
      const answer = await asking
      assert.is(answer.payload, '42')
      assert.is(answer.properties.correlationData, correlationData)
    },
  },
  {
    title: 'topic alias to the server',
    since: '5.0',
    run: async (cell) => {
      const sub = await cell.listen(cell.b)
      await cell.publish(cell.a, { payloads: ['one', 'two', 'three'], properties: { topicAlias: 3 } })
      const messages = await sub.received(3)
      assert.equal(texts(messages), ['one', 'two', 'three'])
      assert.ok(
        messages.every(({ topic, properties }) => topic === cell.name('t') && properties.topicAlias === undefined),
      )
    },
  },
  {
    title: 'topic alias from the server',
    since: '5.0',
    cannot: { mosquitto: 'takes a message without a topic name for an error' },
    run: async (cell) => {
      const sub = await cell.listen(cell.b, {}, { properties: { topicAliasMaximum: 1 } })
      for (const payload of ['one', 'two', 'three']) await cell.publish(cell.a, { payloads: [payload] })
      assert.equal(
        (await sub.received(3)).map(({ topic, payload, properties }) => [topic, payload, properties.topicAlias]),
        ['one', 'two', 'three'].map((payload) => [cell.name('t'), payload, 1]),
      )
    },
  },
  {
    title: 'Receive Maximum',
    since: '5.0',
    run: async (cell) => {
      const id = cell.name('me')
      const sub = await cell.listen(cell.b, {}, { id, properties: { receiveMaximum: 2 } })
      sub.pause()
      const payloads = ['one', 'two', 'three', 'four', 'five']
      await cell.publish(cell.a, { payloads })
      const row = await until(
        async () => {
          const found = await cell.b.row(id)
          return found !== undefined && found.inflight + found.queued === payloads.length ? found : undefined
        },
        () => `${payloads.length} messages in the session`,
      )
      assert.is(row.inflight, 2)
      sub.resume()
      assert.equal(texts(await sub.received(payloads.length)), payloads)
    },
  },
  {
    title: 'Maximum Packet Size',
    since: '5.0',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, {}, { properties: { maximumPacketSize: 200 } })
      for (const payload of ['x'.repeat(200), 'short']) await cell.publish(cell.a, { payloads: [payload] })
      assert.equal(texts(await sub.received(1)), ['short'])
    },
  },
  {
    title: 'PUBACK 0x10: no matching subscribers',
    since: '5.0',
    cannot: { 'Paho Python': NOT_TOLD },
    run: async (cell) => {
      assert.equal((await cell.publish(cell.a)).acks, [0x10])
      await cell.listen(cell.b)
      assert.equal((await cell.publish(cell.a)).acks, [0])
    },
  },
  {
    title: 'PUBACK 0x87: not authorized',
    since: '5.0',
    cannot: { 'Paho Python': NOT_TOLD },
    run: async (cell) => {
      assert.equal((await cell.publish(cell.a, { topic: `closed/${cell.name('t')}` })).acks, [0x87])
    },
  },
]
