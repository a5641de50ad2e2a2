// Fuzz: damaged packets, by the million, over TCP and WebSocket into a real node, while well-behaved clients go on beside it.
//
//   npm run fuzz -- --packets 10000000 --seed 1 [--tcp|--ws] [--pair] [--broker bun|deno|FILE]
//                   [--connections 48] [--warm-up 2000000] [--from SCRIPT]
//
// Each connection plays a script that depends on the seed and its number alone. A fault names the numbers at play: --from begins there.
// Ends with 1 if the node crashed, said what it should not, grew, kept what it should not, left a connection open, or disturbed
// somebody; with --pair also if the link dropped or the nodes do not hold the same at the end.

import { parseArgs } from 'node:util'
import { DEFAULTS, type FuzzOptions, runFuzz } from './run.ts'

const DENO = ['node_modules/.bin/deno', 'run', '-A', '--no-lock', 'src/main.ts']
const BUN = ['node_modules/.bin/bun', 'src/main.ts']

function options(): FuzzOptions {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    options: {
      ...{ packets: text, seed: text, from: text, connections: text, 'warm-up': text, broker: text },
      ...{ tcp: flag, ws: flag, pair: flag },
    },
  })
  const number = (name: string, value: string | undefined, or: number): number => {
    const n = value === undefined ? or : Number(value)
    if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name} takes a whole number`)
    return n
  }
  const { broker = 'bun' } = values
  return {
    ...DEFAULTS,
    packets: number('packets', values.packets, DEFAULTS.packets),
    seed: number('seed', values.seed, DEFAULTS.seed),
    from: number('from', values.from, DEFAULTS.from),
    connections: number('connections', values.connections, DEFAULTS.connections),
    warmUp: number('warm-up', values['warm-up'], DEFAULTS.warmUp),
    transports: values.tcp === values.ws ? DEFAULTS.transports : values.tcp ? ['tcp'] : ['ws'],
    pair: values.pair,
    program: broker === 'bun' ? BUN : broker === 'deno' ? DENO : [broker],
  }
}

async function main(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  let given: FuzzOptions
  try {
    given = options()
  } catch (error) {
    console.error(`fuzz: ${error instanceof Error ? error.message : error}`)
    return 2
  }
  const { packets, seed, transports, pair } = given
  console.log(
    `${packets} damaged packets over ${transports.join(' and ')}, ${pair ? 'a pair' : 'one node'}, seed ${seed}`,
  )
  const { problems, figures } = await runFuzz(given, (line) => console.log(line))
  for (const line of figures) console.log(line)
  for (const problem of problems) console.log(`PROBLEM ${problem}`)
  console.log(problems.length === 0 ? 'clean' : `${problems.length} PROBLEMS`)
  return problems.length === 0 ? 0 : 1
}

if (import.meta.main) process.exit(await main())
