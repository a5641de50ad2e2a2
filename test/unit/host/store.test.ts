// Store test: what goes into the store comes back, in the order asked.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BootId, type Hlc, Turn } from '../../../src/base/brand.ts'
import { MemoryStore, type OpenStore, SqliteStore } from '../../../src/host/store/store.ts'
import { type Batch, emptyBatch, type Image } from '../../../src/session/image.ts'
import { ALL_BYTES, BIG, messageRow, queueRow, RECORD } from '../../support/store_rows.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('store')
const EMPTY: Image = {
  sessions: [],
  subscriptions: [],
  messages: [],
  queue: [],
  shadows: [],
  inbound: [],
  retained: [],
  presence: [],
}

let dir = ''
let log: string[] = []
const file = () => join(dir, 'tandemq.db')
const events = {
  stored: (turn: Turn) => void log.push(`stored ${turn}`),
  recordStored: () => void log.push('record'),
  failed: (message: string) => void log.push(`failed ${message}`),
}
test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'tandemq-store-'))
  log = []
})
test.after.each(() => rmSync(dir, { recursive: true, force: true }))

const open = (): Promise<OpenStore> => SqliteStore.open(dir, events)

/** Flushes the batches as turns 1, 2, …, closes, opens again, and gives what was read. */
async function roundTrip(...batches: Partial<Batch>[]): Promise<Image> {
  const { store } = await open()
  for (const [i, batch] of batches.entries()) store.flush({ ...emptyBatch(), ...batch }, Turn(i + 1), i % 2 === 0)
  await store.close()
  const again = await open()
  await again.store.close()
  return again.image
}

const session = (client: string, more: Partial<Image['sessions'][number]> = {}) => ({
  client,
  mine: true,
  epoch: 1,
  minter: 7 as BootId,
  n: 1,
  ver: 1,
  lineage: [],
  expiry: 3600,
  expiresAt: 0,
  packetIds: [0, 0, 0, 0],
  nextPos: 0,
  ...more,
})
test('an empty directory gives no record and an empty image', async () => {
  const { store, record: none, image } = await open()
  assert.is(none, null)
  assert.equal(image, EMPTY)
  await store.close()
  assert.equal(readdirSync(dir).sort(), ['tandemq.db', 'tandemq.lock'])
})

test('the directory is made for its owner alone', async () => {
  dir = join(dir, 'a', 'b')
  await roundTrip({})
  if (process.platform === 'win32') return
  assert.is(statSync(dir).mode & 0o777, 0o700)
  assert.is(statSync(file()).mode & 0o777, 0o600)
})

