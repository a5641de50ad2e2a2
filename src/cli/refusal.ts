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

/** True where the same CONNECT will be refused again. */
export function fatalRefusal(reason: number, version: number): boolean {
  if (version !== 5) return reason !== 3
  const passing: number[] = [
    Reason.unspecifiedError,
    Reason.implementationSpecificError,
    Reason.serverUnavailable,
    Reason.serverBusy,
    Reason.useAnotherServer,
    Reason.serverMoved,
    Reason.quotaExceeded,
    Reason.connectionRateExceeded,
  ]
  return !passing.includes(reason)
}
