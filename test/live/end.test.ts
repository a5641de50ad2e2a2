// The end of a node, live: what must not end it, and what must not keep it from ending.

import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../../src/base/limits.ts'
import { freePorts, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('end')
const run = 'Deno' in globalThis ? ['run', '-A', '--no-lock'] : []

async function lone(program: string): Promise<{ proc: Proc; isLive: () => Promise<boolean> }> {
  const [mqtt, admin] = (await freePorts(2)) as [number, number]
  const addresses = ['--listen', `127.0.0.1:${mqtt}`, '--admin', `127.0.0.1:${admin}`]
  const proc = new Proc(process.execPath, [...run, program, '--no-data', ...addresses])
  const isLive = async () => (await fetch(`http://127.0.0.1:${admin}/health/ready`).catch(() => null))?.status === 200
  for (let i = 0; i < 200 && !(await isLive()); i++) await sleep(50)
  return { proc, isLive }
}

test('a node whose log nobody reads any more goes on', async () => {
  const { proc, isLive } = await lone('src/main.ts')
  for (const stream of [proc.child.stderr, proc.child.stdout]) stream?.destroy()
  for (let i = 0; i < 5; i++) {
    proc.signal('SIGHUP') // nothing to reload: a line
    await sleep(100)
  }
  assert.ok(await isLive())
  assert.is(await proc.terminate(), 0)
})

test('a second signal ends a node whose disk does not answer, at once', async () => {
  const { proc } = await lone('test/support/stuck_disk.ts')
  proc.signal('SIGTERM')
  await sleep(500)
  assert.ok(proc.isUp)
  const began = performance.now()
  proc.signal('SIGINT')
  assert.is(await proc.ended, 1, proc.log)
  assert.ok(performance.now() - began < 1_000)
  assert.match(proc.log, /second signal \(SIGINT\): not waiting any longer\n/)
})

test('a disk that does not answer keeps no node from ending', async () => {
  const { proc } = await lone('test/support/stuck_disk.ts')
  proc.signal('SIGTERM')
  const began = performance.now()
  const late = setTimeout(() => proc.signal('SIGKILL'), 2 * LIMITS.storeCloseMs)
  assert.is(await proc.ended, 74, proc.log)
  clearTimeout(late)
  assert.ok(performance.now() - began > LIMITS.storeCloseMs - 1_000)
  assert.match(proc.log, /disk has not answered/)
})

test.run()
