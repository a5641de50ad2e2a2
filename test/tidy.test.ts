// Tidy: the agreed style, as tests. Each rule runs over the repository, and over small samples to show that it can fail.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mqtt5 } from '../fixtures/spec/mqtt5.ts'
import { mqtt311 } from '../fixtures/spec/mqtt311.ts'
import { tagOf } from '../fixtures/spec/statement.ts'
import { assert, suite } from './support/suite.ts'
import * as tidy from './support/tidy.ts'

const test = suite('tidy')

/** Files of src/ that may be longer than 400 lines, with the reason. It only ever shrinks. */
const LONGER: Readonly<Record<string, { lines: number; why: string }>> = {}

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is tracked, or would be with the next `git add`. */
function repository(): tidy.Source[] {
  const git = spawnSync(
    'git',
    ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    },
  )
  // Without git this is no clone but a copy of its files.
  const listed = git.status === 0 ? git.stdout.split('\0') : walk()
  assert.ok(
    git.status === 0 || !existsSync(join(root, '.git')) || git.error !== undefined,
    `git ls-files: ${git.stderr}`,
  )
  const paths = listed.filter((path) => path !== '' && existsSync(join(root, path)))
  return [...new Set(paths)].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function walk(): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !/^(node_modules|dist|\.git|tandemq-data)(\/|$)/.test(path))
}

const files = repository()

function none(findings: readonly string[]): void {
  assert.ok(findings.length === 0, `\n${findings.join('\n')}`)
}

/** `bad` samples must each give a finding at the line named; `good` ones none. */
type Sample = { path?: string; text: string; line?: number }
type Rule = (files: readonly tidy.Source[]) => readonly string[]

function rule(title: string, check: Rule, bad: readonly Sample[], good: readonly Sample[]): void {
  const source = (sample: Sample) => ({ path: sample.path ?? 'src/session/x.ts', text: sample.text })
  test(`${title}: seen to fail`, () => {
    for (const sample of bad) {
      const findings = check([source(sample)])
      assert.ok(findings.length > 0, `no finding in: ${sample.text}`)
      assert.match(findings[0]!, new RegExp(`^[^:]+:${sample.line ?? 1}: .`), `wrong line for: ${sample.text}`)
    }
    for (const sample of good) assert.equal(check([source(sample)]), [], `finding in: ${sample.text}`)
  })
  test(title, () => none(check(files)))
}

rule(
  'layers import leftwards only',
  tidy.arrows,
  [
    { path: 'src/base/a.ts', text: "\nimport { x } from '../wire/x.ts'", line: 2 },
    { path: 'src/pair/a.ts', text: "import type { x } from '../connection/x.ts'" },
    { path: 'src/connection/a.ts', text: "import { x } from '../pair/x.ts'" },
    { path: 'src/core/a.ts', text: "// x\nimport {\n  x,\n} from '../host/x.ts'", line: 2 },
    { path: 'src/core/a.ts', text: "const x = import('../host/x.ts')" },
    { path: 'src/core/a.ts', text: "export { x } from '../cli/x.ts'" },
    { path: 'src/host/a.ts', text: "import '../main.ts'" },
    { path: 'src/host/a.ts', text: "import { x } from '../../test/x.ts'" },
    { path: 'src/stuff/a.ts', text: '' },
  ],
  [
    { path: 'src/core/a.ts', text: "import { x } from '../pair/x.ts'\nimport { y } from '../connection/y.ts'" },
    { path: 'src/wire/a.ts', text: "import { x } from '../base/x.ts'\nimport { y } from './y.ts'" },
    { path: 'src/main.ts', text: "import { x } from './cli/x.ts'" },
    { path: 'src/base/a.ts', text: "// import { x } from '../wire/x.ts'\nconst s = `import x from '../wire/x.ts'`" },
  ],
)

