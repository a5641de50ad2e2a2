// Store test: what goes into the store comes back, in the order asked, and a file that is not right is refused untouched.

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type BootId, type Hlc, Turn } from '../../../src/base/brand.ts'
import { OperatorFault } from '../../../src/base/fault.ts'
import { MemoryStore, type OpenStore, SqliteStore } from '../../../src/host/store.ts'
import type { SessionRow } from '../../../src/session/image.ts'
import { type Batch, emptyBatch, type Image, type MessageRow, type NodeRecord } from '../../../src/session/image.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('store')
const BIG = Number.MAX_SAFE_INTEGER
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

async function refusal(): Promise<string> {
  try {
    const { store } = await open()
    await store.close()
  } catch (error) {
    assert.instance(error, OperatorFault)
    return (error as Error).message
  }
  throw new Error('the store opened')
}

const session = (client: string, more: Partial<SessionRow> = {}): SessionRow => ({
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
const message = (id: number, more: Partial<MessageRow> = {}): MessageRow => ({
  id,
  origin: 7 as BootId,
  seq: id,
  hlc: 1 as Hlc,
  topic: 't',
  payload: new Uint8Array([1, 2, 3]),
  qos: 1,
  retain: false,
  props: null,
  expiresAt: 0,
  publisher: 'p',
  ...more,
})
const entry = (client: string, pos: number, id: number) =>
  ({ client, pos, message: id, qos: 1, retain: false, subscriptionIds: null, state: 0, packetId: 0 }) as const
const record: NodeRecord = {
  clusterId: 'c',
  name: 'knoten-ä',
  bootCounter: 1,
  generation: { n: 3, minter: BIG as BootId },
  history: [{ n: 2, minter: 9 as BootId }],
  status: 'SOLO',
  peerName: '',
  witnessIncarnation: 0,
}
const allBytes = Uint8Array.from({ length: 256 }, (_, i) => i)

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
  const will = { topic: 'w/ü', payload: allBytes, qos: 2, retain: true, delay: 5, props: allBytes, expiry: -1 } as const
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
      message(1, { payload: new Uint8Array(0), props: new Uint8Array(0), retain: true, qos: 0 }),
      message(2, { payload: allBytes.subarray(3, 77), props: allBytes, topic: 'ü/𝄞', publisher: '' }),
      message(BIG, { origin: BIG as BootId, seq: BIG, hlc: BIG as Hlc, expiresAt: BIG, qos: 2 }),
      ...[],
    ],
    queue: [
      { ...entry('a', 9, 1), subscriptionIds: [] },
      { ...entry('a', 10, BIG), subscriptionIds: [1, 268435455], state: 3, packetId: 65535, qos: 2, retain: true },
      entry('b', BIG, 2),
    ],
    shadows: [
      { client: 's', message: 1, qos: 0, retain: true, subscriptionIds: null },
      { client: 's', message: BIG, qos: 2, retain: false, subscriptionIds: [4] },
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
  const large = message(3, { payload: new Uint8Array(3_000_000).fill(5), topic: 'x'.repeat(65_000) })
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
    { sessions: [session('a', { ver: 1 })], queue: [entry('a', 1, 1)], inbound: [{ client: 'a', packetId: 1 }] },
    { sessions: [session('a', { ver: 2 })], queue: [entry('a', 1, 2)], inbound: [{ client: 'a', packetId: 1 }] },
  )
  assert.is(image.sessions[0]?.ver, 2)
  assert.equal(image.queue, [entry('a', 1, 2)])
  assert.is(image.inbound.length, 1)
})

test('the queue comes back in order of client and position', async () => {
  const image = await roundTrip(
    { queue: [entry('b', 2, 1), entry('a', 10, 1), entry('b', 1, 1)] },
    { queue: [entry('a', 9, 1), entry('10', 1, 1)] },
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
    queue: [entry(client, 1, 1)],
    shadows: [{ client, message: 1, qos: 1, retain: false, subscriptionIds: null }],
    inbound: [{ client, packetId: 5 }],
  })
  const again: Partial<Batch> = {
    sessionsGone: ['a', 'never there'],
    sessions: [session('a', { ver: 9 })],
    queue: [entry('a', 7, 1)],
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
    assert.equal(
      rows.map((row) => row.client),
      ['b'],
    )
  }
})

