// Join: how two nodes that have greeted each other come together, as leader or as follower, until both are in SYNC. What travels
// meanwhile is in snapshots.ts and merge.ts.
import { LIMITS } from '../../base/limits.ts'
import type { Greeting, Role } from '../../pair/roles.ts'
import type { NodeRecord } from '../../session/image.ts'
import { type Frame, FrameKind, type OfferFrame } from '../../wire/peer_message.ts'
import { closeClients } from '../clients/clients.ts'
import type { BrokerNode } from '../node.ts'
import { generationFromWire, generationToWire } from './convert.ts'
import type { Pairing } from './pairing.ts'

export class Join {
  /** Where it stands, on the leader. */
  stage: 'none' | 'wait' | 'snapshot' | 'settle' | 'offer' = 'none'
  /** The group that ends the snapshot. */
  private lastLsn = 0
  /** From SNAP_END to OK the leader's promises hang on both nodes. */
  offering = false
  /** The follower's record says INSYNC: it may go on as a full member. */
  insync = false
  /** LEAD has come on this link. */
  led = false
  /** The link on which this record became OUTDATED; -1: none. */
  private outdatedAt = -1
  private offered: NodeRecord | null = null
  private streams = 0
  private readonly pairing: Pairing
  private readonly node: BrokerNode

  constructor(pairing: Pairing) {
    this.pairing = pairing
    this.node = pairing.node
  }

  /** Begins what the two HELLOs make of this node. */
  take(role: Role): void {
    const { merge, fresh, mode } = this.pairing
    switch (role) {
      case 'resume':
        return this.resume()
      case 'lead':
        return this.lead()
      case 'follow':
        return this.follow(false)
      case 'merge-lead':
        this.node.metrics.add('splits_healed')
        merge.wanted = true
        // Both lost power: what the other kept of the same history is taken before anybody is served, and before new
        // incarnations make branches of what is one line.
        if (fresh && mode === 'WAIT_PEER') return merge.ask()
        return this.lead()
      case 'merge-follow':
        return this.follow(true)
    }
  }

  onFrame(frame: Frame): void {
    switch (frame[0]) {
      case FrameKind.lead:
        return this.onLead()
      case FrameKind.ready:
        return this.onReady(frame[1])
      case FrameKind.start:
        return this.onStart(frame[1])
      case FrameKind.offer:
        return this.onOffer(frame)
      case FrameKind.ok:
        return this.onOk()
      case FrameKind.live:
        return this.onLive()
    }
  }

  private newStream(): number {
    return (this.node.boot % 0x1_0000_0000) * 0x10_0000 + ++this.streams
  }

  // ---- both as before

  private resume(): void {
    const { node, pairing } = this
    const { out } = pairing
    const { applied } = pairing.hello.peer as Greeting
    node.metrics.add('link_resumes')
    if (pairing.off('helloNoAck')) pairing.link.acknowledge(Math.max(applied, out.acked), out.ackedDurable)
    out.rewind(applied)
    pairing.in.ackDue = true
    // Links that come and go are no progress: what is owed is owed since it was last heard of.
    if (!pairing.owed) pairing.progressAt = node.now
    this.offering = false
    this.stage = 'none'
    node.snapshots.stop()
    pairing.to('SYNC')
  }

  // ---- the leader

  /** Leads from SOLO only: another mode goes alone first. What the other side promised, if anything, must be in and durable here. */
  lead(): void {
    const { pairing } = this
    if (pairing.mode !== 'SOLO') {
      pairing.solo.thenLead = true
      return pairing.solo.go('peer')
    }
    if (!pairing.link.up) return
    if (pairing.merge.wanted) return pairing.merge.ask()
    this.stage = 'wait'
    pairing.progressAt = this.node.now
    pairing.link.send([FrameKind.lead])
  }

  private onReady(stream: number): void {
    const { node, pairing } = this
    if (this.stage !== 'wait') return
    pairing.in.open(stream)
    pairing.out.open(this.newStream())
    pairing.link.send([FrameKind.start, pairing.out.id])
    pairing.out.flowing = true
    node.emitter.on = true
    this.stage = 'snapshot'
    pairing.progressAt = node.now
    node.presences.dead((p) => !p.mine, node.config.willGraceMs)
    node.snapshots.begin()
  }

  /** A slice of the snapshot, as far as the link keeps up; after the last one, OFFER. */
  step(): void {
    const { node, pairing } = this
    if (!pairing.link.up) return
    if (this.stage === 'settle' && pairing.out.ackedDurable >= this.lastLsn) return this.offer()
    if (this.stage !== 'snapshot' || pairing.out.ringBytes > 4 * LIMITS.snapshotBytesPerStep) return
    if (!node.snapshots.step()) return
    // While it is offered, promises hang on both nodes: not before the follower has the snapshot on its disk.
    this.stage = 'settle'
    this.lastLsn = Number.POSITIVE_INFINITY
    node.afterSeal.push(() => {
      this.lastLsn = pairing.out.next - 1
    })
  }