test('every kind of row comes back as it was', async () => {
  const token = { epoch: 4, minter: BIG as BootId, n: 2 }
  const will = {
    topic: 'w/ü',
    payload: ALL_BYTES,
    qos: 2,
    retain: true,
    delay: 5,
    props: ALL_BYTES,
    expiry: -1,
  } as const
  const rows: Image = {
    sessions: [
      session('', { packetIds: [] }),
      session('größe/𝄞/客户', {
        mine: false,
        ver: BIG,
        minter: BIG as BootId,
        lineage: [
          { token, forkVer: BIG },
          { token: { ...token, n: 3 }, forkVer: 0 },
        ],
        expiry: 0xffff_ffff,
        expiresAt: BIG,
        packetIds: [1, 16384, 65535, 0],
        nextPos: BIG,
      }),
    ],
    subscriptions: [
      { client: 'c', filter: '#', options: 0, subscriptionId: 0 },
      { client: 'c', filter: '+/ü/$share', options: 0x2e, subscriptionId: 268435455 },
    ],
    messages: [
      messageRow(1, { payload: new Uint8Array(0), props: new Uint8Array(0), retain: true, qos: 0 }),
      messageRow(2, { payload: ALL_BYTES.subarray(3, 77), props: ALL_BYTES, topic: 'ü/𝄞', publisher: '' }),
      messageRow(BIG, { origin: BIG as BootId, seq: BIG, hlc: BIG as Hlc, expiresAt: BIG, qos: 2 }),
    ],
    queue: [
      { ...queueRow('a', 9, 1), subscriptionIds: [] },
      {
        ...queueRow('a', 10, BIG),
        subscriptionIds: [1, 268435455],
        share: '$share/g/a',
        state: 3,
        packetId: 65535,
        qos: 2,
        retain: true,
      },
      queueRow('b', BIG, 2),
    ],
    shadows: [
      { client: 's', message: 1, qos: 0, retain: true, subscriptionIds: null, share: null },
      { client: 's', message: BIG, qos: 2, retain: false, subscriptionIds: [4], share: '$share/ü/#' },
    ],
    inbound: [
      { client: 'c', packetId: 1 },
      { client: 'c', packetId: 65535 },
    ],
    retained: [
      { topic: 'gone', message: 0, hlc: BIG as Hlc, node: 1 as BootId },
      { topic: 'ü', message: 1, hlc: 5 as Hlc, node: BIG as BootId },
    ],
    presence: [
      { client: 'p1', boot: 1 as BootId, n: 1, mine: true, up: true, expiry: 0, will: null, willDueAt: 0 },
      { client: 'p2', boot: BIG as BootId, n: BIG, mine: false, up: false, expiry: 1, will, willDueAt: BIG },
    ],
  }
  const large = messageRow(3, { payload: new Uint8Array(3_000_000).fill(5), topic: 'x'.repeat(65_000) })
  const image = await roundTrip({ ...(rows as Partial<Batch>) }, { messages: [large] })
  assert.is(image.messages.length, 4)
  assert.ok(
    image.messages.some((row) => row.id === 3 && row.payload.length === 3_000_000 && row.payload[2_999_999] === 5),
  )
  const small = { ...image, messages: image.messages.filter((row) => row.id !== 3) }
  assert.equal(plain(small), plain(rows))
})

test('rows replace rows of the same key', async () => {
  const image = await roundTrip(
    { sessions: [session('a', { ver: 1 })], queue: [queueRow('a', 1, 1)], inbound: [{ client: 'a', packetId: 1 }] },
    { sessions: [session('a', { ver: 2 })], queue: [queueRow('a', 1, 2)], inbound: [{ client: 'a', packetId: 1 }] },
  )
  assert.is(image.sessions[0]?.ver, 2)
  assert.equal(image.queue, [queueRow('a', 1, 2)])
  assert.is(image.inbound.length, 1)
})

test('the queue comes back in order of client and position', async () => {
  const image = await roundTrip(
    { queue: [queueRow('b', 2, 1), queueRow('a', 10, 1), queueRow('b', 1, 1)] },
    { queue: [queueRow('a', 9, 1), queueRow('10', 1, 1)] },
  )
  assert.equal(
    image.queue.map((row) => `${row.client}${row.pos}`),
    ['101', 'a9', 'a10', 'b1', 'b2'],
  )
})

test('what is gone is gone before the rows of the same batch come', async () => {
  const of = (client: string): Partial<Batch> => ({
    sessions: [session(client)],
    subscriptions: [{ client, filter: 'f', options: 1, subscriptionId: 0 }],
    queue: [queueRow(client, 1, 1)],
    shadows: [{ client, message: 1, qos: 1, retain: false, subscriptionIds: null, share: null }],
    inbound: [{ client, packetId: 5 }],
  })
  const again: Partial<Batch> = {
    sessionsGone: ['a', 'never there'],
    sessions: [session('a', { ver: 9 })],
    queue: [queueRow('a', 7, 1)],
  }
  const image = await roundTrip(of('a'), of('b'), again)
  assert.equal(
    image.sessions.map((row) => [row.client, row.ver]),
    [
      ['a', 9],
      ['b', 1],
    ],
  )
  assert.equal(
    image.queue.map((row) => [row.client, row.pos]),
    [
      ['a', 7],
      ['b', 1],
    ],
  )
  for (const rows of [image.subscriptions, image.shadows, image.inbound]) {
    assert.equal(column<{ client: string }>(rows, 'client'), ['b'])
  }
})

