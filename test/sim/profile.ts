// Profile: what one run is made of, drawn from its seed: faults, timing, clients. Swarm testing: no run has everything.
import { LIMITS } from '../../src/base/limits.ts'
import { Prng } from '../../src/base/prng.ts'
import type { AckLevel, NodeConfig } from '../../src/core/ports.ts'
import { SHARED_STRATEGIES, type SharedStrategy } from '../../src/topic/share_group.ts'
import type { DiskSpeed } from './disk.ts'
import type { Latency } from './pipe.ts'

export const PROFILES = [
  'noFault',
  'blips',
  'crashes',
  'losses',
  'pauses',
  'aimed',
  'split',
  'doubleCrash',
  'roam',
  'clocks',
  'policy',
] as const
export type ProfileName = (typeof PROFILES)[number]

/** Faults per second of virtual time, 0 to some 3. */
export type FaultRates = {
  crash: number
  /** Of crashes: those that take the power, and those that take the disk as well. */
  power: number
  wipe: number
  /** Crash of the node that serves alone. */
  lone: number
  cut: number
  freeze: number
  pause: number
  diskStuck: number
  drain: number
  clockStep: number
  clientFreeze: number
  /** Crash more often just after a hand-over or a change of mode. */
  aimed: boolean
  split: boolean
  doubleCrash: boolean
}

export type Timing = Pick<
  NodeConfig,
  'suspectMs' | 'soloMs' | 'stuckMs' | 'bootWaitMs' | 'willGraceMs' | 'claimTimeoutMs' | 'flushMs'
>

/** Bounds of sessions' queues: small ones overflow under faults. */
export type Bounds = Pick<NodeConfig, 'queuedMessagesMax' | 'queuedBytesMax' | 'queueFull' | 'queueQos0'>

export const WIDE: Bounds = {
  queuedMessagesMax: 100_000,
  queuedBytesMax: 256 * 1024 * 1024,
  queueFull: 'drop-newest',
  queueQos0: false,
}

/** From a chance of their own: a seed stays the run it was, but for what its queues hold. */
export function drawBounds(seed: number): Bounds {
  const prng = new Prng(seed ^ 0x5bd1e995)
  if (!prng.chance(0.3)) return WIDE
  const small = prng.chance(0.8)
  return {
    queuedMessagesMax: small ? prng.pick([1, 2, 3, 5, 8]) : WIDE.queuedMessagesMax,
    queuedBytesMax: prng.chance(0.2) ? prng.int(20, 100) : WIDE.queuedBytesMax,
    queueFull: prng.pick(['drop-newest', 'drop-oldest', 'drop-oldest', 'disconnect']),
    queueQos0: prng.chance(0.5),
  }
}

export type Profile = {
  readonly name: ProfileName
  readonly faults: FaultRates
  readonly timing: Timing
  readonly ack: AckLevel
  readonly durationMs: number
  readonly thinkMs: number
  readonly clientLatency: Latency
  readonly linkLatency: Latency
  readonly disk: DiskSpeed
  /** Chance that a write is delivered in two pieces. */
  readonly chop: number
  /** Bytes a client's socket takes before it says no. */
  readonly socketBytes: number
  readonly skewMs: number
  readonly drift: number
  readonly sameHost: boolean
  /** One node starts alone and serves; the other joins later. */
  readonly lateJoin: boolean
  /** Big payloads, now and then. */
  readonly bigBytes: number
  /** Packet identifiers: the lowest free one at once, or each in turn. */
  readonly reuseIds: boolean
  readonly roam: number
  readonly receiveMaximum: number
  readonly bounds: Bounds
  /** Few clients, hardly a pause, a slow link: hand-overs overlap. */
  readonly dense: boolean
  /** Clients leave in bad manners, and often for the other node. */
  readonly rough: boolean
  readonly partition: NodeConfig['partition']
  /** Shared subscriptions have members. */
  readonly members: boolean
  readonly sharedStrategy: SharedStrategy
  /** Bytes above which a turn becomes several groups: as rare as it is, it must not matter. */
  readonly groupBytesMost: number
}

const NO_FAULTS: FaultRates = {
  crash: 0,
  power: 0,
  wipe: 0,
  lone: 0,
  cut: 0,
  freeze: 0,
  pause: 0,
  diskStuck: 0,
  drain: 0,
  clockStep: 0,
  clientFreeze: 0,
  aimed: false,
  split: false,
  doubleCrash: false,
}

function faultsOf(name: ProfileName, prng: Prng): FaultRates {
  const f = { ...NO_FAULTS }
  const some = (max: number): number => (prng.chance(0.5) ? prng.next() * max : 0)
  if (prng.chance(0.3)) f.clientFreeze = prng.next() * 2
  switch (name) {
    case 'noFault':
      f.drain = some(0.5)
      break
    case 'blips':
      f.cut = 0.3 + prng.next() * 3
      f.freeze = some(2)
      break
    case 'crashes':
      f.crash = 0.5 + prng.next()
      f.power = prng.next()
      f.cut = some(1)
      break
    case 'losses':
      f.crash = 0.5 + prng.next()
      f.power = prng.next()
      f.wipe = prng.next() * 0.5
      f.lone = 0.5 + prng.next()
      f.cut = some(1)
      f.drain = some(0.3)
      break
    case 'pauses':
      f.pause = 0.3 + prng.next()
      f.diskStuck = some(0.5)
      f.clockStep = some(1)
      f.crash = some(0.3)
      break
    case 'aimed':
      f.crash = 0.5
      f.power = prng.next()
      f.lone = some(1)
      f.cut = some(1)
      f.aimed = true
      break
    case 'split':
      f.split = true
      f.cut = some(1)
      break
    case 'roam':
      break
    case 'clocks':
      f.crash = 0.5 + prng.next()
      f.power = prng.next()
      f.lone = 0.5 + prng.next()
      f.clockStep = 1 + prng.next() * 4
      break
    case 'policy':
      f.split = true
      f.cut = prng.next()
      break
    case 'doubleCrash':
      f.doubleCrash = true
      f.power = 0.7
      f.cut = some(0.5)
      break
  }
  return f
}

