// Run: the simulator from the command line: many seeds, one seed in words, or the table of rules taken out.
import process from 'node:process'
import { RULES } from './core.ts'
import { hunt } from './mutations.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import { type RunResult, runSeed } from './run_seed.ts'

const HELP = `npm run sim -- [options]
  --seeds N        run N seeds (default 100)      --seed K      first seed (default: from the clock)
  --profile NAME   one of ${PROFILES.join(' ')}
  --trace          one seed, one line per event   --keep        go on after a failed seed (default: show 10, then stop)
  --off a,b        take rules out                 --ignore 7,20 look behind these checks
  --members        shared subscriptions in every run (default: in some)
  --twice          run each seed twice and compare
  --wide           no small queues, no members: as the seeds of fixtures/seeds.txt run
  --cover          what was reached               --time S      stop after S seconds
  --jobs N         N processes
  --mutations      for each rule: seeds until its absence is found (--seeds: at most, per rule; --rules a,b: only these)`

const args = process.argv.slice(2)

function flag(name: string): boolean {
  return args.includes(`--${name}`)
}

function option(name: string): string | null {
  const i = args.indexOf(`--${name}`)
  return i < 0 ? null : (args[i + 1] ?? null)
}

function list(name: string): ReadonlySet<string> {
  return new Set((option(name) ?? '').split(',').filter((part) => part !== ''))
}

function describe(result: RunResult): string {
  const faults = Object.entries(result.faults).filter(([, n]) => n > 0)
  const words = faults.map(([name, n]) => `${name} ${n}`).join(' ') || 'none'
  return `seed ${result.seed} (${result.profile.name}; faults: ${words}; hash ${result.hash})`
}

async function spread(jobs: number, first: number, seeds: number): Promise<number> {
  const { spawn } = await import('node:child_process')
  const share = Math.ceil(seeds / jobs)
  const rest = args.filter((a, i) => !['--jobs', '--seeds', '--seed'].some((n) => a === n || args[i - 1] === n))
  const ends = Array.from({ length: jobs }, (_, i) => {
    const own = ['--seeds', String(share), '--seed', String(first + i * share)]
    const child = spawn(process.execPath, [process.argv[1] as string, ...rest, ...own], { stdio: 'inherit' })
    return new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
  })
  return Math.max(...(await Promise.all(ends)))
}

async function main(): Promise<number> {
  if (flag('help')) {
    console.log(HELP)
    return 0
  }
  const off = list('off')
  for (const rule of [...off, ...list('rules')]) {
    if (!(RULES as readonly string[]).includes(rule)) throw new Error(`no rule ${rule}; there are ${RULES.join(' ')}`)
  }
  const profile = option('profile') as ProfileName | null
  if (profile !== null && !PROFILES.includes(profile)) throw new Error(`no profile ${profile}`)
  const first = Number(option('seed') ?? Date.now() % 1_000_000_000)
  const print = flag('trace') ? (line: string): void => console.log(line) : null
  const seeds = Number(option('seeds') ?? (flag('trace') ? 1 : 100))
  const jobs = Number(option('jobs') ?? 1)
  if (flag('mutations')) return hunt(first, seeds, list('rules'))
  if (jobs > 1) return spread(jobs, first, seeds)
  const started = performance.now()
  const seconds = Number(option('time') ?? Number.POSITIVE_INFINITY)
  const found = new Map<string, number>()
  const cover = new Map<string, number>()
  let runs = 0
  let bad = 0
  let events = 0
  let messages = 0
  for (let seed = first; seed < first + seeds; seed++) {
    if (performance.now() - started > seconds * 1000) break
    const members = flag('members') ? { members: true } : {}
    const options = { seed, profile, off, ignored: list('ignore'), wide: flag('wide'), print, ...members }
    const result = runSeed(options)
    runs++
    events += result.events
    messages += result.messages
    for (const [what, n] of result.cover) cover.set(what, (cover.get(what) ?? 0) + n)
    if (flag('twice')) {
      const again = runSeed(options)
      if (again.hash !== result.hash) {
        console.log(`${describe(result)}: the second run differs, hash ${again.hash}`)
        bad++
        continue
      }
    }
    const first = result.violations[0]
    if (first === undefined) continue
    bad++
    found.set(first.inv, (found.get(first.inv) ?? 0) + 1)
    console.log(`${describe(result)}\n  invariant ${first.inv} at ${first.at.toFixed(3)}: ${first.text}`)
    if (bad >= 10 && !flag('keep')) break
  }
  const took = (performance.now() - started) / 1000
  const by = [...found].sort((a, b) => b[1] - a[1]).map(([inv, n]) => `${inv}: ${n}`)
  console.log(
    `${runs} runs from seed ${first}, ${bad} failed${by.length > 0 ? ` (${by.join(', ')})` : ''}, ${events} events, ` +
      `${messages} messages, ${took.toFixed(1)} s, ${(runs / took).toFixed(1)} runs/s`,
  )
  if (flag('cover')) for (const [what, n] of [...cover].sort()) console.log(`  ${what}: ${n}`)
  return bad === 0 ? 0 : 1
}

if (import.meta.main) process.exit(await main())
