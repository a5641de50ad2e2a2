// Store files: makes or finds the database in the data directory, checks it and reads it, and turns what the system says into
// one sentence for the operator. A file that is damaged or of a newer format is left as it is, byte for byte.
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OperatorFault } from '../../base/fault.ts'
import type { Image, NodeRecord } from '../../session/image.ts'
import { Damage, loadImage, loadRecord } from './store_load.ts'
import { APPLICATION_ID, DB_FILE, FORMAT, NEW_FILE, SCHEMA } from './store_schema.ts'

const MAGIC = 'SQLite format 3\0'
const HEADER_BYTES = 100
const HEADER_FORMAT_AT = 60
const HEADER_APPLICATION_AT = 68
/** Bytes up to which the structure of the file is checked at every start; it takes about 10 ms. */
const CHECK_ALWAYS_BYTES = 16 * 1024 * 1024
/** ... up to which it is checked after an unclean end. Reading all rows walks all pages of any file anyway. */
const CHECK_UNCLEAN_BYTES = 1024 * 1024 * 1024

export function makeDirectory(dir: string): void {
  try {
    const made = mkdirSync(dir, { recursive: true, mode: 0o700 })
    if (made !== undefined && process.platform !== 'win32') sync(dirname(made))
  } catch (error) {
    throw new OperatorFault(`the data directory ${dir} cannot be made (${text(error)}); choose another with --data`)
  }
}

/** The database of `dir`, made if there is none yet. */
export function prepare(dir: string): string {
  const file = join(dir, DB_FILE)
  if (existsSync(file)) {
    checkHeader(file)
  } else {
    if (size(`${file}-wal`) > 0) {
      throw new OperatorFault(`${file} is missing, but its ${DB_FILE}-wal is there; put it back or remove both`)
    }
    create(dir, file)
  }
  return file
}

/** Checks and reads, through a connection that cannot write. */
export function read(file: string): { record: NodeRecord | null; recordSeq: number; image: Image } {
  const unclean = size(`${file}-wal`) > 0
  const bytes = size(file) + size(`${file}-wal`)
  try {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      if (bytes <= (unclean ? CHECK_UNCLEAN_BYTES : CHECK_ALWAYS_BYTES)) {
        const row = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
        if (row.quick_check !== 'ok') throw new Damage(row.quick_check)
      }
      const { record, seq } = loadRecord(db)
      return { record, recordSeq: seq, image: loadImage(db) }
    } finally {
      db.close()
    }
  } catch (error) {
    throw fault(file, error)
  }
}

/** What went wrong with `file`, as the operator should read it. */
export function fault(file: string, error: unknown): OperatorFault {
  if (error instanceof OperatorFault) return error
  const what = text(error)
  if (error instanceof Damage || /malformed|corrupt|not a database|no such (table|column)/i.test(what))
    return damaged(file, what)
  if (/full|ENOSPC|EDQUOT/i.test(what)) {
    return new OperatorFault(`${file} cannot be written, the disk is full (${what}); free some space and start again`)
  }
  return new OperatorFault(
    `${file} cannot be used (${what}); check its permissions and its disk, or choose another --data`,
  )
}

function damaged(file: string, what: string): OperatorFault {
  return new OperatorFault(
    `${file} is damaged (${what}) and was left as it is; restore it from a backup, or move the directory away to start empty`,
  )
}

function checkHeader(file: string): void {
  // Read before SQLite opens the file: closing any descriptor of a file drops the locks that the process has on it.
  const head = new Uint8Array(HEADER_BYTES)
  let bytes = 0
  try {
    const fd = openSync(file, 'r')
    try {
      bytes = readSync(fd, head, 0, HEADER_BYTES, 0)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw fault(file, error)
  }
  const view = new DataView(head.buffer)
  const magic = String.fromCharCode(...head.subarray(0, MAGIC.length))
  if (bytes < HEADER_BYTES || magic !== MAGIC) throw damaged(file, 'it does not begin like a database')
  if (view.getUint32(HEADER_APPLICATION_AT) !== APPLICATION_ID) throw damaged(file, 'it is not a store of TandeMQ')
  const format = view.getUint32(HEADER_FORMAT_AT)
  if (format > FORMAT) {
    throw new OperatorFault(
      `${file} has format ${format}, this TandeMQ knows formats up to ${FORMAT}; start the newer version that wrote it`,
    )
  }
  if (format === 0) throw damaged(file, 'it has no format number')
}

/** Builds the file under another name; it gets its own name when it is whole and on disk. */
function create(dir: string, file: string): void {
  const fresh = join(dir, NEW_FILE)
  try {
    for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(fresh + suffix, { force: true })
    closeSync(openSync(fresh, 'wx', 0o600))
    const db = new DatabaseSync(fresh)
    try {
      // fsync comes below, once for all. The header must say which format this is before the first WAL exists.
      db.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY')
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`)
      db.exec(`BEGIN; ${SCHEMA} COMMIT`)
      db.exec('PRAGMA journal_mode = WAL')
    } finally {
      db.close()
    }
    chmodSync(fresh, 0o600)
    sync(fresh)
    renameSync(fresh, file)
    if (process.platform !== 'win32') sync(dir)
  } catch (error) {
    throw fault(file, error)
  }
}

function sync(path: string): void {
  // Windows flushes only what was opened for writing.
  const fd = openSync(path, process.platform === 'win32' ? 'r+' : 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function size(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function text(error: unknown): string {
  // SQLite's findings come on several lines.
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ')
}
