// Branches: one session that both nodes went on with while they could not see each other, made one again: what is contained in the
// other branch, which of two wins, and what the loser adds. Knows no frames; merge.ts brings the other side's sessions.
import type { BootId } from '../../base/brand.ts'
import { PeerFault } from '../../base/fault.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Entry } from '../../session/queue.ts'
import { type Session, Shadow } from '../../session/session.ts'
import type { QueueItemWire, SnapHeadOp } from '../../wire/peer_message.ts'
import { Reason } from '../../wire/reason.ts'
import type { BrokerNode } from '../node.ts'
import { lineageFromWire, messageFromWire, tokenFromWire } from '../pairing/convert.ts'
import { headOf, installSession, nextPart, type Walk } from '../pairing/snapshots.ts'
import type { Want } from '../routing/route.ts'
import { type Branch, contained } from './branch.ts'
import { append } from './promote.ts'

/** In a head's field of ownership: the sender had the client until the two met. */
export const CONNECTED = 2
/** ... the session has ended on the sender's side: nothing follows its head. */
export const ENDED = 3

export class Branches {
  private readonly node: BrokerNode
  /** The client of the last session met, where that had ended here. */
  private over: string | null = null

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** @param op the other side's session, its whole queue in it */
  meet(op: SnapHeadOp): void {
    const { node } = this
    const theirs = branchOf(op)
    const ours = node.sessions.get(op[1])
    this.over = node.owners.endings.has(op[1], theirs) ? op[1] : null
    if (this.over !== null) return node.metrics.add('merged_ended')
    if (op[3] === ENDED) {
      // Ours ends too, unless it went on: its client is here, or something came that the other side did not know.
      if (ours?.durable !== true || ours.attachment !== null || !contained(ours, theirs)) return
      node.owners.end(ours)
      return node.metrics.add('merged_ended')
    }
    if (ours === undefined) {
      installSession(node, op, false)
      node.metrics.add('merged_taken')
      return
    }
    if (!ours.durable) return // a connection without expiry is here now: it won
    if (contained(theirs, ours)) return node.metrics.add('merged_contained')
    if (contained(ours, theirs)) {
      this.replace(ours, op)
      node.metrics.add('merged_replaced')
      return
    }
    this.diverged(ours, op)
  }

  /** A message that the other side keeps for the session met last. @param by the share it was picked by; '' or undefined: none */
  add(session: Session, m: QueueItemWire[4], want: Want, by: string | undefined): boolean {
    const { node } = this
    if (this.over === session.clientId) return false
    const share = by === undefined || by === '' ? null : by
    const message = messageFromWire(m, node.topics, node.now)
    if (node.sessions.has(session, message, share)) return false
    if (session.mine) append(node, session, message, want, share)
    else node.router.keep(session, message, want, share)
    return true
  }

  // ---- the judgement

  /** Theirs stands here from now on, with what this node kept for it. */
  private replace(ours: Session, op: SnapHeadOp): Session {
    const { node } = this
    const shadows = node.sessions.takeShadows(ours)
    const c = ours.attachment as Connection | null
    if (c !== null) c.disconnect(Reason.sessionTakenOver, 'the other node had the newer session', true)
    if (node.sessions.get(op[1]) === ours) node.sessions.end(ours)
    const session = installSession(node, op, false)
    for (const { message, qos, retain, subscriptionIds, share } of shadows) {
      if (!node.sessions.has(session, message, share))
        node.sessions.addShadow(session, new Shadow(message, qos, retain, subscriptionIds, share))
      node.journal.release(message)
    }
    return session
  }

  /**
   * Both branches went on: the one with the client wins, else the one with more incarnations. The other one's queue and filters are
   * added; where both have a filter the winner's options stand, and its QoS 2 identifiers are the session's.
   */
  private diverged(ours: Session, op: SnapHeadOp): void {
    const { node } = this
    const theirs = branchOf(op)
    const oursWins = ours.attachment !== null || (op[3] !== CONNECTED && ours.token.epoch >= theirs.token.epoch)
    node.metrics.add('merged_diverged')
    node.ports.log.event('merged', { client: op[1], queued: op[12].length, winner: oursWins ? 'here' : 'there' })
    const mine = { token: ours.token, ver: ours.ver, lineage: ours.lineage }
    if (oursWins) {
      this.graft(ours, op)
      this.join(ours, mine, theirs)
      return
    }
    const losing = headOf(ours, node.now)
    const walk: Walk = { session: ours, pos: ours.queue.base, end: ours.nextPos }
    for (let part = nextPart(walk, node.now); part !== null; part = nextPart(walk, node.now))
      losing[12].push(...part[3])
    const session = this.replace(ours, op)
    this.graft(session, losing)
    this.join(session, theirs, mine)
  }

  /** What only the losing branch has joins the winner. */
  private graft(winner: Session, op: SnapHeadOp): void {
    const { node } = this
    const [, , , , , , , , , , subs, , queue] = op
    for (const [filter, options, id] of subs)
      if (!winner.subscriptions.has(filter)) node.sessions.subscribe(winner, filter, options, id)
    let waiting: Map<number, Entry[]> | null = null
    for (const [, qos, flags, ids, m, state, , share] of queue) {
      if (qos === 0) continue // promised nothing across a split
      if (qos !== 1 && qos !== 2) throw new PeerFault('queue entry with a wrong QoS')
      if (state === 3) {
        // received on that branch already: it must not be sent again on this one
        waiting ??= Map.groupBy(winner.queue, (e) => (e.state === 0 ? e.message.seq : -1))
        const entry = waiting.get(m[1])?.find((e) => e.message.origin === m[0] && (e.share ?? '') === (share ?? ''))
        if (entry !== undefined && !entry.gone) node.sessions.dequeue(winner, entry)
        continue
      }
      const added = this.add(winner, m, { qos, retain: (flags & 1) !== 0, ids }, share)
      if (added && state > 0) node.metrics.add('merged_possible_duplicates')
    }
  }

  /** One line again: both branches are its ancestors. */
  private join(session: Session, winner: Branch, loser: Branch): void {
    const { node } = this
    session.lineage = [...winner.lineage, { token: loser.token, forkVer: loser.ver }]
    const epoch = Math.max(winner.token.epoch, loser.token.epoch) + 1
    node.sessions.mint(session, { epoch, minter: node.boot as BootId, n: ++node.minted }, session.mine)
  }
}

function branchOf(op: SnapHeadOp): Branch {
  return { token: tokenFromWire(op[2]), ver: op[5], lineage: lineageFromWire(op[4]) }
}
