// Address: host names, ports and IP addresses as operators write them. Opens nothing.
import { OperatorFault } from '../base/fault.ts'

/** Where to listen; a null host means all interfaces. */
export type ListenAddress = { readonly host: string | null; readonly port: number }
/** Where to dial. */
export type DialAddress = { readonly host: string; readonly port: number }

/**
 * Parses `PORT`, `HOST:PORT` or `[IPV6]:PORT`.
 * @param flag named in the error
 * @throws {OperatorFault}
 */
export function parseListen(text: string, flag: string): ListenAddress {
  if (/^\d+$/.test(text)) return { host: null, port: parsePort(text, text, flag, 0) }
  const { host, port } = split(text, flag)
  if (port === null) throw new OperatorFault(`${flag}: "${text}" has no port; write HOST:PORT or PORT`)
  return { host, port: parsePort(port, text, flag, 0) }
}

/**
 * Parses `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
 * @throws {OperatorFault}
 */
export function parseDial(text: string, flag: string, portDefault: number): DialAddress {
  const { host, port } = split(text, flag)
  return { host, port: port === null ? portDefault : parsePort(port, text, flag, 1) }
}

function split(text: string, flag: string): { host: string; port: string | null } {
  const found = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s/]+))(?::(\d+))?$/.exec(text)
  if (found !== null) return { host: (found[1] ?? found[2]) as string, port: found[3] ?? null }
  const hint = text.includes('::') ? '; write an IPv6 address as [ADDRESS]:PORT' : ''
  throw new OperatorFault(`${flag}: "${text}" is not an address of the form HOST:PORT${hint}`)
}

function parsePort(port: string, text: string, flag: string, min: number): number {
  const n = Number(port)
  if (n >= min && n <= 65_535) return n
  throw new OperatorFault(`${flag}: "${text}" names a port outside ${min} to 65535`)
}

/** IPv4 addresses that arrive through an IPv6 socket lose their prefix. */
export function plainIp(ip: string): string {
  return ip.startsWith('::ffff:') ? ip.slice(7) : ip
}

export function isLoopback(host: string): boolean {
  const ip = plainIp(host)
  return ip === '::1' || ip === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(ip)
}

export function formatAddress(host: string | null, port: number): string {
  if (host === null) return `*:${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A bind failure as a sentence. */
export function bindFault(flag: string, address: ListenAddress, error: unknown): OperatorFault {
  const code = (error as { code?: string }).code ?? (error instanceof Error ? error.message : String(error))
  const text = formatAddress(address.host, address.port)
  if (code === 'EADDRINUSE') return new OperatorFault(`${flag}: ${text} is already in use by another program`)
  if (code === 'EACCES') return new OperatorFault(`${flag}: no permission to listen on ${text}`)
  if (code === 'EADDRNOTAVAIL') return new OperatorFault(`${flag}: ${text} is not an address of this machine`)
  return new OperatorFault(`${flag}: cannot listen on ${text} (${code})`)
}
