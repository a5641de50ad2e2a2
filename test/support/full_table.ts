// FullTable: a process that has every descriptor it may have open, and dials one who listens. A program: says as JSON what the dial
// came to. `sh -c 'ulimit -n 100; bun test/support/full_table.ts'`.
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import process from 'node:process'
import { loadPipes } from '../../src/host/sockets/runtime.ts'

const pipes = await loadPipes()
const host = '127.0.0.1'
const { port } = await pipes.listen({ host, port: 0 }, () => {})
const { promise, resolve } = Promise.withResolvers<unknown>()
const open: number[] = []
try {
  for (;;) open.push(openSync(devNull, 'r'))
} catch {
  // full
}
pipes.dial({ host, port }, 2_000, () => resolve('a pipe'), resolve)
const outcome = await promise
for (const descriptor of open) closeSync(descriptor)
console.log(JSON.stringify(outcome))
process.exit(0)
