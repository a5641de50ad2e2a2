// Descriptors: how many files and sockets the system lets this process have open, and whether there is one left. Keeps none.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { devNull } from 'node:os'

/** Both runtimes raise the soft limit to the hard one as they start. Infinity where nothing tells it. */
export function descriptorsMax(): number {
  try {
    const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return found === null ? Number.POSITIVE_INFINITY : Number(found[1])
  } catch {
    return Number.POSITIVE_INFINITY // not Linux
  }
}

/** Why not a single one can be had (EMFILE, ENFILE); null where one can. */
export function descriptorFault(): string | null {
  try {
    closeSync(openSync(devNull, 'r'))
    return null
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
