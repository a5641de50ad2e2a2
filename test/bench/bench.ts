// Bench: TandeMQ beside mosquitto on this machine, row by row, and what it costs by itself. `npm run bench`
//
//   --seconds N      of each run (3)          --rounds N      runs of each broker per row, in turns; the median counts (3)
//   --rows A,B       only these rows          --binary WHAT   an executable, or `source` (dist/tandemq)
//   --mqload FILE    the load generator       --json          figures for machines
//   --v5             the rows with MQTT 5.0 instead of 3.1.1
//
// Figures of one row compare with each other only: they ran in turns. The exit code is 1 when a row falls short.
import process from 'node:process'
import { BenchNode, type Binary, findBinary, Mosquitto, TandemPair } from './brokers.ts'
import { printTable, short } from './figures.ts'
import { readFlags, refuse } from './flags.ts'
import { connectionFigures, type Figure, restFigures, startFigure } from './footprint.ts'
import { Mqload } from './mqload.ts'
import { LONE_ROWS, PAIR_ROWS, type Row, type RowResult, runRow } from './throughput.ts'

const flags = readFlags('bench', {
  seconds: 3,
  rounds: 3,
  rows: '',
  binary: 'dist/tandemq',
  mqload: '',
  v5: false,
  json: false,
})

const FOOTPRINT_KEYS = ['connect', 'idle', 'start', 'rest']
const known = [...LONE_ROWS, ...PAIR_ROWS].map((row) => row.key).concat(FOOTPRINT_KEYS)
const wanted = flags.rows === '' ? known : flags.rows.split(',')
for (const key of wanted) if (!known.includes(key)) refuse('bench', `unknown row ${key}; known: ${known.join(' ')}`)

const VERDICTS = { true: 'ok', false: 'SHORT', null: '' }
const verdict = (ok: boolean | null) => VERDICTS[String(ok) as keyof typeof VERDICTS]

async function main(binary: Binary): Promise<number> {
  using mqload = Mqload.find('bench', flags.mqload)
  const rows: RowResult[] = []
  await runAll(LONE_ROWS, 'one node', rows, mqload, () => Promise.all([Mosquitto.start(1), BenchNode.lone(binary)]))
  await runAll(PAIR_ROWS, 'two nodes', rows, mqload, () => Promise.all([Mosquitto.start(2), TandemPair.start(binary)]))
  const figures = await footprint(binary, mqload)
  if (flags.json) console.log(JSON.stringify({ binary: flags.binary, seconds: flags.seconds, rows, figures }, null, 2))
  return rows.some((row) => row.ok === false) || figures.some((figure) => isOk(figure) === false) ? 1 : 0
}

async function runAll(
  list: readonly Row[],
  title: string,
  results: RowResult[],
  mqload: Mqload,
  start: () => Promise<[Mosquitto, BenchNode | TandemPair]>,
): Promise<void> {
  const chosen = list.filter((row) => wanted.includes(row.key))
  if (chosen.length === 0) return
  const [mosquitto, tandem] = await start()
  await using theirs = mosquitto
  await using ours = tandem
  const table: string[][] = []
  for (const row of chosen) {
    const result = await runRow(row, mqload, theirs, ours, flags)
    results.push(result)
    const ratio = `${result.ratio.toFixed(2)} ×`
    const floor = row.floor === null ? '' : `${row.floor} ×`
    table.push([row.title, short(result.theirs), short(result.ours), ratio, floor, verdict(result.ok)])
    say(`${row.key}: mosquitto ${result.runs.theirs.map(short)} | TandeMQ ${result.runs.ours.map(short)}`)
    for (const text of result.trouble) say(`${row.key}: ${text}`)
  }
  if (!flags.json) printTable([title, 'mosquitto', 'TandeMQ', 'ratio', 'floor', ''], table)
}

async function footprint(binary: Binary, mqload: Mqload): Promise<Figure[]> {
  const figures: Figure[] = []
  const wants = (...keys: string[]) => keys.some((key) => wanted.includes(key))
  if (wants('connect', 'idle')) figures.push(...(await connectionFigures(binary, mqload, flags.rounds)))
  if (wants('start')) figures.push(await startFigure(binary))
  if (wants('rest')) figures.push(...(await restFigures(binary)))
  if (figures.length === 0 || flags.json) return figures
  const table = figures.map((figure) => {
    const { title, value, runs, floor, trouble } = figure
    const spread = `${short(Math.min(...runs))} … ${short(Math.max(...runs))}`
    return [title, short(value), spread, floor === null ? '' : `≤ ${floor}`, trouble ?? verdict(isOk(figure))]
  })
  printTable(['TandeMQ by itself', 'median', 'all runs', 'floor', ''], table)
  return figures
}

function isOk({ value, floor, trouble }: Figure): boolean | null {
  return floor === null ? null : trouble === null && value <= floor
}

/** Progress, apart from the figures. */
function say(text: string): void {
  console.error(`  ${text}`)
}

const binary = findBinary(flags.binary)
if (binary === null) refuse('bench', `--binary: there is no ${flags.binary}; npm run build makes dist/tandemq`)
process.exit(await main(binary))
