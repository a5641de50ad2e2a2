// Store files test: a directory or file that is not right is refused with one sentence and left untouched.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Turn } from '../../../src/base/brand.ts'
import { OperatorFault } from '../../../src/base/fault.ts'
import { type OpenStore, SqliteStore } from '../../../src/host/store/store.ts'
import { type Batch, emptyBatch, type Image } from '../../../src/session/image.ts'
import { ALL_BYTES, messageRow, queueRow, RECORD } from '../../support/store_rows.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('store files')

let dir = ''
const file = () => join(dir, 'tandemq.db')
test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'tandemq-store-'))
})
test.after.each(() => rmSync(dir, { recursive: true, force: true }))

const open = (): Promise<OpenStore> => SqliteStore.open(dir, { stored() {}, recordStored() {}, failed() {} })

/** Flushes the batch, closes, opens again, and gives what was read. */
async function roundTrip(batch: Partial<Batch>): Promise<Image> {
  const { store } = await open()
  store.flush({ ...emptyBatch(), ...batch }, Turn(1), true)
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

test('a torn copy of the record is passed over, two are a damaged file', async () => {
  const { store } = await open()
  store.writeRecord(RECORD)
  await store.close()
  const tear = (sql: string) => {
    const db = new DatabaseSync(file())
    db.exec(sql)
    db.close()
  }
  tear(`UPDATE node_a SET body = replace(body, 'SOLO', 'SOLI')`)
  const second = await open()
  assert.equal(second.record, RECORD)
  second.store.writeRecord({ ...RECORD, bootCounter: 2 })
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
  const messages = Array.from({ length: 2000 }, (_, i) => messageRow(i + 1, { topic: 'needle', payload: ALL_BYTES }))
  await roundTrip({ messages, queue: messages.map((row) => queueRow('a', row.id, row.id)) })
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
  await roundTrip({ queue: [queueRow('a', 1, 1)] })
  const db = new DatabaseSync(file())
  db.exec('PRAGMA user_version = 9')
  db.close()
  const before = readFileSync(file())
  assert.match(await refusal(), /tandemq\.db has format 9, .*newer/)
  assert.ok(readFileSync(file()).equals(before))
})

test('a file of format 1 is brought up to date, with all that it holds', async () => {
  const shadow = { client: 'b', message: 2, qos: 1, retain: true, subscriptionIds: [7], share: null } as const
  await roundTrip({ queue: [queueRow('a', 1, 1)], shadows: [shadow] })
  const db = new DatabaseSync(file())
  db.exec(`ALTER TABLE queue DROP COLUMN share; DROP TABLE shadow;
    CREATE TABLE shadow (client TEXT NOT NULL, message INTEGER NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL,
      subscription_ids TEXT, PRIMARY KEY (client, message)) STRICT, WITHOUT ROWID;
    INSERT INTO shadow VALUES ('b', 2, 1, 1, '7'); PRAGMA user_version = 1`)
  db.close()
  const { store, image } = await open()
  assert.equal(image.queue, [queueRow('a', 1, 1)])
  assert.equal(image.shadows, [shadow])
  assert.is(readFileSync(file()).readUInt32BE(60), 2, 'in the header, where an older version looks')
  store.flush({ ...emptyBatch(), queue: [{ ...queueRow('a', 2, 1), share: '$share/g/t' }] }, Turn(1), true)
  await store.close()
  const again = await open()
  assert.equal(again.image.queue[1], { ...queueRow('a', 2, 1), share: '$share/g/t' })
  assert.equal(again.image.shadows, [shadow])
  await again.store.close()
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
})

test('a write-ahead log without its database is not taken for an empty store', async () => {
  writeFileSync(`${file()}-wal`, 'x'.repeat(100))
  assert.match(await refusal(), /tandemq\.db is missing/)
})

test('a store half made is made anew', async () => {
  writeFileSync(join(dir, 'tandemq.db.new'), 'x'.repeat(100))
  assert.is((await roundTrip({})).sessions.length, 0)
  assert.not.ok(existsSync(join(dir, 'tandemq.db.new')))
})

test('one process cannot open a directory twice, but again after close', async () => {
  const { store } = await open()
  assert.match(await refusal(), new RegExp(`in use by process ${process.pid};`))
  await store.close()
  await store.close()
  assert.is((await roundTrip({})).sessions.length, 0)
})

function flip(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at] = (bytes[at] as number) ^ 0x11
  return bytes
}

test.run()
