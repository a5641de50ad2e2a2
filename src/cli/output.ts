// Output: bytes to stdout, in order and before anything else goes on; a slow reader slows the command down.
import { writeSync } from 'node:fs'
import process from 'node:process'

const BLOCKED_MS = 2
const sleeper = new Int32Array(new SharedArrayBuffer(4))

export function writeOut(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      const code = (error as { code?: string }).code
      if (code === 'EPIPE') process.exit(0) // head, grep -q: the reader has what it wanted
      if (code !== 'EAGAIN') throw error
      Atomics.wait(sleeper, 0, 0, BLOCKED_MS)
    }
  }
}
