// Run: one fuzzing from start to verdict: node or pair, bystanders, warm-up, rest, damaged packets, rest, what is left.

import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { Aftermath } from './aftermath.ts'
import { Bystanders } from './bystanders.ts'
import { Nodes } from './nodes.ts'
import { makeScript } from './script.ts'
import { Seeds } from './seeds.ts'
import { Swarm } from './swarm.ts'

export type FuzzOptions = {
  /** Damaged packets that the node must at least have read. */
  readonly packets: number
  readonly seed: number
  /** The number of the first script. */
  readonly from: number
  readonly transports: readonly ('tcp' | 'ws')[]
  readonly pair: boolean
  readonly connections: number
  /** Damaged packets before memory is read first: until names and routes are as many as a node remembers. */
  readonly warmUp: number
  /** How long the node rests before its memory is read. */
  readonly restMs: number
  /** By how much the resident memory of a rested node may have grown: runtimes give back what they took late, or not at all. */
  readonly growthMibMax: number
  readonly program: readonly string[] | null
}

export const DEFAULTS: FuzzOptions = {
  ...{ packets: 1_000_000, seed: 1, from: 0, transports: ['tcp', 'ws'], pair: false, connections: 48 },
  ...{ warmUp: 2_000_000, restMs: 6_000, growthMibMax: 128, program: null },
}

export type FuzzVerdict = {
  readonly problems: readonly string[]
  readonly figures: readonly string[]
}

const SILENT_S = 1
const SLACK_MS = 25_000
const POLL_MS = 400

export async function runFuzz(options: FuzzOptions, say: (line: string) => void): Promise<FuzzVerdict> {
  await using nodes = await Nodes.start(options.pair, options.program)
  const fuzz = new Fuzz(options, nodes, say)
  try {
    await fuzz.run()
  } catch (error) {
    fuzz.problems.push(error instanceof Error ? error.message : String(error))
  }
  for (const { node, odd } of nodes.watches) {
    const code = await node.terminate()
    if (code !== 0) fuzz.problems.push(`node ${node.place.name} ended with ${code}: ${node.log.slice(-1500)}`)
    for (const line of odd) fuzz.problems.push(`node ${node.place.name} said: ${line}`)
  }
  return { problems: [...new Set(fuzz.problems)], figures: fuzz.figures }
}

class Fuzz {
  readonly problems: string[] = []
  readonly figures: string[] = []
  private readonly options: FuzzOptions
  private readonly nodes: Nodes
  private readonly say: (line: string) => void
  private readonly swarm: Swarm
  private readonly bystanders: Bystanders
  private readonly seeds: Seeds
  private number: number
  private on = false

  constructor(options: FuzzOptions, nodes: Nodes, say: (line: string) => void) {
    this.options = options
    this.nodes = nodes
    this.say = say
    this.number = options.from
    this.seeds = new Seeds(new Prng(options.seed))
    const ports = nodes.watches.map(({ node }) => node.place.mqtt)
    this.bystanders = new Bystanders([ports[0] as number, ports.at(-1) as number])
    const { seed, transports, connections } = options
    this.swarm = new Swarm({
      ports: { tcp: ports[0] as number, ws: nodes.target.ws },
      connections,
      closeMsMax: SILENT_S * 1500 + SLACK_MS,
      next: () => {
        if (!this.on) return null
        const number = this.number++
        return makeScript(this.seeds, seed, number, transports[number % transports.length] === 'ws', SILENT_S)
      },
    })
  }

  async run(): Promise<void> {
    const { packets, warmUp, restMs, growthMibMax } = this.options
    const { swarm, bystanders, nodes } = this
    const aftermath = new Aftermath(nodes)
    await bystanders.start()
    await this.storm(warmUp, 'warm-up')
    await aftermath.swept()
    const before = await Promise.all(nodes.watches.map((watch) => watch.restingMib(restMs)))
    const [connectionsBefore, damagedBefore] = [swarm.connections, swarm.damaged]
    const begun = performance.now()
    const read = await this.storm(packets, 'run')
    const seconds = (performance.now() - begun) / 1000
    if (this.options.pair) await aftermath.alike()
    await aftermath.swept()
    const after = await Promise.all(nodes.watches.map((watch) => watch.restingMib(restMs)))
    const metrics = await nodes.target.metrics()
    await bystanders.stop()
    await aftermath.nothingLeft()
    this.problems.push(...swarm.problems, ...bystanders.problems, ...aftermath.problems)
    this.figures.push(...aftermath.figures)
    this.figures.push(
      `${read} damaged packets read in ${seconds.toFixed(1)} s (${Math.round(read / seconds)} a second), ` +
        `${swarm.damaged - damagedBefore} sent over ${swarm.connections - connectionsBefore} connections, ` +
        `${swarm.damagedFrames} of ${swarm.frames} WebSocket frames damaged too`,
      `faults ${metrics.labelled('faults')}; refused ${metrics.labelled('refused') || 'none'}`,
      `dropped ${metrics.labelled('dropped') || 'none'}`,
      `answers read as a client would: ${swarm.answeredPackets} packets; log lines: ${nodes.target.lines}`,
      `bystanders: ${bystanders.rounds} rounds of ping-pong, the longest ${Math.round(bystanders.roundMsMax)} ms; ` +
        `${bystanders.received} of ${bystanders.kept} kept messages received over ${bystanders.returns} connections`,
    )
    for (const [i, { node }] of nodes.watches.entries()) {
      const [was, is] = [before[i] as number, after[i] as number]
      this.figures.push(
        `memory of node ${node.place.name}: ${was.toFixed(0)} MiB rested before, ${is.toFixed(0)} after`,
      )
      if (is - was > growthMibMax) this.problems.push(`node ${node.place.name} grew by ${(is - was).toFixed(0)} MiB`)
    }
  }

  /** @returns damaged packets that the node has read */
  private async storm(packets: number, what: string): Promise<number> {
    const { swarm } = this
    const first = await this.read()
    this.on = true
    const running = swarm.run()
    let done = 0
    let told = performance.now()
    try {
      while (done < packets && swarm.problems.length === 0 && this.bystanders.problems.length === 0) {
        await sleep(POLL_MS)
        for (const watch of this.nodes.watches) watch.check()
        done = (await this.read()) - first
        if (performance.now() - told < 10_000) continue
        told = performance.now()
        this.say(`${what}: ${done} of ${packets}, script ${this.number}`)
      }
    } catch (error) {
      const playing = [...swarm.playing].map(([number, how]) => `${number} ${how}`).join(', ')
      throw new Error(`${error instanceof Error ? error.message : error}\nscripts at play: ${playing}`)
    } finally {
      this.on = false
    }
    await running
    return (await this.read()) - first
  }

  /**
   * No more than the damaged packets that the node has read: of all that it read, less all that was sent undamaged. A fault is a packet
   * too, but over WebSocket it may be a frame's.
   */
  private async read(): Promise<number> {
    const { swarm, bystanders, nodes, options } = this
    const metrics = await nodes.target.metrics()
    const faults = options.transports.includes('ws') ? 0 : metrics.total('faults')
    return metrics.get('packets_received') + faults - swarm.valid - bystanders.sent
  }
}
