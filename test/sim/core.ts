// Core: the node under test as the simulator sees it, and the rules that can be taken out of it. No behaviour.
import type { BrokerNode } from '../../src/core/node.ts'

export type Core = BrokerNode

/** A copy of what a node holds, for checks only. */
export type Inspection = ReturnType<BrokerNode['inspect']>

/** Rules of the protocol that `config.mutations` can take out. */
export const RULES = [
  'fifoAck',
  'hold',
  'reroute',
  'gate2',
  'newTokenOnBoot',
  'gatePubcomp',
  'gatePubrel',
  'gateUnsuback',
  'retainFwd',
  'modeBasis',
  'commitFan',
  'reackNeed',
  'hlcRatchet',
  'grantHold',
  'rematchH',
  'oneClaim',
  'helloNoAck',
  'helloMode',
  'helloDecide',
  'barrierFirst',
  'rerouteFirst',
  'leaderFirst',
  'offerBoth',
  'outdatedOnLead',
  'followClose',
  'tokenUnique',
  'bootNonce',
  'cyclicPid',
  'jumpPid',
  'enqPayload',
  'cutBye',
  'dropTold',
  'hlcBoot',
  'takeAll',
  'unheard',
  'shareReplicated',
  'shareBounce',
  'shareBounceGate',
  'shareReroute',
  'shareDeal',
  'shareDealGate',
  'shareHold',
] as const
