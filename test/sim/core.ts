// Core: the node under test as the simulator sees it: the host's interface, and a look inside. No behaviour.
import type { Generation, Token } from '../../src/base/identity.ts'
import type { HostedNode } from '../../src/host/hosted_node.ts'

/** A copy of what a node holds, for checks only. */
export type Inspection = {
  readonly mode: string
  readonly generation: Generation
  /** What its record says, as the node believes. */
  readonly record: string
  readonly offering: boolean
  readonly ringGroups: number
  readonly claims: readonly string[]
  readonly holds: readonly string[]
  readonly sessions: readonly {
    readonly client: string
    readonly durable: boolean
    readonly mine: boolean
    readonly token: Token
    readonly ver: number
    readonly shadows: number
    readonly digest: string
  }[]
  readonly retained: readonly (readonly [topic: string, message: string | null, hlc: number])[]
  readonly presence: readonly (readonly [client: string, connId: string, up: boolean, mine: boolean])[]
}

export interface Core extends HostedNode {
  inspect(): Inspection
}

/** Rules of the protocol that `config.mutations` can take out. */
export const RULES = [
  'fifoAck',
  'hold',
  'holdGate',
  'reroute',
  'gate2',
  'tracks',
  'newTokenOnBoot',
  'gatePubcomp',
  'gatePubrel',
  'gateUnsuback',
  'retainFwd',
  'snapOrder',
  'modeBasis',
  'commitFan',
  'reackNeed',
  'hlcRatchet',
  'grantHold',
  'rematchH',
  'oneClaim',
  'holdEnd',
  'helloNoAck',
  'helloMode',
  'helloDecide',
  'barrierFirst',
  'rerouteFirst',
  'leaderFirst',
  'offerBoth',
  'outdatedOnLead',
  'joinStale',
  'followClose',
  'tokenUnique',
  'bootNonce',
  'cyclicPid',
  'jumpPid',
  'enqPayload',
  'cutBye',
  'hlcBoot',
  'takeAll',
] as const
