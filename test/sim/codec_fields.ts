// Codec fields: what our readers must make of a packet given as mqtt-packet's object, what our writers make of it, and its plain form, in
// which two such objects compare. Knows no random.
import type { Packet } from 'mqtt-packet'
import { ByteWriter, copyBytes, utf8 } from '../../src/base/bytes.ts'
import type { Delivery, ServerPacket } from '../../src/wire/client_decoder.ts'
import {
  writeClientDisconnect,
  writeConnect,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../../src/wire/client_encoder.ts'
import {
  writeAck,
  writeAckInWords,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writePublish,
  writeSuback,
  writeUnsuback,
} from '../../src/wire/encoder.ts'
import { encodeMessageProps, type MessageProps } from '../../src/wire/message_props.ts'
import { type AckType, type Connect, type QoS, SESSION_NEVER_EXPIRES, type Version } from '../../src/wire/packet.ts'

// biome-ignore lint/suspicious/noExplicitAny: mqtt-packet's properties differ by packet
type Loose = any

const NO_MAXIMUM = Number.POSITIVE_INFINITY
const ACKS: Readonly<Record<string, AckType>> = { puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 }

/** User properties in the order they stand in. */
export function pairs(properties: Loose): [string, string][] {
  return Object.entries(properties?.userProperties ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((v): [string, string] => [name, v as string]),
  )
}

function messageProps(properties: Loose): MessageProps {
  const user = pairs(properties)
  const format = properties?.payloadFormatIndicator
  return {
    payloadFormat: format === undefined ? undefined : format ? 1 : 0,
    contentType: properties?.contentType,
    responseTopic: properties?.responseTopic,
    correlationData: properties?.correlationData,
    userProperties: user.length === 0 ? undefined : user,
  }
}

const bytesOrNull = (bytes: Loose): Uint8Array | null => (bytes === undefined ? null : copyBytes(bytes))

// ---- what our readers must make of it

/** As the broker's side sees it (recorder.ts). */
export function asBroker(packet: Loose, version: Version): Loose {
  const p = packet.properties
  switch (packet.cmd) {
    case 'connect':
      return asConnect(packet, version)
    case 'publish':
      return {
        cmd: 'publish',
        topic: packet.topic,
        payload: packet.payload,
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
        packetId: packet.qos > 0 ? packet.messageId : 0,
        expiry: p?.messageExpiryInterval ?? -1,
        topicAlias: p?.topicAlias ?? 0,
        props: encodeMessageProps(messageProps(p)),
      }
    case 'subscribe':
      return {
        cmd: 'subscribe',
        packetId: packet.messageId,
        subscriptions: packet.subscriptions.map((s: Loose) => ({
          filter: s.topic,
          qos: s.qos,
          noLocal: version === 5 && s.nl,
          retainAsPublished: version === 5 && s.rap,
          retainHandling: version === 5 ? s.rh : 0,
        })),
        subscriptionId: p?.subscriptionIdentifier ?? 0,
      }
    case 'unsubscribe':
      return { cmd: 'unsubscribe', packetId: packet.messageId, filters: packet.unsubscriptions }
    case 'pingreq':
      return { cmd: 'pingreq' }
    case 'disconnect':
      return { cmd: 'disconnect', reason: packet.reasonCode ?? 0, sessionExpiry: p?.sessionExpiryInterval ?? -1 }
    case 'auth': {
      const { authenticationMethod: method, authenticationData: data } = p
      return { cmd: 'auth', reason: packet.reasonCode, method, data: bytesOrNull(data) }
    }
    default:
      return { cmd: 'ack', type: ACKS[packet.cmd] as AckType, packetId: packet.messageId, reason: packet.reasonCode }
  }
}

function asConnect(packet: Loose, version: Version): Connect {
  const { will } = packet
  const p = packet.properties ?? {}
  return {
    cmd: 'connect',
    version,
    clientId: packet.clientId,
    cleanStart: packet.clean,
    keepAlive: packet.keepalive,
    username: packet.username ?? null,
    password: bytesOrNull(packet.password),
    will:
      will === undefined
        ? null
        : {
            topic: will.topic,
            payload: copyBytes(will.payload),
            qos: will.qos,
            retain: will.retain,
            delay: will.properties?.willDelayInterval ?? 0,
            props: encodeMessageProps(messageProps(will.properties)),
            expiry: will.properties?.messageExpiryInterval ?? -1,
          },
    sessionExpiry: version === 5 ? (p.sessionExpiryInterval ?? 0) : packet.clean ? 0 : SESSION_NEVER_EXPIRES,
    receiveMaximum: p.receiveMaximum ?? 0xffff,
    maximumPacketSize: p.maximumPacketSize ?? NO_MAXIMUM,
    topicAliasMaximum: p.topicAliasMaximum ?? 0,
    requestResponseInformation: p.requestResponseInformation ?? false,
    requestProblemInformation: p.requestProblemInformation ?? true,
    authMethod: p.authenticationMethod ?? null,
    authData: bytesOrNull(p.authenticationData),
  }
}

/** As the client's side sees it. @param topic what a topic alias stands for */
export function asClient(packet: Loose, version: Version, topic: string): ServerPacket {
  const p = packet.properties
  const reasonString = p?.reasonString
  switch (packet.cmd) {
    case 'connack':
      return {
        cmd: 'connack',
        sessionPresent: packet.sessionPresent,
        reason: version === 5 ? packet.reasonCode : packet.returnCode,
        ...connackProperties(p),
      } as ServerPacket
    case 'publish':
      return {
        cmd: 'publish',
        topic,
        payload: packet.payload,
        qos: packet.qos as QoS,
        retain: packet.retain,
        dup: packet.dup,
        packetId: packet.qos > 0 ? packet.messageId : 0,
        props: encodeMessageProps(messageProps(p)),
        subscriptionIds: p?.subscriptionIdentifier ?? null,
        expiry: p?.messageExpiryInterval ?? -1,
        topicAlias: p?.topicAlias ?? 0,
        aliased: packet.topic === '',
        ...messageProps(p),
      } satisfies Delivery
    case 'suback':
    case 'unsuback': {
      const codes = packet.cmd === 'unsuback' && version !== 5 ? [] : packet.granted
      return { cmd: packet.cmd, packetId: packet.messageId, codes, reasonString }
    }
    case 'pingresp':
      return { cmd: 'pingresp' }
    case 'disconnect':
      return { cmd: 'disconnect', reason: packet.reasonCode, reasonString, serverReference: p?.serverReference }
    case 'auth': {
      const { authenticationMethod: method, authenticationData: data } = p
      return { cmd: 'auth', reason: packet.reasonCode, method, data: bytesOrNull(data) }
    }
    default:
      return { cmd: packet.cmd, packetId: packet.messageId, reason: packet.reasonCode, reasonString }
  }
}

function connackProperties(p: Loose): object {
  return {
    sessionExpiry: p?.sessionExpiryInterval,
    receiveMaximum: p?.receiveMaximum,
    maximumQos: p?.maximumQoS,
    retainAvailable: p?.retainAvailable,
    maximumPacketSize: p?.maximumPacketSize,
    assignedClientId: p?.assignedClientIdentifier,
    topicAliasMaximum: p?.topicAliasMaximum,
    reasonString: p?.reasonString,
    wildcardAvailable: p?.wildcardSubscriptionAvailable,
    subscriptionIdsAvailable: p?.subscriptionIdentifiersAvailable,
    sharedAvailable: p?.sharedSubscriptionAvailable,
    serverKeepAlive: p?.serverKeepAlive,
    responseInformation: p?.responseInformation,
    serverReference: p?.serverReference,
    authMethod: p?.authenticationMethod,
    authData: p?.authenticationData,
  }
}

// ---- what our writers make of it

/** The reason that gives each return code of 3.x. */
const REASONS_V3 = [0, 0x84, 0x85, 0x88, 0x86, 0x87]

/** Null where ours write no such thing: user properties but in messages, words in UNSUBACK. */
export function written(packet: Loose, version: Version, ofServer: boolean): Uint8Array | null {
  const w = new ByteWriter(256)
  const p = packet.properties
  if (packet.cmd !== 'publish' && p?.userProperties !== undefined) return null
  if (p?.reasonString !== undefined && packet.cmd === 'unsuback') return null
  switch (packet.cmd) {
    case 'connect':
      writeConnectOf(w, packet, version)
      break
    case 'connack': {
      const reason = version === 5 ? packet.reasonCode : REASONS_V3[packet.returnCode]
      writeConnack(w, version, { sessionPresent: packet.sessionPresent, reason, ...connackProperties(p) })
      break
    }
    case 'publish': {
      const { topic, payload, qos, retain, dup, messageId } = packet
      const props = encodeMessageProps(messageProps(p))
      const expiry = p?.messageExpiryInterval ?? -1
      const ids = p?.subscriptionIdentifier ?? null
      const alias = p?.topicAlias ?? 0
      const end = payload.length
      writePublish(w, version, utf8(topic), payload, 0, end, qos, retain, dup, messageId, props, expiry, ids, alias)
      break
    }
    case 'subscribe': {
      const filters = packet.subscriptions.map((s: Loose) => ({
        filter: s.topic,
        qos: s.qos,
        noLocal: s.nl,
        retainAsPublished: s.rap,
        retainHandling: s.rh,
      }))
      writeSubscribe(w, version, packet.messageId, filters, p?.subscriptionIdentifier ?? 0)
      break
    }
    case 'unsubscribe':
      writeUnsubscribe(w, version, packet.messageId, packet.unsubscriptions)
      break
    case 'suback':
      writeSuback(w, version, packet.messageId, packet.granted, p?.reasonString)
      break
    case 'unsuback':
      writeUnsuback(w, version, packet.messageId, packet.granted)
      break
    case 'pingreq':
      writePingreq(w)
      break
    case 'pingresp':
      writePingresp(w)
      break
    case 'disconnect': {
      const { reasonString, serverReference, sessionExpiryInterval: sessionExpiry } = p ?? {}
      const fields = { reason: packet.reasonCode ?? 0, reasonString, serverReference, sessionExpiry }
      if (ofServer) writeDisconnect(w, fields)
      else writeClientDisconnect(w, version, fields)
      break
    }
    case 'auth': {
      const { authenticationMethod: method, authenticationData: data, reasonString } = p
      writeAuth(w, { reason: packet.reasonCode, method, data, reasonString })
      break
    }
    default: {
      const type = ACKS[packet.cmd] as AckType
      if (p?.reasonString === undefined) writeAck(w, type, packet.messageId, packet.reasonCode, version)
      else writeAckInWords(w, type, packet.messageId, packet.reasonCode, p.reasonString, NO_MAXIMUM)
    }
  }
  return w.take()
}

function writeConnectOf(w: ByteWriter, packet: Loose, version: Version): void {
  const { will } = packet
  const p = packet.properties
  writeConnect(w, {
    version,
    clientId: packet.clientId,
    cleanStart: packet.clean,
    keepAlive: packet.keepalive,
    username: packet.username,
    password: packet.password,
    will:
      will === undefined
        ? undefined
        : {
            topic: will.topic,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            delay: will.properties?.willDelayInterval,
            expiry: will.properties?.messageExpiryInterval,
            ...messageProps(will.properties),
          },
    sessionExpiry: p?.sessionExpiryInterval,
    receiveMaximum: p?.receiveMaximum,
    maximumPacketSize: p?.maximumPacketSize,
    topicAliasMaximum: p?.topicAliasMaximum,
    requestResponseInformation: p?.requestResponseInformation,
    requestProblemInformation: p?.requestProblemInformation,
    authMethod: p?.authenticationMethod,
    authData: p?.authenticationData,
  })
}

// ---- comparing

/** What of mqtt-packet's object is the packet's, in one form. */
export function plain(packet: Packet, version: Version): object {
  const { cmd, messageId, topic, payload, qos, retain, dup, clean, keepalive, clientId, sessionPresent } =
    packet as Loose
  const { username, password, will, properties, subscriptions, unsubscriptions, granted, reasonCode, returnCode } =
    packet as Loose
  const v5 = version === 5
  const message = cmd === 'publish'
  return {
    cmd,
    messageId: message && qos === 0 ? undefined : messageId,
    code: reasonCode ?? returnCode ?? 0,
    properties: plainProperties(properties),
    ...(message ? { topic, payload, qos, retain, dup } : {}),
    ...(cmd === 'connect' ? { clean, keepalive, clientId, username, password } : {}),
    sessionPresent,
    will: will && { ...will, properties: plainProperties(will.properties) },
    subscriptions: subscriptions?.map((s: Loose) => (v5 ? { ...s } : { topic: s.topic, qos: s.qos })),
    unsubscriptions,
    granted: cmd === 'unsuback' && !v5 ? undefined : granted,
  }
}

function plainProperties(properties: Loose): object | undefined {
  if (properties === undefined) return undefined
  const { userProperties, subscriptionIdentifier, ...rest } = properties
  const ids = subscriptionIdentifier === undefined ? undefined : [subscriptionIdentifier].flat()
  return { ...rest, subscriptionIdentifier: ids, userProperties: userProperties && pairs(properties) }
}

/** Deep equality; a field that is undefined is one that is not there. */
export function same(a: Loose, b: Loose): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  for (const key of Object.keys(a)) if (!same(a[key], b[key])) return false
  for (const key of Object.keys(b)) if (b[key] !== undefined && a[key] === undefined) return false
  return Array.isArray(a) === Array.isArray(b)
}
