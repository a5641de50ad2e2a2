// Send: messages of a session to its client, as far as the client's window, its socket and the promises behind them allow.
import type { BootId, Hlc } from '../base/brand.ts'
import { NO_BYTES } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { EntryState } from '../session/image.ts'
import { expiryLeft, Message } from '../session/message.ts'
import { nextPacketId, TRACKS, trackOf } from '../session/packet_ids.ts'
import { Entry } from '../session/queue.ts'
import { NO_INFLIGHT, NO_POSITIONS, type Session } from '../session/session.ts'
import { TopicRef } from '../topic/topics.ts'
import { publishSize, writeAck, writePublish } from '../wire/encoder.ts'
import { PacketType, type Version } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import type { Connection } from './connection.ts'
import type { Rules } from './rules.ts'

// A session that ends with its connection never sends a message again: it keeps the state of the flow, not the message.
const NOTHING = new Message(0 as BootId, 0, 0 as Hlc, new TopicRef('', NO_BYTES), NO_BYTES, 0, false, null, 0, '')
function marker(state: EntryState): Entry {
  const entry = new Entry(NOTHING, -1, state === 1 ? 1 : 2, false, null, null)
  entry.state = state
  return entry
}
const SENT_QOS1 = marker(1)
const SENT_QOS2 = marker(2)
export const SENT_RELEASED = marker(3)

/** The next free identifier of the session for this QoS. */
export function allocate(session: Session, qos: 1 | 2, rules: Rules): number {
  if (session.packetIds === NO_POSITIONS) session.packetIds = new Array<number>(TRACKS).fill(0)
  const { inflight } = session
  if (!rules.cyclicIds) session.packetIds.fill(0)
  const track = trackOf(qos, session.token.epoch)
  return nextPacketId(session.packetIds, track, (id) => inflight.has(id))
}

/** Notes a message that is sent without being kept. */
export function allocateUnkept(session: Session, qos: 1 | 2, rules: Rules): number {
  const id = allocate(session, qos, rules)
  if (session.inflight === NO_INFLIGHT) session.inflight = new Map()
  session.inflight.set(id, qos === 1 ? SENT_QOS1 : SENT_QOS2)
  return id
}

/** Sends again what was under way when the former connection ended [MQTT-4.4.0-1], then what waits. */
export function resume(c: Connection, session: Session): void {
  if (c.version === 0 || session.queue.count === 0) return
  c.again = new Set()
  for (const entry of session.queue) {
    if (entry.state === 0) continue
    if (entry.state === 3)
      writeAck(c.writer(PacketType.pubrel), PacketType.pubrel, entry.packetId, Reason.success, c.version)
    else c.again.add(entry)
  }
  session.queue.cursor = 0
}

/** The rest of what a former connection sent, as far as this client's Receive Maximum lets it [MQTT-3.3.4-9]. */
function sendAgain(c: Connection, session: Session, version: Version): void {
  const { broker, again } = c
  for (const entry of again) {
    if (session.inflight.size - again.size >= c.window || c.outBytes >= broker.writers.pumpMax) return
    again.delete(entry)
    if (room(c, entry, version) < 0) {
      broker.count('dropped_too_large')
      broker.done(session, entry)
    } else write(c, entry, true, version)
  }
}

/** Sends waiting entries while there is room. */
export function pump(c: Connection, session: Session): void {
  const { broker } = c
  if (c.state !== 'open' || c.version === 0) return
  if (c.again.size > 0) sendAgain(c, session, c.version)
  while (session.queue.waiting > 0 && c.again.size === 0 && c.outBytes < broker.writers.pumpMax) {
    const entry = session.queue.nextWaiting()
    if (entry === null) return
    const { message } = entry
    if (message.expiresAt <= broker.now) {
      broker.count('dropped_expired') // [MQTT-3.3.2-5]
      broker.done(session, entry)
      continue
    }
    if (entry.qos > 0 && session.inflight.size >= c.window) return
    // One message that is never acknowledged holds the front of the queue, however many pass it.
    if (entry.pos - session.queue.base > LIMITS.queueSpanMax) return
    if (message.commit > broker.released) return broker.pumpAfter(session, message.commit)
    if (room(c, entry, c.version) < 0) {
      broker.count('dropped_too_large') // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
      broker.done(session, entry)
      continue
    }
    if (entry.qos === 0) {
      // At most once: it is gone from both queues before it leaves.
      broker.begin()
      broker.done(session, entry)
      if (!entry.passing) c.gate(broker.need())
      write(c, entry, false, c.version)
      continue
    }
    const id = allocate(session, entry.qos, broker.rules)
    broker.begin()
    broker.sent(session, entry, id, entry.qos === 2 ? 2 : 1)
    if (entry.qos === 2 && broker.rules.gateQos2) c.gate(broker.need())
    write(c, entry, false, c.version)
  }
}

function write(c: Connection, entry: Entry, dup: boolean, version: Version): void {
  const { message } = entry
  const { topic } = message
  const alias = c.aliasesOut === null ? 0 : c.aliasesOut.choose(topic, room(c, entry, version))
  c.broker.traffic.payloadBytesOut += message.payload.length
  writePublish(
    c.writer(PacketType.publish),
    version,
    alias > 0 ? NO_BYTES : topic.bytes,
    message.payload,
    0,
    message.payload.length,
    entry.qos,
    entry.retain,
    dup,
    entry.packetId,
    message.props,
    expiryLeft(message, c.broker.now), // [MQTT-3.3.2-6]
    entry.subscriptionIds,
    Math.abs(alias),
  )
}

/** Bytes that the packet may still grow by; below 0: the client does not take it. */
function room(c: Connection, entry: Entry, version: Version): number {
  if (c.maximumPacketSize === Number.POSITIVE_INFINITY) return c.maximumPacketSize
  const { message, qos, subscriptionIds } = entry
  const { topic, payload, props } = message
  const alias = c.aliasesOut === null ? 0 : c.aliasesOut.of(topic)
  const length = alias > 0 ? 0 : topic.bytes.length
  const expiry = expiryLeft(message, c.broker.now)
  return c.maximumPacketSize - publishSize(version, length, payload.length, qos, props, expiry, subscriptionIds, alias)
}
