// Refusal: what a server's reason code means in words, and whether asking again can help. Knows no connection.
import { Reason } from '../wire/reason.ts'
import { visible } from './visible.ts'

const V3 = [
  'accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'server unavailable',
  'bad user name or password',
  'not authorized',
]

/** @param words the server's own */
export function refusalText(reason: number, version: number, words?: string): string {
  if (version !== 5) return V3[reason] ?? `return code ${reason}`
  const name = Object.entries(Reason).find(([, code]) => code === reason)?.[0]
  const text =
    name === undefined
      ? `reason 0x${reason.toString(16)}`
      : name.replaceAll(/[A-Z0-9]+/g, (part) => ` ${part.toLowerCase()}`)
  return words === undefined || words === '' ? text : `${text}: ${visible(words)}`
}

/** Reasons that pass, in CONNACK and DISCONNECT: the same client doing the same may fare better a little later. */
const PASSING: readonly number[] = [
  Reason.normalDisconnection,
  Reason.unspecifiedError,
  Reason.implementationSpecificError,
  Reason.serverUnavailable,
  Reason.serverBusy,
  Reason.serverShuttingDown,
  Reason.keepAliveTimeout,
  Reason.messageRateTooHigh,
  Reason.quotaExceeded,
  Reason.useAnotherServer, // behind a balancer that is at the same address
  Reason.connectionRateExceeded,
  Reason.maximumConnectTime,
]
const V3_SERVER_UNAVAILABLE = 3

/** True where asking again would be refused again, or would only take back what another one has just taken over. */
export function isFinal(reason: number, version: number): boolean {
  return version === 5 ? !PASSING.includes(reason) : reason !== V3_SERVER_UNAVAILABLE
}