rule(
  'packages are imported where they belong',
  tidy.packages,
  [
    { path: 'src/core/a.ts', text: "import { generate } from 'mqtt-packet'" },
    { path: 'src/pair/a.ts', text: "import { Encoder } from '@msgpack/msgpack'" },
    { path: 'src/host/a.ts', text: "import cac from 'cac'" },
    { path: 'src/cli/a.ts', text: "\nimport x from 'left-pad'", line: 2 },
  ],
  [
    { path: 'src/wire/a.ts', text: "import { Encoder } from '@msgpack/msgpack'\nimport { parser } from 'mqtt-packet'" },
    { path: 'src/cli/a.ts', text: "import { cac } from 'cac'\nimport fs from 'node:fs'" },
  ],
)

rule(
  'paths are explicit and there are no barrels',
  tidy.paths,
  [
    { text: "import { x } from './x'" },
    { text: "import { x } from './x.js'" },
    { text: "\nexport * from './x.ts'", line: 2 },
    { path: 'src/session/index.ts', text: '' },
  ],
  [{ text: "import { x } from './x.ts'\nexport const y = 2 * 3" }],
)

rule(
  'the core is pure',
  tidy.purity,
  [
    { text: 'const a = 1\nconst b = Date.now()', line: 2 },
    { text: 'const b = performance.now()' },
    { text: 'const b = Math.random()' },
    { text: 'setTimeout(f, 1)' },
    { text: 'queueMicrotask(f)' },
    { text: 'const f = async () => 1' },
    { text: 'await f()' },
    { text: 'const p = process.env' },
    { text: 'const p = `${Bun.version}`' },
    { text: 'Deno.exit()' },
    { text: "import { readFileSync } from 'node:fs'" },
    { text: "import { type A, b } from 'node:fs'" },
  ],
  [
    { text: "import type { Socket } from 'node:net'" },
    { text: "import { type Socket, type Server } from 'node:net'" },
    { text: "// Date.now() would be wrong; await nothing\nconst s = 'Math.random()' + `await ${1}`" },
    { text: 'const r = /await|Date.now()/\nthis.process.x = batch.await' },
    { path: 'src/host/x.ts', text: "import fs from 'node:fs'\nawait Bun.sleep(Date.now())" },
    { path: 'src/main.ts', text: 'process.exit(0)' },
  ],
)

rule(
  'each file says what it is',
  tidy.headers,
  [{ text: 'const x = 1' }, { text: '\n// Name: x' }, { text: '// no colon' }],
  [{ text: '// Inflight: messages sent to one client and not yet acknowledged.\n' }],
)

rule(
  'no leftovers',
  tidy.leftovers,
  [{ text: `a\n// ${'TO'}${'DO'} later`, line: 2 }, { text: `// ${'FIX'}${'ME'}` }],
  [{ text: 'const todo = 1' }],
)

rule(
  'files are short',
  (all) => tidy.lengths(all, all.length === 1 ? {} : LONGER),
  [{ text: 'x\n'.repeat(401), line: 401 }],
  [{ text: 'x\n'.repeat(400) }],
)

test('files are short: the list of longer files only shrinks', () => {
  const file = (lines: number) => [{ path: 'src/core/a.ts', text: 'x\n'.repeat(lines) }]
  const list = { 'src/core/a.ts': { lines: 500, why: 'sample' } }
  assert.equal(tidy.lengths(file(490), list), [])
  assert.is(tidy.lengths(file(501), list).length, 1)
  assert.is(tidy.lengths(file(410), list).length, 1)
  assert.is(tidy.lengths(file(300), list).length, 1)
  assert.is(tidy.lengths([], list).length, 1)
})

rule(
  'no enum, no namespace',
  tidy.erasable,
  [{ text: '\nexport const enum A { b }', line: 2 }, { text: 'enum A {}' }, { text: 'declare namespace A {}' }],
  [{ text: '// enum A\nconst enumerate = 1\nconst namespace = 2' }],
)

const tag = (clause: string) => `[MQTT-${clause}]`

