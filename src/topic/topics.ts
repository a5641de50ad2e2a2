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

type Names = {
  readonly refs: Map<string, TopicRef>
  /** The last name seen with each hash: decoding costs 5 times a hash on JavaScriptCore and 15 times on V8 (measured). */
  readonly byHash: Map<number, TopicRef>
}

/**
 * Names in use come to stand among the young ones; when those are too many they become the old ones, and who is still old is forgotten.
 * Two refs of one name may exist then: compare names, not refs.
 */
export class TopicTable {
  private readonly youngMax: number
  private readonly youngBytesMax: number
  private youngBytes = 0
  private young = noNames()
  private old = noNames()

  /** @param namesMax, bytesMax names remembered, and their bytes; refs in use elsewhere stay good when they are forgotten here */
  constructor(namesMax: number, bytesMax: number) {
    this.youngMax = Math.ceil(namesMax / 2)
    this.youngBytesMax = bytesMax / 2
  }

  intern(name: string): TopicRef {
    return this.known(name) ?? this.keep(new TopicRef(name, utf8(name)))
  }

  /**
   * Copies what it keeps of buf[start, end). Bytes that are not well-formed UTF-8 give a ref with an empty name, which
   * validTopicName refuses [MQTT-1.5.4-1].
   */
  internBytes(buf: Uint8Array, start: number, end: number): TopicRef {
    const hash = hashBytes(buf, start, end)
    const young = this.young.byHash.get(hash)
    if (young !== undefined && sameBytes(young, buf, start, end)) return young
    const old = this.old.byHash.get(hash)
    const ref =
      old !== undefined && sameBytes(old, buf, start, end) ? this.intern(old.name) : this.decode(buf, start, end)
    if (ref.name !== '') this.young.byHash.set(hash, ref)
    return ref
  }

  private decode(buf: Uint8Array, start: number, end: number): TopicRef {
    const name = utf8Text(buf.subarray(start, end))
    if (name === null) return new TopicRef('', NO_BYTES)
    return this.known(name) ?? this.keep(new TopicRef(name, copyBytes(buf, start, end)))
  }

  private known(name: string): TopicRef | undefined {
    const young = this.young.refs.get(name)
    if (young !== undefined) return young
    const old = this.old.refs.get(name)
    return old === undefined ? undefined : this.keep(old)
  }

  private keep(ref: TopicRef): TopicRef {
    const { length } = ref.bytes
    if (this.young.refs.size >= this.youngMax || this.youngBytes + length > this.youngBytesMax) {
      this.old = this.young
      this.young = noNames()
      this.youngBytes = 0
    }
    this.youngBytes += length
    this.young.refs.set(ref.name, ref)
    return ref
  }
}

function noNames(): Names {
  return { refs: new Map(), byHash: new Map() }
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
