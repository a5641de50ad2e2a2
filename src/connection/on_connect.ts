// On CONNECT: what can be judged from the packet alone, then the broker decides who owns the session.
import { LIMITS } from '../base/limits.ts'
import type { Connect } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import { OutboundAliases } from './aliases.ts'
import type { Connection } from './connection.ts'
import { move } from './states.ts'

export function onConnect(c: Connection, packet: Connect): void {
  const { broker } = c
  c.version = packet.version
  c.requestProblemInformation = packet.requestProblemInformation
  c.maximumPacketSize = packet.maximumPacketSize
  if (broker.fullFor(packet.clientId)) return refuse(c, Reason.serverBusy, 'too many connections')
  if (packet.authMethod !== null)
    return refuse(c, Reason.badAuthenticationMethod, 'enhanced authentication is not supported') // [MQTT-4.12.0-1]
  if (!c.socket.loopback && !broker.policy.allowAnonymous)
    return refuse(c, Reason.notAuthorized, 'anonymous clients are accepted from this machine only')
  if (!broker.admitting) return refuse(c, Reason.serverUnavailable, 'not ready')
  let { clientId } = packet
  if (clientId === '') {
    // [MQTT-3.1.1/3.1.3-8]; 3.1 knows no empty identifier
    if (packet.version === 3 || (packet.version === 4 && !packet.cleanStart))
      return refuse(c, Reason.clientIdentifierNotValid, 'client identifier is empty')
    clientId = broker.assignClientId() // [MQTT-3.1.3-6]
    c.assignedClientId = true
  } else if (clientId.length > LIMITS.clientIdBytesMax) {
    return refuse(c, Reason.clientIdentifierNotValid, 'client identifier is too long')
  }
  const { will } = packet
  if (will !== null && will.qos > broker.policy.qosMax) return refuse(c, Reason.qosNotSupported, 'will QoS') // [MQTT-3.2.2-12]
  if (will?.retain && !broker.policy.retainAvailable) return refuse(c, Reason.retainNotSupported, 'will RETAIN') // [MQTT-3.2.2-13]
  c.clientId = clientId
  c.username = packet.username
  const { keepAliveMax } = broker.policy
  const keepAlive =
    keepAliveMax > 0 && (packet.keepAlive === 0 || packet.keepAlive > keepAliveMax) ? keepAliveMax : packet.keepAlive
  c.keepAliveMs = packet.version === 5 || keepAlive === packet.keepAlive ? keepAlive * 1500 : packet.keepAlive * 1500
  c.window = Math.min(packet.version === 5 ? packet.receiveMaximum : LIMITS.inflightDefault, LIMITS.inflightMax) // [MQTT-3.3.4-9]
  const sessionExpiry = Math.min(packet.sessionExpiry, broker.policy.sessionExpiryMax)
  if (packet.topicAliasMaximum > 0) c.aliasesOut = new OutboundAliases(packet.topicAliasMaximum) // [MQTT-3.1.2-27]
  c.connect = { ...packet, clientId, keepAlive, sessionExpiry, password: null }
  c.state = move(c.state, 'claiming')
  c.decoder.pause()
  broker.connect(c, c.connect)
}

function refuse(c: Connection, reason: number, text: string): void {
  c.broker.count('connects_refused')
  c.broker.log('connect_refused', { client: c.connect?.clientId ?? '', address: c.socket.address, why: text })
  c.refuse(reason, text)
}
