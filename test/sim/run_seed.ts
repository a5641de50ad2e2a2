// RunSeed: one run from its seed: pair up, a phase with faults, a phase of rest, the checks. Prints nothing itself.
import { Prng } from '../../src/base/prng.ts'
import { checkDelivery } from './check_delivery.ts'
import { checkRetained } from './check_retained.ts'
import { checkShares } from './check_shares.ts'
import { StateChecks } from './check_state.ts'
import { watchStreams } from './check_stream.ts'
import { checkWills } from './check_wills.ts'
import { Client } from './client.ts'
import { drawClients, drawMembers } from './client_spec.ts'
import { Cluster, type FaultClass } from './cluster.ts'
import { Faults } from './faults.ts'
import { Probe } from './probe.ts'
import { drawBounds, drawProfile, type Profile, type ProfileName, WIDE } from './profile.ts'
import { Workload } from './workload.ts'
import { type Violation, World } from './world.ts'

/** Members are drawn beside the run's own chance, so that they change nothing in a run without them. */
const MEMBERS_SALT = 0x5a17
const SIZES_SALT = 0x517e5

export type RunOptions = {
  readonly seed: number
  readonly profile: ProfileName | null
  /** Rules taken out. */
  readonly off: ReadonlySet<string>
  /** With members of shared subscriptions; absent: by chance, none in a wide run. */
  readonly members?: boolean
  readonly ignored: ReadonlySet<string>
  /** Queues are not made small. */
  readonly wide: boolean
  /** One line per event; null: none. */
  readonly print: ((line: string) => void) | null
}

export type RunResult = {
  readonly seed: number
  readonly profile: Profile
  readonly faults: FaultClass
  readonly violations: readonly Violation[]
  readonly hash: string
  readonly events: number
  readonly messages: number
  readonly cover: ReadonlyMap<string, number>
}

export function runSeed(options: RunOptions): RunResult {
  const world = new World(options.seed, options.print, options.ignored)
  const bounds = options.wide ? WIDE : drawBounds(options.seed)
  const own = new Prng(options.seed + MEMBERS_SALT)
  const profile = drawProfile(
    world.prng,
    options.profile,
    bounds,
    own,
    options.members ?? (options.wide ? false : null),
    new Prng(options.seed + SIZES_SALT),
  )
  world.note('sim', `seed ${options.seed} profile ${profile.name}`)
  if (world.tracing) world.remark('sim', JSON.stringify(profile))
  const cluster = new Cluster(world, profile, options.off)
  const states = new StateChecks(cluster)
  const workload = new Workload(cluster)
  guarded(world, () => {
    watchStreams(cluster)
    pairUp(cluster)
    states.start()
    const faults = new Faults(cluster)
    const specs = drawClients(world.prng, profile)
    if (profile.members) specs.push(...drawMembers(own, profile))
    for (const spec of specs) {
      const client = new Client(cluster, spec)
      cluster.clients.push(client)
      workload.start(client)
    }
    faults.start()
    world.run(world.now + profile.durationMs)
    if (world.failed) return
    world.note('sim', 'faults are over')
    faults.stop()
    rest(cluster, workload, states)
  })
  return {
    seed: options.seed,
    profile,
    faults: cluster.faults,
    violations: world.violations,
    hash: world.hash,
    events: world.events,
    messages: cluster.history.msgs.length,
    cover: world.cover,
  }
}

function guarded(world: World, run: () => void): void {
  try {
    run()
  } catch (error) {
    world.violate('X', error instanceof Error ? (error.stack ?? String(error)) : String(error))
  }
}

