// Access: what one client may publish and subscribe to, by rules that name it, all anonymous clients, or everybody. Knows neither
// connections nor where the rules come from.
import { LIMITS } from '../base/limits.ts'
import { covers, matches, overlaps } from './name.ts'

/** Filters; what is under `deny` is neither read nor written, whatever else is said. */
export type Grants = {
  readonly read: readonly string[]
  readonly write: readonly string[]
  readonly deny: readonly string[]
}

/** What is not granted is denied. */
export type AccessRules = {
  readonly anonymous: Grants
  readonly users: ReadonlyMap<string, Grants>
  /** For everybody; a level `%c` is the client identifier, `%u` the user name. */
  readonly patterns: Grants
}

const NONE: Grants = { read: [], write: [], deny: [] }
/** It would stand for more than one level, or for the broker's own topics. */
const NO_LEVEL = /[+#/]|^\$|^$/

export class Access {
  private readonly named: Grants
  private readonly made: Grants
  /** By topic name: may it be published to? */
  private readonly judged = new Map<string, boolean>()
  private readonly told = new Set<string>()

  constructor(rules: AccessRules, username: string | null, clientId: string) {
    this.named = username === null ? rules.anonymous : (rules.users.get(username) ?? NONE)
    const { read, write, deny } = rules.patterns
    const fill = (filters: readonly string[], unfit: string | null) =>
      filters.map((filter) => filled(filter, username, clientId, unfit)).filter((filter) => filter !== null)
    this.made = { read: fill(read, null), write: fill(write, null), deny: fill(deny, '+') }
  }

  /** @param filter well formed, without a share name */
  mayRead(filter: string): boolean {
    const { named, made } = this
    const covering = (wide: string) => covers(wide, filter)
    const overlapping = (denied: string) => overlaps(denied, filter)
    if (named.deny.some(overlapping) || made.deny.some(overlapping)) return false
    return named.read.some(covering) || made.read.some(covering)
  }

  mayWrite(topic: string): boolean {
    const { judged } = this
    const known = judged.get(topic)
    if (known !== undefined) return known
    const { named, made } = this
    const matching = (filter: string) => matches(filter, topic)
    const denied = named.deny.some(matching) || made.deny.some(matching)
    const may = !denied && (named.write.some(matching) || made.write.some(matching))
    if (judged.size >= LIMITS.judgedTopicsMax) judged.clear()
    judged.set(topic, may)
    return may
  }

  /** True once for each topic refused, up to a number: so much is worth a line in the log. */
  tells(topic: string): boolean {
    const { told } = this
    if (told.size >= LIMITS.refusedTopicsToldMax || told.has(topic)) return false
    told.add(topic)
    return true
  }
}

/** True where `%c` and `%u` stand only for whole levels. */
export function isPattern(filter: string): boolean {
  return filter.split('/').every((level) => level === '%c' || level === '%u' || !/%[cu]/.test(level))
}

/** @param unfit what stands for a name that is no level of its own; null: the pattern says nothing then  @returns null: nothing */
function filled(pattern: string, username: string | null, clientId: string, unfit: string | null): string | null {
  const levels = pattern.split('/')
  for (const [i, level] of levels.entries()) {
    if (level !== '%c' && level !== '%u') continue
    const name = level === '%c' ? clientId : username
    if (name === null) return null
    const value = NO_LEVEL.test(name) ? unfit : name
    if (value === null) return null
    levels[i] = value
  }
  return levels.join('/')
}
