// Core: the node under test as the simulator sees it: the host's interface, and a look inside. No behaviour.
import type { HostedNode } from '../../src/host/hosted_node.ts'

/** A copy of what a node holds, for checks only. */
export type Inspection = {
  readonly mode: string
  readonly generation: { readonly n: number; readonly minter: number }
  readonly status: string
  readonly sessions: readonly {
    readonly client: string
    readonly mine: boolean
    readonly token: string
    readonly ver: number
    readonly digest: string
  }[]
  readonly retained: readonly (readonly [topic: string, digest: string])[]
  readonly presence: readonly { readonly client: string; readonly connId: string }[]
  readonly claims: number
  readonly ringGroups: number
  readonly holds: number
  readonly shadows: number
}

export interface Core extends HostedNode {
  inspect?(): Inspection
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
