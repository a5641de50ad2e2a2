// Store bench: what the store costs the main thread, what the disk gives, and how long a start reads.
//
//   bun test/bench/store.ts [DIR]          deno run -A test/bench/store.ts [DIR]      (DIR: on the disk to measure)

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BootId, type Hlc, Turn } from '../../src/base/brand.ts'
import { SqliteStore } from '../../src/host/store/store.ts'
import { type Batch, emptyBatch } from '../../src/session/image.ts'

const SESSIONS = 50_000
const MESSAGES = 100_000
const PAYLOAD = new Uint8Array(100).fill(0x2a)

const dir = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'tandemq-bench-'))
const waiting = new Map<number, () => void>()
let reported = 0
const events = {
  stored(turn: Turn) {
    for (; reported < turn; reported++) {
      waiting.get(reported + 1)?.()
      waiting.delete(reported + 1)
    }
  },
  recordStored() {},
  failed(message: string) {
    throw new Error(message)
  },
}
let turn = 0
const opening = performance.now()
let { store } = await SqliteStore.open(dir, events)
print('open an empty directory', performance.now() - opening, 'ms')

function ask(batch: Batch, sync: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  waiting.set(++turn, resolve)
  store.flush(batch, Turn(turn), sync)
  return promise
}

function print(what: string, value: number, unit: string): void {
  const digits = value < 10 ? 2 : value < 1000 ? 1 : 0
  console.log(`${what.padEnd(58)} ${value.toFixed(digits).padStart(10)} ${unit}`)
}

const messageRow = (id: number) => ({
  ...{ id, origin: (2 ** 47 + 5) as BootId, seq: id, hlc: (3.5e15 + id) as Hlc, topic: `site/7/line/${id % 50}/temp` },
  ...{ payload: PAYLOAD, qos: 1 as const, retain: false, props: null, expiresAt: 0, publisher: `pub-${id % 10}` },
})
const queueRow = (client: string, id: number) => ({
  ...{ client, pos: id, message: id, qos: 1 as const, retain: false, subscriptionIds: null, share: null },
  ...{ state: 0 as const, packetId: 0 },
})
const sessionRow = (client: string, ver: number) => ({
  ...{
    client,
    mine: true,
    epoch: 1,
    minter: (2 ** 47 + 5) as BootId,
    n: 1,
    ver,
    lineage: [],
    expiry: 3600,
    expiresAt: 0,
  },
  ...{ packetIds: [0, 0, 0, 0], nextPos: ver },
})

/** About a thousand changes as a queueing broker makes them: messages and entries in, entries and messages out. */
function thousand(k: number): Batch {
  const batch = emptyBatch()
  for (let i = 0; i < 250; i++) {
    const id = 1 + k * 250 + i
    batch.messages.push(messageRow(id))
    batch.queue.push(queueRow(`subscriber-${id % 100}`, id))
    if (k < 8) continue
    batch.messagesGone.push(id - 2000)
    batch.queueGone.push({ client: `subscriber-${(id - 2000) % 100}`, pos: id - 2000 })
  }
  return batch
}

{
  const us: number[] = []
  const started = performance.now()
  for (let k = 0; k < 400; k++) {
    const batch = thousand(k)
    const at = performance.now()
    const done = ask(batch, true)
    us.push((performance.now() - at) * 1000)
    if (k % 4 === 3) await done
  }
  const seconds = (performance.now() - started) / 1000
  us.sort((a, b) => a - b)
  print('main thread, one batch of 1000 rows, median', us[us.length >> 1] as number, 'µs')
  print('main thread, one batch of 1000 rows, 99 %', us[Math.floor(us.length * 0.99)] as number, 'µs')
  print('rows stored, synced, four batches under way', 400_000 / seconds, 'rows/s')
}
for (const sync of [true, false]) {
  const ms: number[] = []
  for (let k = 0; k < 2000; k++) {
    const batch = emptyBatch()
    batch.sessions.push(sessionRow(`c${k % 100}`, k))
    const at = performance.now()
    await ask(batch, sync)
    ms.push(performance.now() - at)
  }
  const total = ms.reduce((sum, x) => sum + x, 0)
  ms.sort((a, b) => a - b)
  const name = sync ? 'synced' : 'not synced'
  print(`one row, ${name}, one at a time`, (2000 / total) * 1000, 'commits/s')
  print(`one row, ${name}, from flush to stored, median`, (ms[1000] as number) * 1000, 'µs')
  print(`one row, ${name}, from flush to stored, 99.9 %`, (ms[1997] as number) * 1000, 'µs')
}
{
  const started = performance.now()
  let last = Promise.resolve()
  for (let k = 0; k < 20_000; k++) {
    const batch = emptyBatch()
    batch.sessions.push(sessionRow(`c${k % 100}`, k))
    last = ask(batch, true)
    if (k % 100 === 99) await last
  }
  await last
  print('one row, synced, a hundred under way', 20_000_000 / (performance.now() - started), 'flushes/s')
}
{
  for (let k = 0; k < 50; k++) {
    const batch = emptyBatch()
    for (let i = 0; i < SESSIONS / 50; i++) {
      const client = `device-${k}-${i}`
      batch.sessions.push(sessionRow(client, 1))
      batch.subscriptions.push({ client, filter: `site/7/line/${i % 50}/+`, options: 1, subscriptionId: 0 })
      for (let j = 0; j < MESSAGES / SESSIONS; j++) {
        const id = 1_000_000 + ((k * SESSIONS) / 50 + i) * 2 + j
        batch.messages.push(messageRow(id))
        batch.queue.push(queueRow(client, id))
      }
    }
    await ask(batch, false)
  }
  const closing = performance.now()
  await store.close()
  print('close', performance.now() - closing, 'ms')
  print('file', statSync(join(dir, 'tandemq.db')).size / 1e6, 'MB')
  const at = performance.now()
  const again = await SqliteStore.open(dir, events)
  print('open', performance.now() - at, 'ms')
  const { sessions, messages, queue } = again.image
  console.log(`  of ${sessions.length} sessions, ${messages.length} messages, ${queue.length} queue entries`)
  store = again.store
  await store.close()
}
rmSync(dir, { recursive: true })