rule(
  'each clause cited in src is cited by a test',
  tidy.clauses,
  [{ text: `\nreturn takeOver // ${tag('9.9.9-9')}`, line: 2 }, { text: `return takeOver // ${tag('3.1.1/9.9.9-9')}` }],
  [{ text: '// MQTT 5' }],
)

const testable = new Map(
  [mqtt5, mqtt311].flatMap((standard) =>
    standard.rows.map(([number, , , untestable]) => [tagOf(standard, number), untestable === undefined] as const),
  ),
)
const known = new Set(testable.keys())

rule(
  'each clause cited is one of the standards',
  (all) => tidy.realClauses(all, known),
  [
    { text: `\n// ${tag('3.1.0-3')}`, line: 2 },
    { path: 'test/spec/a.test.ts', text: tag('3.1.1/1.5.4-1') },
  ],
  [{ text: `// ${tag('3.1.0-2')} ${tag('3.1.1/1.5.3-1')}` }],
)

test('each clause cited in src is cited by a test: a test that cites it settles it', () => {
  const cited = { path: 'src/core/a.ts', text: tag('9.9.9-9') }
  assert.equal(tidy.clauses([cited, { path: 'test/spec/a.test.ts', text: tag('9.9.9-9') }]), [])
  assert.is(tidy.clauses([cited, { path: 'fixtures/a.txt', text: tag('9.9.9-9') }]).length, 1)
})

test('each statement of the standards has its test', () => none(tidy.statements(files, testable)))

test('each statement of the standards has its test: seen to fail', () => {
  const two = new Map([
    [tag('3.1.0-1'), true],
    [tag('3.1.2-20'), false],
  ])
  const cites = (...tags: string[]) => [{ path: 'test/spec/a.test.ts', text: tags.join(' ') }]
  assert.is(tidy.statements([], two).length, 1)
  assert.equal(tidy.statements(cites(tag('3.1.0-1')), two), [])
  assert.is(tidy.statements(cites(tag('3.1.0-1'), tag('3.1.2-20')), two).length, 1)
})

test('each feature of MQTT that is said to survive a crash has its test', () =>
  none(tidy.titles(files, 'src/pair/DESIGN.md', 'Features over one crash')))

test('each feature of MQTT that is said to survive a crash has its test: seen to fail', () => {
  const live = { path: 'test/live/a.test.ts', text: "test('wills: once', () => {})" }
  const document = (cell: string) => ({
    path: 'a.md',
    text: `\n## Kept\n\n| A | B | C |\n|---|---|---|\n| Will | yes | ${cell} |\n`,
  })
  const check = (cell: string) => tidy.titles([live, document(cell)], 'a.md', 'Kept').length
  assert.equal(
    [check('`wills: once` (`a.test.ts`)'), check('`wills: twice`'), check('`b.test.ts`'), check('none')],
    [0, 1, 1, 1],
  )
})

rule(
  'each layer has a DESIGN.md',
  tidy.designs,
  [{ path: 'src/core/a.ts', text: '' }],
  [{ path: 'README.md', text: '' }],
)

test('each layer has a DESIGN.md: one beside the code settles it', () => {
  const design = { path: 'src/core/DESIGN.md', text: '' }
  assert.equal(tidy.designs([{ path: 'src/core/a.ts', text: '' }, design]), [])
})

rule(
  'no path of a machine, no host of a registry',
  tidy.places,
  [
    { path: 'README.md', text: `a\nsee ${['', 'work', 'x'].join('/')}`, line: 2 },
    { path: 'package-lock.json', text: `https://${['registry', 'npmjs', 'org'].join('.')}/x` },
    { path: 'a.txt', text: ['', 'root', '.npmrc'].join('/') },
  ],
  [{ path: 'README.md', text: 'work/ and /var/lib/tandemq, /usr/local/bin, /$bunfs/root/x.js' }],
)

test.run()
