// Sources: where a setting's value comes from: file < environment < flags. Keeps texts; what they mean is config.ts.
import { readFileSync } from 'node:fs'
import { OperatorFault } from '../base/fault.ts'
import { parseArguments } from './arguments.ts'
import { SETTINGS, type Setting } from './settings.ts'
import { parseToml, type TomlValue } from './toml.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A setting's values as texts, and how to name it in an error. */
export type Given = { readonly texts: readonly string[]; readonly label: string }

/** Settings by name; a switch that is set has the text "true", and "false" while sources are laid over each other. */
export type GivenSettings = Map<string, Given>

/** @throws {OperatorFault} */
export function readSources(args: readonly string[], environment: Environment): GivenSettings {
  const flags = parseArguments('start', args, SETTINGS)
  const fromEnvironment = readEnvironment(environment)
  const file = flags.get('config')?.[0] ?? fromEnvironment.get('config')?.texts[0]
  const all: GivenSettings = file === undefined ? new Map() : readFile(file)
  for (const [name, given] of fromEnvironment) override(all, name, given)
  for (const [name, texts] of flags) {
    override(all, name, { texts: isSwitch(name) ? ['true'] : texts, label: `--${name}` })
  }
  for (const [name, given] of all) if (isOff(name, given)) all.delete(name)
  return all
}

/** `--data` takes back a `no-data` from further down, and the other way round. */
function override(all: GivenSettings, name: string, given: Given): void {
  if (name === 'data') all.delete('no-data')
  if (name === 'no-data' && !isOff(name, given)) all.delete('data')
  all.set(name, given)
}

function isOff(name: string, given: Given): boolean {
  return isSwitch(name) && given.texts[0] === 'false'
}

function isSwitch(name: string): boolean {
  return SETTINGS.some((setting) => setting.name === name && setting.value === null)
}

function readEnvironment(environment: Environment): GivenSettings {
  const all: GivenSettings = new Map()
  for (const setting of SETTINGS) {
    const variable = `TANDEMQ_${setting.name.toUpperCase().replaceAll('-', '_')}`
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const label = `--${setting.name} (${variable})`
    const texts = setting.list === true ? text.split(',').map((item) => item.trim()) : [text]
    if (setting.value === null) onSwitch(all, setting, label, text.toLowerCase())
    else all.set(setting.name, { texts, label })
  }
  return all
}

function readFile(file: string): GivenSettings {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new OperatorFault(`--config: cannot read ${file} (${(error as { code?: string }).code ?? error})`)
  }
  const all: GivenSettings = new Map()
  for (const [key, value] of parseToml(text, file)) {
    const name = key.replaceAll('_', '-')
    const setting = SETTINGS.find((known) => known.name === name)
    if (setting === undefined || name === 'config' || name === 'test-config') {
      throw new OperatorFault(`--config: ${file}: there is no setting ${key}`)
    }
    if (all.has(name)) throw new OperatorFault(`--config: ${file}: ${name} is given twice, with - and with _`)
    const label = `--${name} (in ${file})`
    if (setting.value === null) onSwitch(all, setting, label, String(value))
    else all.set(name, { texts: fileTexts(setting, value, label), label })
  }
  return all
}

function fileTexts(setting: Setting, value: TomlValue, label: string): readonly string[] {
  if (typeof value === 'boolean') throw new OperatorFault(`${label}: takes a value (${setting.value}), not ${value}`)
  const items = [value].flat()
  if (items.length !== 1 && setting.list !== true)
    throw new OperatorFault(`${label}: takes one value (${setting.value})`)
  return items.map(String)
}

function onSwitch(all: GivenSettings, setting: Setting, label: string, text: string): void {
  if (text === 'true' || text === '1' || text === 'yes') all.set(setting.name, { texts: ['true'], label })
  else if (text === 'false' || text === '0' || text === 'no') all.set(setting.name, { texts: ['false'], label })
  else throw new OperatorFault(`${label}: "${text}" is not true or false`)
}
