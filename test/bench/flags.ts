// Flags: the command line of the bench programs. A wrong flag ends the program with one sentence and exit code 2.
import process from 'node:process'

/** A flag's default tells its kind: a number, a text, a switch. */
export type Defaults = Readonly<Record<string, number | string | boolean>>
type Widened<T> = {
  -readonly [K in keyof T]: T[K] extends number ? number : T[K] extends string ? string : boolean
}

export function refuse(program: string, sentence: string): never {
  console.error(`${program}: ${sentence}`)
  process.exit(2)
}

export function readFlags<const T extends Defaults>(program: string, defaults: T): Widened<T> {
  const values: Record<string, number | string | boolean> = { ...defaults }
  const args = process.argv.slice(2)
  for (let i = 0; i < args.length; i++) {
    const flag = args[i] as string
    const name = flag.replace(/^--/, '')
    const known = values[name]
    if (!flag.startsWith('--') || known === undefined) {
      const list = Object.keys(defaults).map((key) => `--${key}`)
      refuse(program, `unknown flag ${flag}; known: ${list.join(' ')}`)
    }
    if (typeof known === 'boolean') {
      values[name] = true
      continue
    }
    const text = args[++i]
    if (text === undefined) refuse(program, `${flag} lacks its value`)
    values[name] = typeof known === 'number' ? Number(text) : text
    if (Number.isNaN(values[name])) refuse(program, `${flag}: "${text}" is not a number`)
  }
  return values as Widened<T>
}
