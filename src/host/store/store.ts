// Store: the durable state of the node, kept by a thread of its own so that no fsync stops the event loop. Hands batches over
// and passes completions on; knows neither SQL (store_apply.ts, store_load.ts) nor what the rows mean.
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { assert, unreachable } from '../../base/assert.ts'
import { Turn } from '../../base/brand.ts'
import type { StorePort } from '../../core/ports.ts'
import type { Batch, Image, NodeRecord } from '../../session/image.ts'
import { DirectoryLock } from './lock.ts'
import { fault, makeDirectory, prepare, read } from './store_files.ts'
import { recordSum } from './store_load.ts'
import { Packer, packBatch } from './store_pack.ts'
import { DB_FILE } from './store_schema.ts'
import type { FromWorker, ToWorker } from './store_worker.ts'

export type StoreEvents = {
  /** All turns up to this one are stored as asked. */
  stored(turn: Turn): void
  recordStored(): void
  /** The disk failed; nothing asked since the last completion is known to be stored, and nothing will be any more. */
  failed(message: string): void
}

export type OpenStore = { store: SqliteStore; record: NodeRecord | null; image: Image }

export class SqliteStore implements StorePort {
  private readonly file: string
  private readonly events: StoreEvents
  private readonly lock: DirectoryLock
  private readonly worker: Worker
  private readonly packer = new Packer()
  private recordSeq = 0
  private turnAsked = 0
  private recordPending = false
  private phase: 'opening' | 'open' | 'closing' | 'failed' | 'closed' = 'opening'
  private readonly opened = Promise.withResolvers<void>()
  private readonly done = Promise.withResolvers<void>()

  private constructor(file: string, events: StoreEvents, lock: DirectoryLock) {
    this.file = file
    this.events = events
    this.lock = lock
    // This form is found uncompiled, on Bun and on Deno, and within the executable (compile/compile.ts).
    this.worker = new Worker(new URL('./store_worker.ts', import.meta.url))
    this.worker.on('message', (message: FromWorker) => this.onReport(message))
    this.worker.on('error', (error) => this.onFailed(String(error)))
    this.worker.on('exit', (code) => this.onFailed(`the store's thread ended with code ${code}`))
    // It may fail while open() still reads, before anybody waits for it.
    this.opened.promise.catch(() => {})
  }

  /** @throws {OperatorFault} if the directory or the file in it cannot be used; see STORE.md */
  static async open(dir: string, events: StoreEvents): Promise<OpenStore> {
    makeDirectory(dir)
    let lock: DirectoryLock
    try {
      lock = DirectoryLock.take(dir)
    } catch (error) {
      throw fault(dir, error)
    }
    let store: SqliteStore | null = null
    try {
      // The thread starts while the file is checked and read here: the rows arrive where they are needed, without a copy.
      store = new SqliteStore(join(dir, DB_FILE), events, lock)
      const file = prepare(dir)
      const { record, recordSeq, image } = read(file)
      store.recordSeq = recordSeq
      store.send({ kind: 'open', file })
      await store.opened.promise
      return { store, record, image }
    } catch (error) {
      if (store === null) lock.release()
      else await store.end()
      throw error
    }
  }

  flush(batch: Batch, turn: Turn, sync: boolean): void {
    if (this.phase === 'failed') return
    assert(this.phase === 'open', 'flush on a closed store')
    assert(turn >= this.turnAsked, 'turns are flushed in order')
    this.turnAsked = turn
    const packed = packBatch(this.packer, batch)
    const message: ToWorker = { kind: 'flush', packed, turn, sync }
    this.worker.postMessage(message, [packed.nums.buffer, packed.bytes.buffer])
  }

  writeRecord(record: NodeRecord): void {
    if (this.phase === 'failed') return
    assert(this.phase === 'open', 'record written to a closed store')
    assert(!this.recordPending, 'one record write at a time')
    this.recordPending = true
    const seq = ++this.recordSeq
    const body = JSON.stringify(record)
    this.send({ kind: 'record', seq, body, sum: recordSum(seq, body) })
  }

  /** Everything asked for is on disk, the file closed and the directory free for another process. */
  async close(): Promise<void> {
    if (this.phase === 'open') {
      this.phase = 'closing'
      this.send({ kind: 'close' })
    } else if (this.phase === 'failed') this.done.resolve()
    await this.done.promise
    await this.end()
  }

  private async end(): Promise<void> {
    if (this.phase === 'closed') return
    this.phase = 'closed'
    await this.worker.terminate()
    this.lock.release()
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message)
  }

  private onReport(message: FromWorker): void {
    if (typeof message === 'number') {
      this.events.stored(Turn(message))
      return
    }
    switch (message.kind) {
      case 'ready':
        this.phase = 'open'
        this.opened.resolve()
        break
      case 'recordStored':
        this.recordPending = false
        this.events.recordStored()
        break
      case 'closed':
        this.done.resolve()
        break
      case 'failed':
        this.onFailed(message.message)
        break
      default:
        unreachable(message)
    }
  }

  private onFailed(message: string): void {
    const { phase } = this
    if (phase === 'failed' || phase === 'closed') return
    this.phase = 'failed'
    const reason = fault(this.file, new Error(message))
    if (phase === 'opening') this.opened.reject(reason)
    else this.events.failed(reason.message)
    this.done.resolve()
  }
}

/** For --no-data: keeps nothing, and says so of each flush as soon as the caller's turn is over. */
export class MemoryStore implements StorePort {
  private readonly events: StoreEvents
  private turn: Turn | null = null

  constructor(events: StoreEvents) {
    this.events = events
  }

  flush(_batch: Batch, turn: Turn, _sync: boolean): void {
    if (this.turn === null) queueMicrotask(() => this.report())
    this.turn = turn
  }

  writeRecord(_record: NodeRecord): void {
    queueMicrotask(() => this.events.recordStored())
  }

  async close(): Promise<void> {}

  private report(): void {
    const { turn } = this
    this.turn = null
    if (turn !== null) this.events.stored(turn)
  }
}
