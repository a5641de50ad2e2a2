// Suite test: a failing test, hook or file must fail the run in all ways of running it: bun, deno and `bun test`.
// timeout: 180 s

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseReport } from './report.ts'
import { assert, suite } from './suite.ts'

const test = suite('suite')
const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)

const modes: { name: string; command: (file: string) => string[] }[] = [
  { name: 'bun FILE', command: (file) => [bin('bun'), file] },
  { name: 'bun test FILE', command: (file) => [bin('bun'), 'test', file] },
  { name: 'deno run FILE', command: (file) => [bin('deno'), 'run', '-A', '--no-lock', file] },
]

const samples: { title: string; fails: boolean; body: string }[] = [
  { title: 'a good file', fails: false, body: `t('good', () => assert.is(1, 1))` },
  { title: 'a failing test', fails: true, body: `t('good', () => {}); t('bad', () => assert.is(1, 2))` },
  { title: 'a failing async test', fails: true, body: `t('bad', async () => { await 1; throw new Error('bad') })` },
  { title: 'a failing before', fails: true, body: `t.before(() => { throw new Error('b') }); t('good', () => {})` },
  { title: 'a failing before.each', fails: true, body: `t.before.each(() => assert.ok(0)); t('good', () => {})` },
  { title: 'a failing after', fails: true, body: `t.after(() => { throw new Error('a') }); t('good', () => {})` },
  {
    title: 'hooks in order',
    fails: false,
    body: `const seen: string[] = []
      t.before(() => void seen.push('before')); t.before.each(() => void seen.push('each'))
      t.after(() => assert.equal(seen, ['before', 'each', 'one', 'each', 'two']))
      t('one', () => void seen.push('one')); t('two', () => void seen.push('two')); t.skip('three', () => assert.ok(0))`,
  },
]

function withSample(body: string, use: (file: string) => void): void {
  const folder = mkdtempSync(join(here, '.sample-'))
  try {
    const file = join(folder, 'sample.test.ts')
    writeFileSync(
      file,
      `import { assert, suite } from '../suite.ts'\nconst t = suite('s')\nvoid assert\n${body}\nt.run()\n`,
    )
    use(file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

for (const mode of modes) {
  for (const sample of samples) {
    test(`${mode.name}: ${sample.title} ${sample.fails ? 'fails' : 'passes'}`, () => {
      withSample(sample.body, (file) => {
        const [command, ...args] = mode.command(file)
        assert.ok(existsSync(command!), `${command} is there`)
        const env = { ...process.env, NO_COLOR: '1' }
        const done = spawnSync(command!, args, { encoding: 'utf8', cwd: root, env, timeout: 30_000 })
        const output = done.stdout + done.stderr
        assert.is(done.status !== 0, sample.fails, `exit code ${done.status}\n${output}`)
        assert.not.match(output, /\b0 pass\n 0 fail/)
      })
    })
  }
}

test('report: the last block of totals counts', () => {
  assert.equal(parseReport('nothing'), { total: 0, passed: 0, skipped: 0 })
  const block = '\n  Total:     3\n\x1b[31m  Passed:    2\x1b[39m\n  Skipped:   1\n  Duration:  1ms\n'
  assert.equal(parseReport(block.replace('3', '9') + block), { total: 3, passed: 2, skipped: 1 })
})

test.run()
