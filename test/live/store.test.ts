// Store test, live: a process that writes is killed at any moment; what it said was stored is there, each flush as a whole, and
// its lock is free again. `STORE_KILLS=500 bun test/live/store.test.ts` kills more often.
// timeout: 900 s

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BootId, type Hlc, Turn } from '../../src/base/brand.ts'
import { OperatorFault } from '../../src/base/fault.ts'
import { Prng } from '../../src/base/prng.ts'
import { SqliteStore } from '../../src/host/store/store.ts'
import { type Batch, emptyBatch, type Image, type NodeRecord } from '../../src/session/image.ts'
import { assert, suite } from '../support/suite.ts'

const KILLS = Number(process.env['STORE_KILLS'] ?? 10)
const QUEUE_TURNS = 7
const RECORD_TURNS = 5
const SYNC_TURNS = 3
const DEPTH = 4
const self = fileURLToPath(import.meta.url)
const isDeno = 'Deno' in globalThis
const silent = { stored() {}, recordStored() {}, failed() {} }

/** Turn `t` puts messages for `t` in and takes those of an older turn out; the whole state follows from `t`. */
function batchOf(t: number): Batch {
  const batch = emptyBatch()
  const client = 'c'
  batch.sessions.push({
    ...{ client, mine: true, epoch: 1, minter: 1 as BootId, n: 1, ver: t, lineage: [], expiry: 1, expiresAt: 0 },
    ...{ packetIds: [t], nextPos: t },
  })
  for (const id of idsOf(t)) {
    batch.messages.push({
      ...{
        id,
        origin: 1 as BootId,
        seq: id,
        hlc: t as Hlc,
        topic: `t/${t}`,
        payload: new Uint8Array(id % 5000).fill(t),
      },
      ...{ qos: 1 as const, retain: false, props: null, expiresAt: 0, publisher: '' },
    })
    batch.queue.push({
      ...{ client, pos: id, message: id, qos: 1 as const, retain: false, subscriptionIds: null, share: null },
      ...{ state: 0 as const, packetId: 0 },
    })
  }
  for (const id of t > QUEUE_TURNS ? idsOf(t - QUEUE_TURNS) : []) {
    batch.messagesGone.push(id)
    batch.queueGone.push({ client, pos: id })
  }
  return batch
}

function idsOf(t: number): number[] {
  return Array.from({ length: 1 + (t % 9) }, (_, i) => t * 10 + i)
}

function checkImage(image: Image): number {
  const t = image.sessions[0]?.ver ?? 0
  const ids: number[] = []
  for (let k = Math.max(1, t - QUEUE_TURNS + 1); k <= t; k++) ids.push(...idsOf(k))
  assert.equal(
    image.messages.map((row) => row.id),
    ids,
  )
  assert.equal(
    image.queue.map((row) => row.message),
    ids,
  )
  for (const row of image.messages) {
    assert.is(row.payload.length, row.id % 5000)
    assert.ok(row.payload.every((byte) => byte === (row.hlc & 0xff)))
  }
  return t
}

const recordOf = (t: number): NodeRecord => ({
  ...{ clusterId: 'c', name: 'n', bootCounter: t, generation: { n: t, minter: 1 as BootId }, history: [] },
  ...{ status: 'SOLO' as const, peerName: '', witnessIncarnation: 0 },
})

/** The process that is killed: goes on from what it finds, says what is stored as soon as it is told. */
async function child(dir: string): Promise<void> {
  let next = 1
  let records = 0
  const say = (line: string) => void writeSync(1, `${line}\n`)
  const ask = () => {
    const t = next++
    store.flush(batchOf(t), Turn(t), t % SYNC_TURNS === 0)
    if (t % RECORD_TURNS !== 0 || records > 0) return
    records = t
    store.writeRecord(recordOf(t))
  }
  const opened = await SqliteStore.open(dir, {
    stored(turn) {
      say(`stored ${turn}`)
      while (next <= turn + DEPTH) ask()
    },
    recordStored() {
      say(`record ${records}`)
      records = 0
    },
    failed: (message) => say(`failed ${message}`),
  })
  const store = opened.store
  next = checkImage(opened.image) + 1
  say(`open ${next - 1}`)
  for (let i = 0; i < DEPTH; i++) ask()
}