test('each kind of deletion takes its row and no other', async () => {
  const presence = (client: string) =>
    ({ client, boot: 1 as BootId, n: 1, mine: true, up: true, expiry: 0, will: null, willDueAt: 0 }) as const
  const shadow = (client: string, id: number) =>
    ({ client, message: id, qos: 1, retain: false, subscriptionIds: null }) as const
  const retained = (topic: string) => ({ topic, message: 1, hlc: 1 as Hlc, node: 1 as BootId })
  const image = await roundTrip(
    {
      sessions: [session('a')],
      subscriptions: ['f', 'g'].map((filter) => ({ client: 'a', filter, options: 0, subscriptionId: 0 })),
      messages: [message(1), message(2)],
      queue: [entry('a', 1, 1), entry('a', 2, 1)],
      shadows: [shadow('a', 1), shadow('a', 2), shadow('b', 1)],
      inbound: [1, 2].map((packetId) => ({ client: 'a', packetId })),
      retained: [retained('x'), retained('y')],
      presence: [presence('a'), presence('b')],
    },
    {
      subscriptionsGone: [{ client: 'a', filter: 'f' }],
      messagesGone: [1],
      queueGone: [{ client: 'a', pos: 1 }],
      shadowsGone: ['a'],
      inboundGone: [{ client: 'a', packetId: 1 }],
      retainedGone: ['x'],
      presenceGone: ['a'],
    },
  )
  assert.is(image.sessions.length, 1)
  assert.equal(
    image.subscriptions.map((row) => row.filter),
    ['g'],
  )
  assert.equal(
    image.messages.map((row) => row.id),
    [2],
  )
  assert.equal(
    image.queue.map((row) => row.pos),
    [2],
  )
  assert.equal(
    image.shadows.map((row) => row.client),
    ['b'],
  )
  assert.equal(
    image.inbound.map((row) => row.packetId),
    [2],
  )
  assert.equal(
    image.retained.map((row) => row.topic),
    ['y'],
  )
  assert.equal(
    image.presence.map((row) => row.client),
    ['b'],
  )
})

test('flushes and records complete in the order asked', async () => {
  const { store } = await open()
  store.flush(emptyBatch(), Turn(1), false)
  store.flush({ ...emptyBatch(), sessions: [session('a')] }, Turn(2), true)
  store.writeRecord(record)
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
  assert.equal(again.record, record)
  await again.store.close()
})

test('a torn copy of the record is passed over, two are a damaged file', async () => {
  const { store } = await open()
  store.writeRecord(record)
  await store.close()
  const tear = (sql: string) => {
    const db = new DatabaseSync(file())
    db.exec(sql)
    db.close()
  }
  tear(`UPDATE node_a SET body = replace(body, 'SOLO', 'SOLI')`)
  const second = await open()
  assert.equal(second.record, record)
  second.store.writeRecord({ ...record, bootCounter: 2 })
  await second.store.close()
  // The older of two whole copies does not count.
  tear(`UPDATE node_b SET body = (SELECT body FROM node_b), seq = 0`)
  const third = await open()
  assert.is(third.record?.bootCounter, 2)
  await third.store.close()
  tear(`UPDATE node_a SET sum = sum + 1`)
  const before = readFileSync(file())
  assert.match(await refusal(), /tandemq\.db is damaged .*no copy of the node record.*backup/)
  assert.equal(readFileSync(file()), before)
})

