// Toml: the flat part of TOML (name = value) that a configuration file needs, alike on every runtime. Knows no settings.
import { OperatorFault } from '../base/fault.ts'

export type TomlValue = string | number | boolean | (string | number)[]

/**
 * Strings, integers, booleans and arrays of them; arrays may span lines.
 * @param file named in errors
 * @throws {OperatorFault}
 */
export function parseToml(text: string, file: string): Map<string, TomlValue> {
  const entries = new Map<string, TomlValue>()
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const start = i + 1
    let line = (lines[i] as string).trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('[')) throw fault(file, start, 'tables are not known here; write the settings as NAME = VALUE')
    const found = /^(?:([A-Za-z0-9_-]+)|"([^"\\]+)")\s*=\s*(.*)$/.exec(line)
    if (found === null) throw fault(file, start, 'not of the form NAME = VALUE')
    const name = (found[1] ?? found[2]) as string
    if (entries.has(name)) throw fault(file, start, `${name} is given twice`)
    line = found[3] as string
    while (line.startsWith('[') && !closed(line) && i + 1 < lines.length) line += '\n' + lines[++i]
    const [value, rest] = readValue(line, file, start)
    if (!/^\s*(#.*)?$/s.test(rest)) throw fault(file, start, `"${rest.trim()}" behind the value of ${name}`)
    entries.set(name, value)
  }
  return entries
}

function closed(line: string): boolean {
  return /\]/.test(line.replace(/"(?:[^"\\]|\\.)*"|'[^']*'|#.*$/gm, ''))
}

function readValue(text: string, file: string, line: number): [TomlValue, string] {
  if (text.startsWith('[')) return readArray(text, file, line)
  return readScalar(text, file, line)
}

function readArray(text: string, file: string, line: number): [TomlValue, string] {
  const items: (string | number)[] = []
  let rest = skip(text.slice(1))
  while (!rest.startsWith(']')) {
    const [item, after] = readScalar(rest, file, line)
    if (typeof item === 'boolean') throw fault(file, line, 'an array of booleans is not known here')
    items.push(item)
    rest = skip(after)
    if (rest.startsWith(',')) rest = skip(rest.slice(1))
    else if (!rest.startsWith(']')) throw fault(file, line, 'the array is not closed')
  }
  return [items, rest.slice(1)]
}

/** Leaves out blanks, line ends and comments. */
function skip(text: string): string {
  return text.replace(/^(?:\s|#[^\n]*(?:\n|$))+/, '')
}

function readScalar(text: string, file: string, line: number): [string | number | boolean, string] {
  const literal = /^'([^'\n]*)'/.exec(text)
  if (literal !== null) return [literal[1] as string, text.slice(literal[0].length)]
  const basic = /^"(?:[^"\\\n]|\\.)*"/.exec(text)
  if (basic !== null) {
    try {
      return [JSON.parse(basic[0]) as string, text.slice(basic[0].length)]
    } catch {
      throw fault(file, line, `${basic[0]} is not a string`)
    }
  }
  const word = /^[^\s,\]#]+/.exec(text)?.[0] ?? ''
  const rest = text.slice(word.length)
  if (word === 'true' || word === 'false') return [word === 'true', rest]
  if (/^[+-]?\d+(_\d+)*$/.test(word)) return [Number(word.replaceAll('_', '')), rest]
  throw fault(file, line, `"${word}" is no value; strings stand in quotes`)
}

function fault(file: string, line: number, what: string): OperatorFault {
  return new OperatorFault(`--config: ${file} line ${line}: ${what}`)
}
