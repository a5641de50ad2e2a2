// ReplaceFile: a file of secrets rewritten so that whoever reads it meanwhile sees the old one or the new one. Knows no format.
import {
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { utf8 } from '../base/bytes.ts'
import { OperatorFault } from '../base/fault.ts'

/** For its owner's eyes only; the owner stays who it was. @throws {OperatorFault} */
export function replaceFile(file: string, lines: readonly string[]): void {
  try {
    replace(file, utf8(lines.map((line) => `${line}\n`).join('')))
  } catch (error) {
    throw new OperatorFault(`passwd: cannot write ${file} (${(error as { code?: string }).code ?? error})`)
  }
}

function replace(file: string, bytes: Uint8Array): void {
  const owner = statSync(file, { throwIfNoEntry: false })
  const target = owner === undefined ? file : realpathSync(file) // a link stays a link
  const next = `${target}.${process.pid}.new`
  const fd = openSync(next, 'wx', 0o600)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
    closeSync(fd)
    if (owner !== undefined && owner.uid !== process.getuid?.()) chownSync(next, owner.uid, owner.gid)
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
