// ReplaceFile: a file of secrets rewritten so that whoever reads it meanwhile sees the old one or the new one. Knows no format.
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { utf8 } from '../base/bytes.ts'
import { OperatorFault } from '../base/fault.ts'

/** What is left of an existing file's mode: the broker may be its group. */
const MODE_MOST = 0o640

/** A new file is for its owner's eyes only; an existing one keeps owner and group, and who of them may read. @throws {OperatorFault} */
export function replaceFile(file: string, lines: readonly string[]): void {
  try {
    replace(file, utf8(lines.map((line) => `${line}\n`).join('')))
  } catch (error) {
    throw new OperatorFault(`passwd: cannot write ${file} (${(error as { code?: string }).code ?? error})`)
  }
}

function replace(file: string, bytes: Uint8Array): void {
  const former = statSync(file, { throwIfNoEntry: false })
  const target = former === undefined ? file : realpathSync(file) // a link stays a link
  const next = `${target}.${process.pid}.new`
  const fd = openSync(next, 'wx', 0o600)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
    closeSync(fd)
    if (former !== undefined) keepAccess(next, former)
    renameSync(next, target)
  } catch (error) {
    unlinkSync(next)
    throw error
  }
  if (process.platform === 'win32') return
  const folder = openSync(dirname(target), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function keepAccess(next: string, former: Stats): void {
  const { uid, gid } = statSync(next)
  if (uid !== former.uid || gid !== former.gid) chownSync(next, former.uid, former.gid)
  chmodSync(next, former.mode & MODE_MOST)
}
