// Access: rows about who comes in and how, what is refused, and where clients go when a node leaves.

import { assert } from '../support/suite.ts'
import { type Feature, texts } from './feature.ts'
import { USER } from './nodes.ts'

export const access: readonly Feature[] = [
  {
    title: 'user name and password; CONNACK refuses a wrong one',
    run: async (cell) => {
      const id = cell.name('me')
      const sub = await cell.listen(cell.b, {}, { id, user: USER })
      assert.is((await cell.b.row(id))?.username, USER.name)
      await cell.publish(cell.a, { payloads: ['hello'] }, { user: USER })
      await sub.received(1)
      const { connack } = await cell.tryPublish(cell.a, {}, { user: { ...USER, password: 'wrong' } })
      assert.is(connack, cell.version === '5.0' ? 0x86 : 4)
    },
  },
  {
    title: 'SCRAM-SHA-512',
    since: '5.0',
    cannot: { mosquitto: 'cannot answer AUTH', 'Paho Python': 'cannot answer AUTH' },
    run: async (cell) => {
      const id = cell.name('me')
      const sub = await cell.listen(cell.b, {}, { id, user: USER, scram: true })
      assert.is((await cell.b.row(id))?.username, USER.name)
      await cell.publish(cell.a, { payloads: ['hello'] }, { user: USER, scram: true })
      await sub.received(1)
      const wrong = await cell.tryPublish(cell.a, {}, { user: { ...USER, password: 'wrong' }, scram: true })
      assert.is(wrong.connack, 0x87)
    },
  },
  {
    title: 'SUBACK refuses a filter (--acl-file)',
    since: '3.1.1',
    run: async (cell) => {
      const filters = [cell.name('t'), `closed/${cell.name('t')}`]
      const sub = await cell.listen(cell.b, { filters, qos: 1 })
      assert.equal(sub.granted, [1, cell.version === '5.0' ? 0x87 : 0x80])
    },
  },
  {
    title: 'WebSocket',
    cannot: { mosquitto: 'has no option for it' },
    run: async (cell) => {
      const id = cell.name('me')
      const sub = await cell.listen(cell.b, { qos: 2 }, { id, webSocket: true })
      assert.is((await cell.b.row(id))?.transport, 'ws')
      await cell.publish(cell.a, { payloads: ['one', 'two'], qos: 2 }, { webSocket: true })
      await sub.received(2)
    },
  },
  {
    title: 'a node is drained: the session goes on at the other node',
    turn: 'last',
    run: async (cell) => {
      const options = { ...cell.kept, id: cell.name('me') }
      const sub = await cell.listen(cell.a, {}, options)
      await cell.drain()
      const { reason } = await sub.ended()
      if (cell.version === '5.0') assert.is(reason, 0x9c)
      await cell.publish(cell.b, { payloads: ['queued'] })
      const again = await cell.listen(cell.b, { filters: [] }, options)
      assert.equal(texts(await again.received(1)), ['queued'])
    },
  },
  {
    title: 'a node is drained: server reference',
    since: '5.0',
    cannot: { mosquitto: 'prints no property of DISCONNECT' },
    turn: 'last',
    run: async (cell) => {
      const sub = await cell.listen(cell.a)
      await cell.drain()
      const { properties } = await sub.ended()
      assert.is(properties.serverReference, `127.0.0.1:${cell.b.port}`)
    },
  },
]
