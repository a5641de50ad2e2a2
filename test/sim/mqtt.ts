// Mqtt: a client's half of the codec, written apart from the broker's so that both cannot be wrong together. Knows no state.
import { ByteWriter } from '../../src/base/bytes.ts'

export type QoS = 0 | 1 | 2
export type Version = 3 | 4 | 5

export type ServerPacket =
  | { cmd: 'connack'; sessionPresent: boolean; code: number; props: Props }
  | {
      cmd: 'publish'
      topic: string
      payload: Uint8Array
      qos: QoS
      retain: boolean
      dup: boolean
      pid: number
      props: Props
    }
  | { cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'; pid: number; code: number }
  | { cmd: 'suback' | 'unsuback'; pid: number; codes: number[] }
  | { cmd: 'pingresp' }
  | { cmd: 'disconnect'; code: number }

/** By property number; repeated ones keep all values. */
export type Props = Map<number, (number | string)[]>

export const Prop = {
  messageExpiry: 0x02,
  subscriptionId: 0x0b,
  sessionExpiry: 0x11,
  willDelay: 0x18,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
} as const

export type ConnectFields = {
  version: Version
  clientId: string
  clean: boolean
  keepAlive: number
  /** Seconds; 5.0 only. */
  sessionExpiry: number
  receiveMaximum: number
  topicAliasMaximum: number
  will: { topic: string; payload: Uint8Array; qos: QoS; retain: boolean; delay: number } | null
}

const text = new TextEncoder()
const reader = new TextDecoder()

export function connect(f: ConnectFields): Uint8Array {
  const w = new ByteWriter(64)
  string(w, f.version === 3 ? 'MQIsdp' : 'MQTT')
  w.u8(f.version)
  const will = f.will === null ? 0 : 4 | (f.will.qos << 3) | (f.will.retain ? 0x20 : 0)
  w.u8(will | (f.clean ? 2 : 0))
  w.u16(f.keepAlive)
  if (f.version === 5) {
    props(w, (p) => {
      if (f.sessionExpiry > 0) {
        p.u8(Prop.sessionExpiry)
        p.u32(f.sessionExpiry)
      }
      if (f.receiveMaximum < 0xffff) {
        p.u8(Prop.receiveMaximum)
        p.u16(f.receiveMaximum)
      }
      if (f.topicAliasMaximum > 0) {
        p.u8(Prop.topicAliasMaximum)
        p.u16(f.topicAliasMaximum)
      }
    })
  }
  string(w, f.clientId)
  if (f.will !== null) {
    const { delay } = f.will
    if (f.version === 5) {
      props(w, (p) => {
        if (delay === 0) return
        p.u8(Prop.willDelay)
        p.u32(delay)
      })
    }
    string(w, f.will.topic)
    w.u16(f.will.payload.length)
    w.copy(f.will.payload)
  }
  return packet(0x10, w)
}

export type PublishFields = {
  topic: string
  payload: Uint8Array
  qos: QoS
  retain: boolean
  dup: boolean
  pid: number
  /** Seconds; -1: none. */
  expiry: number
}

/** The topic aliases of one connection, of which the first two topics get one. */
export class Aliases {
  private readonly topics: string[] = []

  /** The alias of a topic, or 0, and whether the server knows it already. */
  of(topic: string): { alias: number; known: boolean } {
    const at = this.topics.indexOf(topic)
    if (at !== -1) return { alias: at + 1, known: true }
    return { alias: this.topics.length < 2 ? this.topics.push(topic) : 0, known: false }
  }
}

/** @param aliases of the connection; null: it uses none */
export function publish(version: Version, f: PublishFields, aliases: Aliases | null): Uint8Array {
  const w = new ByteWriter(32 + f.payload.length)
  const { alias, known } = version === 5 && aliases !== null ? aliases.of(f.topic) : { alias: 0, known: false }
  string(w, known ? '' : f.topic)
  if (f.qos > 0) w.u16(f.pid)
  if (version === 5) {
    props(w, (p) => {
      if (alias > 0) {
        p.u8(Prop.topicAlias)
        p.u16(alias)
      }
      if (f.expiry < 0) return
      p.u8(Prop.messageExpiry)
      p.u32(f.expiry)
    })
  }
  w.copy(f.payload)
  return packet(0x30 | (f.dup ? 8 : 0) | (f.qos << 1) | (f.retain ? 1 : 0), w)
}

const ACKS = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const

export function ack(cmd: keyof typeof ACKS, pid: number): Uint8Array {
  return Uint8Array.of(ACKS[cmd], 2, pid >> 8, pid & 0xff)
}

export type Filter = {
  filter: string
  qos: QoS
  noLocal: boolean
  retainHandling: 0 | 1 | 2
  retainAsPublished: boolean
}

export function subscribe(version: Version, pid: number, filters: readonly Filter[], id: number): Uint8Array {
  const w = new ByteWriter(64)
  w.u16(pid)
  if (version === 5) {
    props(w, (p) => {
      if (id === 0) return
      p.u8(Prop.subscriptionId)
      p.u8(id)
    })
  }
  for (const f of filters) {
    string(w, f.filter)
    const v5 = (f.noLocal ? 4 : 0) | (f.retainAsPublished ? 8 : 0) | (f.retainHandling << 4)
    w.u8(f.qos | (version === 5 ? v5 : 0))
  }
  return packet(0x82, w)
}

export function unsubscribe(version: Version, pid: number, filters: readonly string[]): Uint8Array {
  const w = new ByteWriter(64)
  w.u16(pid)
  if (version === 5) w.u8(0)
  for (const f of filters) string(w, f)
  return packet(0xa2, w)
}

export function pingreq(): Uint8Array {
  return Uint8Array.of(0xc0, 0)
}

/** @param sessionExpiry seconds; -1: not named */
export function disconnect(version: Version, code: number, sessionExpiry: number): Uint8Array {
  const w = new ByteWriter(16)
  if (version === 5 && (code !== 0 || sessionExpiry >= 0)) {
    w.u8(code)
    props(w, (p) => {
      if (sessionExpiry < 0) return
      p.u8(Prop.sessionExpiry)
      p.u32(sessionExpiry)
    })
  }
  return packet(0xe0, w)
}

function string(w: ByteWriter, s: string): void {
  const bytes = text.encode(s)
  w.u16(bytes.length)
  w.copy(bytes)
}

function props(w: ByteWriter, fill: (p: ByteWriter) => void): void {
  const p = new ByteWriter(0)
  fill(p)
  w.u8(p.length)
  w.copy(p.view())
}

function packet(first: number, body: ByteWriter): Uint8Array {
  const w = new ByteWriter(body.length + 5)
  w.u8(first)
  let n = body.length
  do {
    const digit = n & 0x7f
    n >>>= 7
    w.u8(n > 0 ? digit | 0x80 : digit)
  } while (n > 0)
  w.copy(body.view())
  return w.take()
}

/** Cuts a server's bytes into packets. */
export class ServerReader {
  private readonly version: Version
  private buf = new Uint8Array(0)
  private readonly aliases = new Map<number, string>()

  constructor(version: Version) {
    this.version = version
  }

  /**
   * Each packet with the number of bytes of this chunk up to its end.
   * @throws {Error} what no client could read
   */
  push(bytes: Uint8Array): { packet: ServerPacket; end: number }[] {
    const had = this.buf.length
    const buf = had === 0 ? bytes : joined(this.buf, bytes)
    const found: { packet: ServerPacket; end: number }[] = []
    let at = 0
    for (;;) {
      let length = 0
      let i = at + 1
      let shift = 0
      for (; i < buf.length; shift += 7) {
        const digit = buf[i++] as number
        length |= (digit & 0x7f) << shift
        if (digit < 0x80) break
        if (shift === 21) throw new Error('remaining length of five bytes')
      }
      const complete = i > at + 1 && (buf[i - 1] as number) < 0x80 && i + length <= buf.length
      if (!complete) break
      found.push({ packet: this.read(buf[at] as number, buf.subarray(i, i + length)), end: i + length - had })
      at = i + length
    }
    this.buf = buf.slice(at)
    return found
  }

  private read(first: number, b: Uint8Array): ServerPacket {
    const v5 = this.version === 5
    const flags = first & 15
    switch (first >> 4) {
      case 2:
        expect(flags === 0 && b.length >= 2, 'CONNACK')
        return {
          cmd: 'connack',
          sessionPresent: b[0] === 1,
          code: b[1] as number,
          props: v5 ? readProps(b, 2).props : NONE,
        }
      case 3:
        return this.readPublish(flags, b)
      case 4:
      case 5:
      case 6:
      case 7: {
        expect(b.length >= 2 && flags === (first >> 4 === 6 ? 2 : 0), 'acknowledgement')
        expect(v5 || b.length === 2, 'acknowledgement of 3.x is two bytes')
        const cmd = (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)[(first >> 4) - 4]
        return { cmd: cmd as 'puback', pid: u16(b, 0), code: b.length > 2 ? (b[2] as number) : 0 }
      }
      case 9:
      case 11: {
        const start = v5 ? readProps(b, 2).end : 2
        return { cmd: first >> 4 === 9 ? 'suback' : 'unsuback', pid: u16(b, 0), codes: [...b.subarray(start)] }
      }
      case 13:
        return { cmd: 'pingresp' }
      case 14:
        expect(v5, 'DISCONNECT from a server of 3.x')
        return { cmd: 'disconnect', code: b.length > 0 ? (b[0] as number) : 0 }
      default:
        throw new Error(`packet type ${first >> 4} from a server`)
    }
  }

  private readPublish(flags: number, b: Uint8Array): ServerPacket {
    const qos = ((flags >> 1) & 3) as QoS
    expect(qos < 3, 'QoS 3')
    let at = 2 + u16(b, 0)
    let topic = reader.decode(b.subarray(2, at))
    let pid = 0
    if (qos > 0) {
      pid = u16(b, at)
      expect(pid > 0, 'packet identifier 0')
      at += 2
    }
    let props = NONE
    if (this.version === 5) {
      const read = readProps(b, at)
      props = read.props
      at = read.end
      const alias = props.get(Prop.topicAlias)?.[0] as number | undefined
      if (alias !== undefined) {
        if (topic !== '') this.aliases.set(alias, topic)
        else topic = this.aliases.get(alias) ?? ''
      }
    }
    expect(topic !== '', 'PUBLISH without a topic')
    return {
      cmd: 'publish',
      topic,
      payload: b.slice(at),
      qos,
      retain: (flags & 1) !== 0,
      dup: (flags & 8) !== 0,
      pid,
      props,
    }
  }
}

const NONE: Props = new Map()

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`malformed: ${what}`)
}

