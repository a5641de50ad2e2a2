// Roles: from the two HELLOs alone, what the nodes are to each other. Both evaluate it and must come out alike.
import { type Generation, hasGeneration, sameGeneration } from '../base/identity.ts'
import type { NodeRecord } from '../session/image.ts'
import type { Mode } from './modes.ts'

export type Greeting = {
  readonly name: string
  readonly boot: number
  readonly generation: Generation
  readonly history: readonly Generation[]
  readonly status: NodeRecord['status']
  readonly mode: Mode
  readonly streamIn: number
  readonly streamOut: number
  readonly applied: number
}

/** `merge`: both went on alone; the leader takes what the other promised, then leads. */
export type Role = 'resume' | 'lead' | 'follow' | 'merge-lead' | 'merge-follow'

const RANK = { SOLO: 3, INSYNC: 2, OUTDATED: 1, NEW: 0 } as const

/** Up: it holds in memory everything it promised. */
function up(mode: Mode): boolean {
  return mode === 'SYNC' || mode === 'STALL' || mode === 'SOLO' || mode === 'FENCED'
}

/**
 * @param sameBoots each side has greeted the other's present start before
 * @param helloMode false takes the rule out that a stream is resumed only by two nodes that both say STALL (simulator)
 */
export function roleOf(me: Greeting, peer: Greeting, sameBoots: boolean, helloMode = true): Role {
  const first = me.name < peer.name
  const equal = sameGeneration(me.generation, peer.generation)
  if (
    equal &&
    sameBoots &&
    me.status === 'INSYNC' &&
    peer.status === 'INSYNC' &&
    me.mode === 'STALL' &&
    (peer.mode === 'STALL' || !helloMode) &&
    me.streamOut !== 0 &&
    peer.streamOut !== 0 &&
    peer.streamIn === me.streamOut &&
    peer.streamOut === me.streamIn
  )
    return 'resume'
  if (!equal && hasGeneration(me.history, peer.generation)) return me.status === 'OUTDATED' ? 'follow' : 'lead'
  if (!equal && hasGeneration(peer.history, me.generation)) return peer.status === 'OUTDATED' ? 'lead' : 'follow'
  if (!equal) {
    if (me.status === 'NEW' || peer.status === 'NEW') return me.status === 'NEW' ? 'follow' : 'lead'
    if (me.status === 'OUTDATED' && peer.status !== 'OUTDATED') return 'follow'
    if (peer.status === 'OUTDATED' && me.status !== 'OUTDATED') return 'lead'
    return first ? 'merge-lead' : 'merge-follow'
  }
  if (RANK[me.status] !== RANK[peer.status]) return RANK[me.status] > RANK[peer.status] ? 'lead' : 'follow'
  const meUp = up(me.mode)
  const peerUp = up(peer.mode)
  if (meUp !== peerUp) return meUp ? 'lead' : 'follow'
  if (!meUp && me.status === 'INSYNC') return first ? 'merge-lead' : 'merge-follow' // both lost power: neither is a superset
  if (me.status === 'SOLO') return first ? 'merge-lead' : 'merge-follow'
  return first ? 'lead' : 'follow'
}
