// Send CONNACK: the answer to CONNECT, with what a 5.0 client must know of this server.
import { type ConnackFields, writeConnack } from '../wire/encoder.ts'
import { type Connect, PacketType, SESSION_NEVER_EXPIRES } from '../wire/packet.ts'
import { Reason, returnCodeV3 } from '../wire/reason.ts'
import type { Connection } from './connection.ts'
import { takes, words } from './sizes.ts'

/** A refusal of 5.0 without properties. */
const REFUSAL_BYTES = 5

export function writeConnackAccept(c: Connection, sessionPresent: boolean): void {
  if (c.version !== 0) writeConnack(c.writer(PacketType.connack), c.version, accepting(c, sessionPresent))
}

/** Who does not take its CONNACK cannot be served. */
export function takesConnack(c: Connection): boolean {
  return c.version !== 5 || takes(c, (w) => writeConnack(w, 5, accepting(c, false)))
}

function accepting(c: Connection, sessionPresent: boolean): ConnackFields {
  const { policy } = c.broker
  const connect = c.connect as Connect
  const fields: ConnackFields = { sessionPresent, reason: Reason.success }
  if (c.version === 5) {
    if (policy.sessionExpiryMax < SESSION_NEVER_EXPIRES && connect.sessionExpiry === policy.sessionExpiryMax)
      fields.sessionExpiry = connect.sessionExpiry
    if (policy.receiveMaximum < 0xffff) fields.receiveMaximum = policy.receiveMaximum
    if (policy.qosMax !== 2) fields.maximumQos = policy.qosMax // [MQTT-3.2.2-9]
    if (!policy.retainAvailable) fields.retainAvailable = false
    fields.maximumPacketSize = policy.packetBytesMax
    if (policy.topicAliasMaximum > 0) fields.topicAliasMaximum = policy.topicAliasMaximum
    if (c.assignedClientId) fields.assignedClientId = c.clientId // [MQTT-3.2.2-16]
    if (connect.authMethod !== null) fields.authMethod = connect.authMethod // [MQTT-4.12.0-5]
    if (c.authData !== null) fields.authData = c.authData
    if (connect.requestResponseInformation && policy.responseInformation !== null)
      fields.responseInformation = responseInformation(policy.responseInformation, connect.clientId) // [MQTT-3.1.2-28]
    if (policy.keepAliveMax > 0 && connect.keepAlive === policy.keepAliveMax) fields.serverKeepAlive = connect.keepAlive // [MQTT-3.2.2-21]
  }
  return fields
}

/** Undefined where the client identifier cannot stand in a topic name. */
function responseInformation(text: string, clientId: string): string | undefined {
  if (!text.includes('%c')) return text
  return /[+#/]/.test(clientId) ? undefined : text.replaceAll('%c', () => clientId)
}

export function writeConnackRefusal(c: Connection, reason: number, text: string, serverReference?: string): void {
  const version = c.version === 0 ? 4 : c.version
  if (version === 5 ? c.maximumPacketSize < REFUSAL_BYTES : returnCodeV3(reason) === null) return // [MQTT-3.1.1/3.2.2-6]
  // [MQTT-3.2.2-6]: session present is 0 with a refusal
  const fields = { sessionPresent: false, reason, reasonString: words(c, text), serverReference }
  writeConnack(c.writer(PacketType.connack), version, fields, c.maximumPacketSize)
}
