// HttpTrust: what of an HTTP request says that no program of this machine has sent it. Anyone can write headers, so they take trust
// away and never give it. Knows no sockets.
import { isIP } from 'node:net'

/** Whoever passes a request on says so in one of these. */
export const FORWARDED: readonly string[] = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/**
 * Whether a Host header names this machine. A page whose own name was given this machine's address afterwards (DNS rebinding) is to a
 * browser of one origin with us, but sends that name.
 * @param names this machine's, besides localhost
 */
export function namesThisMachine(host: string, names: readonly string[]): boolean {
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d+)?$/.exec(host)
  if (found === null) return false
  const [, ipv6, name = ''] = found
  if (ipv6 !== undefined) return isIP(ipv6) === 6
  const plain = name.toLowerCase().replace(/\.$/, '')
  return plain === '' || plain === 'localhost' || isIP(plain) === 4 || names.some((it) => it.toLowerCase() === plain)
}
