// Throughput: the rows that run the same load on mosquitto and on TandeMQ, in turns, and compare by ratio.
import type { Brokers } from './brokers.ts'
import { median } from './figures.ts'
import type { LoadFigures, Mqload } from './mqload.ts'

export type Row = {
  readonly key: string
  readonly title: string
  readonly flags: string
  /** Messages a second, or the median milliseconds of one message. */
  readonly measure: 'rate' | 'p50'
  /** TandeMQ over mosquitto, at least; null: no floor. */
  readonly floor: number | null
}

export type RowResult = {
  readonly row: Row
  readonly theirs: number
  readonly ours: number
  readonly ratio: number
  readonly runs: { readonly theirs: readonly number[]; readonly ours: readonly number[] }
  readonly trouble: readonly string[]
  readonly ok: boolean | null
}

const PAIRWISE = '--pubs 10 --subs 10 --mode pair'
const ONE = '--pubs 1 --subs 1 --mode pair --window 1'

export const LONE_ROWS: readonly Row[] = [
  rate('q0', '10 → 10, QoS 0, window 100', `${PAIRWISE} --qos 0 --window 100`, 4),
  rate('q1', '10 → 10, QoS 1, window 100', `${PAIRWISE} --qos 1 --window 100`, 4),
  rate('q2', '10 → 10, QoS 2, window 50', `${PAIRWISE} --qos 2 --window 50`, 4),
  rate('fanout', '1 → 100, QoS 0, window 50', '--pubs 1 --subs 100 --mode fanout --qos 0 --window 50', 4),
  rate('fanin', '100 → 1, QoS 0, window 20', '--pubs 100 --subs 1 --mode fanin --qos 0 --window 20', 4),
  { key: 'pingpong', title: 'one message, QoS 0, p50 ms', flags: `${ONE} --qos 0`, measure: 'p50', floor: null },
]

export const PAIR_ROWS: readonly Row[] = [
  rate('pair-q0', 'two nodes, QoS 0, window 100', `${PAIRWISE} --qos 0 --window 100 --persistent`, 3),
  rate('pair-q1', 'two nodes, QoS 1, window 100', `${PAIRWISE} --qos 1 --window 100 --persistent`, 4),
  rate('pair-q2', 'two nodes, QoS 2, window 50', `${PAIRWISE} --qos 2 --window 50 --persistent`, 4),
  {
    key: 'pair-one',
    title: 'two nodes, one message, QoS 1, p50 ms',
    flags: `${ONE} --qos 1 --persistent`,
    measure: 'p50',
    floor: null,
  },
]

function rate(key: string, title: string, flags: string, floor: number): Row {
  return { key, title, flags, measure: 'rate', floor }
}

/** A, B, A, B …: whatever else the machine does strikes both. */
export async function runRow(
  row: Row,
  mqload: Mqload,
  theirs: Brokers,
  ours: Brokers,
  options: { readonly seconds: number; readonly rounds: number; readonly v5: boolean },
): Promise<RowResult> {
  const runs = { theirs: [] as number[], ours: [] as number[] }
  const trouble = new Set<string>()
  for (let round = 0; round < options.rounds; round++) {
    for (const who of ['theirs', 'ours'] as const) {
      const brokers = who === 'ours' ? ours : theirs
      const ports = ['--pub-port', String(brokers.pub), '--sub-port', String(brokers.sub)]
      const version = options.v5 ? ['--v5'] : []
      const seconds = ['--seconds', String(options.seconds)]
      const figures = await mqload.run([...ports, ...row.flags.split(' '), ...version, ...seconds])
      if (figures.trouble !== null) trouble.add(`${who === 'ours' ? 'TandeMQ' : 'mosquitto'}: ${figures.trouble}`)
      const value = figureOf(row, figures)
      if (Number.isFinite(value)) runs[who].push(value)
    }
  }
  const [a, b] = [median(runs.theirs), median(runs.ours)]
  const ratio = b / a
  const clean = runs.ours.length === options.rounds && ![...trouble].some((text) => text.startsWith('TandeMQ'))
  const ok = row.floor === null ? null : clean && ratio >= row.floor
  return { row, theirs: a, ours: b, ratio, runs, trouble: [...trouble], ok }
}

function figureOf(row: Row, figures: LoadFigures): number {
  if (figures.received === 0) return Number.NaN
  return row.measure === 'rate' ? figures.received : figures.p50Ms
}
