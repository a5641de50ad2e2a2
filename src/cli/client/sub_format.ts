// SubFormat: one received message as a line: plain, with its topic, or by mosquitto's -F letters. Knows no terminal.
import { type ByteWriter, utf8, utf8Text } from '../../base/bytes.ts'
import { OperatorFault } from '../../base/fault.ts'
import type { Delivery } from '../../wire/client_decoder.ts'

type Piece = (out: ByteWriter, message: Delivery, now: Date) => void

const text = (of: (message: Delivery, now: Date) => string): Piece => {
  return (out, message, now) => out.copy(utf8(of(message, now)))
}
const hex = (payload: Uint8Array) => [...payload].map((byte) => byte.toString(16).padStart(2, '0')).join('')

const LETTERS: Record<string, Piece> = {
  '%': text(() => '%'),
  t: text(({ topic }) => topic),
  p: (out, { payload }) => out.copy(payload),
  q: text(({ qos }) => String(qos)),
  r: text(({ retain }) => (retain ? '1' : '0')),
  l: text(({ payload }) => String(payload.length)),
  m: text(({ packetId }) => String(packetId)),
  x: text(({ payload }) => hex(payload)),
  X: text(({ payload }) => hex(payload).toUpperCase()),
  I: text((_message, now) => now.toISOString()),
  U: text((_message, now) => (now.getTime() / 1000).toFixed(3)),
  j: text((message, now) => json(message, now, utf8Text(message.payload) ?? '')),
  J: text((message, now) => json(message, now, parsed(message.payload))),
  // MQTT 5.0 properties; nothing where the message has none.
  C: text(({ contentType }) => contentType ?? ''),
  R: text(({ responseTopic }) => responseTopic ?? ''),
  D: (out, { correlationData }) => {
    if (correlationData !== undefined) out.copy(correlationData)
  },
  E: text(({ expiry }) => (expiry < 0 ? '' : String(expiry))),
  F: text(({ payloadFormat }) => (payloadFormat === undefined ? '' : String(payloadFormat))),
  P: text(({ userProperties }) => (userProperties ?? []).map(([name, value]) => `${name}:${value}`).join(' ')),
  S: text(({ subscriptionIds }) => (subscriptionIds ?? []).join(' ')),
}

const ESCAPES: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '0': '\0',
  a: '\x07',
  e: '\x1b',
  v: '\v',
  '\\': '\\',
}

export type Format = (out: ByteWriter, message: Delivery, now: Date) => void

/** @throws {OperatorFault} */
export function parseFormat(format: string): Format {
  const pieces: Piece[] = []
  let plain = ''
  const flush = () => {
    const bytes = utf8(plain)
    plain = ''
    if (bytes.length > 0) pieces.push((out) => out.copy(bytes))
  }
  const characters = [...format]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    if (character !== '%' && character !== '\\') {
      plain += character
      continue
    }
    const letter = characters[++i]
    if (character === '\\') {
      plain += letter === undefined ? '\\' : (ESCAPES[letter] ?? letter)
      continue
    }
    const piece = letter === undefined ? undefined : LETTERS[letter]
    if (piece === undefined) throw new OperatorFault(`-F: %${letter ?? ''} is not known here; see tandemq sub --help`)
    flush()
    pieces.push(piece)
  }
  flush()
  return (out, message, now) => {
    for (const piece of pieces) piece(out, message, now)
  }
}

export const plainFormat: Format = (out, { payload }) => out.copy(payload)

export const verboseFormat: Format = (out, { topic, payload }) => {
  out.copy(utf8(`${topic} `))
  if (payload.length > 0) out.copy(payload)
  else out.copy(utf8('(null)'))
}

function json(message: Delivery, now: Date, payload: unknown): string {
  const { topic, qos, retain, packetId } = message
  const mid = qos > 0 ? { mid: packetId } : {}
  const payloadlen = message.payload.length
  return JSON.stringify({ tst: now.toISOString(), topic, qos, retain: retain ? 1 : 0, payloadlen, ...mid, payload })
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(payload) ?? '')
  } catch {
    return null
  }
}
