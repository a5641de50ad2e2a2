// Footprint: what TandeMQ costs by itself: ten thousand clients at once, memory per idle connection, start, memory at rest.
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchNode, type Binary, residentKb, TandemPair } from './brokers.ts'
import { median } from './figures.ts'
import type { Mqload } from './mqload.ts'
import { read } from './mqload.ts'

export type Figure = {
  readonly key: string
  readonly title: string
  readonly value: number
  readonly runs: readonly number[]
  /** At most; null: no floor, or none for this kind of binary. */
  readonly floor: number | null
  readonly trouble: string | null
}

const CLIENTS = 10_000
const STARTS = 9
const SETTLE_MS = 1_000
const SETTLES_MAX = 12

/** Resident memory once it has stopped falling: the collector works on idle processes, too. */
async function settledKb(pid: number, rounds = SETTLES_MAX): Promise<number> {
  let least = residentKb(pid)
  for (let i = 0; i < rounds; i++) {
    await sleep(SETTLE_MS)
    const now = residentKb(pid)
    if (i > 1 && now > least * 0.995) return Math.min(now, least)
    least = Math.min(least, now)
  }
  return least
}

/** All at once on a fresh node each time; then what each of them costs while idle. */
export async function connectionFigures(binary: Binary, mqload: Mqload, rounds: number): Promise<Figure[]> {
  const seconds: number[] = []
  const kb: number[] = []
  let trouble: string | null = null
  for (let round = 0; round < rounds; round++) {
    await using node = await BenchNode.lone(binary)
    // A few clients first: the code they run is no cost of a connection.
    await mqload.run(idle(node, 200, 0.2))
    const before = await settledKb(node.pid)
    const load = mqload.start(idle(node, CLIENTS, SETTLES_MAX + 4))
    while (load.isUp && ((await node.status())['connections'] as number) < CLIENTS) await sleep(100)
    const during = load.isUp ? await settledKb(node.pid, SETTLES_MAX) : Number.NaN
    const figures = read(load.log, await load.ended)
    trouble = figures.trouble ?? trouble
    seconds.push(read(load.log, 0).connectSec)
    kb.push((during - before) / CLIENTS)
  }
  return [
    figure('connect', `${CLIENTS} clients connect at once, s`, seconds, 1, trouble),
    figure('idle', 'kB per idle connection', kb, 8, trouble),
  ]
}

function idle(node: BenchNode, clients: number, seconds: number): string[] {
  const load = ['--idle', String(clients), '--pubs', '1', '--subs', '1', '--rate', '1', '--warmup', '0.1']
  return ['--port', String(node.pub), ...load, '--seconds', String(seconds)]
}

/** Spawn to `/health/ready` 200, on an empty data directory. */
export async function startFigure(binary: Binary): Promise<Figure> {
  const runs: number[] = []
  for (let i = 0; i < STARTS; i++) {
    await using place = await BenchNode.place(binary)
    const started = performance.now()
    place.spawn(null)
    await place.until('ready', 1)
    runs.push(performance.now() - started)
  }
  return figure('start', 'start to ready, ms', runs, binary.compiled ? 150 : null, null)
}

export async function restFigures(binary: Binary): Promise<Figure[]> {
  const lone: number[] = []
  {
    await using node = await BenchNode.lone(binary)
    lone.push((await settledKb(node.pid)) / 1024)
  }
  await using pair = await TandemPair.start(binary)
  const both = await Promise.all(pair.nodes.map((node) => settledKb(node.pid)))
  const floor = binary.compiled ? 70 : null
  return [
    figure('rest', 'memory at rest, MB', lone, floor, null),
    figure(
      'rest',
      'memory at rest, node of a pair, MB',
      both.map((kb) => kb / 1024),
      floor,
      null,
    ),
  ]
}

function figure(
  key: string,
  title: string,
  runs: readonly number[],
  floor: number | null,
  trouble: string | null,
): Figure {
  return { key, title, value: median(runs), runs, floor, trouble }
}
