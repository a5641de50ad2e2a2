// Lock: one process per data directory. The lock is SQLite's own on a small file, so the kernel drops it however the process
// ends, kill -9 included, on every system. Knows nothing of what the directory holds.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OperatorFault } from '../../base/fault.ts'

export const LOCK_FILE = 'tandemq.lock'
/** Who holds the lock, for the message alone; means nothing while the lock is free. */
export const PID_FILE = 'tandemq.pid'

export class DirectoryLock {
  private readonly db: DatabaseSync
  private readonly pidFile: string

  private constructor(db: DatabaseSync, pidFile: string) {
    this.db = db
    this.pidFile = pidFile
  }

  /** @throws {OperatorFault} if another process has it */
  static take(dir: string): DirectoryLock {
    const pidFile = join(dir, PID_FILE)
    const db = new DatabaseSync(join(dir, LOCK_FILE))
    try {
      // Takes the file lock and writes nothing: the file stays empty.
      db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      db.close()
      if (!(error instanceof Error) || !error.message.includes('locked')) throw error
      const holder = readPid(pidFile)
      throw new OperatorFault(
        `the data directory ${dir} is in use by ${holder === null ? 'another process' : `process ${holder}`}; stop it or give this node a --data directory of its own`,
      )
    }
    const lock = new DirectoryLock(db, pidFile)
    try {
      writeFileSync(pidFile, `${process.pid}\n`)
    } catch (error) {
      lock.release()
      throw error
    }
    return lock
  }

  release(): void {
    rmSync(this.pidFile, { force: true })
    this.db.close()
  }
}

function readPid(file: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return pid > 0 ? pid : null
  } catch {
    return null
  }
}
