// TextFile: an operator's file of lines, read whole, at the start or while clients are served. Knows nothing of what it says.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate as pause } from 'node:timers/promises'
import { utf8Text } from '../base/bytes.ts'
import { OperatorFault } from '../base/fault.ts'

/** Some milliseconds of work: who reads a file by a generator yields as often as this. */
export const LINES_PER_SLICE = 1000

/** @param label what names the file, for messages: `--password-file` @throws {OperatorFault} */
export function readBytes(path: string, label: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    throw unreadable(error, path, label)
  }
}

/** @throws {OperatorFault} */
export async function readBytesLater(path: string, label: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw unreadable(error, path, label)
  }
}

function unreadable(error: unknown, path: string, label: string): OperatorFault {
  return new OperatorFault(`${label}: cannot read ${path} (${(error as { code?: string }).code ?? error})`)
}

/** @throws {OperatorFault} */
export function textOf(bytes: Uint8Array, bytesMax: number, path: string, label: string): string {
  if (bytes.length > bytesMax) throw new OperatorFault(`${label}: ${path} has more than ${bytesMax} bytes`)
  const text = utf8Text(bytes)
  if (text === null) throw new OperatorFault(`${label}: ${path} is not UTF-8 text`)
  return text
}

export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}

/** The event loop goes on between slices. */
export async function inSlices<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
    await pause()
  }
}
