// Mutations: takes each rule of the protocol out in turn and counts the seeds until the simulator notices. A rule whose
// absence is never found is either not needed or not tested.
import { RULES } from './core.ts'
import type { ProfileName } from './profile.ts'
import { runSeed } from './run_seed.ts'

/** Profiles in which the absence of a rule shows soonest; all others are drawn. */
const BEST: Readonly<Record<string, readonly ProfileName[]>> = {
  reroute: ['crashes', 'losses', 'aimed'],
  rerouteFirst: ['losses', 'aimed'],
  barrierFirst: ['losses', 'aimed'],
  leaderFirst: ['losses', 'aimed'],
  offerBoth: ['losses', 'aimed'],
  newTokenOnBoot: ['losses', 'crashes'],
  bootNonce: ['losses'],
  grantHold: ['aimed', 'blips'],
  jumpPid: ['losses', 'aimed'],
  unheard: ['pauses'],
  helloMode: ['policy', 'pauses'],
  hold: ['roam'],
  rematchH: ['roam'],
  oneClaim: ['roam'],
  cutBye: ['roam'],
  retainFwd: ['noFault', 'roam', 'blips'],
  commitFan: ['roam'],
  hlcBoot: ['clocks'],
  helloDecide: ['pauses', 'crashes'],
  shareReroute: ['crashes', 'losses', 'aimed'],
}

/** @returns exit code: 1 when some rule's absence went unnoticed */
export function hunt(first: number, seedsMax: number, only: ReadonlySet<string>): number {
  let missed = 0
  console.log('rule             seeds  invariant  profile, seed')
  for (const rule of RULES) {
    if (only.size > 0 && !only.has(rule)) continue
    const found = huntOne(rule, first, seedsMax)
    if (found === null) missed++
    console.log(
      `${rule.padEnd(16)} ${found === null ? `none in ${seedsMax}` : `${String(found.seeds).padStart(5)}  ${found.inv.padEnd(9)}  ${found.profile}, ${found.seed}`}`,
    )
  }
  return missed === 0 ? 0 : 1
}

function huntOne(rule: string, first: number, seedsMax: number) {
  const best = BEST[rule]
  for (let i = 0; i < seedsMax; i++) {
    const seed = first + i
    const profile = best === undefined ? null : (best[i % best.length] as ProfileName)
    const members = rule.startsWith('share') ? { members: true } : {}
    const options = { seed, profile, off: new Set([rule]), ignored: new Set<string>(), wide: false, print: null }
    const result = runSeed({ ...options, ...members })
    const violation = result.violations[0]
    if (violation !== undefined) return { seeds: i + 1, inv: violation.inv, profile: result.profile.name, seed }
  }
  return null
}
