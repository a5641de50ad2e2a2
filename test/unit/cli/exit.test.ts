// Exit: real processes: a wrong setting is one sentence on stderr and exit code 2, with nothing started.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../../support/suite.ts'

const test = suite('exit codes')
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'tandemq-exit-'))
const data = join(dir, 'data')

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const runtime = 'Deno' in globalThis ? ['run', '-A', '--no-lock', main] : [main]
  const { status, stdout, stderr } = spawnSync(process.execPath, [...runtime, ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { code: status, out: stdout, err: stderr }
}

for (const [args, message] of [
  ['--nonsense', /^tandemq: --nonsense is not a flag/],
  ['start --suspect-ms never', /^tandemq: --suspect-ms: "never"/],
  ['--listen-tls 8883', /^tandemq: --listen-tls is not supported yet$/],
  ['--peer 10.9.9.9', /^tandemq: --cluster-secret-file is required/],
  ['nonsense', /^tandemq: there is no command "nonsense"/],
  ['bench', /^tandemq: tandemq bench is not supported yet$/],
  ['pub -t a', /^tandemq: give one of --message/],
  ['pub -t a/# -m x', /^tandemq: --topic: "a\/#"/],
  ['pub -L mqtt://u:100%@h/t -m x', /^tandemq: --url: in user name and password a % stands as %25$/],
  ['sub -t a -W 3000000', /^tandemq: --timeout: "3000000" is more than 2147483 seconds, 24 days$/],
  ['pub -t a -m x --repeat 2 --repeat-delay 3000000', /^tandemq: --repeat-delay: "3000000" is more than/],
  ['sub -t a/#/b', /^tandemq: --topic: "a\/#\/b" is not a topic filter/],
  ['status --admin', /^tandemq: --admin needs a value/],
] as const) {
  test(`tandemq ${args}`, () => {
    const { code, out, err } = run(...args.split(' '), ...(args.startsWith('-') ? ['--data', data] : []))
    assert.is(code, 2)
    assert.is(out, '')
    assert.match(err.trimEnd(), message)
    assert.is(err.trimEnd().split('\n').length, 1, 'one sentence')
    assert.not(existsSync(data), 'nothing started')
  })
}

test('a port in use names the flag, and the data directory is free afterwards', async () => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  const { port } = holder.address() as { port: number }
  for (let i = 0; i < 2; i++) {
    const { code, err } = run('--listen', `127.0.0.1:${port}`, '--data', data, '--admin', '127.0.0.1:0')
    assert.is(code, 2)
    assert.match(err, /--listen: 127\.0\.0\.1:\d+ is already in use/)
  }
  await new Promise((resolve) => holder.close(resolve))
})

test('--test-config says so and starts nothing', () => {
  const other = join(dir, 'other')
  const { code, out } = run('--test-config', '--data', other)
  assert.is(code, 0)
  assert.match(out, /valid/)
  assert.not(existsSync(other))
})

test('--version and --help', () => {
  assert.match(run('--version').out, /^tandemq \d+\.\d+\.\d+/)
  const help = run('--help').out
  assert.match(help, /Simple options:/)
  assert.match(help, /Advanced options:/)
  assert.match(run('sub', '--help').out, /-C, --count N/)
  assert.match(run('drain', '--help').out, /--admin HOST:PORT/)
})

test('pub and status say where nobody answers, exit code 1', () => {
  const pub = run('pub', '-h', '127.0.0.1', '-p', '1', '-t', 'a', '-m', 'x')
  assert.is(pub.code, 1)
  assert.match(pub.err, /^tandemq: cannot connect to 127\.0\.0\.1:1 \(ECONNREFUSED\)$/m)
  assert.is(run('pub', '--quiet', '-h', '127.0.0.1', '-p', '1', '-t', 'a', '-m', 'x').err, '')
  const status = run('status', '--admin', '127.0.0.1:1')
  assert.is(status.code, 1)
  assert.match(status.err, /^tandemq: no node answers at 127\.0\.0\.1:1 \(--admin\)$/m)
})

test.after(() => rmSync(dir, { recursive: true, force: true }))

test.run()
