// Store worker: the thread that writes. Everything waiting in its inbox becomes one transaction with one commit; then each
// piece is reported in the order in which it was asked for. Knows nothing of the core.
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { assert } from '../../base/assert.ts'
import { Applier } from './store_apply.ts'
import { formatOf } from './store_load.ts'
import type { Packed } from './store_pack.ts'
import { RECORD_TABLES, UPGRADE_1 } from './store_schema.ts'

export type ToWorker =
  | { readonly kind: 'open'; readonly file: string }
  | { readonly kind: 'flush'; readonly packed: Packed; readonly turn: number; readonly sync: boolean }
  | { readonly kind: 'record'; readonly seq: number; readonly body: string; readonly sum: number }
  | { readonly kind: 'close' }

/** A bare number is the highest turn stored. */
export type FromWorker =
  | number
  | { readonly kind: 'ready' | 'recordStored' | 'closed' }
  | { readonly kind: 'failed'; readonly message: string }

/** WAL pages above which an idle moment is used to move them into the database: 1 MiB. */
const CHECKPOINT_IDLE_PAGES = 256
/** ... above which they are moved at once, right after the reports of a commit: 32 MiB. */
const CHECKPOINT_BUSY_PAGES = 8192
const CHECKPOINT_IDLE_MS = 50
/** Bytes to which the WAL is cut when a checkpoint has emptied it. */
const WAL_KEPT_BYTES = 64 * 1024 * 1024

class Writer {
  private readonly db: DatabaseSync
  private readonly applier: Applier
  private readonly begin: StatementSync
  private readonly commit: StatementSync
  private readonly count: StatementSync
  private readonly walSize: StatementSync
  private readonly records: StatementSync[]
  private synced: boolean | null = null
  private idle: ReturnType<typeof setTimeout> | null = null

  constructor(file: string) {
    const db = new DatabaseSync(file)
    this.db = db
    // Checkpoints are ours (see checkpoint()): SQLite's own would run inside a commit and delay its report.
    db.exec(`PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}; PRAGMA cache_size = -16384`)
    // macOS: fsync alone leaves the data in the drive's cache. No effect elsewhere.
    db.exec('PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1')
    if (formatOf(db) === 1) this.upgrade()
    this.applier = new Applier(db)
    this.begin = db.prepare('BEGIN IMMEDIATE')
    this.commit = db.prepare('COMMIT')
    this.count = db.prepare('UPDATE commits SET n = n + 1')
    // Reports the WAL's size and does nothing; SQLite before 3.51 takes it for PASSIVE, which is right too, only sooner.
    this.walSize = db.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.records = RECORD_TABLES.map((t) => db.prepare(`INSERT OR REPLACE INTO ${t} VALUES (1, ?, ?, ?)`))
    // The first write of all: a full or read-only disk shows itself now.
    this.setSync(true)
    this.begin.run()
    this.count.run()
    this.commit.run()
  }

  /** Whole or not at all; an older TandeMQ must find the new format in the header of the file itself. */
  private upgrade(): void {
    this.setSync(true)
    this.db.exec(`BEGIN IMMEDIATE; ${UPGRADE_1} COMMIT; PRAGMA wal_checkpoint(TRUNCATE)`)
  }

  /** @returns the reports to send, in order */
  write(asked: readonly ToWorker[]): FromWorker[] {
    const reports: FromWorker[] = []
    let sync = false
    for (const item of asked) sync ||= item.kind === 'record' || (item.kind === 'flush' && item.sync)
    this.setSync(sync)
    this.begin.run()
    for (const item of asked) {
      if (item.kind === 'flush') {
        this.applier.apply(item.packed)
        if (typeof reports.at(-1) === 'number') reports.pop()
        reports.push(item.turn)
      } else {
        assert(item.kind === 'record', 'only flushes and records are written')
        for (const table of this.records) table.run(item.seq, item.body, item.sum)
        reports.push({ kind: 'recordStored' })
      }
    }
    // A transaction that changes no page would commit without fsync, though earlier ones may still wait for theirs.
    if (sync) this.count.run()
    this.commit.run()
    return reports
  }

  /** Moves the WAL into the database: now if it is long, else when nothing was asked for a while. */
  checkpoint(): void {
    const row = this.walSize.get() as { log: number; checkpointed: number }
    const pages = row.log - row.checkpointed
    if (pages >= CHECKPOINT_BUSY_PAGES) this.db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    else if (pages >= CHECKPOINT_IDLE_PAGES && this.idle === null) {
      this.idle = setTimeout(() => {
        this.idle = null
        guard(() => this.db.exec('PRAGMA wal_checkpoint(PASSIVE)'))
      }, CHECKPOINT_IDLE_MS)
    }
  }

  busy(): void {
    if (this.idle !== null) clearTimeout(this.idle)
    this.idle = null
  }

  /** Everything written is in the database file itself, on disk, and the WAL is empty: the mark of a clean end. */
  close(): void {
    this.busy()
    this.setSync(true)
    const row = this.db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number }
    this.db.close()
    if (row.busy !== 0) throw new Error('the last checkpoint was kept from running by another process')
  }

  /**
   * FULL: a commit returns when the WAL, with all that earlier commits left in it, is on disk. NORMAL: it is handed to the
   * operating system, and only checkpoints wait for the disk. OFF is never used: after it a checkpoint may leave a torn file.
   */
  private setSync(sync: boolean): void {
    if (sync === this.synced) return
    this.db.exec(sync ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL')
    this.synced = sync
  }
}

const port = parentPort
let writer: Writer | null = null
let inbox: ToWorker[] = []
let scheduled = false
let failed = false

function report(message: FromWorker): void {
  port?.postMessage(message)
}

/** After a failure nothing is written or reported any more: what the disk holds beyond the last report is unknown. */
function guard(step: () => void): void {
  if (failed) return
  try {
    step()
  } catch (error) {
    failed = true
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
}

function work(): void {
  scheduled = false
  const asked = inbox
  inbox = []
  const closes = asked.at(-1)?.kind === 'close'
  if (closes) asked.pop()
  if (asked[0]?.kind === 'open') {
    const { file } = asked.shift() as { file: string }
    guard(() => {
      writer = new Writer(file)
      report({ kind: 'ready' })
    })
  }
  guard(() => {
    if (writer === null || asked.length === 0) return
    writer.busy()
    for (const message of writer.write(asked)) report(message)
    if (!closes) writer.checkpoint()
  })
  if (!closes) return
  guard(() => writer?.close())
  report({ kind: 'closed' })
}

port?.on('message', (message: ToWorker) => {
  inbox.push(message)
  if (scheduled) return
  scheduled = true
  setImmediate(work)
})
