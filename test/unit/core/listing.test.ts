// Listing: the lists of the API in pages: complete, each row once, whatever comes and goes between two pages.

import { LIMITS } from '../../../src/base/limits.ts'
import type { ListName, ListQuery, Page, Row } from '../../../src/core/monitor/listing.ts'
import type { BrokerNode } from '../../../src/core/node.ts'
import { OneNode, TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('listing')

const ALL: ListQuery = {
  ...{ limit: LIMITS.listRowsMax, cursor: null, client: null, node: null },
  ...{ connected: null, filter: null, topic: null },
}

function page(node: BrokerNode, list: ListName, query: Partial<ListQuery> = {}): Page {
  const answer = node.page(list, { ...ALL, ...query })
  if (answer === null) throw new Error('the cursor was not taken')
  return answer
}

/** @param between runs between two pages */
function pages(node: BrokerNode, list: ListName, query: Partial<ListQuery>, between = () => {}): Row[][] {
  const all: Row[][] = []
  for (let cursor: string | null = null; ; between()) {
    const { rows, next } = page(node, list, { ...query, cursor })
    all.push([...rows])
    if (next === null) return all
    cursor = next
  }
}

const names = (rows: readonly Row[]) => rows.map((row) => row['client'])

/** c0 … cN-1 with sessions that outlive them; each with `filters` subscriptions. */
function filled(sessions: number, filters = 1): OneNode {
  const it = new OneNode()
  for (let i = 0; i < sessions; i++) {
    const client = it.connect(`c${i}`, { sessionExpiry: 1000 })
    for (let k = 0; k < filters; k++) client.subscribe(`${i}/${k}`)
  }
  return it
}

test('pages of every size hold each row once, in order, and the last one says so', () => {
  const it = filled(7)
  const expected = names(page(it.node, 'sessions').rows)
  assert.equal(expected, ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6'])
  for (const list of ['clients', 'sessions', 'subscriptions'] as const)
    for (let limit = 1; limit <= 8; limit++) {
      const all = pages(it.node, list, { limit })
      assert.equal(names(all.flat()), expected, `${list} by ${limit}`)
      assert.is(all.length, Math.ceil(7 / limit), `${list} by ${limit}`)
    }
})

test('a cursor can be used again, by a request that goes through everything anew', () => {
  const it = filled(5)
  const { next } = page(it.node, 'sessions', { limit: 2 })
  for (let i = 0; i < 3; i++)
    assert.equal(names(page(it.node, 'sessions', { cursor: next, limit: 2 }).rows), ['c2', 'c3'])
})

test('what is there all the while comes once, whatever comes and goes between two pages', () => {
  for (const reuse of [true, false]) {
    const it = filled(20)
    let n = 0
    const seen = pages(it.node, 'clients', { limit: 3 }, () => {
      const ended = it.connect(`c${n * 4}`, { cleanStart: true, sessionExpiry: 0 })
      ended.disconnect()
      if (n++ < 8) it.connect(`new${n}`)
      if (!reuse) page(it.node, 'retained') // takes the walk away that the next page would go on with
    })
    const got = names(seen.flat())
    for (let i = 0; i < 20; i++)
      if (i % 4 !== 0) assert.is(got.filter((name) => name === `c${i}`).length, 1, `c${i} in ${got}`)
    assert.is(new Set(got).size, got.length)
  }
})

test('the subscriptions of one session go over several pages', () => {
  const it = filled(3, 5)
  for (let limit = 1; limit <= 16; limit++) {
    const rows = pages(it.node, 'subscriptions', { limit }, () => void (limit % 2 && page(it.node, 'retained'))).flat()
    assert.equal(
      rows.map((row) => row['filter']),
      [0, 1, 2].flatMap((i) => [0, 1, 2, 3, 4].map((k) => `${i}/${k}`)),
    )
  }
})

test('a page passes over a bounded number of what does not match', () => {
  const it = filled(10)
  const publisher = it.connect('p')
  for (let i = 0; i < LIMITS.listEffortMax + 10; i++) publisher.sendPublish(`r/${i}`, 'x', { retain: true })
  publisher.sendPublish('wanted/here', 'x', { retain: true })
  const first = page(it.node, 'retained', { topic: 'wanted/+' })
  assert.is(first.rows.length, 0)
  assert.ok(first.next !== null)
  const all = pages(it.node, 'retained', { topic: 'wanted/+' })
  assert.equal(
    all.flat().map((row) => row['topic']),
    ['wanted/here'],
  )
  assert.is(page(it.node, 'retained', { topic: 'wanted/here' }).rows.length, 1, 'a name is found at once')
})

test('filters: client, connected, filter, topic', () => {
  const it = filled(4, 2)
  const one = it.connect('c1', { cleanStart: false, sessionExpiry: 1000 })
  one.publish('a/b', '1', { retain: true })
  one.publish('a/c', '22', { retain: true })
  one.publish('a/c', '', { retain: true })
  one.disconnect()
  assert.equal(names(page(it.node, 'clients', { client: 'c1' }).rows), ['c1'])
  assert.equal(names(page(it.node, 'sessions', { client: 'c1' }).rows), ['c1'])
  assert.equal(page(it.node, 'subscriptions', { client: 'c1' }).rows.length, 2)
  assert.equal(page(it.node, 'clients', { client: 'nobody' }), { rows: [], next: null })
  assert.equal(names(page(it.node, 'clients', { connected: false }).rows), ['c1'])
  assert.equal(names(page(it.node, 'sessions', { connected: true }).rows), ['c0', 'c2', 'c3'])
  assert.equal(names(page(it.node, 'subscriptions', { filter: '2/1' }).rows), ['c2'])
  const rows = page(it.node, 'retained', { topic: '#' }).rows
  assert.equal(rows, [{ topic: 'a/b', qos: 0, bytes: 1, publisher: 'c1' }])
})

test('both nodes list the clients of both, once each, and say which node they are on', () => {
  const pair = new TwoNodes()
  pair.connect(pair.a, 'a-clean')
  pair.connect(pair.a, 'a-durable', { sessionExpiry: 1000 })
  pair.connect(pair.b, 'b-clean')
  pair.connect(pair.b, 'b-durable', { sessionExpiry: 1000 })
  pair.settle()
  for (const node of [pair.a, pair.b])
    for (const limit of [1, 3, 100]) {
      const rows = pages(node, 'clients', { limit }).flat()
      assert.equal(rows.map((row) => `${row['client']} ${row['node']} ${row['connected']}`).sort(), [
        'a-clean a true',
        'a-durable a true',
        'b-clean b true',
        'b-durable b true',
      ])
      assert.equal(names(pages(node, 'clients', { limit, node: 'b' }).flat()).sort(), ['b-clean', 'b-durable'])
    }
})

test('a cursor of another start, or of nothing, is refused', () => {
  const { next } = page(filled(3).node, 'sessions', { limit: 1 })
  const other = new OneNode({ nonce: 8 })
  for (const cursor of [next, '', 'x', '7-7-7', '--', `${other.node.boot.toString(36)}-!-0`])
    assert.is(other.node.page('sessions', { ...ALL, cursor }), null, String(cursor))
})

test.run()
