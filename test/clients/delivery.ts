// Delivery: rows about messages and subscriptions: published on node a, received on node b.

import { assert } from '../support/suite.ts'
import { type QoS, until } from './client.ts'
import { type Feature, texts } from './feature.ts'

const LARGE = '0123456789abcdef'.repeat(65_536)
const SHARED_COUNT = 20

const qos = (level: QoS): Feature => ({
  title: `QoS ${level}`,
  run: async (cell) => {
    const sub = await cell.listen(cell.b, { qos: level })
    await cell.publish(cell.a, { payloads: ['one', 'two', 'three'], qos: level })
    const messages = await sub.received(3)
    assert.equal(texts(messages), ['one', 'two', 'three'])
    assert.ok(messages.every((message) => message.qos === level && message.topic === cell.name('t') && !message.retain))
  },
})

export const delivery: readonly Feature[] = [
  {
    title: 'its version, as the node sees it (3.1: MQIsdp)',
    run: async (cell) => {
      const id = cell.name('me')
      await cell.listen(cell.a, {}, { id })
      assert.is((await cell.a.row(id))?.protocol, cell.version)
    },
  },
  qos(0),
  qos(1),
  qos(2),
  {
    title: 'the lower QoS of message and subscription',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { qos: 1 })
      await cell.publish(cell.a, { payloads: ['two'], qos: 2 })
      await cell.publish(cell.a, { payloads: ['none'], qos: 0 })
      assert.equal(
        (await sub.received(2)).map((message) => [message.payload, message.qos]),
        [
          ['two', 1],
          ['none', 0],
        ],
      )
    },
  },
  {
    title: 'empty payload',
    run: async (cell) => {
      const sub = await cell.listen(cell.b)
      await cell.publish(cell.a, { payloads: [''] })
      assert.equal(texts(await sub.received(1)), [''])
    },
  },
  {
    title: 'payload of 1 MiB',
    turn: 'heavy',
    run: async (cell) => {
      const sub = await cell.listen(cell.b)
      await cell.publish(cell.a, { payloads: [LARGE] })
      const [message] = await sub.received(1)
      assert.ok(message?.payload === LARGE)
    },
  },
  {
    title: 'wildcards',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { filters: [cell.name('+/x'), cell.name('deep/#')] })
      for (const topic of ['1/x', '1/y', '1/x/y', 'deep', 'deep/er/still', '2/x'])
        await cell.publish(cell.a, { topic: cell.name(topic), payloads: [topic] })
      assert.equal(texts(await sub.received(4)), ['1/x', 'deep', 'deep/er/still', '2/x'])
    },
  },
  {
    title: 'overlapping wildcards: one copy',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { filters: [cell.name('x/#'), cell.name('+/1'), cell.name('x/1')] })
      for (const payload of ['first', 'second'])
        await cell.publish(cell.a, { topic: cell.name('x/1'), payloads: [payload] })
      assert.equal(texts(await sub.received(2)), ['first', 'second'])
    },
  },
  {
    title: 'unsubscribe',
    run: async (cell) => {
      const [x, y] = [cell.name('x'), cell.name('y')]
      const sub = await cell.listen(cell.b, { filters: [x, y], unsubscribe: [x] })
      await cell.publish(cell.a, { topic: x, payloads: ['no'] })
      await cell.publish(cell.a, { topic: y, payloads: ['yes'] })
      assert.equal(texts(await sub.received(1)), ['yes'])
    },
  },
  {
    title: 'shared subscription: each message once, over both nodes',
    run: async (cell) => {
      const filters = [`$share/${cell.name('group').replaceAll('/', '-')}/${cell.name('t')}`]
      const members = [await cell.listen(cell.a, { filters }), await cell.listen(cell.b, { filters })]
      const payloads = Array.from({ length: SHARED_COUNT }, (_, i) => `${i}`)
      await cell.publish(cell.a, { payloads })
      const all = () => members.flatMap(({ messages }) => texts(messages))
      await until(
        () => all().length >= SHARED_COUNT || undefined,
        () => `${SHARED_COUNT} messages, ${all().length} came`,
      )
      assert.equal(all().sort(), payloads.toSorted())
      assert.ok(members.every(({ messages }) => messages.length > 0))
    },
  },
  {
    title: 'retained: set, got, cleared',
    run: async (cell) => {
      await cell.publish(cell.a, { payloads: ['kept'], retain: true })
      const got = await cell.listen(cell.b)
      await cell.publish(cell.a, { payloads: ['live'] })
      assert.equal(
        (await got.received(2)).map(({ payload, retain }) => [payload, retain]),
        [
          ['kept', true],
          ['live', false],
        ],
      )
      await cell.publish(cell.b, { payloads: [''], retain: true })
      const cleared = await cell.listen(cell.a)
      await cell.publish(cell.b, { payloads: ['alone'] })
      assert.equal(texts(await cleared.received(1)), ['alone'])
    },
  },
  {
    title: 'retain as published',
    since: '5.0',
    run: async (cell) => {
      const [sub, plain] = [await cell.listen(cell.b, { retainAsPublished: true }), await cell.listen(cell.b)]
      await cell.publish(cell.a, { payloads: ['kept'], retain: true })
      await cell.publish(cell.a, { payloads: ['live'] })
      for (const [listener, first] of [
        [sub, true],
        [plain, false],
      ] as const) {
        const flags = (await listener.received(2)).map(({ retain }) => retain)
        assert.equal(flags, [first, false])
      }
    },
  },
  {
    title: 'retain handling 1: to new subscriptions only',
    since: '5.0',
    cannot: { mosquitto: 'has no option for it' },
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      await cell.publish(cell.a, { payloads: ['kept'], retain: true })
      const first = await cell.listen(cell.b, { retainHandling: 1 }, options)
      assert.equal(texts(await first.received(1)), ['kept'])
      await first.leave()
      const again = await cell.listen(cell.a, { retainHandling: 1 }, options)
      await cell.publish(cell.b, { payloads: ['live'] })
      assert.equal(texts(await again.received(1)), ['live'])
    },
  },
  {
    title: 'retain handling 2: to none',
    since: '5.0',
    run: async (cell) => {
      await cell.publish(cell.a, { payloads: ['kept'], retain: true })
      const sub = await cell.listen(cell.b, { retainHandling: 2 })
      await cell.publish(cell.a, { payloads: ['live'] })
      assert.equal(texts(await sub.received(1)), ['live'])
    },
  },
  {
    title: 'no local',
    since: '5.0',
    cannot: { mosquitto: 'has no option for it' },
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { noLocal: true })
      await sub.publish(cell.message({ payloads: ['own'] }))
      await cell.publish(cell.b, { payloads: ["another's"] })
      assert.equal(texts(await sub.received(1)), ["another's"])
    },
  },
  {
    title: 'subscription identifier',
    since: '5.0',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { identifier: 7 })
      const other = await cell.listen(cell.b, { identifier: 268_435_455 })
      await cell.publish(cell.a)
      assert.equal((await sub.received(1))[0]?.properties.subscriptionIdentifier, [7])
      assert.equal((await other.received(1))[0]?.properties.subscriptionIdentifier, [268_435_455])
    },
  },
  {
    title: '$SYS read',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, { filters: ['$SYS/broker/version'] })
      const [message] = await sub.received(1)
      assert.match(message?.payload as string, /^tandemq version /)
      assert.ok(message?.retain)
    },
  },
]
