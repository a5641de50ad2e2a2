// Leave: how a node goes away: drained by its operator, or told by the peer that this went on alone. Knows no sessions: they are
// handed over in grants.ts.
import { LIMITS } from '../../base/limits.ts'
import { FrameKind, type GenerationWire } from '../../wire/peer_message.ts'
import { closeClients, disconnectClients } from '../clients/clients.ts'
import type { BrokerNode } from '../node.ts'
import { generationFromWire } from './convert.ts'
import type { Pairing } from './pairing.ts'

export class Leave {
  /** `left`: everything is handed over and LEAVE is said; the peer goes on alone then. */
  private away: 'no' | 'granting' | 'left' = 'no'
  private since = 0
  private readonly pairing: Pairing
  private readonly node: BrokerNode

  constructor(pairing: Pairing) {
    this.pairing = pairing
    this.node = pairing.node
  }

  /** The operator wants this node to go, or it has gone. */
  get begun(): boolean {
    return this.away !== 'no'
  }

  // ---- drained

  /** The operator wants this node to go: see BrokerNode.drainAway. */
  go(): void {
    const { node, pairing } = this
    if (this.away !== 'no') return
    this.away = 'granting'
    this.since = node.now
    node.ports.log.event('draining', { peer: pairing.peerName, handsOver: pairing.mode === 'SYNC' })
    disconnectClients(node, pairing.mode === 'SYNC')
  }

  /** Some sessions more are handed over; then LEAVE, then an end without the peer's word where that does not come. */
  step(): void {
    const { node, pairing } = this
    const { link } = pairing
    const late = node.now - this.since > LIMITS.claimTimeoutMs
    if (pairing.mode === 'SYNC' && link.up && !late) {
      // All that met the sessions so far is written, with the acknowledgement of what it came from: see arrivals.ts.
      if (this.away !== 'granting' || pairing.out.unsent) return
      if (node.grants.grantAll(LIMITS.snapshotItemsPerStep) && this.arrived) {
        this.away = 'left'
        node.afterSeal.push(() => link.send([FrameKind.leave, 'drain']))
      }
      return
    }
    // The link is gone for a moment: it may be back before the other node goes on alone.
    if (pairing.mode === 'STALL' && this.away === 'granting' && !late && node.now < pairing.soloAt) return
    // The peer is coming back, and takes all there is once both are in step; or it has heard LEAVE and has not answered yet.
    if (link.up && !late) return
    this.away = 'left'
    if (pairing.mode === 'GONE' || node.flusher.hasBarrier || pairing.writing) return
    node.flusher.atBarrier(() => pairing.to('GONE'))
  }

  /** The peer has all groups there are: LEAVE must not overtake them, for the peer takes none behind it. */
  private get arrived(): boolean {
    const { out } = this.pairing
    return !this.node.emitter.hasOps && out.acked === out.next - 1
  }

  /** The peer is durably alone: this node's state is outdated from now on. */
  onAlone(): void {
    const { pairing } = this
    if (this.away !== 'left') return
    pairing.write({ ...pairing.record, status: 'OUTDATED' }, () => pairing.to('GONE'))
  }

  // ---- evicted

  /** @param generation the one that the peer goes on with, alone */
  onEvict(generation: GenerationWire): void {
    const { node, pairing } = this
    const { link } = pairing
    if (generationFromWire(generation).n <= pairing.record.generation.n) return
    node.ports.log.event('evicted', { by: pairing.peerName })
    if (pairing.mode !== 'SYNC' && pairing.mode !== 'STALL') return
    closeClients(node, 'the other node went on alone')
    node.claims.refuse()
    pairing.closeStreams()
    pairing.join.insync = false
    pairing.to('WAIT_PEER')
    pairing.write({ ...pairing.record, status: 'OUTDATED' }, () => link.drop('evicted'))
    link.lost('evicted')
    node.ports.link.close('evicted')
  }
}
