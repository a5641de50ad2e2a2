// Interest: what sessions without expiry want, told to the peer: their filters as one set, so that it forwards what somebody here
// wants and nothing else; shared ones member by member, so that it can pick. Sessions with expiry need none: the peer has them.
import { LIMITS } from '../../base/limits.ts'
import { piecesOf } from '../../base/pieces.ts'
import { Session, Subscription } from '../../session/session.ts'
import { InterestCount } from '../../topic/interest.ts'
import { isShared, isSys } from '../../topic/name.ts'
import { OpKind, type PickWire } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'

export class Interest {
  private readonly own = new InterestCount()
  private readonly peers = new Map<string, Subscription>()
  /** Stand for the peer's members of shared subscriptions, by client id. */
  private readonly members = new Map<string, Session>()
  private readonly node: BrokerNode

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** What a node tells of itself ($SYS) is not the peer's to forward. */
  add(client: string, filter: string): void {
    if (isSys(filter)) return
    if (isShared(filter)) this.tellMembers([[filter, client]], [])
    else if (this.own.add(filter)) this.tell([filter], [])
  }

  remove(client: string, filter: string): void {
    if (isSys(filter)) return
    if (isShared(filter)) this.tellMembers([], [[filter, client]])
    else if (this.own.remove(filter)) this.tell([], [filter])
  }

  /** A session without expiry is about to end. */
  dropAll(session: Session): void {
    const gone: string[] = []
    const left: PickWire[] = []
    for (const { filter, shared } of session.subscriptions.values())
      if (shared) left.push([filter, session.clientId])
      else if (!isSys(filter) && this.own.remove(filter)) gone.push(filter)
    this.tell([], gone)
    this.tellMembers([], left)
  }

  /** A stream begins: the peer knows nothing. */
  tellAll(): void {
    const filters = [...this.own.filters()]
    for (const piece of piecesOf(filters, (filter) => 8 + filter.length, LIMITS.opBytesMax)) this.tell(piece, [])
    const all: PickWire[] = []
    for (const session of this.node.sessions.byClient.values()) {
      if (session.durable) continue
      for (const { filter, shared } of session.subscriptions.values()) if (shared) all.push([filter, session.clientId])
    }
    const bytesOf = ([filter, client]: PickWire): number => 8 + filter.length + client.length
    for (const piece of piecesOf(all, bytesOf, LIMITS.opBytesMax)) this.tellMembers(piece, [])
  }

  private tell(add: string[], del: string[]): void {
    if (add.length + del.length > 0) this.node.emitter.emit([OpKind.interest, add, del])
  }

  private tellMembers(add: PickWire[], del: PickWire[]): void {
    if (add.length + del.length > 0 && this.node.pairing.sharing) this.node.emitter.emit([OpKind.members, add, del])
  }

  applyPeer(add: readonly string[], del: readonly string[]): void {
    const { tree } = this.node.sessions
    for (const filter of add) {
      if (this.peers.has(filter)) continue
      const sub = new Subscription(this.node.peerInterest, filter, 2, 0)
      this.peers.set(filter, sub)
      tree.add(filter, sub)
    }
    for (const filter of del) {
      const sub = this.peers.get(filter)
      if (sub === undefined) continue
      this.peers.delete(filter)
      tree.remove(filter, sub)
    }
  }

  applyMembers(add: readonly PickWire[], del: readonly PickWire[]): void {
    const { sessions, boot } = this.node
    for (const [filter, client] of add) {
      let session = this.members.get(client)
      if (session === undefined) {
        session = new Session(client, false, false, { epoch: 0, minter: boot, n: 0 }, 0)
        session.subscriptions = new Map()
        this.members.set(client, session)
      }
      if (!session.subscriptions.has(filter)) {
        const sub = new Subscription(session, filter, 2, 0)
        session.subscriptions.set(filter, sub)
        sessions.file(sub)
      }
    }
    for (const [filter, client] of del) {
      const session = this.members.get(client)
      const sub = session?.subscriptions.get(filter)
      if (session === undefined || sub === undefined) continue
      session.subscriptions.delete(filter)
      sessions.unfile(sub)
      if (session.subscriptions.size === 0) this.members.delete(client)
    }
  }

  clearPeer(): void {
    this.applyPeer([], [...this.peers.keys()])
    for (const session of [...this.members.values()])
      this.applyMembers(
        [],
        [...session.subscriptions.keys()].map((filter) => [filter, session.clientId] as const),
      )
  }
}
