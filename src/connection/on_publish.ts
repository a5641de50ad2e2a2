// On PUBLISH: one message from the client, QoS 0, 1 or 2.
import { sameBytes, type TopicRef } from '../topic/topics.ts'
import { writeAck, writeAckInWords } from '../wire/encoder.ts'
import { PacketType, type PublishView } from '../wire/packet.ts'
import { saysText } from '../wire/publish_props.ts'
import { Reason } from '../wire/reason.ts'
import { isText } from '../wire/text.ts'
import { InboundAliases } from './aliases.ts'
import type { Connection } from './connection.ts'
import { words } from './sizes.ts'

const BROKERS_OWN = "the topic is the broker's own"
const NOT_ALLOWED = 'this client may not publish to this topic'

export function onPublish(c: Connection, view: PublishView): void {
  const { broker, session } = c
  if (session === null || c.version === 0) return c.early()
  if (view.qos > broker.policy.qosMax) return c.fail(Reason.qosNotSupported, 'QoS is above Maximum QoS') // [MQTT-3.2.2-11]
  if (view.retain && !broker.policy.retainAvailable) return c.fail(Reason.retainNotSupported, 'RETAIN is not available') // [MQTT-3.2.2-14]
  if (view.topicAlias !== 0) {
    if (!resolveAlias(c, view)) return
  } else if (c.topic === null || !sameBytes(c.topic, view.buf, view.topicStart, view.topicEnd)) {
    const topic = broker.topics.internBytes(view.buf, view.topicStart, view.topicEnd)
    if (!fits(c, view, topic)) return
    turnTo(c, topic)
  }
  // A QoS 2 message that was taken once, under other rules, must still end its flow [MQTT-4.3.3-10].
  if (c.topicRefused && !(view.qos === 2 && session.inbound.has(view.packetId))) return refused(c, view)
  if (broker.policy.validatePayload && saysText(view.props) && !isText(view.buf, view.payloadStart, view.payloadEnd)) {
    broker.count('dropped_payload_format')
    return refusePublish(c, view, Reason.payloadFormatInvalid, 'payload is not UTF-8') // section 3.3.2.3.2
  }
  if (view.qos === 0) {
    broker.publish(c, view, 0)
    return
  }
  const { packetId } = view
  if (view.qos === 1) {
    const matched = broker.publish(c, view, 0)
    c.gate(broker.need())
    writeAck(c.writer(PacketType.puback), PacketType.puback, packetId, reasonOf(c, matched), c.version) // [MQTT-4.3.2-4]
    return
  }
  let matched = true
  if (!session.inbound.has(packetId)) {
    // Only what this connection opened counts: a former one's identifiers may stay for as long as the session lives.
    if (c.version === 5 && c.unreleased >= broker.policy.receiveMaximum)
      return c.fail(Reason.receiveMaximumExceeded, 'Receive Maximum exceeded') // [MQTT-3.3.4-7]
    c.unreleased++
    matched = broker.publish(c, view, packetId)
  } // else a repetition, which must not be published again [MQTT-4.3.3-10]
  c.gate(broker.need())
  writeAck(c.writer(PacketType.pubrec), PacketType.pubrec, packetId, reasonOf(c, matched), c.version) // [MQTT-4.3.3-8]
}

/**
 * A publish that is not taken. The acknowledgement says why, and the connection goes on; where there is none to say it, that is the
 * connection's end.
 */
function refusePublish(c: Connection, view: PublishView, reason: number, text: string): void {
  if (c.version !== 5 || view.qos === 0) return c.fail(reason, text)
  const type = view.qos === 1 ? PacketType.puback : PacketType.pubrec
  writeAckInWords(c.writer(type), type, view.packetId, reason, words(c, text), c.maximumPacketSize) // [MQTT-4.3.3-9]
}

/** Finds what the alias stands for, or what it will. @returns false where the client has failed by it, or the publish is refused */
function resolveAlias(c: Connection, view: PublishView): boolean {
  const { topicAlias, buf, topicStart, topicEnd } = view
  const { policy, topics } = c.broker
  if (topicAlias > policy.topicAliasMaximum) {
    const allowed = policy.topicAliasMaximum === 0 ? 'topic aliases are not accepted' : 'above Topic Alias Maximum'
    c.fail(Reason.topicAliasInvalid, allowed) // [MQTT-3.2.2-17], [MQTT-3.2.2-18], [MQTT-3.3.2-9]
    return false
  }
  if (c.aliasesIn === null) c.aliasesIn = new InboundAliases()
  let topic: TopicRef | undefined
  if (topicStart === topicEnd) {
    topic = c.aliasesIn.get(topicAlias)
    if (topic === undefined) {
      c.fail(Reason.protocolError, 'topic alias without a topic')
      return false
    }
  } else {
    topic = topics.internBytes(buf, topicStart, topicEnd)
    // Also by a publish that is refused for its name: what follows under this alias means the new one [MQTT-3.3.2-12].
    if (!c.aliasesIn.set(topicAlias, topic)) {
      c.fail(Reason.quotaExceeded, 'topic aliases for too many bytes of topic names')
      return false
    }
  }
  if (topic === c.topic) return true
  if (!fits(c, view, topic)) return false
  turnTo(c, topic)
  return true
}

/** Judged once, however many messages to this topic follow. */
function turnTo(c: Connection, topic: TopicRef): void {
  const { access } = c
  c.topic = topic
  c.topicRefused = topic.reserved || (access !== null && !access.mayWrite(topic.name))
  if (c.topicRefused && access?.tells(topic.name))
    c.broker.log('publish_refused', { client: c.clientId, username: c.username, topic: topic.name })
}

/** To a topic that is the broker's own, or not this client's to write to: nobody gets it, and 5.0 clients are told. */
function refused(c: Connection, view: PublishView): void {
  const reserved = c.topic?.reserved === true
  if (reserved) c.broker.count('dropped_sys_topic')
  else c.broker.count('dropped_not_authorized')
  if (view.qos === 0 || c.version === 0) return
  if (c.version === 5) return refusePublish(c, view, Reason.notAuthorized, reserved ? BROKERS_OWN : NOT_ALLOWED)
  const type = view.qos === 1 ? PacketType.puback : PacketType.pubrec
  writeAck(c.writer(type), type, view.packetId, Reason.notAuthorized, c.version) // [MQTT-3.1.1/3.3.5-2]
}

/** @returns false where the publish is refused for its topic name */
function fits(c: Connection, view: PublishView, topic: TopicRef): boolean {
  const { topicLevelsMax, topicBytesMax } = c.broker.policy
  if (topic.levels <= topicLevelsMax && topic.bytes.length <= topicBytesMax) return true
  c.broker.count('dropped_topic_name')
  refusePublish(c, view, Reason.topicNameInvalid, 'topic name is longer or deeper than allowed')
  return false
}

function reasonOf(c: Connection, matched: boolean): number {
  return matched || c.version !== 5 ? Reason.success : Reason.noMatchingSubscribers
}