function start(dir: string): { process: ChildProcess; lines: string[]; said(word: string): Promise<void> } {
  const args = isDeno ? ['run', '-A', '--no-lock', self] : [self]
  const started = spawn(process.execPath, [...args, 'child', dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const heard: (() => void)[] = []
  let rest = ''
  started.stdout?.on('data', (chunk: Uint8Array) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() as string
    lines.push(...parts)
    for (const wake of heard.splice(0)) wake()
  })
  started.on('exit', () => {
    for (const wake of heard.splice(0)) wake()
  })
  const said = async (word: string) => {
    while (!lines.some((line) => line.startsWith(word))) {
      assert.is(started.exitCode, null, `the child ended without "${word}"`)
      await new Promise<void>((resolve) => heard.push(resolve))
    }
  }
  return { process: started, lines, said }
}

async function kill(victim: ChildProcess): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  victim.on('close', () => resolve())
  victim.kill('SIGKILL')
  await promise
}

const highest = (lines: string[], word: string) =>
  Math.max(0, ...lines.filter((line) => line.startsWith(word)).map((line) => Number(line.slice(word.length))))

if (process.argv[2] === 'child') await child(process.argv[3] as string)
else {
  const test = suite('store, live')
  let dir = ''
  test.before.each(() => {
    dir = mkdtempSync(join(tmpdir(), 'tandemq-store-'))
  })
  test.after.each(() => rmSync(dir, { recursive: true, force: true }))

  test(`after each of ${KILLS} kills every reported turn is there, each as a whole`, async () => {
    const seed = Number(process.env['STORE_SEED'] ?? 1)
    const prng = new Prng(seed)
    let turns = 0
    for (let i = 0; i < KILLS; i++) {
      const victim = start(dir)
      await victim.said('open')
      // The longer ones see checkpoints too.
      const ms = prng.chance(0.2) ? prng.int(0, 1500) : prng.int(0, 120)
      await new Promise((resolve) => setTimeout(resolve, ms))
      await kill(victim.process)
      assert.not.ok(victim.lines.some((line) => line.startsWith('failed')))
      const { store, record, image } = await SqliteStore.open(dir, silent)
      turns = checkImage(image)
      const counter = record?.bootCounter ?? 0
      assert.ok(turns >= highest(victim.lines, 'stored '), `kill ${i}: turn ${turns}, ${victim.lines.at(-1)}`)
      assert.ok(counter >= highest(victim.lines, 'record '), `kill ${i}: record ${counter}, ${victim.lines.at(-1)}`)
      assert.ok(counter <= turns, 'a record is never ahead of the flushes before it')
      await store.close()
    }
    assert.ok(turns > KILLS, 'something was written')
  })

  test('a log left by a kill is taken up by the next start, kill after kill', async () => {
    let before = 0
    for (let i = 0; i < 4; i++) {
      const victim = start(dir)
      await victim.said('stored')
      const found = highest(victim.lines, 'open ')
      assert.ok(found >= before, 'no reported turn is lost')
      await kill(victim.process)
      before = highest(victim.lines, 'stored ')
    }
  })

  test('a second process is refused with the pid of the first, and let in after kill -9', async () => {
    const first = start(dir)
    await first.said('open')
    let fault: unknown = null
    try {
      await SqliteStore.open(dir, silent)
    } catch (error) {
      fault = error
    }
    assert.instance(fault, OperatorFault)
    assert.match((fault as Error).message, new RegExp(`${dir} is in use by process ${first.process.pid};`))
    await kill(first.process)
    const { store, image } = await SqliteStore.open(dir, silent)
    checkImage(image)
    await store.close()
  })

  test.run()
}
