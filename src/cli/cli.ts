// Cli: which command is meant, and how it ends. Knows no command's flags.
import process from 'node:process'
import { OperatorFault } from '../base/fault.ts'
import { Failure } from './failure.ts'
import { startHelp, versionText } from './help.ts'

const EXIT_OPERATOR = 2
const PLANNED = ['bench', 'witness']

/** @param args without the runtime and the script */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await dispatch(args)
  } catch (error) {
    if (!(error instanceof OperatorFault || error instanceof Failure)) throw error
    if (error.message !== '') process.stderr.write(`tandemq: ${error.message}\n`)
    process.exitCode = error instanceof Failure ? error.exitCode : EXIT_OPERATOR
  }
}

async function dispatch(args: readonly string[]): Promise<void> {
  const [first] = args
  const named = first !== undefined && !first.startsWith('-')
  const command = named ? first : 'start'
  const rest = named ? args.slice(1) : args
  if (!named && rest.some((arg) => arg === '--version' || arg === '-v')) return console.log(versionText())
  switch (command) {
    case 'start': {
      if (rest.includes('--help') || rest.includes('-h')) return console.log(startHelp())
      const { start } = await import('./start.ts')
      return await start(rest, process.env)
    }
    case 'pub':
      return await (await import('./client/pub.ts')).pub(rest)
    case 'sub':
      return await (await import('./client/sub.ts')).sub(rest)
    case 'status':
    case 'clients':
    case 'drain':
      return await (await import('./admin_client.ts')).admin(command, rest)
    case 'passwd':
      return await (await import('./passwd.ts')).passwd(rest)
    case 'help':
      return console.log(startHelp())
    case 'version':
      return console.log(versionText())
    default:
      if (PLANNED.includes(command)) throw new OperatorFault(`tandemq ${command} is not supported yet`)
      throw new OperatorFault(`there is no command "${command}"; see tandemq --help`)
  }
}