test('a file with flipped bytes is refused and left as it is', async () => {
  const messages = Array.from({ length: 2000 }, (_, i) => message(i + 1, { topic: 'needle', payload: allBytes }))
  await roundTrip({ messages, queue: messages.map((row) => entry('a', row.id, row.id)) })
  const good = readFileSync(file())
  const middle = good.indexOf('needle', good.length >> 1)
  const flips: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ['in the magic', (b) => flip(b, 3)],
    ['in the application id', (b) => flip(b, 69)],
    ['in the page size', (b) => flip(b, 16)],
    ['in a topic', (b) => flip(b, middle)],
    ['in a payload', (b) => flip(b, middle + 100)],
    ['over a page', (b) => b.fill(0xff, 8192 * 5, 8192 * 5 + 4096)],
    ['zeroes over a page', (b) => b.fill(0, 8192 * 6, 8192 * 6 + 4096)],
    ['cut off', (b) => b.slice(0, b.length >> 1)],
    ['cut to nothing', (b) => b.slice(0, 0)],
    ['text', () => new TextEncoder().encode('not a database '.repeat(100))],
  ]
  for (const [title, change] of flips) {
    const bad = change(new Uint8Array(good))
    writeFileSync(file(), bad)
    const sentence = await refusal()
    assert.match(sentence, /tandemq\.db (is damaged|cannot be used) .*(backup|--data)/, title)
    assert.ok(readFileSync(file()).equals(bad), `${title}: left as it is`)
  }
  writeFileSync(file(), good)
  const { store, image } = await open()
  assert.is(image.messages.length, 2000)
  await store.close()
})

test('a file of a newer format is refused and left as it is', async () => {
  await roundTrip({ sessions: [session('a')] })
  const db = new DatabaseSync(file())
  db.exec('PRAGMA user_version = 9')
  db.close()
  const before = readFileSync(file())
  assert.match(await refusal(), /tandemq\.db has format 9, .*newer/)
  assert.ok(readFileSync(file()).equals(before))
})

test('a directory that cannot be used is named', async () => {
  const root = dir
  writeFileSync(join(root, 'plain'), '')
  dir = join(root, 'plain', 'data')
  assert.match(await refusal(), /data directory .*plain\/data cannot be made .*--data/)
  dir = join(root, 'plain')
  assert.match(await refusal(), /data directory .*plain .*--data/)
  if (existsSync('/proc/self')) {
    dir = '/proc/tandemq'
    assert.match(await refusal(), /\/proc\/tandemq/)
    dir = '/proc'
    assert.match(await refusal(), /\/proc .*--data/)
  }
  dir = root
  chmodSync(dir, 0o700)
})

test('a write-ahead log without its database is not taken for an empty store', async () => {
  writeFileSync(`${file()}-wal`, 'x'.repeat(100))
  assert.match(await refusal(), /tandemq\.db is missing/)
})

test('a store half made is made anew', async () => {
  writeFileSync(join(dir, 'tandemq.db.new'), 'x'.repeat(100))
  assert.equal(await roundTrip({}), EMPTY)
  assert.not.ok(existsSync(join(dir, 'tandemq.db.new')))
})

test('one process cannot open a directory twice, but again after close', async () => {
  const { store } = await open()
  assert.match(await refusal(), new RegExp(`in use by process ${process.pid};`))
  await store.close()
  await store.close()
  assert.equal(await roundTrip({}), EMPTY)
})

test('the memory store completes on its own, after the caller', async () => {
  const store = new MemoryStore(events)
  store.flush(emptyBatch(), Turn(1), true)
  store.flush(emptyBatch(), Turn(2), false)
  store.writeRecord(record)
  assert.equal(log, [])
  await Promise.resolve()
  assert.equal(log, ['stored 2', 'record'])
  store.flush(emptyBatch(), Turn(3), true)
  await Promise.resolve()
  assert.is(log.at(-1), 'stored 3')
  await store.close()
})

function flip(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at] = (bytes[at] as number) ^ 0x11
  return bytes
}

/** Without the difference of Buffer, Uint8Array and views. */
function plain(image: Image): unknown {
  return JSON.parse(JSON.stringify(image, (_key, value) => (value instanceof Uint8Array ? [...value] : value)))
}

test.run()
