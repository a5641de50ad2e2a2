// Pipe: what a dial that fails is told: a refusal counts as the other node's death, so nothing of our own side's making may look like one.
import process from 'node:process'
import { loadPipes } from '../../../src/host/sockets/runtime.ts'
import { Proc } from '../../support/processes.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('pipe')
const onPosix = process.platform === 'win32' ? test.skip : test
const run = 'Deno' in globalThis ? ['run', '-A', '--no-lock'] : []

onPosix('out of descriptors, a dial has failed and was not refused', async () => {
  const limited = ['-c', 'ulimit -n 100; exec "$@"', 'sh']
  const proc = new Proc('sh', [...limited, process.execPath, ...run, 'test/support/full_table.ts'])
  assert.is(await proc.ended, 0, proc.log)
  assert.match(proc.log, '{"refused":false,"why":"EMFILE"}')
})

test('a dial to where nobody listens was refused', async () => {
  const pipes = await loadPipes()
  const host = '127.0.0.1'
  const { port, stop } = await pipes.listen({ host, port: 0 }, () => {})
  stop()
  const { promise, resolve } = Promise.withResolvers<unknown>()
  pipes.dial({ host, port }, 2_000, () => resolve('a pipe'), resolve)
  assert.equal(await promise, { refused: true, why: 'ECONNREFUSED' })
})

test.run()