function u16(b: Uint8Array, at: number): number {
  expect(at + 2 <= b.length, 'too short')
  return ((b[at] as number) << 8) | (b[at + 1] as number)
}

const BYTE = new Set([0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a])
const U16 = new Set([0x13, 0x21, 0x22, 0x23])
const U32 = new Set([0x02, 0x11, 0x18, 0x27])
const TEXT = new Set([0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f])

function varint(b: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    expect(at < b.length && shift <= 21, 'variable byte integer')
    const digit = b[at++] as number
    value |= (digit & 0x7f) << shift
    if (digit < 0x80) return { value, end: at }
  }
}

function readProps(b: Uint8Array, start: number): { props: Props; end: number } {
  if (start >= b.length) return { props: NONE, end: start }
  const size = varint(b, start)
  const end = size.end + size.value
  expect(end <= b.length, 'properties')
  if (size.value === 0) return { props: NONE, end }
  const props: Props = new Map()
  let at = size.end
  while (at < end) {
    const id = b[at++] as number
    let value: number | string
    if (BYTE.has(id)) value = b[at++] as number
    else if (U16.has(id)) {
      value = u16(b, at)
      at += 2
    } else if (U32.has(id)) {
      value = u16(b, at) * 0x10000 + u16(b, at + 2)
      at += 4
    } else if (id === Prop.subscriptionId) {
      const read = varint(b, at)
      value = read.value
      at = read.end
    } else if (TEXT.has(id)) {
      const length = u16(b, at)
      value = reader.decode(b.subarray(at + 2, at + 2 + length))
      at += 2 + length
    } else if (id === 0x26) {
      const key = u16(b, at)
      const name = reader.decode(b.subarray(at + 2, at + 2 + key))
      at += 2 + key
      const length = u16(b, at)
      value = `${name}=${reader.decode(b.subarray(at + 2, at + 2 + length))}`
      at += 2 + length
    } else throw new Error(`malformed: property ${id}`)
    const all = props.get(id)
    if (all === undefined) props.set(id, [value])
    else all.push(value)
  }
  expect(at === end, 'property length')
  return { props, end }
}
