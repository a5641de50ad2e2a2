// AclFile: mosquitto's access-control file, read and checked as a whole. Judges nobody.
import { OperatorFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import { type AccessRules, type Grants, isPattern } from '../../topic/access.ts'
import { isShared, validFilter } from '../../topic/name.ts'
import { atOnce, inSlices, LINES_PER_SLICE, readBytes, readBytesLater, textOf } from '../text_file.ts'

/** Grants while they are being read. */
class Lists implements Grants {
  readonly read: string[] = []
  readonly write: string[] = []
  readonly deny: string[] = []
}

const LISTS: Readonly<Record<string, readonly (keyof Grants)[]>> = {
  read: ['read'],
  write: ['write'],
  readwrite: ['read', 'write'],
  deny: ['deny'],
}

export class AclFile {
  readonly path: string
  /** Of the start. */
  readonly rules: AccessRules
  private readonly label: string

  /** @param label what names the file, for messages: `--acl-file` @throws {OperatorFault} */
  constructor(path: string, label: string) {
    this.path = path
    this.label = label
    this.rules = atOnce(parseAcl(readBytes(path, label), path, label))
  }

  /** As the file is now. @throws {OperatorFault} */
  async readAgain(): Promise<AccessRules> {
    const { path, label } = this
    return inSlices(parseAcl(await readBytesLater(path, label), path, label))
  }
}

/** Stops between slices of the file. @throws {OperatorFault} */
export function* parseAcl(bytes: Uint8Array, path: string, label: string): Generator<void, AccessRules> {
  const users = new Map<string, Lists>()
  const rules = { anonymous: new Lists(), users, patterns: new Lists() }
  let current = rules.anonymous
  for (const [i, raw] of textOf(bytes, LIMITS.aclFileBytesMax, path, label).split('\n').entries()) {
    if ((i + 1) % LINES_PER_SLICE === 0) yield
    const text = raw.trim()
    if (text === '' || text.startsWith('#')) continue
    const [, keyword, rest] = /^(\S+)\s*(.*)$/.exec(text) as unknown as [string, string, string]
    let wrong: string | null
    if (keyword === 'topic') wrong = add(current, rest, false)
    else if (keyword === 'pattern') wrong = add(rules.patterns, rest, true)
    else if (keyword === 'user') {
      wrong = rest === '' ? 'the user name is missing' : null
      current = users.get(rest) ?? new Lists()
      users.set(rest, current)
    } else wrong = `"${keyword}" is not topic, pattern or user`
    if (wrong !== null) throw new OperatorFault(`${label}: ${path}, line ${i + 1}: ${wrong}`)
  }
  return rules
}

/** @param text what follows the keyword: perhaps an access word, and a filter  @returns what is wrong with it; null: nothing */
function add(lists: Lists, text: string, pattern: boolean): string | null {
  if (text === '') return 'the topic filter is missing'
  const [, word, behind] = /^(\S+)\s+(.*)$/.exec(text) ?? [text, 'readwrite', text]
  const [access, filter] = [word as string, behind as string]
  if (!Object.hasOwn(LISTS, access)) return `"${access}" is not read, write, readwrite or deny`
  if (isShared(filter)) return `"${filter}": shared subscriptions are judged by what follows the share name`
  if (!validFilter(filter)) return `"${filter}" is not a topic filter`
  if (pattern && !isPattern(filter)) return `"${filter}": %c and %u stand for a whole level each`
  for (const list of LISTS[access] as readonly (keyof Grants)[]) lists[list].push(filter)
  return null
}
