// Arguments: a command's arguments into strings by flag name, parsed by cac. Knows no command's flags.
import { cac } from 'cac'
import { OperatorFault } from '../base/fault.ts'

export type Flag = {
  /** Long name without dashes, `no-data` for a negative switch. */
  readonly name: string
  /** One letter, without dash. */
  readonly short?: string
  readonly value: string | null
  readonly list?: boolean
}

/** Values by flag name, in order of appearance; a switch that is set has one empty value. */
export type Values = Map<string, string[]>

/**
 * cac turns "007" and "1e3" into numbers and takes "-5" for a flag; client identifiers and messages are neither. So values are
 * replaced by marks before it sees them, and put back afterwards.
 */
class Marks {
  private readonly values: string[] = []

  put(value: string): string {
    return `value_${this.values.push(value) - 1}_`
  }

  take(mark: string): string {
    return this.values[Number(mark.slice(6, -1))] as string
  }
}

/** @throws {OperatorFault} for an unknown flag, a missing value, a word */
export function parseArguments(command: string, args: readonly string[], flags: readonly Flag[]): Values {
  return parseArgumentsAndWords(command, args, flags, 0).values
}

/** @throws {OperatorFault} for an unknown flag, a missing value, a word beyond the first `wordsMax` */
export function parseArgumentsAndWords(
  command: string,
  args: readonly string[],
  flags: readonly Flag[],
  wordsMax: number,
): { values: Values; words: string[] } {
  const marks = new Marks()
  const marked = mark(command, args, flags, marks)
  const cli = cac('tandemq')
  const it = cli.command(command)
  for (const { name, short, value } of flags) {
    it.option(`${short === undefined ? '' : `-${short}, `}--${name}${value === null ? '' : ` <${value}>`}`, '')
  }
  const { args: found, options } = cli.parse(['', '', command, ...marked], { run: false })
  const words = found.map((word) => marks.take(word))
  if (words.length > wordsMax)
    throw new OperatorFault(`"${words[wordsMax]}" is not expected; see tandemq ${command} --help`)
  try {
    it.checkUnknownOptions()
  } catch (error) {
    throw new OperatorFault(`${(error as Error).message}; see tandemq ${command} --help`)
  }
  const values: Values = new Map()
  for (const { name, value, list } of flags) {
    const given: unknown[] = [options[optionName(name)]].flat()
    if (value === null) {
      if (given.includes(!name.startsWith('no-'))) values.set(name, [''])
      continue
    }
    const texts = given.filter((item) => typeof item === 'string')
    if (texts.length > 1 && list !== true) throw new OperatorFault(`--${name} is given twice`)
    if (texts.length > 0)
      values.set(
        name,
        texts.map((text) => marks.take(text)),
      )
  }
  return { values, words }
}

/** As cac names it: without "no-", and camelCase. */
function optionName(name: string): string {
  return name.replace(/^no-/, '').replaceAll(/([a-z])-([a-z])/g, (_, a, b) => a + b.toUpperCase())
}

function mark(command: string, args: readonly string[], flags: readonly Flag[], marks: Marks): string[] {
  const marked: string[] = []
  const seen = new Set<string>()
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string
    if (!arg.startsWith('-') || arg === '-') {
      marked.push(marks.put(arg))
      continue
    }
    const [written, inline] = splitAt(arg)
    const flag = flags.find(({ name, short }) => written === `--${name}` || written === `-${short}`)
    if (flag === undefined)
      throw new OperatorFault(`${written} is not a flag of tandemq ${command}; see tandemq ${command} --help`)
    const opposite = flag.name.startsWith('no-') ? flag.name.slice(3) : `no-${flag.name}`
    if (seen.has(opposite)) throw new OperatorFault(`--${flag.name} and --${opposite} exclude each other`)
    seen.add(flag.name)
    if (flag.value === null) {
      if (inline !== null) throw new OperatorFault(`${written} takes no value`)
      marked.push(`--${flag.name}`)
      continue
    }
    const value = inline ?? args[++i]
    if (value === undefined) throw new OperatorFault(`${written} needs a value (${flag.value})`)
    marked.push(`--${flag.name}`, marks.put(value))
  }
  return marked
}

/** `--flag=value`; a single-letter flag has its value in the next word. */
function splitAt(arg: string): [string, string | null] {
  const at = arg.startsWith('--') ? arg.indexOf('=') : -1
  return at === -1 ? [arg, null] : [arg.slice(0, at), arg.slice(at + 1)]
}
