// Spec: the table of both standards' statements: which tests hold each, what they said just now, and why the rest has none.
//
//   npm run spec [-- PART…]      statements whose number contains a part, or all
//     --titles                   with the titles of the tests
//     --all                      runs also the tests that start processes
//
// Exit code 1 when a statement that can be tested has no test, or one that fails.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mqtt5 } from '../../fixtures/spec/mqtt5.ts'
import { mqtt311 } from '../../fixtures/spec/mqtt311.ts'
import { type Row, type Standard, tagOf } from '../../fixtures/spec/statement.ts'
import { runFile, testFiles } from '../run.ts'
import type { TestResult } from '../support/suite.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const options = process.argv.slice(2)
const parts = options.filter((option) => !option.startsWith('--'))
const withTitles = options.includes('--titles')
const runsAll = options.includes('--all')

/** Files that cite statements for other ends than to hold them. */
const NO_STATEMENT = new Set(['test/tidy.test.ts', 'test/unit/wire/clauses.test.ts'])

/** A test that cites a statement; `ok` null: it was not run. */
type Cited = { file: string; title: string; ok: boolean | null }

/** Titles that a file cites statements in, read off its text. */
function titlesIn(text: string): string[] {
  return [...text.matchAll(/(['"`])((?:(?!\1)[^\\\n])*\[MQTT-(?:(?!\1)[^\\\n])*)\1/g)].map(
    (match) => match[2] as string,
  )
}

async function results(file: string, folder: string): Promise<Cited[]> {
  const report = join(folder, `${file.replaceAll('/', '.')}.jsonl`)
  const outcome = await runFile(file, { TEST_REPORT: report })
  if (outcome.problem !== null && outcome.passed === outcome.total)
    throw new Error(`${file}: ${outcome.problem}\n${outcome.output}`)
  if (outcome.passed < outcome.total) console.log(outcome.output)
  return readFileSync(report, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ file, ...(JSON.parse(line) as TestResult) }))
}

async function gather(): Promise<Cited[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tandemq-spec-'))
  const cited: Cited[] = []
  try {
    for (const file of testFiles()) {
      const titles = titlesIn(readFileSync(join(root, file), 'utf8'))
      if (titles.length === 0 || NO_STATEMENT.has(file)) continue
      if (runsAll || /^test\/(?:spec|unit)\//.test(file)) cited.push(...(await results(file, folder)))
      else cited.push(...titles.map((title) => ({ file, title, ok: null })))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return cited
}

/** `3_1_connect 4, will 2`. */
function places(tests: readonly Cited[]): string {
  const counts = new Map<string, number>()
  for (const { file, ok } of tests) {
    const name = file.replace(/^test\/(?:spec\/)?/, '').replace(/\.test\.ts$/, '') + (ok === null ? ' (not run)' : '')
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
}

type State = 'ok' | 'elsewhere' | 'FAILS' | 'NO TEST' | 'untestable'

function stateOf([, , , untestable]: Row, tests: readonly Cited[]): State {
  if (tests.some(({ ok }) => ok === false)) return 'FAILS'
  if (tests.some(({ ok }) => ok === true)) return 'ok'
  if (tests.length > 0) return 'elsewhere'
  return untestable === undefined ? 'NO TEST' : 'untestable'
}

/** @returns how many statements lack a test or fail */
function print(standard: Standard, cited: readonly Cited[]): number {
  console.log(`\n${standard.name}\n`)
  const totals = new Map<string, number>()
  const add = (key: string) => void totals.set(key, (totals.get(key) ?? 0) + 1)
  let tests = 0
  for (const row of standard.rows) {
    const [number, bound, says, untestable] = row
    const tag = tagOf(standard, number)
    const own = cited.filter(({ title }) => title.includes(tag))
    const state = stateOf(row, own)
    tests += own.length
    add(state === 'untestable' ? `untestable: ${untestable}` : state)
    if (parts.length > 0 && !parts.some((part) => number.includes(part))) continue
    const where = state === 'untestable' ? `– ${untestable}` : places(own)
    console.log(
      `${number.padEnd(9)} ${bound.padEnd(6)} ${state.padEnd(10)} ${says}${where === '' ? '' : `  [${where}]`}`,
    )
    if (withTitles) for (const { title } of own) console.log(`${' '.repeat(28)}${title}`)
  }
  console.log(`\n${standard.name}: ${standard.rows.length} statements, ${tests} citations in tests`)
  for (const [key, count] of [...totals].sort()) console.log(`  ${String(count).padStart(4)}  ${key}`)
  return (totals.get('FAILS') ?? 0) + (totals.get('NO TEST') ?? 0)
}

const cited = await gather()
const bad = [mqtt5, mqtt311].map((standard) => print(standard, cited)).reduce((a, b) => a + b)
console.log(
  bad === 0 ? '\nevery statement that can be tested has its test' : `\n${bad} statements fail or have no test`,
)
process.exit(bad === 0 ? 0 : 1)
