// Compile: one executable per target, made with `bun build --compile`, stamped with version and commit.
//
//   bun compile/compile.ts                   this machine → dist/tandemq
//   bun compile/compile.ts --all             every target → dist/tandemq-<target>, and this machine's → dist/tandemq
//   bun compile/compile.ts --target NAME     one target (repeatable)
//   --src DIR, --out DIR                     other source and output folders (the test of this file uses them)
//
// Workers. A compiled executable holds its modules under /$bunfs/root/, and there `import.meta.url` is the executable's own
// entry for each module bundled with main.ts. A worker must be an entry point of its own, and its place below /$bunfs/root/ is
// its path relative to --root. With --root src/host/store the worker src/host/store/store_worker.ts becomes /$bunfs/root/store_worker.js,
// so the one form that also works uncompiled, on Bun and on Deno, works here too, from any module of that folder:
//   new Worker(new URL('./store_worker.ts', import.meta.url), { type: 'module' })

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect, TARGETS, type Target } from './targets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const HEAD_BYTES = 65_536

type Options = { all: boolean; targets: string[]; src: string; out: string }

function parse(argv: string[]): Options {
  const options: Options = { all: false, targets: [], src: join(root, 'src'), out: join(root, 'dist') }
  for (let i = 0; i < argv.length; i++) {
    const flag = argv[i]!
    if (flag === '--all') options.all = true
    else if (flag === '--target') options.targets.push(argv[++i] ?? '')
    else if (flag === '--src') options.src = argv[++i] ?? ''
    else if (flag === '--out') options.out = argv[++i] ?? ''
    else fail(`unknown flag ${flag}`)
  }
  for (const name of options.targets) {
    if (!TARGETS.some((t) => t.name === name)) {
      fail(`unknown target "${name}"; known: ${TARGETS.map((t) => t.name).join(', ')}`)
    }
  }
  return options
}

function fail(sentence: string): never {
  console.error(`compile: ${sentence}`)
  process.exit(2)
}

/** Every src/host/store/…_worker.ts; elsewhere it would not be found in the executable (see the header). */
function workers(src: string): string[] {
  const all = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('_worker.ts'))
  for (const path of all)
    if (dirname(path) !== join('host', 'store')) fail(`${path}: a worker must lie in src/host/store`)
  return all.map((path) => join(src, path)).sort()
}

function stamp(): { version: string; commit: string } {
  const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'safe.directory=*', ...args], { cwd: root, encoding: 'utf8' })
  const head = git('rev-parse', '--short=12', 'HEAD')
  if (head.status !== 0) return { version, commit: 'unknown' }
  const changed = git('status', '--porcelain', '--untracked-files=no', 'src', 'package.json', 'package-lock.json')
  return { version, commit: head.stdout.trim() + (changed.stdout === '' ? '' : '-changed') }
}

function build(options: Options, target: Target | null, file: string): void {
  const { version, commit } = stamp()
  const workerFiles = workers(options.src)
  const result = spawnSync(
    process.execPath,
    [
      'build',
      '--compile',
      // Parsed ahead: the start to the first packet takes half the time.
      '--bytecode',
      '--format=esm',
      // Names and lines stay, so that a stack trace from the field can be read; size is the runtime's, not ours.
      '--minify-syntax',
      '--define',
      `TANDEMQ_VERSION=${JSON.stringify(version)}`,
      '--define',
      `TANDEMQ_COMMIT=${JSON.stringify(commit)}`,
      // A broker must not take settings from files that happen to lie in the folder where it is started.
      '--no-compile-autoload-dotenv',
      '--no-compile-autoload-bunfig',
      ...(target === null ? [] : [`--target=${target.bun}`]),
      ...(workerFiles.length === 0 ? [] : ['--root', join(options.src, 'host', 'store')]),
      '--outfile',
      file,
      join(options.src, 'main.ts'),
      ...workerFiles,
    ],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  )
  if (result.status !== 0) {
    console.error(result.stdout + result.stderr)
    throw new Error(`bun build ended with ${result.status ?? result.signal}`)
  }
}

/** One line on what was written; throws if it is not what the target asks for. */
function describe(file: string, target: Target | null): string {
  const head = new Uint8Array(HEAD_BYTES)
  const fd = openSync(file, 'r')
  const bytes = readSync(fd, head, 0, HEAD_BYTES, 0)
  closeSync(fd)
  const found = inspect(head.subarray(0, bytes))
  const what = `${found.format} ${found.machine}${found.libc === '' ? '' : ` ${found.libc}`}`
  if (target !== null) {
    const libc = target.format !== 'ELF' ? '' : target.name.endsWith('musl') ? 'musl' : 'glibc'
    const wanted = `${target.format} ${target.machine}${libc === '' ? '' : ` ${libc}`}`
    if (what !== wanted) throw new Error(`${file} is ${what}, not ${wanted}`)
  }
  const size = `${(statSync(file).size / 1e6).toFixed(1)} MB`
  return `${relative(process.cwd(), file).padEnd(32)} ${size.padStart(9)}  ${what}`
}

function smoke(file: string): string {
  const run = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 20_000 })
  const { version } = stamp()
  if (run.status !== 0 || !run.stdout.includes(version)) {
    throw new Error(`${file} --version ended with ${run.status ?? run.signal}: ${run.stdout}${run.stderr}`)
  }
  return run.stdout.trim()
}

function main(options: Options): number {
  const main = join(options.src, 'main.ts')
  if (!existsSync(main)) fail(`${main} does not exist`)
  mkdirSync(options.out, { recursive: true })
  const exe = process.platform === 'win32' ? '.exe' : ''
  const jobs: { target: Target | null; file: string }[] = []
  if (options.targets.length === 0) jobs.push({ target: null, file: join(options.out, `tandemq${exe}`) })
  for (const target of TARGETS) {
    if (!options.all && !options.targets.includes(target.name)) continue
    const suffix = target.format === 'PE' ? '.exe' : ''
    jobs.push({ target, file: join(options.out, `tandemq-${target.name}${suffix}`) })
  }
  let failures = 0
  for (const { target, file } of jobs) {
    try {
      rmSync(file, { force: true })
      build(options, target, file)
      const line = describe(file, target)
      console.log(target === null ? `${line}  ${smoke(file)}` : line)
    } catch (error) {
      failures++
      console.error(`FAIL ${target?.name ?? 'this machine'}: ${error instanceof Error ? error.message : error}`)
    }
  }
  return failures === 0 ? 0 : 1
}

process.exit(main(parse(process.argv.slice(2))))
