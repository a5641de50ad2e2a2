// Snapshot: a node joins a peer full of sessions and retained messages while messages flow. `bun test/bench/snapshot.ts`
//
//   --sessions N (50000)   --retained N (100000)   --rate N     messages a second meanwhile (1000)
//   --binary WHAT          an executable, or `source` (dist/tandemq)                 --json   figures for machines
//
// Reports the longest pause of the stream, how long until both nodes are in step, and whether both hold the same. The other
// node joins empty first, then once more after kill -9, with what is on its disk. The exit code is 1 when a pause is too long
// or the nodes differ.
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { rowsOf } from '../support/api.ts'
import { type BenchNode, findBinary, TandemPair } from './brokers.ts'
import { BenchClient, numbered, topicOf } from './client.ts'
import { printTable, short } from './figures.ts'
import { readFlags, refuse } from './flags.ts'
import { type Pauses, Stream } from './stream.ts'

const PAUSE_MS_MAX = 50
const ALONE_MS = 3_000
const TOGETHER_MS = 3_000
/** So that one phase's pause does not reach into the next. */
const REST_MS = 500
const AT_ONCE = 250

const flags = readFlags('snapshot', {
  sessions: 50_000,
  retained: 100_000,
  rate: 1000,
  binary: 'dist/tandemq',
  json: false,
})
const binary = findBinary(flags.binary)
if (binary === null) refuse('snapshot', `--binary: there is no ${flags.binary}; npm run build makes dist/tandemq`)

/** All times in milliseconds. `own`: the longest pause of this process itself, which makes the others seem as long. */
type Phase = { phase: string; ms: number; leader: number; acks: number; across: number | null; own: number }

class Listeners {
  readonly phases: Phase[] = []
  private readonly stream: Stream
  private readonly leader: Pauses
  across: Pauses | null = null
  private since = performance.now()

  constructor(stream: Stream, leader: Pauses) {
    this.stream = stream
    this.leader = leader
  }

  /** What happened since the last call is a phase of its own. */
  close(phase: string): void {
    const { stream, leader, across } = this
    const now = performance.now()
    const [own, acks] = [stream.own.take(now), stream.acks.take(now)]
    const ms = now - this.since
    this.phases.push({ phase, ms, leader: leader.take(now), acks, across: across?.take(now) ?? null, own })
    this.since = now
  }
}

async function fill(node: BenchNode): Promise<void> {
  let n = 0
  const one = async () => {
    for (let i = n++; i < flags.sessions; i = n++) {
      const client = await BenchClient.connected(node.pub, `session-${i}`)
      await client.subscribe(`session/${i}/+`, 1)
      client.end()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  const publisher = await BenchClient.connected(node.pub, 'retainer', true)
  for (let i = 0; i < flags.retained; ) {
    const acked = publisher.acks(Math.min(AT_ONCE, flags.retained - i))
    for (let j = 0; j < AT_ONCE && i < flags.retained; j++, i++) {
      publisher.publish(topicOf(`retained/${i % 1000}/${i}`), numbered(i), 1, true)
    }
    publisher.flush()
    await acked
  }
  publisher.end()
}

/** From the spawn until both are in step. */
async function join(pair: TandemPair): Promise<void> {
  pair.b.spawn(pair.a)
  await pair.b.until('ready', 5, 120_000)
  await Promise.all(pair.nodes.map((node) => node.until('synced', 5, 120_000)))
}

/** Whether both nodes hold the same durable sessions, subscriptions and retained messages, and as many as were made. */
async function compare(pair: TandemPair): Promise<{ ok: boolean; text: string }> {
  const texts: string[] = []
  let ok = true
  for (const [list, least] of [
    ['sessions', flags.sessions],
    ['subscriptions', flags.sessions],
    ['retained', flags.retained],
  ] as const) {
    const [a, b] = await Promise.all(pair.nodes.map((node) => held(node, list)))
    const same = a !== undefined && b !== undefined && a.size >= least && a.size === b.size && a.isSubsetOf(b)
    texts.push(`${list} ${a?.size} and ${b?.size}`)
    ok &&= same
  }
  return { ok, text: texts.join(', ') }
}

async function held(node: BenchNode, list: string): Promise<Set<string>> {
  const rows = await rowsOf(node, `/api/v1/${list}`)
  const durable = rows.filter((row) => row['durable'] !== false)
  return new Set(durable.map((row) => `${row['client'] ?? row['topic']} ${row['filter'] ?? ''}`))
}

async function main(pair: TandemPair): Promise<number> {
  const { a, b } = pair
  await a.start(b, ['--bootstrap'])
  const filling = performance.now()
  await fill(a)
  const fillMs = performance.now() - filling
  const stream = await Stream.start(a.pub, flags.rate)
  const { pauses } = await stream.listen(a.pub, 'stream-here')
  const listeners = new Listeners(stream, pauses)
  const equal: { ok: boolean; text: string }[] = []
  await sleep(1000)
  listeners.close('warm-up')
  await sleep(ALONE_MS)
  listeners.close('the leader alone')
  for (const phase of ['joins empty', 'joins again']) {
    await join(pair)
    listeners.close(phase)
    const across = await stream.listen(b.pub, `stream-there`)
    listeners.across = across.pauses
    await sleep(TOGETHER_MS)
    listeners.close('both in step')
    equal.push(await compare(pair))
    await sleep(REST_MS)
    listeners.close('comparing')
    across.client.end()
    listeners.across = null
    await b.proc?.kill9()
    await sleep(ALONE_MS)
    listeners.close('the other node killed')
  }
  stream.stop()
  return report(listeners.phases, equal, fillMs)
}

/** `noise`: too long, but this process itself stood still for more than half of what is allowed. */
function verdict({ phase, leader, acks, across, own }: Phase): '' | 'ok' | 'noise' | 'SHORT' {
  if (!/^joins|^both/.test(phase)) return ''
  const longest = Math.max(leader, acks, across ?? 0)
  if (longest <= PAUSE_MS_MAX) return 'ok'
  return own > PAUSE_MS_MAX / 2 && longest < own + PAUSE_MS_MAX ? 'noise' : 'SHORT'
}

function report(phases: readonly Phase[], equal: readonly { ok: boolean; text: string }[], fillMs: number): number {
  if (flags.json) console.log(JSON.stringify({ phases, equal, fillMs }))
  else {
    console.log(`${flags.sessions} sessions and ${flags.retained} retained messages made in ${short(fillMs)} ms`)
    const cell = (ms: number | null) => (ms === null ? '' : short(ms))
    const rows = phases.map((phase) => {
      const { leader, acks, across, own } = phase
      return [phase.phase, short(phase.ms), ...[leader, acks, across, own].map(cell), verdict(phase)]
    })
    printTable(['longest pause, ms', 'lasted', 'leader', 'PUBACK', 'across', 'this process', `≤ ${PAUSE_MS_MAX}`], rows)
    for (const { ok, text } of equal) console.log(`${ok ? 'equal' : 'DIFFERENT'}: ${text}`)
  }
  return phases.some((phase) => verdict(phase) === 'SHORT') || equal.some(({ ok }) => !ok) ? 1 : 0
}

let code = 1
{
  await using pair = await TandemPair.places(binary)
  code = await main(pair)
}
process.exit(code)
