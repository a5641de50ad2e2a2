// API, live: who is there on a pair, asked of either node over HTTP and by `tandemq clients`, in more rows than one answer holds.
// timeout: 180 s

import { pagesOf, rowsOf } from '../support/api.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { type NodeProcess, PairProcesses, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('api')
/** More than one answer holds. */
const SESSIONS = 1_100
const AT_ONCE = 50

/** Sessions that stay, half of them on each node, each with one subscription. */
async function fill(pair: PairProcesses): Promise<string[]> {
  const ids = Array.from({ length: SESSIONS }, (_, i) => `device-${i}`)
  for (let i = 0; i < SESSIONS; i += AT_ONCE) {
    const some = ids.slice(i, i + AT_ONCE)
    await Promise.all(
      some.map(async (id, k) => {
        const node = pair.nodes[k % 2] as NodeProcess
        const client = await MqttClient.connect(node.place.mqtt, id, { sessionExpiry: 600 })
        await client.subscribe(`to/${id}`, 1)
        await client.disconnect()
      }),
    )
  }
  return ids
}

async function command(...args: string[]): Promise<string> {
  const runtime = 'Deno' in globalThis ? ['run', '-A', '--no-lock'] : []
  const proc = new Proc(process.execPath, [...runtime, 'src/main.ts', ...args])
  assert.is(await proc.ended, 0, proc.log)
  return proc.log
}

test('every list is the same on both nodes, over pages of any size and in the command', async () => {
  await using pair = await PairProcesses.start()
  const ids = await fill(pair)
  const here = await MqttClient.connect(pair.a.place.mqtt, 'here')
  const there = await MqttClient.connect(pair.b.place.mqtt, 'there', { version: 4 })
  const expected = [...ids, 'here', 'there'].sort()
  for (const node of pair.nodes) {
    const pages = await pagesOf(node, '/api/v1/clients')
    assert.equal(
      pages.map((page) => page.length),
      [1000, SESSIONS + 2 - 1000],
    )
    for (const path of ['/api/v1/clients', '/api/v1/clients?limit=7'])
      assert.equal((await rowsOf(node, path)).map((row) => String(row['client'])).sort(), expected)
    const { admin } = node.place
    const rows = JSON.parse(await command('clients', '--json', '--admin', String(admin))) as { client: string }[]
    assert.equal(
      rows.map((row) => row.client),
      expected,
    )
    const table = await command('clients', '--admin', String(admin))
    assert.is(table.trim().split('\n').length, 1 + expected.length)
    const filters = (await rowsOf(node, '/api/v1/subscriptions?limit=99')).map((row) => String(row['filter']))
    assert.equal(filters.sort(), ids.map((id) => `to/${id}`).sort())
    const connected = await rowsOf(node, '/api/v1/clients?connected=true')
    assert.equal(connected.map((row) => `${row['client']} on ${row['node']}`).sort(), ['here on a', 'there on b'])
    assert.equal(await rowsOf(node, '/api/v1/sessions?client=device-7&node=a'), [])
    assert.is((await rowsOf(node, '/api/v1/sessions?client=device-7&node=b')).length, 1)
  }
  const answer = await fetch(pair.a.url('/api/v1/clients?limit=5000'))
  assert.is(answer.status, 400)
  assert.match(((await answer.json()) as { error: string }).error, /limit/)
  here.drop()
  there.drop()
})

test('retained messages by topic filter; a cursor of the other node is refused', async () => {
  await using pair = await PairProcesses.start()
  const client = await MqttClient.connect(pair.b.place.mqtt, 'p')
  for (let i = 0; i < 40; i++) {
    client.sendPublish(`room/${i}/${i % 2 === 0 ? 'even' : 'odd'}`, 'x', { qos: 1, retain: true })
    await client.expect('puback')
  }
  for (const node of pair.nodes) {
    const rows = await rowsOf(node, '/api/v1/retained?limit=3&topic=room/%2B/even')
    assert.equal(
      rows.map((row) => row['topic']).sort(),
      Array.from({ length: 20 }, (_, i) => `room/${2 * i}/even`).sort(),
    )
  }
  const first = await fetch(pair.a.url('/api/v1/retained?limit=3'))
  const next = /^<(.*)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? ''
  assert.is((await fetch(pair.a.url(next))).status, 200)
  assert.is((await fetch(pair.b.url(next))).status, 410)
  client.drop()
})

test.run()
