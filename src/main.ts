// Main: where the process starts; nothing but handing its arguments to the command line.
import process from 'node:process'
import { run } from './cli/cli.ts'

await run(process.argv.slice(2))
