// AdminQuery: what may stand behind the `?` of a list of the API: parsed, or one sentence about what is wrong with it.
import { LIMITS } from '../../base/limits.ts'
import type { ListName, ListQuery } from '../../core/monitor/listing.ts'
import { isShared, validFilter } from '../../topic/name.ts'

const PARAMETERS: Readonly<Record<ListName, readonly string[]>> = {
  clients: ['limit', 'cursor', 'client', 'node', 'connected'],
  sessions: ['limit', 'cursor', 'client', 'node', 'connected'],
  subscriptions: ['limit', 'cursor', 'client', 'filter'],
  retained: ['limit', 'cursor', 'topic'],
}

/** @returns a text where it is not valid */
export function parseListQuery(list: ListName, path: string): ListQuery | string {
  const known = PARAMETERS[list]
  const at = path.indexOf('?')
  const given = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(at === -1 ? '' : path.slice(at + 1))) {
    if (!known.includes(name)) return `${name}: /api/v1/${list} takes ${known.join(', ')}`
    if (given.has(name)) return `${name}: given twice`
    given.set(name, value)
  }
  const limit = Number(given.get('limit') ?? LIMITS.listRowsMax)
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.listRowsMax)
    return `limit: a whole number from 1 to ${LIMITS.listRowsMax}`
  const connected = given.get('connected') ?? null
  if (connected !== null && connected !== 'true' && connected !== 'false') return 'connected: true or false'
  const topic = given.get('topic') ?? null
  if (topic !== null && (!validFilter(topic) || isShared(topic))) return 'topic: a topic name or filter'
  return {
    limit,
    cursor: given.get('cursor') ?? null,
    client: given.get('client') ?? null,
    node: given.get('node') ?? null,
    connected: connected === null ? null : connected === 'true',
    filter: given.get('filter') ?? null,
    topic,
  }
}
