// Deliver: one publication to one session of this node: written at once where nothing is in the way, else queued. Knows neither
// subscriptions nor the peer.
import type { BootId, Hlc } from '../../base/brand.ts'
import { ByteWriter, NO_BYTES } from '../../base/bytes.ts'
import type { Connection } from '../../connection/connection.ts'
import { allocateUnkept } from '../../connection/send.ts'
import type { Entry } from '../../session/queue.ts'
import type { Session } from '../../session/session.ts'
import { publishSize, topicAliasAt, writePublish } from '../../wire/encoder.ts'
import { PacketType, type QoS, type Version } from '../../wire/packet.ts'
import type { BrokerNode } from '../node.ts'
import { Publication } from './publication.ts'

export class Delivery {
  private readonly node: BrokerNode
  /** The publication under way: begun and ended by the router. */
  readonly pub = new Publication()
  private readonly scratch = new ByteWriter(1024)
  private scratchKey = -1
  private scratchIdAt = -1

  constructor(node: BrokerNode) {
    this.node = node
  }

  /** Another publication: nothing of it is encoded yet. */
  begin(): void {
    this.scratchKey = -1
  }

  /** What a publish that begins here is known by on both nodes. */
  readonly identify = (): { origin: BootId; seq: number; hlc: Hlc } => {
    const { node } = this
    return { origin: node.boot, seq: ++node.sequence, hlc: node.tickHlc() }
  }

  /**
   * @param commit the turn that must be released before it may go out; 0: none
   * @param many others get the same: worth one encoding for all
   * @param share the shared subscription that picked it; null: none
   * @returns the queue entry it became, null where it was sent (or dropped) without one
   */
  deliver(
    s: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    commit: number,
    many: boolean,
    share: string | null,
  ): Entry | null {
    const { node } = this
    const c = s.attachment as Connection | null
    const early = commit > node.turns.released
    if (qos === 0 && c !== null && !early && s.queue.waitingQos0 === 0) {
      this.send(c, 0, 0, retain, ids, many)
      return null
    }
    // What another member has to take over when this session ends is kept until it is acknowledged.
    const unkept = share === null || qos === 2
    if (c === null) {
      if (!s.durable) return null
      if (qos === 0 && !node.config.queueQos0) {
        node.metrics.add('qos0_not_queued')
        return null
      }
    } else if (!s.durable && qos !== 0 && unkept && !early && s.queue.count === 0 && c.hasWindow(s)) {
      if (this.tooLarge(c, qos, ids)) return null
      this.send(c, qos, allocateUnkept(s, qos, node.rules), retain, ids, many)
      return null
    }
    return this.queue(s, qos, retain, ids, commit, share)
  }

  /** To the session's queue, though it might be sent at once. Parameters as of deliver() */
  queue(
    s: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    commit: number,
    share: string | null,
  ): Entry | null {
    const { node, pub } = this
    if (!node.queues.admits(s, pub.bytes)) {
      node.queues.lost(s.clientId, pub.buf.subarray(pub.payloadStart, pub.payloadEnd))
      return null
    }
    const message = pub.message(this.identify, node.now)
    if (commit > message.commit) message.commit = commit
    const passing = qos === 0 && !(s.durable && node.config.queueQos0)
    const pos = s.nextPos
    const entry = node.sessions.enqueue(s, { message, pos, qos, retain, subscriptionIds: ids, share }, passing)
    if (s.attachment !== null) node.pump(s)
    return entry
  }

  /** Bytes that the packet may still grow by; below 0: the client does not take it. */
  private room(c: Connection, qos: QoS, ids: readonly number[] | null): number {
    if (c.maximumPacketSize === Number.POSITIVE_INFINITY) return c.maximumPacketSize
    const { topic, payloadStart, payloadEnd, props, expiry } = this.pub
    const alias = c.aliasesOut === null ? 0 : c.aliasesOut.of(topic)
    const length = alias > 0 ? 0 : topic.bytes.length
    const payload = payloadEnd - payloadStart
    return c.maximumPacketSize - publishSize(c.version as Version, length, payload, qos, props, expiry, ids, alias)
  }

  private tooLarge(c: Connection, qos: QoS, ids: readonly number[] | null): boolean {
    if (this.room(c, qos, ids) >= 0) return false
    this.node.metrics.add('dropped_too_large') // [MQTT-3.1.2-24]
    return true
  }

  /** Writes it to an open connection, past the queue. @param packetId 0 with QoS 0 */
  send(c: Connection, qos: QoS, packetId: number, retain: boolean, ids: readonly number[] | null, many: boolean): void {
    if (c.state !== 'open') return
    if (qos === 0) {
      if (c.outBytes > this.node.writers.qos0Max && !c.relieve()) return this.node.metrics.add('dropped_slow_reader')
      if (this.tooLarge(c, 0, ids)) return
    }
    const alias = c.aliasesOut === null ? 0 : c.aliasesOut.choose(this.pub.topic, this.room(c, qos, ids))
    const w = c.writer(PacketType.publish)
    this.node.traffic.payloadBytesOut += this.pub.payloadEnd - this.pub.payloadStart
    if (!many || ids !== null || alias < 0) {
      this.write(w, c.version as Version, qos, packetId, retain, ids, alias)
      return
    }
    // One encoding for all who get the same bytes; only the identifier and the alias differ.
    const key = c.version | (qos > 0 ? 8 : 0) | (qos << 4) | (retain ? 64 : 0) | (alias > 0 ? 128 : 0)
    const { scratch } = this
    if (this.scratchKey !== key) {
      scratch.clear()
      this.scratchIdAt = this.write(scratch, c.version as Version, qos, packetId, retain, null, alias)
      this.scratchKey = key
    }
    const at = w.length
    w.copy(scratch.buf, 0, scratch.length)
    if (qos > 0) setU16(w, at + this.scratchIdAt, packetId)
    if (alias > 0) {
      const { payloadStart, payloadEnd, props, expiry } = this.pub
      setU16(w, topicAliasAt(w, payloadEnd - payloadStart, props, expiry), alias)
    }
  }

  /** @param alias as OutboundAliases.choose gives it */
  private write(
    w: ByteWriter,
    version: Version,
    qos: QoS,
    packetId: number,
    retain: boolean,
    ids: readonly number[] | null,
    alias: number,
  ): number {
    const { pub } = this
    const { topic, buf, payloadStart, payloadEnd, props, expiry } = pub
    return writePublish(
      w,
      version,
      alias > 0 ? NO_BYTES : topic.bytes,
      buf,
      payloadStart,
      payloadEnd,
      qos,
      retain,
      false,
      packetId,
      props,
      expiry,
      ids,
      Math.abs(alias),
    )
  }
}

function setU16(w: ByteWriter, at: number, n: number): void {
  w.buf[at] = n >>> 8
  w.buf[at + 1] = n & 0xff
}
