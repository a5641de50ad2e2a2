// Faults: what happens to the nodes in one cycle, and how long each step of it took.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Prng } from '../../src/base/prng.ts'
import type { Crowd } from './crowd.ts'
import type { Nodes } from './nodes.ts'

export const MODES = ['kill', 'term', 'stop', 'both', 'lag'] as const
export type Mode = (typeof MODES)[number]

/** Milliseconds by step. `firstAck`: from the fault to the acknowledgement of a message sent after it. */
export type Cycle = { readonly what: string; readonly steps: Record<string, number>; readonly problem: string | null }

const LOAD_MS = [200, 700] as const
const LAG_MS = [50, 400] as const
const DOWN_MS = [100, 500] as const
/** Shorter and longer than the time after which a node goes on alone. */
const SHORT_PAUSE_MS = [200, 2_500] as const
const LONG_PAUSE_MS = [4_000, 6_000] as const

class Laps {
  readonly steps: Record<string, number> = {}
  private last = performance.now()

  lap(name: string): void {
    const now = performance.now()
    this.steps[name] = Math.round(now - this.last)
    this.last = now
  }
}

export async function cycle(mode: Mode, i: number, nodes: Nodes, crowd: Crowd, prng: Prng): Promise<Cycle> {
  await sleep(prng.int(...LOAD_MS))
  const target = i % 2
  const laps = new Laps()
  const firstAck = crowd.firstAck()
  const what = await faults[mode](target, nodes, crowd, prng, laps)
  const late = sleep(30_000, null, { ref: false })
  const ms = await Promise.race([firstAck, late])
  if (ms === null) return { what: what.what, steps: laps.steps, problem: 'nothing acknowledged for 30 s' }
  await crowd.allUp()
  laps.lap('clients')
  return { what: what.what, steps: { firstAck: Math.round(ms), ...laps.steps }, problem: what.problem }
}

type Outcome = { what: string; problem: string | null }
type Fault = (target: number, nodes: Nodes, crowd: Crowd, prng: Prng, laps: Laps) => Promise<Outcome>

const name = (nodes: Nodes, i: number) => nodes.servers[i]?.name ?? '?'

const faults: Readonly<Record<Mode, Fault>> = {
  /** One process dies; at times it dies again while it comes back. */
  async kill(target, nodes, _crowd, prng, laps) {
    const twice = prng.chance(0.2)
    await nodes.kill9(target)
    laps.lap('dead')
    await nodes.alone(1 - target)
    laps.lap('alone')
    await sleep(prng.int(...DOWN_MS))
    if (twice) {
      nodes.start(target)
      await sleep(prng.int(50, 300))
      await nodes.kill9(target)
    }
    laps.lap('down')
    nodes.start(target)
    await nodes.synced()
    laps.lap('synced')
    return { what: `kill ${name(nodes, target)}${twice ? ' twice' : ''}`, problem: null }
  },

  /** One process is told to go, and comes back. */
  async term(target, nodes, _crowd, prng, laps) {
    const code = await nodes.terminate(target)
    laps.lap('left')
    await nodes.alone(1 - target)
    laps.lap('alone')
    await sleep(prng.int(...DOWN_MS))
    laps.lap('down')
    nodes.start(target)
    await nodes.synced()
    laps.lap('synced')
    return { what: `term ${name(nodes, target)}`, problem: code === 0 ? null : `ended with ${code} after SIGTERM` }
  },

  /** One process stands still for a while. */
  async stop(target, nodes, _crowd, prng, laps) {
    const long = prng.chance(0.5)
    const ms = long ? prng.int(...LONG_PAUSE_MS) : prng.int(...SHORT_PAUSE_MS)
    nodes.pause(target)
    await sleep(ms)
    if (long) await nodes.alone(1 - target)
    laps.lap('paused')
    nodes.resume(target)
    await sleep(50)
    await nodes.synced()
    laps.lap('synced')
    return { what: `stop ${name(nodes, target)}${long ? ' long' : ''}`, problem: null }
  },

  /** Both die at once. */
  both: (target, nodes, _crowd, prng, laps) => killBoth(target, nodes, prng, laps),

  /** Both die at once, one of them a moment behind the other. */
  async lag(target, nodes, _crowd, prng, laps) {
    nodes.pause(target)
    await sleep(prng.int(...LAG_MS))
    laps.lap('lag')
    const outcome = await killBoth(target, nodes, prng, laps)
    return { ...outcome, what: `${outcome.what}, ${name(nodes, target)} behind` }
  },
}

async function killBoth(target: number, nodes: Nodes, prng: Prng, laps: Laps): Promise<Outcome> {
  await Promise.all([nodes.kill9(target), nodes.kill9(1 - target)])
  laps.lap('dead')
  await sleep(prng.int(...DOWN_MS))
  laps.lap('down')
  nodes.start(target)
  await sleep(prng.int(0, 300))
  nodes.start(1 - target)
  await nodes.synced()
  laps.lap('synced')
  return { what: 'kill both', problem: null }
}
