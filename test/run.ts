// Run: every test/**/*.test.ts in order, one process per file, on the runtime that runs this file (Bun or Deno).
//
//   bun test/run.ts [PART…]              all files, or those whose path contains one of the parts
//   deno run -A test/run.ts [PART…]
//
// A file fails if a test fails, if it does not end by itself in time, if it ends with another exit code than 0, or if it
// reports no test at all. A file that needs longer than the default says so in its first lines: `// timeout: 300 s`.
// The last line is always `N passed, N failed`.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseReport, type Report } from './support/report.ts'

const FILE_MS_DEFAULT = 120_000
const OUTPUT_CHARS_MAX = 400_000

const root = fileURLToPath(new URL('..', import.meta.url))
const isDeno = 'Deno' in globalThis

export type Outcome = Report & { output: string; problem: string | null; ms: number }

export function testFiles(): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !file.includes('/.'))
    .sort((a, b) => (a < b ? -1 : 1))
}

function timeoutMs(file: string): number {
  const head = readFileSync(join(root, file), 'utf8').split('\n', 12).join('\n')
  const found = /^\/\/ timeout: (\d+) s$/m.exec(head)
  return found === null ? FILE_MS_DEFAULT : Number(found[1]) * 1000
}

/** @param env on top of this process's own */
export function runFile(file: string, env: Record<string, string> = {}): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const started = performance.now()
  const args = isDeno ? ['run', '-A', '--no-lock', file] : [file]
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (chunk: Buffer) => {
    if (output.length < OUTPUT_CHARS_MAX) output += chunk.toString()
    else output = output.slice(0, OUTPUT_CHARS_MAX / 2) + '\n[… cut …]\n' + output.slice(-1000) + chunk.toString()
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const limitMs = timeoutMs(file)
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
    // A grandchild may hold the pipes open; what was read is enough.
    setTimeout(() => end(null, 'SIGKILL'), 1000)
  }, limitMs)
  let ended = false
  const end = (code: number | null, signal: string | null) => {
    if (ended) return
    ended = true
    clearTimeout(timer)
    const report = parseReport(output)
    let problem: string | null = null
    if (late) problem = `did not end within ${limitMs / 1000} s`
    else if (report.total + report.skipped === 0) problem = `reported no tests (exit code ${code ?? signal})`
    else if (code !== 0) problem = `ended with ${code ?? signal}`
    resolve({ ...report, output, problem, ms: performance.now() - started })
  }
  child.on('error', (error) => {
    output += String(error)
    end(null, 'error')
  })
  child.on('close', end)
  return promise
}

export async function main(parts: string[]): Promise<number> {
  const files = testFiles().filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  const failures: string[] = []
  let passed = 0
  let failed = 0
  let skipped = 0
  /** What tests were left out for (support/tools.ts). */
  const missing = new Set<string>()
  for (const file of files) {
    const outcome = await runFile(file)
    // A file that dies without a failed test of its own counts as one failure.
    const bad = Math.max(outcome.total - outcome.passed, outcome.problem === null ? 0 : 1)
    passed += outcome.passed
    failed += bad
    skipped += outcome.skipped
    for (const [, what] of outcome.output.matchAll(/^missing: (.*)$/gm)) missing.add(what as string)
    const seconds = (outcome.ms / 1000).toFixed(1)
    const note = outcome.skipped > 0 ? `, ${outcome.skipped} skipped` : ''
    console.log(`${bad === 0 ? 'ok  ' : 'FAIL'} ${file}  ${outcome.passed} of ${outcome.total}${note}  ${seconds} s`)
    if (bad > 0) {
      failures.push(file + (outcome.problem === null ? '' : `: ${outcome.problem}`))
      console.log(outcome.output.replace(/^/gm, '     '))
    }
  }
  if (missing.size > 0)
    console.log(`\nLeft out for want of a program:\n${[...missing].map((line) => `  ${line}`).join('\n')}`)
  if (files.length === 0) {
    failures.push(`no test file matches ${parts.join(' ') || 'test/**/*.test.ts'}`)
    failed++
  }
  if (process.env['CI'] === 'true' && skipped > 0) {
    failures.push(`${skipped} skipped, but nothing may be skipped here (CI=true)`)
    failed += skipped
  }
  if (failures.length > 0) console.log(`\nFailures:\n${failures.map((line) => `  ${line}`).join('\n')}\n`)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
