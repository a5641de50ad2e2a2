// Help: the texts of --help, most used options first. Knows what flags do only from their tables.
import { SETTINGS, type Setting } from './settings.ts'
import { COMMIT, VERSION } from './version.ts'

export type Described = {
  readonly name: string
  readonly short?: string
  readonly value: string | null
  readonly help: string
}

const COMMANDS = `Commands:
  start          run a node (the default)
  pub            publish messages
  sub            subscribe and print messages
  status         what a running node says of itself
  clients        who is connected, on both nodes
  drain          let a running node hand everything over and end
  passwd         write a password file

tandemq COMMAND --help shows a command's options.`

export function versionText(): string {
  return `tandemq ${VERSION}${COMMIT === '' ? '' : ` (${COMMIT})`}`
}

export function startHelp(): string {
  const group = (name: Setting['group']) => rows(SETTINGS.filter((setting) => setting.group === name))
  return `${versionText()} - an MQTT broker for two nodes that act as one

Usage: tandemq [start] [OPTIONS]

${COMMANDS}

Simple options:
${group('simple')}

Advanced options:
${group('advanced')}

Each option can stand in the file of --config (NAME = VALUE) and in the environment (TANDEMQ_NAME) too;
the file yields to the environment, the environment to flags. What takes no value is true or false there.

Two nodes on two machines:
  tandemq --name a --peer 10.0.0.2 --cluster-secret-file secret    on 10.0.0.1
  tandemq --name b --peer 10.0.0.1 --cluster-secret-file secret    on 10.0.0.2`
}

export function commandHelp(usage: string, what: string, flags: readonly Described[]): string {
  return `Usage: tandemq ${usage}\n\n${what}\n\nOptions:\n${rows(flags)}`
}

function rows(flags: readonly Described[]): string {
  const left = flags.map(({ name, short, value }) => {
    return `  ${short === undefined ? '' : `-${short}, `}--${name}${value === null ? '' : ` ${value}`}`
  })
  const width = Math.max(...left.map((text) => text.length)) + 2
  return flags.map(({ help }, i) => (left[i] as string).padEnd(width) + help).join('\n')
}
