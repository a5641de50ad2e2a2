// Name: which topic names and filters are well formed, and which filter matches which name. Knows no subscriber.
import { LIMITS } from '../base/limits.ts'

const SHARE_PREFIX = '$share/'
/** The older way to share a subscription; it names no group. */
const QUEUE_PREFIX = '$queue/'
/** First level of what a broker tells of itself. */
export const SYS = '$SYS'

const NUL = 0x00
const HASH = 0x23
const DOLLAR = 0x24
const PLUS = 0x2b
const SLASH = 0x2f

/** True for a name that a message may be published to. Well-formed UTF-8 and its 65 535 bytes are the decoder's business. */
export function validTopicName(topic: string): boolean {
  if (topic.length === 0) return false // [MQTT-4.7.3-1]
  let levels = 1
  for (let i = 0; i < topic.length; i++) {
    const c = topic.charCodeAt(i)
    if (c === NUL) return false // [MQTT-4.7.3-2]
    if (c === PLUS || c === HASH) return false // [MQTT-4.7.0-1] [MQTT-3.3.2-2]
    if (c === SLASH) levels++
  }
  return levels <= LIMITS.topicLevelsMax
}

/** True for a filter that may be subscribed to, shared ones included; the levels of a shared one are those behind its share name. */
export function validFilter(filter: string): boolean {
  if (!isShared(filter)) return validFrom(filter, 0)
  if (filter.startsWith(QUEUE_PREFIX)) return validFrom(filter, QUEUE_PREFIX.length)
  const start = SHARE_PREFIX.length
  const end = filter.indexOf('/', start)
  if (end <= start) return false // [MQTT-4.8.2-1] no share name, or nothing behind it
  for (let i = start; i < end; i++) {
    const c = filter.charCodeAt(i)
    if (c === NUL || c === PLUS || c === HASH) return false // [MQTT-4.8.2-2]
  }
  return validFrom(filter, end + 1)
}

/** Levels of a name or a filter, those of its share name left out. */
export function levelsOf(filter: string): number {
  let levels = filter.startsWith(SHARE_PREFIX) ? -1 : filter.startsWith(QUEUE_PREFIX) ? 0 : 1
  for (let i = 0; i < filter.length; i++) if (filter.charCodeAt(i) === SLASH) levels++
  return levels
}

/** True for `$share/{name}/{filter}` and `$queue/{filter}`, well formed or not. */
export function isShared(filter: string): boolean {
  return filter.charCodeAt(0) === DOLLAR && (filter.startsWith(SHARE_PREFIX) || filter.startsWith(QUEUE_PREFIX))
}

/** The one form under which a filter is known: `$queue/{filter}` is that of the group `$queue`. */
export function canonicalFilter(filter: string): string {
  return filter.startsWith(QUEUE_PREFIX) ? SHARE_PREFIX + filter : filter
}

/** The group of a shared filter in its one form; null: it is not shared. */
export function shareName(filter: string): string | null {
  const start = SHARE_PREFIX.length
  return filter.startsWith(SHARE_PREFIX) ? filter.slice(start, filter.indexOf('/', start)) : null
}

/** What a filter in its one form matches by: of a shared one what follows the share name. @param filter well formed */
export function topicFilter(filter: string): string {
  return filter.startsWith(SHARE_PREFIX) ? filter.slice(filter.indexOf('/', SHARE_PREFIX.length) + 1) : filter
}

/** True when messages to such topics are out of reach for filters that begin with a wildcard. */
export function isDollar(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR
}

/** True for a topic, or a filter of topics, that only the broker itself publishes to. */
export function isSys(name: string): boolean {
  return name.startsWith(SYS) && (name.length === SYS.length || name.charCodeAt(SYS.length) === SLASH)
}

/**
 * The reference: what both trees must agree with. Compares characters as they are: no case folding, no Unicode normal
 * form [MQTT-4.7.3-4].
 * @param filter well formed, without a share name
 */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (isDollar(topic) && (wanted[0] === '#' || wanted[0] === '+')) return false // [MQTT-4.7.2-1]
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true // also with no level left: the parent matches
    if (i === levels.length) return false
    if (wanted[i] !== '+' && wanted[i] !== levels[i]) return false
  }
  return wanted.length === levels.length
}

/**
 * True when every topic that `narrow` matches is matched by `wide`.
 * @param wide well formed, without a share name, as is `narrow`
 */
export function covers(wide: string, narrow: string): boolean {
  const outer = levelsFrom(wide)
  const inner = levelsFrom(narrow)
  if (missesDollar(outer, inner)) return false // [MQTT-4.7.2-1]
  for (let i = 0; i < outer.length; i++) {
    if (outer[i] === '#') return true
    if (i === inner.length || inner[i] === '#') return false
    if (outer[i] !== '+' && outer[i] !== inner[i]) return false
  }
  return outer.length === inner.length
}

/** True when there may be a topic that both match. @param a well formed, without a share name, as is `b` */
export function overlaps(a: string, b: string): boolean {
  const one = levelsFrom(a)
  const two = levelsFrom(b)
  if (missesDollar(one, two) || missesDollar(two, one)) return false // [MQTT-4.7.2-1]
  for (let i = 0; i < one.length; i++) {
    if (one[i] === '#' || two[i] === '#') return true
    if (i === two.length) return false
    if (one[i] !== '+' && two[i] !== '+' && one[i] !== two[i]) return false
  }
  return one.length === two.length || two[one.length] === '#'
}

/** Levels of a filter; `#` and `/#` as `+/#` and `/+/#`, which match the same: no topic is without level, none is empty. */
function levelsFrom(filter: string): string[] {
  if (filter === '#') return ['+', '#']
  return filter === '/#' ? ['', '+', '#'] : filter.split('/')
}

function missesDollar(levels: readonly string[], of: readonly string[]): boolean {
  return levels[0] === '+' && isDollar(of[0] as string)
}

function validFrom(filter: string, start: number): boolean {
  if (start === filter.length) return false // [MQTT-4.7.3-1]
  let levels = 1
  for (let i = start; i < filter.length; i++) {
    const c = filter.charCodeAt(i)
    if (c === NUL) return false // [MQTT-4.7.3-2]
    if (c === SLASH) levels++
    else if (c === PLUS || c === HASH) {
      if (i > start && filter.charCodeAt(i - 1) !== SLASH) return false // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
      const last = i + 1 === filter.length
      if (!last && (c === HASH || filter.charCodeAt(i + 1) !== SLASH)) return false // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    }
  }
  return levels <= LIMITS.topicLevelsMax
}
