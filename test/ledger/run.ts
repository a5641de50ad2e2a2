// Run: one ledger from start to verdict: nodes, HAProxy, the crowd, the cycles, the count.

import { Prng } from '../../src/base/prng.ts'
import { Haproxy } from '../support/haproxy.ts'
import { Book, type Totals } from './book.ts'
import { Crowd } from './crowd.ts'
import { type Cycle, cycle, type Mode } from './faults.ts'
import { MosquittoNodes, type Nodes, TandemqNodes } from './nodes.ts'

export type LedgerOptions = {
  readonly cycles: number
  readonly mode: Mode
  readonly ack: string
  readonly seed: number
  readonly broker: 'tandemq' | 'mosquitto'
  readonly publishers: number
  readonly subscribers: number
  readonly perSecond: number
  /** The count begins when nothing has come for so long, though something is missing. */
  readonly settleQuietMs: number
  /** Further flags of both nodes. */
  readonly nodeArgs: readonly string[]
}

export const DEFAULTS: LedgerOptions = {
  ...{ cycles: 20, mode: 'kill', ack: 'peer-ram', seed: 1, broker: 'tandemq' },
  ...{ publishers: 6, subscribers: 6, perSecond: 300, settleQuietMs: 5_000, nodeArgs: [] },
}

export type Verdict = {
  readonly one: Totals
  readonly two: Totals
  readonly qos2Repeated: number
  readonly sessionsLost: number
  readonly protocolFaults: number
  /** Messages that a node still keeps for somebody although all were received. */
  readonly leftQueued: number
  /** Cycles that did not go as they should. */
  readonly problems: readonly string[]
  readonly details: readonly string[]
  readonly firstAckMs: readonly number[]
  readonly gapsMs: readonly number[]
  readonly seconds: number
  readonly logs: readonly string[]
  readonly violations: number
}

const SETTLE_MS_MAX = 60_000

export async function runLedger(options: LedgerOptions, say: (line: string) => void): Promise<Verdict> {
  const begun = performance.now()
  const args = ['--ack', options.ack, ...options.nodeArgs]
  await using nodes: Nodes =
    options.broker === 'tandemq' ? await TandemqNodes.start(args) : await MosquittoNodes.start()
  await using haproxy = await Haproxy.start(nodes.servers)
  const prng = new Prng(options.seed)
  const book = new Book()
  const crowd = new Crowd(options, haproxy.port, book, options.seed)
  const firstAckMs: number[] = []
  const problems: string[] = []
  try {
    await crowd.start()
    for (let i = 0; i < options.cycles && problems.length === 0; i++) {
      const done = await cycle(options.mode, i, nodes, crowd, prng).catch((error) => failed(error))
      if (done.problem !== null) problems.push(`cycle ${i + 1}: ${done.problem}`)
      if (done.steps['firstAck'] !== undefined) firstAckMs.push(done.steps['firstAck'])
      say(line(i, done, book))
    }
    await crowd.settle(options.settleQuietMs, SETTLE_MS_MAX)
  } finally {
    crowd.stop()
  }
  const leftQueued = await nodes.queued()
  const lost = book.lost()
  const [one, two] = [book.totals(1, lost[1]), book.totals(2, lost[2])]
  const { qos2Repeated, sessionsLost, protocolFaults, details } = book
  const violations =
    one.lost +
    two.lost +
    (one.disorder + two.disorder) +
    (qos2Repeated + sessionsLost + protocolFaults) +
    (leftQueued + problems.length)
  const counts = { one, two, qos2Repeated, sessionsLost, protocolFaults, leftQueued, violations }
  const logs = [nodes.log(0), nodes.log(1)]
  const gapsMs = crowd.all.filter((client) => !client.spec.roams).flatMap((client) => client.gapsMs)
  const seconds = Math.round((performance.now() - begun) / 1000)
  return { ...counts, problems, details, firstAckMs, gapsMs, seconds, logs }
}

function failed(error: unknown): Cycle {
  return { what: 'failed', steps: {}, problem: error instanceof Error ? error.message : String(error) }
}

function line(i: number, { what, steps, problem }: Cycle, book: Book): string {
  const times = Object.entries(steps).map(([step, ms]) => `${step} ${ms}`)
  const [one, two] = [book.totals(1, 0), book.totals(2, 0)]
  const counts = [
    `acknowledged ${one.acked + two.acked} of ${one.sent + two.sent}`,
    `received ${one.received + two.received}`,
    `again ${one.repeated}+${two.repeated}`,
    ...(book.details.length > 0 ? [`violations ${book.details.length}`] : []),
  ]
  const said = problem === null ? '' : `  ${problem.split('\n')[0]}`
  return `${String(i + 1).padStart(4)}  ${what.padEnd(12)}  ${times.join(', ')} ms  ${counts.join(', ')}${said}`
}
