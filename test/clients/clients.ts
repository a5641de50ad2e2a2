// Clients: the table of real clients by feature, made of the tests' own declarations and what they said just now.
//
//   npm run clients
//
// Exit code 1 when a cell fails, or the tests did not come to their end.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runFile } from '../run.ts'
import type { TestResult } from '../support/suite.ts'
import { columns, features, PROGRAMS, titleOf, VERSIONS, whyNot } from './table.ts'

const FILE = 'test/live/clients.test.ts'
const CELL_CHARS = 7

type Said = { readonly isWhole: boolean; readonly byTitle: ReadonlyMap<string, boolean> }

async function results(): Promise<Said> {
  const folder = mkdtempSync(join(tmpdir(), 'tandemq-clients-'))
  const report = join(folder, 'report.jsonl')
  try {
    const outcome = await runFile(FILE, { TEST_REPORT: report })
    if (outcome.problem !== null) console.log(outcome.output)
    for (const [line] of outcome.output.matchAll(/^missing: .*$/gm)) console.log(line)
    const lines = readFileSync(report, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    const byTitle = new Map(lines.map((line) => JSON.parse(line) as TestResult).map(({ title, ok }) => [title, ok]))
    return { isWhole: outcome.problem === null, byTitle }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { isWhole, byTitle } = await results()
const reasons: string[] = []
const totals = { yes: 0, no: 0, FAILS: 0, 'not run': 0 }

/** `no` has the number of its reason. */
function cellOf(feature: (typeof features)[number], column: (typeof columns)[number]): string {
  const why = whyNot(feature, column)
  if (why !== null) {
    totals.no++
    if (!reasons.includes(why)) reasons.push(why)
    return `no ${reasons.indexOf(why) + 1}`
  }
  const ok = byTitle.get(titleOf(feature, column))
  const word = ok === undefined ? 'not run' : ok ? 'yes' : 'FAILS'
  totals[word]++
  return word
}

const width = Math.max(...features.map(({ title }) => title.length)) + 2
const line = (title: string, cells: readonly string[]) =>
  console.log(`${title.padEnd(width)}${cells.map((cell) => cell.padEnd(CELL_CHARS + 1)).join('')}`.trimEnd())

console.log()
const programs = Object.keys(PROGRAMS)
console.log(
  ' '.repeat(width) +
    programs
      .map((name) => name.padEnd((CELL_CHARS + 1) * VERSIONS.length))
      .join('')
      .trimEnd(),
)
line(
  '',
  columns.map(({ version }) => version),
)
for (const feature of features)
  line(
    feature.title,
    columns.map((column) => cellOf(feature, column)),
  )
console.log()
for (const [i, reason] of reasons.entries()) console.log(`no ${i + 1}: ${reason}`)
console.log()
for (const { title, program, version } of columns) {
  const own = { title, program, version }
  const can = features.filter((feature) => whyNot(feature, own) === null)
  const passed = can.filter((feature) => byTitle.get(titleOf(feature, own)) === true)
  console.log(`${title.padEnd(18)}${passed.length} of ${can.length}`)
}
const words = Object.entries(totals).map(([word, count]) => `${count} ${word}`)
console.log(`\n${features.length} features, ${columns.length} clients: ${words.join(', ')}`)
process.exit(isWhole && totals.FAILS === 0 ? 0 : 1)