  private offer(): void {
    const { pairing } = this
    this.stage = 'offer'
    this.offering = true
    const offered: NodeRecord = { ...pairing.nextRecord('INSYNC'), peerName: pairing.peerName }
    this.offered = offered
    const { count } = pairing.link
    const offer = (): void => {
      if (!pairing.link.up || pairing.link.count !== count) {
        if (pairing.mode !== 'SOLO') return
        if (this.offering) pairing.to('STALL')
        // Nobody has heard of the offer: what the record says is not so, and a start would wait for it.
        else if (this.stage !== 'offer') pairing.write({ ...pairing.record, status: 'SOLO' }, () => {})
        return
      }
      pairing.link.send([
        FrameKind.offer,
        generationToWire(offered.generation),
        offered.history.map(generationToWire),
        offered.clusterId,
      ])
    }
    if (pairing.off('leaderFirst')) offer()
    else pairing.write(offered, offer)
  }

  private onOk(): void {
    const { pairing } = this
    if (!this.offering) return
    if (pairing.off('leaderFirst')) return pairing.write(this.offered as NodeRecord, () => this.joined())
    return this.joined()
  }

  private joined(): void {
    const { node, pairing } = this
    this.offering = false
    this.stage = 'none'
    pairing.to('SYNC')
    pairing.progressAt = node.now
    pairing.possiblyStale = false
    pairing.link.send([FrameKind.live])
    node.metrics.add('joins')
  }

  // ---- the follower

  /** @param merging both went on alone: the leader takes first what was promised here */
  private follow(merging: boolean): void {
    const { node, pairing } = this
    if (merging) pairing.merge.beforeGiving()
    if (!pairing.off('followClose')) closeClients(node, 'this node follows the other one')
    node.claims.refuse()
    node.grants.holds.clear()
    pairing.closeStreams()
    this.insync = false
    this.outdatedAt = -1
    this.led = false
    pairing.to('JOINING')
    if (merging) return pairing.merge.give()
    if (pairing.record.status === 'OUTDATED' || pairing.off('outdatedOnLead')) this.outdate()
  }

  private onLead(): void {
    const { pairing } = this
    if (pairing.mode !== 'JOINING') return
    this.led = true
    if (pairing.record.status !== 'OUTDATED' && !pairing.off('outdatedOnLead')) return this.outdate()
    return this.ready()
  }

  /** Written only on LEAD (pair.md H48): until then this disk is the best there is. */
  private outdate(): void {
    const { pairing } = this
    const { link } = pairing
    const { count } = link
    pairing.write({ ...pairing.record, status: 'OUTDATED' }, () => {
      if (!link.up || link.count !== count) {
        if (pairing.mode === 'JOINING') pairing.to('WAIT_PEER')
        return
      }
      this.outdatedAt = count
      this.ready()
    })
  }

  private ready(): void {
    const { pairing } = this
    const { link } = pairing
    if (pairing.mode !== 'JOINING' || !this.led || !link.up) return
    if (pairing.record.status === 'OUTDATED' && this.outdatedAt !== link.count && pairing.writing) return
    pairing.out.open(this.newStream())
    link.send([FrameKind.ready, pairing.out.id])
  }

  private onStart(stream: number): void {
    const { node, pairing } = this
    if (pairing.mode !== 'JOINING' || pairing.out.id === 0) return
    pairing.in.open(stream)
    pairing.out.flowing = true
    node.emitter.on = true
  }

  /** The snapshot is here: once that is on disk, and the record says so, this node is a full member. */
  private onOffer(frame: OfferFrame): void {
    const { node, pairing } = this
    if (pairing.mode !== 'JOINING') return
    const generation = generationFromWire(frame[1])
    const history = frame[2].map(generationFromWire)
    const clusterId = frame[3]
    node.flusher.atBarrier(() => {
      const { record, peerName } = pairing
      pairing.write({ ...record, clusterId, generation, history, status: 'INSYNC', peerName }, () => {
        this.insync = true
        pairing.fresh = false
        if (pairing.link.up) pairing.link.send([FrameKind.ok])
        else if (pairing.mode === 'WAIT_PEER') pairing.to('STALL')
      })
    })
  }

  private onLive(): void {
    const { pairing } = this
    if (pairing.mode !== 'JOINING' || !this.insync) return
    pairing.to('SYNC')
    pairing.progressAt = this.node.now
  }

  // ---- broken off

  /** The link is gone while this node leads: the follower starts over. */
  brokenOff(): void {
    const { node, pairing } = this
    if (this.stage === 'none') return
    this.stage = 'none'
    this.offering = false
    node.snapshots.stop()
    node.flusher.dropBarrier()
    if (!pairing.solo.deciding) pairing.closeStreams()
  }
}
