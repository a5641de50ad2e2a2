// Deliver: one publication to one session of this node: written at once where nothing is in the way, else queued. Knows neither
// subscriptions nor the peer.
import type { BootId, Hlc } from '../base/brand.ts'
import { ByteWriter } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Connection } from '../connection/connection.ts'
import { allocateUnkept } from '../connection/send.ts'
import type { Entry } from '../session/queue.ts'
import type { Session } from '../session/session.ts'
import { publishSize, writePublish } from '../wire/encoder.ts'
import { PacketType, type QoS, type Version } from '../wire/packet.ts'
import type { BrokerNode } from './node.ts'
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
   * @returns the queue entry it became, null where it was sent (or dropped) without one
   */
  deliver(
    s: Session,
    qos: QoS,
    retain: boolean,
    ids: readonly number[] | null,
    commit: number,
    many: boolean,
  ): Entry | null {
    const { node, pub } = this
    const c = s.attachment as Connection | null
    const early = commit > node.turns.released
    if (qos === 0 && !early) {
      if (c !== null) this.send(c, 0, 0, retain, ids, many)
      return null
    }
    if (!s.durable || qos === 0) {
      if (c === null) return null
      if (!early && qos !== 0 && s.queue.count === 0 && c.hasWindow(s)) {
        if (this.tooLarge(c, qos, ids)) return null
        this.send(c, qos, allocateUnkept(s, qos, node.rules), retain, ids, many)
        return null
      }
    }
    const size = pub.payloadEnd - pub.payloadStart
    if (s.queue.count >= node.config.queuedMessagesMax || s.queue.bytes + size > node.config.queuedBytesMax) {
      node.metrics.add('dropped_queue_full')
      return null
    }
    const message = pub.message(this.identify, node.now)
    if (commit > message.commit) message.commit = commit
    const entry = node.sessions.enqueue(s, { message, pos: s.nextPos, qos, retain, subscriptionIds: ids })
    if (c !== null) node.pump(s)
    return entry
  }

  private tooLarge(c: Connection, qos: QoS, ids: readonly number[] | null): boolean {
    const { pub } = this
    if (c.maximumPacketSize === Number.POSITIVE_INFINITY) return false
    const length = pub.payloadEnd - pub.payloadStart
    const size = publishSize(c.version as Version, pub.topic.bytes.length, length, qos, pub.props, pub.expiry, ids, 0)
    if (size <= c.maximumPacketSize) return false
    this.node.metrics.add('dropped_too_large') // [MQTT-3.1.2-24]
    return true
  }

  /** Writes it to an open connection, past the queue. @param packetId 0 with QoS 0 */
  send(c: Connection, qos: QoS, packetId: number, retain: boolean, ids: readonly number[] | null, many: boolean): void {
    if (c.state !== 'open') return
    if (qos === 0) {
      if (c.outBytes > LIMITS.outBytesQos0Max) return this.node.metrics.add('dropped_slow_reader')
      if (this.tooLarge(c, 0, ids)) return
    }
    const w = c.writer(PacketType.publish)
    this.node.traffic.payloadBytesOut += this.pub.payloadEnd - this.pub.payloadStart
    if (!many || ids !== null) {
      this.write(w, c.version as Version, qos, packetId, retain, ids)
      return
    }
    // One encoding for all who get the same bytes; only the identifier differs.
    const key = c.version | (qos > 0 ? 8 : 0) | (qos << 4) | (retain ? 64 : 0)
    const { scratch } = this
    if (this.scratchKey !== key) {
      scratch.clear()
      this.scratchIdAt = this.write(scratch, c.version as Version, qos, packetId, retain, null)
      this.scratchKey = key
    }
    const at = w.length
    w.copy(scratch.buf, 0, scratch.length)
    if (qos > 0) {
      w.buf[at + this.scratchIdAt] = packetId >>> 8
      w.buf[at + this.scratchIdAt + 1] = packetId & 0xff
    }
  }

  private write(
    w: ByteWriter,
    version: Version,
    qos: QoS,
    packetId: number,
    retain: boolean,
    ids: readonly number[] | null,
  ): number {
    const { pub } = this
    const { topic, buf, payloadStart, payloadEnd, props, expiry } = pub
    return writePublish(
      w,
      version,
      topic.bytes,
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
      0,
    )
  }
}
