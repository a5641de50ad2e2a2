// Solo: how a node goes on alone (pair.md H44: in this order): what the peer was to route is kept here, all of it and the new
// generation become durable, then clients are served. Whether it may is decided in pairing.ts.
import { LIMITS } from '../../base/limits.ts'
import type { Forward } from '../../pair/out_stream.ts'
import type { NodeRecord } from '../../session/image.ts'
import { FrameKind } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { fold, incarnate } from '../ownership/promote.ts'
import { servedBy } from './convert.ts'
import type { Pairing } from './pairing.ts'

export class Solo {
  /** Between the decision and the record on disk. */
  deciding = false
  /** It goes alone only to lead the peer that has greeted it. */
  thenLead = false
  /** Alone, and the peer is known not to serve: it has ended, left, or greeted us. Silence alone may be a cut link. */
  certain = false
  /** The peer has said LEAVE and waits for ALONE. */
  private peerLeaves = false
  private readonly pairing: Pairing
  private readonly node: BrokerNode

  constructor(pairing: Pairing) {
    this.pairing = pairing
    this.node = pairing.node
  }

  /** The peer goes, and waits to hear that this node is durably alone. */
  onLeave(): void {
    const { mode } = this.pairing
    this.peerLeaves = true
    if (mode === 'SYNC' || mode === 'STALL') this.go('leave')
  }

  /** @param why for the log; what begins with `T_` is a time that is over, anything else proves that the peer does not serve */
  go(why: string): void {
    const { node, pairing } = this
    if (this.deciding || pairing.mode === 'GONE' || pairing.mode === 'BOOT') return
    this.deciding = true
    pairing.to('DECIDE')
    node.metrics.add('solo_decisions')
    node.ports.log.event('going_alone', { why })
    if (!pairing.off('rerouteFirst')) this.reroute()
    const then = (): void => pairing.write(this.record(), () => this.became(why))
    if (pairing.off('barrierFirst')) then()
    else node.flusher.atBarrier(then)
  }

  /** The first node alone founds the pair: it has its name from that start. */
  private record(): NodeRecord {
    const next = this.pairing.nextRecord('SOLO')
    return next.clusterId === '' ? { ...next, clusterId: this.node.boot.toString(16).padStart(12, '0') } : next
  }

  /** What the peer was to route is kept for its sessions here: ring, hold queues. */
  private reroute(): void {
    const { node, pairing } = this
    // In order of publishing: the ring first, then what only a hold queue has.
    if (!pairing.off('reroute')) {
      for (const group of pairing.out.ring) for (const forward of group.forwards) this.keep(forward)
      for (const forward of node.emitter.pendingForwards()) this.keep(forward)
    }
    node.claims.heldToShadows()
    pairing.closeStreams()
  }

  private keep(forward: Forward): void {
    const { router, shares } = this.node
    const { message, routed, targets } = forward
    const served = servedBy(targets)
    if (routed)
      for (const session of router.replicasWanting(message.topic)) {
        if (served.has(session.clientId)) continue
        const want = router.wanted(session, message)
        if (want !== null) router.shadow(session, message, want, null)
      }
    shares.reroute(forward)
  }

  private became(why: string): void {
    const { node, pairing } = this
    const { join, link, hello } = pairing
    this.deciding = false
    if (pairing.off('rerouteFirst')) this.reroute()
    pairing.to('SOLO')
    join.stage = 'none'
    join.offering = false
    join.insync = false
    if (pairing.fresh) {
      pairing.fresh = false
      pairing.possiblyStale = why === 'T_bootWait' && pairing.record.history.length > 1
      if (pairing.possiblyStale)
        node.ports.log.event('possibly_stale', { text: 'the peer did not come; it may hold newer state' })
      node.presences.dead(() => true, node.config.willGraceMs)
      this.newIncarnations()
    }
    node.grants.holds.clear()
    node.claims.serve()
    this.certain = !why.startsWith('T_')
    node.presences.dead((p) => !node.live.has(p.client), this.certain ? node.config.willGraceMs : LIMITS.willMaxHoldMs)
    if (this.peerLeaves && link.up) {
      this.peerLeaves = false
      link.send([FrameKind.alone])
    }
    const { again } = hello
    hello.again = null
    const { thenLead } = this
    this.thenLead = false
    if (thenLead && link.up) return join.lead()
    if (again !== null && link.up) hello.onHello(again)
  }

  /** After a start, what was given out last is known as far as the disk went: sessions go on under new tokens. */
  newIncarnations(): void {
    const { node } = this
    if (this.pairing.off('newTokenOnBoot')) return
    for (const session of node.sessions.byClient.values())
      if (session.mine && session.durable) {
        incarnate(node, session)
        fold(node, session)
      }
  }
}