/**
 * @param own decides about members alone: a run without them is the same whether they are thought of or not
 * @param members null: by chance
 * @param sizes decides about the size of groups alone
 */
export function drawProfile(
  prng: Prng,
  wanted: ProfileName | null,
  bounds: Bounds,
  own: Prng,
  members: boolean | null,
  sizes: Prng,
): Profile {
  const byChance = own.chance(0.3)
  const drawn = prng.pick(PROFILES)
  const name = wanted ?? drawn
  const scale = prng.pick([1, 1, 2])
  const fast = prng.chance(0.5)
  const rough = name === 'roam'
  const dense = prng.chance(name === 'aimed' ? 0.6 : 0.3) || rough
  const socketBytes = prng.chance(0.15) ? prng.int(40, 600) : 65_536
  return {
    name,
    faults: faultsOf(name, prng),
    timing: {
      suspectMs: 100 * scale,
      soloMs: 300 * scale,
      stuckMs: 1000 * scale,
      bootWaitMs: 2000 * scale,
      willGraceMs: 500 * scale,
      claimTimeoutMs: 500 * scale,
      flushMs: prng.pick([5, 20, 50]),
    },
    ack: prng.chance(0.8) ? 'peer-ram' : prng.pick(['peer-write', 'peer-disk', 'both-disk']),
    durationMs: (dense ? prng.int(800, 1600) : prng.int(1500, 5000)) * scale,
    thinkMs: dense ? prng.pick([6, 12]) : prng.pick([30, 60, 120]) * scale,
    clientLatency: { baseMs: fast ? 0.05 : 0.5, jitterMs: prng.next() * 4, tail: 0.02, tailMs: prng.next() * 40 },
    linkLatency: {
      baseMs: dense ? prng.next() * 12 : fast ? 0.05 : 1,
      jitterMs: prng.next() * (fast ? 2 : 10),
      tail: prng.chance(0.3) ? 0.03 : 0,
      tailMs: 12,
    },
    disk: { writeMs: 1, syncMs: prng.pick([2, 8, 20]), slow: prng.chance(0.3) ? 0.05 : 0, slowMs: 60 },
    chop: prng.pick([0, 0.05, 0.3]),
    socketBytes,
    skewMs: prng.chance(0.7) ? prng.int(0, 60) : prng.int(0, 3000),
    drift: prng.chance(0.5) ? 0 : prng.next() * 0.01,
    sameHost: prng.chance(0.5),
    lateJoin: prng.chance(0.2),
    bigBytes: prng.chance(0.1) ? prng.int(1_000, Math.min(200_000, socketBytes * 10)) : 0,
    reuseIds: prng.chance(0.7),
    roam: rough ? 0.4 : dense ? 0.25 : prng.pick([0.03, 0.08, 0.2]),
    receiveMaximum: prng.pick([2, 10, 100]),
    bounds,
    dense,
    rough,
    partition: name !== 'policy' ? 'available' : prng.pick(['stall', { prefer: 'a' }, { prefer: 'b' }] as const),
    members: members ?? byChance,
    sharedStrategy: own.pick(SHARED_STRATEGIES),
    groupBytesMost: sizes.chance(0.25) ? sizes.int(100, 1_000) : LIMITS.groupBytesMost,
  }
}

export function nodeConfig(profile: Profile, name: string, prng: Prng, off: ReadonlySet<string>): NodeConfig {
  return {
    name,
    paired: true,
    ack: profile.ack,
    partition: profile.partition,
    bootstrap: profile.lateJoin,
    ...profile.timing,
    groupBytesMost: profile.groupBytesMost,
    allowAnonymous: true,
    access: null,
    packetBytesMax: 2 * 1024 * 1024,
    ...profile.bounds,
    queuedBytesTotalMax: 1024 * 1024 * 1024,
    connectionsMax: 1000,
    connectTimeoutMs: LIMITS.connectTimeoutMs,
    receiveMaximum: profile.receiveMaximum,
    inflightMax: 0,
    subscriptionsMax: LIMITS.subscriptionsPerSessionMax,
    topicLevelsMax: LIMITS.topicLevelsMax,
    topicBytesMax: LIMITS.topicBytesMax,
    clientIdBytesMax: LIMITS.clientIdBytesMax,
    clientIdPattern: null,
    retainedMessagesMax: LIMITS.retainedMessagesMax,
    retainedBytesMax: LIMITS.retainedBytesMax,
    sessionExpiryMax: 0xffff_ffff,
    keepAliveMax: 0,
    qosMax: 2,
    retainAvailable: true,
    topicAliasMaximum: 65_535,
    sharedStrategy: profile.sharedStrategy,
    sysIntervalMs: 500,
    validatePayload: false,
    responseInformation: null,
    serverReference: null,
    nonce: prng.int(0, 0xffff_ffff),
    seed: prng.int(1, 0xffff_ffff),
    mutations: off,
    version: 'sim',
  }
}
