// On CONNECT: what can be judged from the packet alone; then who the client is, and then the broker decides who owns the session.
import { utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Connect } from '../wire/packet.ts'
import { saysText } from '../wire/publish_props.ts'
import { Reason } from '../wire/reason.ts'
import { isText } from '../wire/text.ts'
import { admit, turnAway, turnBack } from './admit.ts'
import { OutboundAliases } from './aliases.ts'
import type { Connection } from './connection.ts'
import { authenticate } from './on_auth.ts'
import { topicFits } from './on_subscribe.ts'

const NOT_FROM_HERE = 'anonymous clients are accepted from this machine only'
const NOT_FROM_HERE_WS = `${NOT_FROM_HERE}, over WebSocket not through a proxy or from a page of elsewhere`

export function onConnect(c: Connection, packet: Connect): void {
  const { broker } = c
  c.version = packet.version
  c.clientId = packet.clientId
  c.requestProblemInformation = packet.requestProblemInformation
  c.maximumPacketSize = packet.maximumPacketSize
  if (broker.fullFor(packet.clientId)) return turnBack(c, Reason.serverBusy, 'too many connections')
  const { authMethod, username } = packet
  if (authMethod !== null && !broker.authentication.offers(authMethod))
    return turnBack(c, Reason.badAuthenticationMethod, 'this authentication method is not offered') // [MQTT-4.12.0-1]
  const proves = authMethod !== null || (username !== null && broker.authentication.required)
  if (!proves && !broker.policy.allowAnonymous) {
    if (broker.authentication.required) return turnBack(c, Reason.notAuthorized, 'a user name is required')
    if (!c.socket.loopback)
      return turnBack(c, Reason.notAuthorized, c.socket.transport === 'ws' ? NOT_FROM_HERE_WS : NOT_FROM_HERE)
  }
  if (!broker.admitting) return turnAway(c, 'not ready')
  let { clientId } = packet
  if (clientId === '') {
    // [MQTT-3.1.1/3.1.3-8]; 3.1 knows no empty identifier
    if (packet.version === 3 || (packet.version === 4 && !packet.cleanStart))
      return turnBack(c, Reason.clientIdentifierNotValid, 'client identifier is empty')
    clientId = broker.assignClientId() // [MQTT-3.1.3-6]
    c.assignedClientId = true
  } else {
    const { clientIdBytesMax, clientIdPattern } = broker.policy
    if (utf8(clientId).length > clientIdBytesMax)
      return turnBack(c, Reason.clientIdentifierNotValid, 'client identifier is too long')
    if (clientIdPattern !== null && !clientIdPattern.test(clientId))
      return turnBack(c, Reason.clientIdentifierNotValid, 'client identifier is not one of those taken here')
  }
  const { will } = packet
  if (will !== null && !topicFits(broker.policy, will.topic))
    return turnBack(c, Reason.topicNameInvalid, 'will topic is longer or deeper than allowed')
  if (will !== null && will.qos > broker.policy.qosMax) return turnBack(c, Reason.qosNotSupported, 'will QoS') // [MQTT-3.2.2-12]
  if (will?.retain && !broker.policy.retainAvailable) return turnBack(c, Reason.retainNotSupported, 'will RETAIN') // [MQTT-3.2.2-13]
  if (
    will !== null &&
    broker.policy.validatePayload &&
    saysText(will.props) &&
    !isText(will.payload, 0, will.payload.length)
  )
    return turnBack(c, Reason.payloadFormatInvalid, 'will payload is not UTF-8') // section 3.1.3.2.3
  c.clientId = clientId
  const { keepAliveMax } = broker.policy
  const keepAlive =
    keepAliveMax > 0 && (packet.keepAlive === 0 || packet.keepAlive > keepAliveMax) ? keepAliveMax : packet.keepAlive
  c.keepAliveMs = packet.version === 5 || keepAlive === packet.keepAlive ? keepAlive * 1500 : packet.keepAlive * 1500
  const inflightMax = broker.policy.inflightMax === 0 ? LIMITS.inflightMax : broker.policy.inflightMax
  const unnamed = broker.policy.inflightMax === 0 ? LIMITS.inflightDefault : inflightMax
  c.window = packet.version === 5 ? Math.min(packet.receiveMaximum, inflightMax) : unnamed // [MQTT-3.3.4-9]
  const sessionExpiry = Math.min(packet.sessionExpiry, broker.policy.sessionExpiryMax)
  if (packet.topicAliasMaximum > 0) c.aliasesOut = new OutboundAliases(packet.topicAliasMaximum) // [MQTT-3.1.2-27]
  c.connect = { ...packet, clientId, keepAlive, sessionExpiry, password: null, authData: null }
  if (proves) return authenticate(c, packet, packet.password)
  c.username = username
  admit(c, c.connect)
}
