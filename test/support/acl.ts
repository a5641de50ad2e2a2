// Acl: access rules for tests, in the words of the file.
import { utf8 } from '../../src/base/bytes.ts'
import { atOnce } from '../../src/host/text_file.ts'
import { parseAcl } from '../../src/host/users/acl_file.ts'
import type { AccessRules } from '../../src/topic/access.ts'

export function rulesOf(text: string): AccessRules {
  return atOnce(parseAcl(utf8(text), 'acl', 'test'))
}
