// Sessions: rows about connections, and what outlives them: sessions that go on at the other node, wills, keep-alive.

import { assert } from '../support/suite.ts'
import type { Cell } from './cell.ts'
import { until, type Will } from './client.ts'
import { type Feature, texts } from './feature.ts'
import type { TableNode } from './nodes.ts'

/** No session of this client is left at either node. */
async function forgotten(cell: Cell, id: string): Promise<void> {
  for (const node of [cell.a, cell.b])
    await until(
      async () => (await node.row(id)) === undefined || undefined,
      () => `the end of the session of ${id}`,
    )
}

/** The node that a client is connected to. */
async function nodeOf(node: TableNode, id: string): Promise<string | null> {
  const row = await node.row(id)
  return row?.connected === true ? row.node : null
}

function will(cell: Cell, fields: Partial<Will> = {}): Will {
  return { topic: cell.name('will'), payload: 'gone', qos: 1, retain: false, properties: {}, ...fields }
}

/** Comes after anything else that was to come. */
async function marker(cell: Cell, node: TableNode, topic: string): Promise<void> {
  await cell.publish(node, { topic, payloads: ['marker'] })
}

export const sessions: readonly Feature[] = [
  {
    title: 'session resumed on the other node, with what was queued',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      const first = await cell.listen(cell.b, { qos: 2 }, options)
      if (first.present !== null) assert.not(first.present)
      await first.leave()
      await cell.publish(cell.a, { payloads: ['one', 'two'], qos: 1 })
      await cell.publish(cell.b, { payloads: ['three', 'four'], qos: 2 })
      const again = await cell.listen(cell.a, { filters: [] }, options)
      if (again.present !== null && cell.version !== '3.1') assert.ok(again.present)
      assert.equal(
        (await again.received(4)).map(({ payload, qos }) => [payload, qos]),
        [
          ['one', 1],
          ['two', 1],
          ['three', 2],
          ['four', 2],
        ],
      )
      await cell.publish(cell.b, { payloads: ['live'] })
      assert.is((await again.received(5))[4]?.payload, 'live')
    },
  },
  {
    title: 'clean session, clean start: nothing is left',
    run: async (cell) => {
      const [id, other] = [cell.name('me'), cell.name('other')]
      await (await cell.listen(cell.b, {}, { ...cell.kept, id })).leave()
      await cell.publish(cell.a, { payloads: ['queued'] })
      const clean = await cell.listen(cell.a, { filters: [other] }, { id })
      if (clean.present !== null) assert.not(clean.present)
      await cell.publish(cell.b, { payloads: ['live'] })
      await marker(cell, cell.b, other)
      assert.equal(texts(await clean.received(1)), ['marker'])
      assert.equal((await cell.a.row(id))?.subscriptions, [other])
    },
  },
  {
    title: 'session expiry',
    since: '5.0',
    run: async (cell) => {
      const options = { id: cell.name('me'), clean: false, properties: { sessionExpiryInterval: 1 } }
      await (await cell.listen(cell.b, {}, options)).leave()
      await forgotten(cell, options.id)
      const again = await cell.listen(cell.a, { filters: [] }, options)
      if (again.present !== null) assert.not(again.present)
    },
  },
  {
    title: 'session expiry changed by DISCONNECT',
    since: '5.0',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me'), goodbye: { sessionExpiryInterval: 0 } }
      await (await cell.listen(cell.b, {}, options)).leave()
      await forgotten(cell, options.id)
    },
  },
  {
    title: 'client identifier assigned by the server',
    since: '3.1.1',
    cannot: { 'mosquitto 3.1.1': 'makes one itself' },
    run: async (cell) => {
      const sub = await cell.listen(cell.b, {}, { id: '' })
      await cell.publish(cell.a)
      await sub.received(1)
      if (cell.version !== '5.0') return
      const id = sub.properties.assignedClientIdentifier as string
      assert.is(await nodeOf(cell.a, id), 'b', `the other node knows ${id}`)
    },
  },
  {
    title: 'keep-alive: a quiet client is answered',
    run: async (cell) => {
      const sub = await cell.listen(cell.b, {}, { keepAlive: cell.keepAliveMin })
      await sub.pinged()
      await cell.publish(cell.a)
      await sub.received(1)
    },
  },
  {
    title: 'keep-alive: a silent client is cut off, and its will sent',
    run: async (cell) => {
      const watch = await cell.listen(cell.b, { filters: [cell.name('will')] })
      const silent = await cell.listen(cell.a, {}, { keepAlive: cell.keepAliveMin, will: will(cell) })
      silent.pause()
      assert.equal(texts(await watch.received(1)), ['gone'])
    },
  },
  {
    title: 'take-over by the other node',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      const first = await cell.listen(cell.a, {}, options)
      const second = await cell.listen(cell.b, { filters: [] }, options)
      await first.ended()
      if (second.present !== null && cell.version !== '3.1') assert.ok(second.present)
      assert.is(await nodeOf(cell.a, options.id), 'b')
      await cell.publish(cell.a, { payloads: ['to the second'] })
      assert.equal(texts(await second.received(1)), ['to the second'])
      assert.equal(texts(first.messages), [])
    },
  },
  {
    title: 'take-over: the older connection is told (0x8E)',
    since: '5.0',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      const first = await cell.listen(cell.a, {}, options)
      await cell.listen(cell.b, { filters: [] }, options)
      assert.is((await first.ended()).reason, 0x8e)
    },
  },
  {
    title: 'will: sent, retained, not after DISCONNECT',
    run: async (cell) => {
      const filters = [cell.name('will')]
      const watch = await cell.listen(cell.b, { filters })
      await cell.publish(cell.a, {}, { will: will(cell, { payload: 'wrong' }) })
      ;(await cell.listen(cell.a, {}, { will: will(cell, { retain: true }) })).vanish()
      const [message] = await watch.received(1)
      assert.equal([message?.payload, message?.qos, message?.retain], ['gone', 1, false])
      const [retained] = await (await cell.listen(cell.b, { filters })).received(1)
      assert.equal([retained?.payload, retained?.retain], ['gone', true])
    },
  },
  {
    title: 'will with DISCONNECT 0x04',
    since: '5.0',
    run: async (cell) => {
      const watch = await cell.listen(cell.b, { filters: [cell.name('will')] })
      await (await cell.listen(cell.a, {}, { will: will(cell) })).leave(0x04)
      assert.equal(texts(await watch.received(1)), ['gone'])
    },
  },
  {
    title: 'will delay: waits, and not for a client that returns to the other node',
    since: '5.0',
    run: async (cell) => {
      const filters = [cell.name('will')]
      const watch = await cell.listen(cell.b, { filters })
      const delayed = (payload: string, willDelayInterval: number) => ({
        ...{ ...cell.kept, id: cell.name(payload) },
        will: will(cell, { payload, properties: { willDelayInterval } }),
      })
      ;(await cell.listen(cell.a, {}, delayed('late', 1))).vanish()
      assert.equal(texts(await watch.received(1)), ['late'])
      ;(await cell.listen(cell.a, {}, delayed('never', 300))).vanish()
      await cell.listen(cell.b, { filters: [] }, delayed('never', 300))
      await marker(cell, cell.a, cell.name('will'))
      assert.equal(texts(await watch.received(2)), ['late', 'marker'])
    },
  },
  {
    title: 'will properties',
    since: '5.0',
    run: async (cell) => {
      const properties = {
        ...{ payloadFormatIndicator: 1, contentType: 'text/plain', responseTopic: 'answers', correlationData: '#1' },
        userProperty: [
          ['b', '1'],
          ['a', '2'],
        ] as [string, string][],
      }
      const watch = await cell.listen(cell.b, { filters: [cell.name('will')] })
      ;(await cell.listen(cell.a, {}, { will: will(cell, { properties }) })).vanish()
      assert.equal((await watch.received(1))[0]?.properties, properties)
    },
  },
]
