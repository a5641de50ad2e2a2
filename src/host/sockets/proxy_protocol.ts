// ProxyProtocol: the header a load balancer puts in front of a client's bytes, versions 1 and 2. Knows no sockets.
import { NO_BYTES } from '../../base/bytes.ts'
import { formatAddress, isLoopback } from '../address.ts'

/** Version 1: at most 107 bytes with its line end. */
const V1_BYTES_MAX = 107
const V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const V2_HEADER_BYTES = 16
/** Bytes of addresses and TLVs accepted behind a version 2 header. */
const V2_BODY_BYTES_MAX = 4096

export type ProxyHeader =
  /** Not complete yet. */
  | { readonly kind: 'more' }
  | { readonly kind: 'bad'; readonly why: string }
  /** `ip` null: an unknown family; the socket's own address stands, but says nothing of the client's. */
  | { readonly kind: 'done'; readonly bytes: number; readonly ip: string | null; readonly port: number }
  /** The balancer speaks for itself: its health check. */
  | { readonly kind: 'local'; readonly bytes: number }

const MORE: ProxyHeader = { kind: 'more' }

/** A client whose balancer says first where it comes from. */
export interface Introduced {
  address: string
  loopback: boolean
  /** What has come of its header. */
  held: Uint8Array | null
}

/**
 * Takes a further chunk; once the header is whole, the client has its true address. Anyone who reaches the port can write a header:
 * it may say that a client is not of this machine, but it takes a balancer of this machine to say that one is.
 * @returns what stands behind the header; null while it is incomplete
 */
export function introduce(client: Introduced, chunk: Uint8Array): Uint8Array | 'bad' | null {
  const held = client.held ?? NO_BYTES
  const all = new Uint8Array(held.length + chunk.length)
  all.set(held)
  all.set(chunk, held.length)
  const header = parseProxyHeader(all)
  client.held = header.kind === 'more' ? all : null
  if (header.kind === 'more') return null
  if (header.kind === 'bad') return 'bad'
  if (header.kind === 'done') {
    if (header.ip !== null) client.address = formatAddress(header.ip, header.port)
    client.loopback &&= header.ip !== null && isLoopback(header.ip)
  }
  return all.subarray(header.bytes)
}

/** Reads the header at the start of `bytes`, which must hold everything received so far. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (bytes.length === 0) return MORE
  return bytes[0] === V2_SIGNATURE[0] ? parseV2(bytes) : parseV1(bytes)
}

function parseV1(bytes: Uint8Array): ProxyHeader {
  const start = Math.min(bytes.length, 6)
  for (let i = 0; i < start; i++) if (bytes[i] !== 'PROXY '.charCodeAt(i)) return bad('no PROXY header')
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf(0x0a)
  if (end === -1) return bytes.length >= V1_BYTES_MAX ? bad('PROXY line too long') : MORE
  if (bytes[end - 1] !== 0x0d) return bad('PROXY line without CR')
  const words = String.fromCharCode(...bytes.subarray(0, end - 1)).split(' ')
  if (words[1] === 'UNKNOWN') return { kind: 'done', bytes: end + 1, ip: null, port: 0 }
  const [, family, ip, to, port, toPort] = words
  if ((family !== 'TCP4' && family !== 'TCP6') || words.length !== 6) return bad('PROXY line malformed')
  if (!isIp(family, ip as string) || !isIp(family, to as string)) return bad('PROXY line with a bad address')
  if (!isPort(port as string) || !isPort(toPort as string)) return bad('PROXY line with a bad port')
  return { kind: 'done', bytes: end + 1, ip: ip as string, port: Number(port) }
}

function parseV2(bytes: Uint8Array): ProxyHeader {
  const start = Math.min(bytes.length, V2_SIGNATURE.length)
  for (let i = 0; i < start; i++) if (bytes[i] !== V2_SIGNATURE[i]) return bad('no PROXY header')
  if (bytes.length < V2_HEADER_BYTES) return MORE
  const at = (i: number) => bytes[i] as number
  if (at(12) >> 4 !== 2) return bad('PROXY version is not 2')
  const command = at(12) & 0x0f
  if (command > 1) return bad('PROXY command unknown')
  const bodyBytes = at(14) * 256 + at(15)
  if (bodyBytes > V2_BODY_BYTES_MAX) return bad('PROXY header too long')
  const total = V2_HEADER_BYTES + bodyBytes
  if (bytes.length < total) return MORE
  const family = at(13) >> 4
  if (command === 0) return { kind: 'local', bytes: total }
  if (family === 0 || family === 3) return { kind: 'done', bytes: total, ip: null, port: 0 }
  if (family === 1) {
    if (bodyBytes < 12) return bad('PROXY addresses cut off')
    return { kind: 'done', bytes: total, ip: [16, 17, 18, 19].map(at).join('.'), port: at(24) * 256 + at(25) }
  }
  if (family !== 2) return bad('PROXY address family unknown')
  if (bodyBytes < 36) return bad('PROXY addresses cut off')
  return { kind: 'done', bytes: total, ip: ipv6(bytes.subarray(16, 32)), port: at(48) * 256 + at(49) }
}

/** RFC 5952: the first longest run of two or more zero groups becomes `::`. */
function ipv6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] as number) << 8) | (bytes[i + 1] as number))
  let start = 0
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === 0) end++
    if (end - i > length) [start, length] = [i, end - i]
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  return length === 1 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`
}

function isIp(family: string, text: string): boolean {
  if (family === 'TCP6') return /^[0-9a-fA-F:.]{2,45}$/.test(text) && text.includes(':')
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535
}

function bad(why: string): ProxyHeader {
  return { kind: 'bad', why }
}