test('each kind of deletion takes its row and no other', async () => {
  const presence = (client: string) =>
    ({ client, boot: 1 as BootId, n: 1, mine: true, up: true, expiry: 0, will: null, willDueAt: 0 }) as const
  const shadow = (client: string, id: number) =>
    ({ client, message: id, qos: 1, retain: false, subscriptionIds: null, share: null }) as const
  const retained = (topic: string) => ({ topic, message: 1, hlc: 1 as Hlc, node: 1 as BootId })
  const image = await roundTrip(
    {
      sessions: [session('a')],
      subscriptions: ['f', 'g'].map((filter) => ({ client: 'a', filter, options: 0, subscriptionId: 0 })),
      messages: [messageRow(1), messageRow(2)],
      queue: [queueRow('a', 1, 1), queueRow('a', 2, 1)],
      shadows: [shadow('a', 1), shadow('a', 2), shadow('b', 1)],
      inbound: [1, 2].map((packetId) => ({ client: 'a', packetId })),
      retained: [retained('x'), retained('y')],
      presence: [presence('a'), presence('b')],
    },
    {
      subscriptionsGone: [{ client: 'a', filter: 'f' }],
      messagesGone: [1],
      queueGone: [{ client: 'a', pos: 1 }],
      shadowsGone: [{ client: 'a', message: 1, share: null }],
      inboundGone: [{ client: 'a', packetId: 1 }],
      retainedGone: ['x'],
      presenceGone: ['a'],
    },
  )
  assert.is(image.sessions.length, 1)
  assert.equal(column(image.subscriptions, 'filter'), ['g'])
  assert.equal(column(image.messages, 'id'), [2])
  assert.equal(column(image.queue, 'pos'), [2])
  assert.equal(image.shadows, [shadow('a', 2), shadow('b', 1)])
  assert.equal(column(image.inbound, 'packetId'), [2])
  assert.equal(column(image.retained, 'topic'), ['y'])
  assert.equal(column(image.presence, 'client'), ['b'])
})

test('flushes and records complete in the order asked', async () => {
  const { store } = await open()
  store.flush(emptyBatch(), Turn(1), false)
  store.flush({ ...emptyBatch(), sessions: [session('a')] }, Turn(2), true)
  store.writeRecord(RECORD)
  store.flush(emptyBatch(), Turn(3), false)
  await store.close()
  const turns = log.filter((line) => line !== 'record').map((line) => Number(line.split(' ')[1]))
  assert.equal(
    turns,
    [...turns].sort((a, b) => a - b),
  )
  assert.is(turns.at(-1), 3)
  assert.ok(log.indexOf('record') > log.indexOf('stored 2') && log.indexOf('record') < log.indexOf('stored 3'))
  const again = await open()
  assert.equal(again.record, RECORD)
  await again.store.close()
})

test('the memory store completes on its own, after the caller', async () => {
  const store = new MemoryStore(events)
  store.flush(emptyBatch(), Turn(1), true)
  store.flush(emptyBatch(), Turn(2), false)
  store.writeRecord(RECORD)
  assert.equal(log, [])
  await Promise.resolve()
  assert.equal(log, ['stored 2', 'record'])
  store.flush(emptyBatch(), Turn(3), true)
  await Promise.resolve()
  assert.is(log.at(-1), 'stored 3')
  await store.close()
})

const column = <Row>(rows: readonly Row[], name: keyof Row) => rows.map((row) => row[name])

/** Without the difference of Buffer, Uint8Array and views. */
function plain(image: Image): unknown {
  return JSON.parse(JSON.stringify(image, (_key, value) => (value instanceof Uint8Array ? [...value] : value)))
}

test.run()
