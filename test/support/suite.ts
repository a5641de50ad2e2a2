// Suite: uvu's API for every test file, also under `bun test`. Knows nothing of the broker.
//
// `bun test` counts only what is registered through bun:test, so uvu's own suites show up as "0 tests" there. Telling the
// two apart by NODE_ENV, argv or `Bun.jest` fails: NODE_ENV may be set by hand, argv is the same, `Bun.jest` always exists.
// What holds is that bun:test refuses to register anything outside its runner ("Cannot use afterAll() outside of the test
// runner"): an empty afterAll is the probe. Everywhere else (bun FILE, deno run FILE, test/run.ts) uvu itself runs the suite.
//
// Two gaps of uvu are closed here: a `before` hook that throws makes each test of its suite fail (uvu reports success with
// no test run), and an `after` hook that throws makes the process fail. And uvu names only the tests that fail: with
// TEST_REPORT=FILE each test leaves a line there, whatever its result (test/spec/spec.ts reads it).

import { appendFileSync } from 'node:fs'
import { type Callback, type Test, suite as uvuSuite } from 'uvu'

export * as assert from 'uvu/assert'

type Context = Record<string, unknown>
type BunTest = typeof import('bun:test')

/** `bun test` ends a test after 5 s unless told; the runner's limit per file is the one that counts. */
const TEST_MS_MAX = 300_000

/** One line of the file named by TEST_REPORT. */
export type TestResult = { title: string; ok: boolean }

const reportFile = process.env['TEST_REPORT']

function report(title: string, ok: boolean): void {
  const line: TestResult = { title, ok }
  appendFileSync(reportFile as string, `${JSON.stringify(line)}\n`)
}

function reported<T>(title: string, fn: Callback<T>): Callback<T> {
  if (reportFile === undefined) return fn
  return async (state) => {
    try {
      await fn(state)
    } catch (error) {
      report(title, false)
      throw error
    }
    report(title, true)
  }
}

const bunTest = await findBunTest()

async function findBunTest(): Promise<BunTest | null> {
  if (!('Bun' in globalThis)) return null
  const runner = await import('bun:test')
  try {
    runner.afterAll(() => {})
    return runner
  } catch {
    return null
  }
}

export function suite<T = Context>(name: string, context: T = {} as T): Test<T> {
  return bunTest === null ? guarded(uvuSuite<T>(name, context)) : registered(bunTest, name, context)
}

function guarded<T>(inner: Test<T>): Test<T> {
  let broken: { error: unknown } | null = null
  const wrap =
    (fn: Callback<T>): Callback<T> =>
    (state) => {
      if (broken !== null) throw broken.error
      return fn(state)
    }
  const test = ((title: string, fn: Callback<T>) => inner(title, reported(title, wrap(fn)))) as Test<T>
  test.only = (title, fn) => inner.only(title, reported(title, wrap(fn)))
  test.skip = (title, fn) => inner.skip(title, fn)
  const before = (fn: Callback<T>) =>
    inner.before(async (state) => {
      try {
        await fn(state)
      } catch (error) {
        broken ??= { error }
      }
    })
  const after = (fn: Callback<T>) =>
    inner.after(async (state) => {
      try {
        await fn(state)
      } catch (error) {
        console.error(`FAIL in an after hook: ${error instanceof Error ? error.stack : error}`)
        process.once('exit', () => {
          process.exitCode = 1
        })
      }
    })
  test.before = Object.assign(before, { each: (fn: Callback<T>) => inner.before.each(wrap(fn)) })
  test.after = Object.assign(after, { each: (fn: Callback<T>) => inner.after.each(fn) })
  test.run = () => inner.run()
  return test
}

function registered<T>(runner: BunTest, name: string, context: T): Test<T> {
  const state = Object.assign(context as object, { __suite__: name, __test__: '' }) as Parameters<Callback<T>>[0]
  const before: Callback<T>[] = []
  const after: Callback<T>[] = []
  const beforeEach: Callback<T>[] = []
  const afterEach: Callback<T>[] = []
  const tests: { title: string; fn: Callback<T>; only: boolean }[] = []
  const skipped: string[] = []

  const test = ((title: string, fn: Callback<T>) => void tests.push({ title, fn, only: false })) as Test<T>
  test.only = (title, fn) => void tests.push({ title, fn, only: true })
  test.skip = (title = 'skipped') => void skipped.push(title)
  test.before = Object.assign((fn: Callback<T>) => void before.push(fn), {
    each: (fn: Callback<T>) => void beforeEach.push(fn),
  })
  test.after = Object.assign((fn: Callback<T>) => void after.push(fn), {
    each: (fn: Callback<T>) => void afterEach.push(fn),
  })
  test.run = () => {
    // As uvu: `only` counts within its suite, not for the whole run.
    const chosen = tests.some((t) => t.only) ? tests.filter((t) => t.only) : tests
    runner.describe(name, () => {
      for (const hook of before) runner.beforeAll(async () => void (await hook(state)), TEST_MS_MAX)
      for (const hook of after) runner.afterAll(async () => void (await hook(state)), TEST_MS_MAX)
      for (const title of skipped) runner.test.skip(title, () => {})
      for (const { title, fn } of chosen) {
        const body = async () => {
          state.__test__ = title
          try {
            for (const hook of beforeEach) await hook(state)
            await fn(state)
          } finally {
            for (const hook of afterEach) await hook(state)
          }
        }
        runner.test(title, body, TEST_MS_MAX)
      }
    })
  }
  return test
}
