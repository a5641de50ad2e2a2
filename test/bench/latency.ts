// Latency: what a client feels when it moves between the nodes of a pair, and when the one it is on dies. `npm run latency`
//
//   --tries N     of each hand-over (1000)      --kills N       of the serving node, with kill -9 (30)
//   --only PART   only what has PART in its title
//   --binary WHAT an executable, or `source` (dist/tandemq)     --json   figures for machines
//
// Clients and clock are in this one process; a lone mosquitto, asked in turns, shows what the machine itself makes late. Times are milliseconds; the exit code is 1 when an aim is missed.
import process from 'node:process'
import { findBinary, Mosquitto, TandemPair } from './brokers.ts'
import { failOver } from './fail_over.ts'
import { readFlags, refuse } from './flags.ts'
import { acrossNodes, Crossing, emptyHandOver, queuedHandOver } from './hand_over.ts'
import { printSeries, Series } from './series.ts'

const flags = readFlags('latency', { tries: 1000, kills: 30, only: '', binary: 'dist/tandemq', json: false })
const binary = findBinary(flags.binary)
if (binary === null) refuse('latency', `--binary: there is no ${flags.binary}; npm run build makes dist/tandemq`)

const emptyControl = new Series('  a lone mosquitto meanwhile: CONNACK')
const empty = new Series('hand-over, nothing queued: CONNACK', { at: 'p99', ms: 5 }, emptyControl)
const welcome = new Series('hand-over, 1000 queued: CONNACK')
const last = new Series('hand-over, 1000 queued: last message', { at: 'p99', ms: 20 }, emptyControl)
const ackedControl = new Series('  a lone mosquitto meanwhile: PUBACK')
const deliveredControl = new Series('  a lone mosquitto meanwhile: delivery')
const acked = new Series('QoS 1 across nodes: PUBACK', { at: 'p50', ms: 0.2 }, ackedControl)
const delivered = new Series('QoS 1 across nodes: delivery')
const failure = {
  noticed: new Series('kill -9: the survivor notices', { at: 'p99', ms: 100 }),
  alone: new Series('kill -9: the survivor serves alone'),
  back: new Series("kill -9: client's CONNACK, session present"),
  backAfter: new Series('… counted from when the survivor serves', { at: 'p99', ms: 20 }),
}
type Part = { series: readonly Series[]; run: (pair: TandemPair, control: Mosquitto) => Promise<void> }
const parts: Part[] = [
  {
    series: [empty, emptyControl],
    run: (pair, control) => emptyHandOver(pair, control, flags.tries, empty, emptyControl),
  },
  { series: [welcome, last], run: (pair) => queuedHandOver(pair, flags.tries, welcome, last) },
  {
    series: [acked, ackedControl, delivered, deliveredControl],
    run: async (pair, control) => {
      const ours = await Crossing.open(pair, acked, delivered)
      await acrossNodes([ours, await Crossing.open(control, ackedControl, deliveredControl)], flags.tries)
    },
  },
  { series: Object.values(failure), run: (pair) => failOver(pair, flags.kills, failure) },
]
const chosen = parts.filter(({ series }) => series.some(({ title }) => title.includes(flags.only)))

{
  await using pair = await TandemPair.start(binary)
  await using control = await Mosquitto.start(1)
  for (const { run } of chosen) await run(pair, control)
}
const all = chosen.flatMap(({ series }) => series)
if (flags.json) console.log(JSON.stringify(all.map((series) => series.summary())))
else printSeries(all)
process.exit(all.some((series) => series.verdict === 'SHORT') ? 1 : 0)
