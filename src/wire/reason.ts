// Reason: MQTT 5.0 reason codes, and what becomes of them for older clients. The only place that knows these numbers.

export const Reason = {
  success: 0x00,
  normalDisconnection: 0x00,
  grantedQos0: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const
export type Reason = (typeof Reason)[keyof typeof Reason]

/** CONNACK return code of MQTT 3.x for a refusal; null: none of the five fits. */
export function returnCodeV3(reason: number): number | null {
  switch (reason) {
    case Reason.success:
      return 0
    case Reason.unsupportedProtocolVersion:
      return 1
    case Reason.clientIdentifierNotValid:
      return 2
    case Reason.badUserNameOrPassword:
    case Reason.badAuthenticationMethod:
      return 4
    case Reason.notAuthorized:
    case Reason.banned:
      return 5
    case Reason.malformedPacket:
    case Reason.protocolError:
    case Reason.sessionTakenOver:
    case Reason.topicNameInvalid:
    case Reason.packetTooLarge:
    case Reason.payloadFormatInvalid:
    case Reason.retainNotSupported:
    case Reason.qosNotSupported:
      return null
    default:
      return 3
  }
}

/** The name of a reason code, for logs: `sessionTakenOver`; hexadecimal where there is none. */
export function reasonName(reason: number): string {
  for (const [name, code] of Object.entries(Reason)) if (code === reason) return name
  return `0x${reason.toString(16)}`
}
