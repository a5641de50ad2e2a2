// ClientSpec: who connects in a run, drawn from its seed. Knows no state.
import type { Prng } from '../../src/base/prng.ts'
import type { QoS, Version } from './mqtt.ts'
import type { Profile } from './profile.ts'

export type ClientSpec = {
  readonly id: string
  readonly device: number
  /** Two devices use the id. */
  readonly shared: boolean
  readonly version: Version
  /** Keeps its session: v3.x without Clean Session, 5.0 with an expiry. */
  readonly lasting: boolean
  /** Seconds. */
  readonly expirySec: number
  /** Weights of what it does. */
  readonly publish: number
  readonly subscribe: number
  readonly roam: number
  readonly cleanStart: number
  readonly will: number
  readonly willDelaySec: number
  readonly disconnect: number
  /** Acknowledges QoS 1 late, across connections. */
  readonly late: boolean
  readonly receiveMaximum: number
  readonly keepAliveSec: number
  readonly window: number
  /** Uses topic aliases, and takes as many; 0: none. */
  readonly aliases: number
  /** Stays away for long now and then. */
  readonly away: number
  /** The shared subscription of whose group it is a member, and it subscribes to nothing else; null: to all but these. */
  readonly member: string | null
  /** QoS it may subscribe with as a member. */
  readonly memberQos: readonly QoS[]
  /** Chance that a member does not think of its subscription; 1: it joins once and never leaves. */
  readonly stays: number
}

type Make = (id: string, over: Partial<ClientSpec>) => ClientSpec

function maker(prng: Prng, profile: Profile): Make {
  // Not drawn: most older seeds keep their runs.
  const aliases = profile.skewMs % 4 === 3
  return (id, over) => {
    const v = over.version ?? prng.pick([4, 5, 5] as const)
    const lasting = over.lasting ?? true
    const spec = {
      id,
      device: 0,
      shared: false,
      version: v,
      lasting,
      expirySec: !lasting ? 0 : v === 5 ? prng.pick([60, 3600, 0xffff_ffff]) : 0xffff_ffff,
      publish: 0,
      subscribe: 0,
      roam: profile.roam,
      cleanStart: prng.chance(0.5) ? (profile.rough ? 0.3 : 0.06) : 0,
      will: prng.chance(0.3) ? 0.5 : 0,
      willDelaySec: v === 5 && prng.chance(0.3) ? 1 : 0,
      disconnect: profile.rough ? 0.1 : 0.02,
      late: false,
      receiveMaximum: v === 5 && prng.chance(0.3) ? prng.int(1, 4) : 0xffff,
      keepAliveSec: prng.chance(0.1) ? 2 : 0,
      window: prng.pick([1, 3, 6]),
      away: 0,
      member: null,
      memberQos: [],
      stays: 0,
      ...over,
    }
    return { ...spec, aliases: v === 5 && aliases ? spec.window : 0 }
  }
}

/** Members of one or two shared subscriptions, lasting and not. */
export function drawMembers(prng: Prng, profile: Profile): ClientSpec[] {
  const make = maker(prng, profile)
  const specs: ClientSpec[] = []
  const filters = prng.chance(0.5) ? [prng.pick(SHARED_FILTERS)] : SHARED_FILTERS.slice(0, 2)
  for (const [g, member] of filters.entries()) {
    // Restless ones come and go with their sessions, fickle ones with their subscriptions; one of each group is always there.
    const kind = prng.pick(['plain', 'plain', 'restless', 'restless', 'fickle'] as const)
    const lastingOnes = { plain: prng.pick([0, 0.5, 1, 1]), restless: 0.2, fickle: 1 }[kind]
    const qos = prng.pick<readonly QoS[]>([[1], [2], [1, 2, 2], [1, 2, 2], [0, 1, 2]])
    const memberQos = kind === 'plain' ? qos : ([1] as const)
    const count = prng.int(2, 4)
    for (let i = 0; i < count; i++) {
      const steady = kind !== 'plain' && i === 0
      const lasting = steady || prng.chance(lastingOnes)
      const short = lasting && !steady && prng.chance(0.3)
      specs.push(
        make(`${'gh'[g]}${i}`, {
          ...{ member, memberQos, lasting, subscribe: 0.25, will: 0, late: prng.chance(0.3), stays: 0.9 },
          ...(short ? { version: 5, expirySec: 1, away: 0.05 } : {}),
          ...(prng.chance(0.4) ? { version: 5, receiveMaximum: prng.int(1, 3) } : {}),
          ...(!lasting ? { cleanStart: 0 } : {}),
          ...(kind === 'restless' && !lasting ? { subscribe: 0.9, disconnect: 0.2 } : {}),
          ...(kind === 'fickle' ? { subscribe: 0.9, stays: 0.2 } : {}),
          ...(steady ? { subscribe: 1, cleanStart: 0, disconnect: 0, away: 0.1, late: false, stays: 1 } : {}),
        }),
      )
    }
  }
  return specs
}

export function drawClients(prng: Prng, profile: Profile): ClientSpec[] {
  const version = (): Version => prng.pick([4, 5, 5])
  const make = maker(prng, profile)
  const specs = [
    make('p1', { publish: 1, subscribe: prng.chance(0.3) ? 0.1 : 0 }),
    make('s1', { subscribe: 0.3, publish: prng.chance(0.2) ? 0.1 : 0 }),
  ]
  if (prng.chance(0.6)) specs.push(make('p2', { publish: 1, subscribe: 0.1 }))
  if (prng.chance(0.7)) specs.push(make('s2', { subscribe: 0.3, late: true }))
  if (prng.chance(0.4)) {
    const shared = { shared: true, publish: 0.2, subscribe: 0.3, cleanStart: 0, will: 0.2, version: version() }
    specs.push(make('x', { ...shared, device: 0 }), make('x', { ...shared, device: 1 }))
  }
  if (profile.dense) return specs
  if (prng.chance(0.5)) specs.push(make('k', { lasting: false, publish: 0.5, subscribe: 0.1, will: 1, cleanStart: 0 }))
  if (prng.chance(0.4)) specs.push(make('r', { publish: 0.5, subscribe: 0.3, roam: 0.4, will: 0.5 }))
  if (prng.chance(0.3)) specs.push(make('e', { version: 5, subscribe: 0.3, expirySec: prng.int(1, 2), away: 0.1 }))
  if (prng.chance(0.3)) specs.push(make('z', { lasting: false, subscribe: 0.4, cleanStart: 0 }))
  return specs
}

export const TOPICS = ['t/a', 't/b', 'r/1', 'r/2'] as const
export const FILTERS = ['t/a', 't/b', 't/+', 't/#', 'r/1', 'r/#', 'w/#', '#', '+/a'] as const
/** A client of one of them takes nothing else, so that a delivery tells why it came. */
export const SHARED_FILTERS = ['$share/g/t/#', '$queue/t/+', '$share/g/t/a'] as const
