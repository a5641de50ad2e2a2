// On SUBSCRIBE and UNSUBSCRIBE: one answer code a filter, in their order.
import { utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { canonicalFilter, isShared, levelsOf, topicFilter, validFilter } from '../topic/name.ts'
import { writeSuback, writeUnsuback } from '../wire/encoder.ts'
import { PacketType, type Subscribe, type SubscribeRequest, type Unsubscribe } from '../wire/packet.ts'
import { Reason, reasonName } from '../wire/reason.ts'
import type { ConnectionPolicy } from './broker.ts'
import type { Connection } from './connection.ts'
import { takesCodes, words } from './sizes.ts'

const NO_ANSWER = 'the answer is larger than the client takes'

/** More of a refusal than its code says. */
const REFUSALS: Readonly<Record<number, string>> = {
  [Reason.topicFilterInvalid]: 'not well formed, too long, or of too many levels',
  [Reason.notAuthorized]: 'this client may not read all that it matches',
  [Reason.quotaExceeded]: 'more than a session, or one packet, may have',
}

export function onSubscribe(c: Connection, packet: Subscribe): void {
  const { broker, session } = c
  if (session === null || c.version === 0) return c.early()
  if (!takesCodes(c, packet.subscriptions.length)) return c.fail(Reason.packetTooLarge, NO_ANSWER)
  const { qosMax } = broker.policy
  const codes: number[] = []
  // As of one packet for each filter, in their order [MQTT-3.8.4-5]; but one that comes again is made and replayed only once.
  const accepted = new Map<string, SubscribeRequest>()
  const replayed = new Set<string>()
  let refused = ''
  const added = new Set<string>()
  for (const request of packet.subscriptions) {
    const refusal = refusalOf(c, request, added, codes.length)
    if (refusal !== 0) {
      broker.count('subscriptions_refused')
      if (refused === '') refused = `filter ${codes.length + 1}: ${REFUSALS[refusal] ?? reasonName(refusal)}`
      // 3.1.1 has one code for it [MQTT-3.1.1/3.9.3-2]; 3.1 has none: there it looks granted.
      codes.push(c.version === 5 ? refusal : c.version === 4 ? 0x80 : request.qos)
      continue
    }
    const qos = request.qos > qosMax ? qosMax : request.qos
    const filter = canonicalFilter(request.filter)
    const isNew = !accepted.has(filter) && !session.subscriptions.has(filter)
    // [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    if (request.retainHandling === 0 || (request.retainHandling === 1 && isNew)) replayed.add(filter)
    accepted.set(filter, qos === request.qos && filter === request.filter ? request : { ...request, filter, qos })
    codes.push(qos) // [MQTT-3.8.4-8]
  }
  for (const request of accepted.values()) broker.subscribe(session, request, packet.subscriptionId)
  c.gate(broker.need())
  const w = c.writer(PacketType.suback)
  writeSuback(w, c.version, packet.packetId, codes, words(c, refused), c.maximumPacketSize) // [MQTT-3.8.4-1], [MQTT-3.8.4-2]
  for (const filter of replayed) {
    if (!isShared(filter)) broker.replayRetained(session, filter) // a group gets no retained messages
  }
  broker.log('subscribe', { client: c.clientId, filters: packet.subscriptions.map((s) => s.filter), codes })
}

/** Whether a name or a filter is within the operator's bounds. */
export function topicFits(policy: ConnectionPolicy, topic: string): boolean {
  return utf8(topic).length <= policy.topicBytesMax && levelsOf(topic) <= policy.topicLevelsMax
}

/** @param added filters of this packet that the session does not have yet  @param before filters of this packet before this one */
function refusalOf(c: Connection, request: SubscribeRequest, added: Set<string>, before: number): number {
  const { policy } = c.broker
  if (before >= LIMITS.filtersPerPacketMax && before >= policy.subscriptionsMax) return Reason.quotaExceeded
  if (!validFilter(request.filter)) return Reason.topicFilterInvalid // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  if (!topicFits(policy, request.filter)) return Reason.topicFilterInvalid
  const known = c.session?.subscriptions
  const filter = canonicalFilter(request.filter)
  if (c.access !== null) {
    // Each is judged by each rule: of one packet no more than a session may have, or others would feel it.
    if (before >= policy.subscriptionsMax) return Reason.quotaExceeded
    if (!c.access.mayRead(topicFilter(filter))) return Reason.notAuthorized
  }
  if (known === undefined || known.has(filter) || added.has(filter)) return 0
  if (known.size + added.size >= policy.subscriptionsMax) return Reason.quotaExceeded
  if (c.session !== null && c.session.filterBytes + filter.length > LIMITS.filterBytesPerSessionMax)
    return Reason.quotaExceeded
  added.add(filter)
  return 0
}

export function onUnsubscribe(c: Connection, packet: Unsubscribe): void {
  const { broker, session } = c
  if (session === null || c.version === 0) return c.early()
  if (!takesCodes(c, packet.filters.length)) return c.fail(Reason.packetTooLarge, NO_ANSWER)
  const codes = packet.filters.map((filter) =>
    broker.unsubscribe(session, canonicalFilter(filter)) ? Reason.success : Reason.noSubscriptionExisted,
  )
  if (broker.rules.gateUnsuback) c.gate(broker.need())
  writeUnsuback(c.writer(PacketType.unsuback), c.version, packet.packetId, codes) // [MQTT-3.10.4-4], [MQTT-3.10.4-5]
  broker.log('unsubscribe', { client: c.clientId, filters: packet.filters })
}
