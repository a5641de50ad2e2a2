// Topics: one object per topic name in use, so that what is known of a topic is found without looking it up again.
// Knows neither what a route is nor which connection uses the name.
import { copyBytes, NO_BYTES, utf8, utf8Text } from '../base/bytes.ts'
import { isSys } from './name.ts'

const SLASH = 0x2f

export class TopicRef {
  readonly name: string
  /** The name as UTF-8; never written to. */
  readonly bytes: Uint8Array
  /** Only the broker itself publishes to it. */
  readonly reserved: boolean
  /** Levels of the name. */
  readonly levels: number
  /** Version of the subscriptions that `route` was computed from; -1: none yet. */
  version = -1
  /** Cached by the core, which alone knows its type. */
  route: unknown = null

  constructor(name: string, bytes: Uint8Array) {
    this.name = name
    this.bytes = bytes
    this.reserved = isSys(name)
    let levels = 1
    for (let i = 0; i < bytes.length; i++) if (bytes[i] === SLASH) levels++
    this.levels = levels
  }
}

/** Two refs of one name may exist once the table has started over: compare names, not refs. */
export class TopicTable {
  private readonly namesMax: number
  private readonly bytesMax: number
  private bytes = 0
  private refs = new Map<string, TopicRef>()
  /** The last name seen with each hash: decoding costs 5 times a hash on JavaScriptCore and 15 times on V8 (measured). */
  private byHash = new Map<number, TopicRef>()

  /** @param namesMax, bytesMax names, and their bytes, above which the table forgets them all; refs in use elsewhere stay good */
  constructor(namesMax: number, bytesMax: number) {
    this.namesMax = namesMax
    this.bytesMax = bytesMax
  }

  intern(name: string): TopicRef {
    return this.refs.get(name) ?? this.add(name, utf8(name))
  }

  /**
   * Copies what it keeps of buf[start, end). Bytes that are not well-formed UTF-8 give a ref with an empty name, which
   * validTopicName refuses [MQTT-1.5.4-1].
   */
  internBytes(buf: Uint8Array, start: number, end: number): TopicRef {
    const hash = hashBytes(buf, start, end)
    const known = this.byHash.get(hash)
    if (known !== undefined && sameBytes(known, buf, start, end)) return known
    const name = utf8Text(buf.subarray(start, end))
    if (name === null) return new TopicRef('', NO_BYTES)
    const ref = this.refs.get(name) ?? this.add(name, copyBytes(buf, start, end))
    this.byHash.set(hash, ref)
    return ref
  }

  private add(name: string, bytes: Uint8Array): TopicRef {
    if (this.refs.size >= this.namesMax || this.bytes + bytes.length > this.bytesMax) {
      this.refs = new Map()
      this.byHash = new Map()
      this.bytes = 0
    }
    this.bytes += bytes.length
    const ref = new TopicRef(name, bytes)
    this.refs.set(name, ref)
    return ref
  }
}

/** True when buf[start, end) holds the name of `ref`. */
export function sameBytes(ref: TopicRef, buf: Uint8Array, start: number, end: number): boolean {
  const { bytes } = ref
  if (bytes.length !== end - start) return false
  // From the end: topics of one family differ in their last levels.
  for (let i = bytes.length - 1; i >= 0; i--) if (bytes[i] !== buf[start + i]) return false
  return true
}

/** FNV-1a, 32 bits: collisions cost time only, whoever contrives them pays for a decoding per message. */
function hashBytes(buf: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (buf[i] as number), 0x01000193)
  return hash
}
