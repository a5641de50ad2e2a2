// Ledger: two real nodes behind a real HAProxy lose one of them again and again under load; at the end it is counted whether
// every acknowledged message arrived, each of QoS 2 once, in order, with no session forgotten.
//
//   npm run ledger -- --cycles 100 [--mode kill|term|stop|both|lag] [--ack LEVEL] [--seed N] [--broker tandemq|mosquitto]
//                     [--publishers N] [--subscribers N] [--rate MESSAGES-PER-SECOND] [--logs DIR] [-- NODE-FLAGS…]
//
// kill   kill -9 of one node, then the other, in turns; each is started again and waited for
// term   SIGTERM: the node hands its clients over and ends
// stop   SIGSTOP for up to 6 s, then SIGCONT
// both   kill -9 of both at once; with --ack both-disk unless told otherwise
// lag    the same, after one of them stood still for a moment: what one has on disk the other never got
//
// Ends with 1 if anything was lost, repeated (QoS 2), out of order or forgotten; --logs keeps what the nodes said. The same
// against two bridged mosquittos shows that the ledger can fail.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Totals } from './book.ts'
import { MODES, type Mode } from './faults.ts'
import { DEFAULTS, type LedgerOptions, runLedger, type Verdict } from './run.ts'

function options(): LedgerOptions & { logs: string | null } {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...{ cycles: text, mode: text, ack: text, seed: text, broker: text, publishers: text },
      ...{ subscribers: text, rate: text, logs: text },
    },
  })
  const mode = (values.mode ?? DEFAULTS.mode) as Mode
  const broker = (values.broker ?? DEFAULTS.broker) as LedgerOptions['broker']
  if (!MODES.includes(mode)) throw new Error(`--mode is one of ${MODES.join(', ')}`)
  if (broker !== 'tandemq' && broker !== 'mosquitto') throw new Error('--broker is tandemq or mosquitto')
  const number = (name: string, value: string | undefined, or: number): number => {
    const n = value === undefined ? or : Number(value)
    if (!Number.isSafeInteger(n) || n < 1) throw new Error(`--${name} takes a whole number from 1 on`)
    return n
  }
  return {
    ...{ mode, broker, nodeArgs: positionals, logs: values.logs ?? null },
    settleQuietMs: DEFAULTS.settleQuietMs,
    ack: values.ack ?? (mode === 'both' || mode === 'lag' ? 'both-disk' : DEFAULTS.ack),
    cycles: number('cycles', values.cycles, DEFAULTS.cycles),
    seed: number('seed', values.seed, DEFAULTS.seed),
    publishers: number('publishers', values.publishers, DEFAULTS.publishers),
    subscribers: number('subscribers', values.subscribers, DEFAULTS.subscribers),
    perSecond: number('rate', values.rate, DEFAULTS.perSecond),
  }
}

function quantiles(name: string, values: readonly number[]): string {
  if (values.length === 0) return `${name}  none`
  const sorted = [...values].sort((a, b) => a - b)
  const at = (q: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number)
  return `${name}  p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)} ms  (${values.length})`
}

function table(verdict: Verdict): string {
  const { one, two } = verdict
  const row = (title: string, of: (totals: Totals) => number) =>
    title.padEnd(28) + String(of(one)).padStart(10) + String(of(two)).padStart(10)
  const single = (title: string, n: number) => title.padEnd(28) + String(n).padStart(10)
  return [
    ' '.repeat(28) + 'QoS 1'.padStart(10) + 'QoS 2'.padStart(10),
    row('sent', (t) => t.sent),
    row('acknowledged', (t) => t.acked),
    row('received by subscribers', (t) => t.received),
    row('received again', (t) => t.repeated),
    row('acknowledged and lost', (t) => t.lost),
    row('out of order', (t) => t.disorder),
    single('QoS 2 received twice', verdict.qos2Repeated),
    single('sessions lost', verdict.sessionsLost),
    single('protocol faults', verdict.protocolFaults),
    single('left in queues', verdict.leftQueued),
    single('cycles gone wrong', verdict.problems.length),
    '',
    quantiles('fault to first new acknowledgement ', verdict.firstAckMs),
    quantiles("a client's connection lost to CONNACK", verdict.gapsMs),
  ].join('\n')
}

async function main(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  let given: ReturnType<typeof options>
  try {
    given = options()
  } catch (error) {
    console.error(`ledger: ${error instanceof Error ? error.message : error}`)
    return 2
  }
  const { cycles, mode, ack, seed, broker } = given
  console.log(`${broker}: ${cycles} cycles of ${mode}, --ack ${ack}, seed ${seed}`)
  const verdict = await runLedger(given, (line) => console.log(line))
  if (given.logs !== null) {
    mkdirSync(given.logs, { recursive: true })
    for (const [i, log] of verdict.logs.entries()) writeFileSync(join(given.logs, `${'ab'[i]}.log`), log)
  }
  console.log(`\n${table(verdict)}\n`)
  for (const text of [...verdict.problems, ...verdict.details]) console.log(text)
  const { violations, seconds } = verdict
  console.log(`${violations === 0 ? 'clean' : `${violations} VIOLATIONS`}: ${cycles} cycles in ${seconds} s`)
  return violations === 0 ? 0 : 1
}

if (import.meta.main) process.exit(await main())
