// WsUpgrade: the HTTP request that opens a WebSocket, read and answered. Knows no sockets, no frames, and of MQTT two names.
import { createHash } from 'node:crypto'
import { utf8 } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import { FORWARDED } from '../http_trust.ts'

/** Subprotocols served: MQTT 5.0 and 3.1.1 have the first, 3.1 came before it. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']
/** RFC 6455, section 1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const VERSION = '13'
const LOCAL_ORIGIN = /^https?:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/
const STATUS_TEXT = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
} as const
const TEXT_CHARS_MAX = 300

export type Upgrade =
  /** Not complete yet. */
  | { readonly kind: 'more' }
  | { readonly kind: 'refused'; readonly status: keyof typeof STATUS_TEXT; readonly text: string; response: Uint8Array }
  | {
      readonly kind: 'done'
      /** Of the request; frames may follow. */
      readonly bytes: number
      readonly response: Uint8Array
      /** Nothing speaks of a client elsewhere: no proxy on the way, no page of another site that a browser here has open. */
      readonly direct: boolean
    }

const MORE: Upgrade = { kind: 'more' }
const GET = utf8('GET ')
const HTTP_TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

/**
 * Reads the request at the start of `bytes`, which must hold everything received so far. Any path is as good as `/mqtt`.
 * @param origins of pages that may connect; empty: of all
 * @param seen bytes that were there at the last call, which asked for more
 */
export function readUpgrade(bytes: Uint8Array, origins: readonly string[], seen = 0): Upgrade {
  const end = headEnd(bytes, Math.max(0, seen - 3))
  if (end === -1) {
    if (!looksLikeHttp(bytes)) return refused(400, 'not an HTTP request; this port takes MQTT over WebSocket only')
    return bytes.length > LIMITS.wsRequestBytesMax ? refused(431, 'request too long') : MORE
  }
  if (end > LIMITS.wsRequestBytesMax) return refused(431, 'request too long')
  const [requestLine, ...lines] = String.fromCharCode(...bytes.subarray(0, end - 4)).split('\r\n')
  const headers = readHeaders(lines)
  const line = /^(\S+) \S+ HTTP\/1\.1$/.exec(requestLine as string)
  if (line === null || headers === null) return refused(400, 'not an HTTP/1.1 request')
  return judge(line[1] as string, headers, origins, end)
}

function judge(method: string, headers: Map<string, string>, origins: readonly string[], bytes: number): Upgrade {
  const list = (name: string) => (headers.get(name) ?? '').split(',').map((item) => item.trim())
  const has = (name: string, token: string) => list(name).some((item) => item.toLowerCase() === token)
  if (method !== 'GET') return refused(405, 'the method must be GET', 'Allow: GET')
  if (!has('upgrade', 'websocket') || !has('connection', 'upgrade'))
    return refused(426, 'this port takes MQTT over WebSocket only', 'Upgrade: websocket')
  if (headers.get('sec-websocket-version') !== VERSION)
    return refused(426, `Sec-WebSocket-Version must be ${VERSION}`, `Sec-WebSocket-Version: ${VERSION}`)
  const key = headers.get('sec-websocket-key') ?? ''
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return refused(400, 'Sec-WebSocket-Key must be 16 bytes in base64')
  if (!headers.has('host')) return refused(400, 'the Host header is missing')
  const origin = headers.get('origin') ?? null
  const listed = origin !== null && origins.includes(origin.toLowerCase())
  if (origin !== null && !listed && origins.length > 0) return refused(403, `origin ${origin} is not among --ws-origin`)
  const protocol = list('sec-websocket-protocol').find((name) => SUBPROTOCOLS.includes(name))
  if (protocol === undefined) {
    const offered = headers.get('sec-websocket-protocol') ?? 'none'
    return refused(400, `Sec-WebSocket-Protocol must offer mqtt (or mqttv3.1), not ${offered}`) // [MQTT-6.0.0-3]
  }
  const fromHere = origin === null || listed || LOCAL_ORIGIN.test(origin)
  const direct = fromHere && !FORWARDED.some((name) => headers.has(name))
  return { kind: 'done', bytes, response: accepted(key, protocol), direct }
}

/** Names in lower case; what comes twice is joined, as HTTP has it. Null where a line is no header. */
function readHeaders(lines: readonly string[]): Map<string, string> | null {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    if (!HTTP_TOKEN.test(name)) return null
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return headers
}

/** Behind the empty line, none of which ends before `from`; -1 where it has not come. */
function headEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0x0a, from); at !== -1; at = bytes.indexOf(0x0a, at + 1))
    if (bytes[at - 1] === 0x0d && bytes[at - 2] === 0x0a && bytes[at - 3] === 0x0d) return at + 1
  return -1
}

/** So that an MQTT client, or TLS, on this port is told at its first byte. Another method's name waits for its line. */
function looksLikeHttp(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length && i < GET.length; i++) {
    const byte = bytes[i] as number
    if (!(byte >= 0x41 && byte <= 0x5a) && !(byte === 0x20 && i > 0)) return false
  }
  return true
}

/** The one of its subprotocols that the client named first, of those served [MQTT-6.0.0-4]. */
function accepted(key: string, protocol: string): Uint8Array {
  const accept = createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64')
  return response('101 Switching Protocols', [
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${protocol}`,
  ])
}

function refused(status: keyof typeof STATUS_TEXT, why: string, ...headers: string[]): Upgrade {
  const text = why.slice(0, TEXT_CHARS_MAX)
  const body = `${text}\n`
  const lines = ['Content-Type: text/plain; charset=utf-8', `Content-Length: ${utf8(body).length}`, 'Connection: close']
  return {
    kind: 'refused',
    status,
    text,
    response: response(`${status} ${STATUS_TEXT[status]}`, [...headers, ...lines], body),
  }
}

function response(status: string, headers: readonly string[], body = ''): Uint8Array {
  return utf8(`HTTP/1.1 ${status}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`)
}