function pairUp(cluster: Cluster): void {
  const { world, profile, nodes } = cluster
  const { bootWaitMs, soloMs } = profile.timing
  nodes[0].boot()
  if (profile.lateJoin) {
    world.run(world.now + bootWaitMs * 2, () => nodes[0].mode === 'SOLO')
    if (nodes[0].mode !== 'SOLO') {
      cluster.violate('26', `a starts alone and is in ${nodes[0].mode}`)
      return
    }
    // The other one comes while clients are at work.
    world.after(world.prng.int(1, 4 * soloMs), () => {
      if (!nodes[1].up) nodes[1].boot()
    })
    return
  }
  nodes[1].boot()
  world.run(world.now + 2 * bootWaitMs + 10 * soloMs, () => cluster.synced)
  if (!cluster.synced) cluster.violate('26', `two new nodes do not find together: ${nodes[0].mode} ${nodes[1].mode}`)
}

/** The phase of rest: everything heals, everybody comes back, everything is delivered. */
function rest(cluster: Cluster, workload: Workload, states: StateChecks): void {
  const { world, profile, nodes } = cluster
  const { timing } = profile
  const healMs = 2 * timing.bootWaitMs + 3 * timing.stuckMs + 6000
  world.run(world.now + healMs, () => cluster.synced)
  if (world.failed) return
  if (!cluster.synced) {
    cluster.violate('26', `the pair does not come back together: ${states.unrest()}`)
    return
  }
  cluster.calm = true
  if (world.prng.chance(0.5)) cluster.balancer.favourite = world.prng.pick(nodes)
  quiet(cluster, workload, states, timing.willGraceMs + 1500)
  if (world.failed) return
  cluster.balancer.favourite = null
  const retained = nodes.map((node) => new Probe(cluster, node).retained())
  if (!world.failed) new Probe(cluster, world.prng.pick(nodes)).publish()
  if (!world.failed) quiet(cluster, workload, states, 300)
  if (world.failed) return
  states.equal()
  checkRetained(cluster, retained[0] as Map<string, number>, retained[1] as Map<string, number>)
  checkDelivery(cluster)
  checkShares(cluster)
  checkWills(cluster)
  if (!world.failed) idle(cluster)
}

/** Runs until everybody has been at rest for a while; invariant 26 when that never comes. */
function quiet(cluster: Cluster, workload: Workload, states: StateChecks, ms: number): void {
  const { world, profile } = cluster
  const limit = world.now + ms + 20_000 + 10 * profile.timing.stuckMs
  const atRest = (): boolean => cluster.synced && workload.settled && cluster.link.quiet && states.atRest
  world.run(world.now + ms)
  let calmFor = 0
  while (calmFor < 15 && world.now < limit && !world.failed) {
    world.run(world.now + 10)
    calmFor = atRest() || (calmFor > 0 && workload.settled && states.atRest) ? calmFor + 1 : 0
  }
  if (world.failed || calmFor >= 15) return
  const restless = cluster.clients
    .filter((c) => !c.settled && c.spec.device === 0)
    .map((c) => `${c.name}${c.up ? ` up, ${c.out.size} out, ${c.owed.length} owed` : ' not up'}`)
  cluster.violate('26', `no rest: ${states.unrest()}; ${restless.join('; ')}`)
}

/** Invariant 28: a pair at rest writes nothing and keeps its link. */
function idle(cluster: Cluster): void {
  const { world, nodes, link, profile } = cluster
  world.run(world.now + 500)
  const { suspectMs } = profile.timing
  const { baseMs, jitterMs, tail, tailMs } = profile.linkLatency
  // Where a heartbeat there and back may take as long as suspicion does, the link may be suspected.
  const suspicious = 2 * (baseMs + jitterMs + (tail > 0 ? tailMs : 0)) + suspectMs / 2 > suspectMs
  const state = (): string => `${nodes.map((n) => n.disk.changes)} ${suspicious ? '' : link.opened}`
  const before = state()
  world.run(world.now + 2 * profile.timing.stuckMs)
  const after = state()
  if (!world.failed && before !== after)
    cluster.violate('28', `an idle pair changes: disk writes and links ${before} -> ${after}`)
}
