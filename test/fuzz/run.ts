// Run: one fuzzing from start to verdict: node or pair, bystanders, warm-up, rest, damaged packets, rest, what is left.

import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess, PairProcesses } from '../support/processes.ts'
import { Bystanders, CALM_ID } from './bystanders.ts'
import { type Metrics, NodeWatch } from './node_watch.ts'
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
  readonly warmUp: number
  /** How long the node rests before its memory is read. */
  readonly restMs: number
  /** By how much the resident memory of a rested node may have grown. */
  readonly growthMibMax: number
  readonly program: readonly string[] | null
}

export const DEFAULTS: FuzzOptions = {
  ...{ packets: 1_000_000, seed: 1, from: 0, transports: ['tcp', 'ws'], pair: false, connections: 48 },
  ...{ warmUp: 300_000, restMs: 6_000, growthMibMax: 48, program: null },
}

export type FuzzVerdict = {
  readonly problems: readonly string[]
  readonly figures: readonly string[]
}

const SILENT_S = 1
const SLACK_MS = 25_000
const POLL_MS = 400
const SWEEPERS = 20
/** Short times, so that nobody waits for them; small bounds, so that they are reached. */
const NODE_FLAGS = [
  ...['--listen-ws', '127.0.0.1:0', '--log-format', 'json', '--max-keep-alive', '4', '--connect-timeout-ms', '2000'],
  ...['--max-session-expiry', '60', '--max-queued-messages', '500', '--max-queued-bytes', '1000000'],
  ...['--max-retained-messages', '500', '--max-packet-bytes', '100000', '--sys-interval', '1'],
]
/** What must be nothing when all are gone. */
const NOTHING_LEFT = [
  ...[
    'connections',
    'sockets',
    'sessions',
    'subscriptions',
    'shared_subscriptions',
    'shared_groups',
    'queued_messages',
  ],
  ...['queued_bytes', 'inflight_messages', 'retained_messages', 'retained_bytes', 'stored_messages', 'stored_bytes'],
  ...['kept_bytes', 'authentications_open', 'claims_open', 'ring_groups', 'publishers_waiting'],
]

export async function runFuzz(options: FuzzOptions, say: (line: string) => void): Promise<FuzzVerdict> {
  await using nodes = await Nodes.start(options)
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

class Nodes implements AsyncDisposable {
  readonly watches: readonly NodeWatch[]
  private readonly end: () => Promise<void>

  private constructor(watches: readonly NodeWatch[], end: () => Promise<void>) {
    this.watches = watches
    this.end = end
  }

  static async start({ pair, program }: FuzzOptions): Promise<Nodes> {
    if (pair) {
      const both = await PairProcesses.start(NODE_FLAGS, program ?? undefined)
      const watches = await Promise.all(both.nodes.map((node) => NodeWatch.of(node)))
      return new Nodes(watches, () => both[Symbol.asyncDispose]())
    }
    const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
    const folder = new Folder()
    const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path, NODE_FLAGS)
    if (program !== null) node.program = program
    node.start()
    const end = async () => {
      await node.terminate(5_000)
      folder[Symbol.dispose]()
    }
    try {
      await node.until('ready')
      return new Nodes([await NodeWatch.of(node)], end)
    } catch (error) {
      await end()
      throw error
    }
  }

  /** The one that is fuzzed. */
  get target(): NodeWatch {
    return this.watches[0] as NodeWatch
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }
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
    await bystanders.start()
    await this.storm(warmUp, 'warm-up')
    await this.rest()
    const before = await Promise.all(nodes.watches.map((watch) => watch.restingMib(restMs)))
    const [connectionsBefore, damagedBefore] = [swarm.connections, swarm.damaged]
    const begun = performance.now()
    const read = await this.storm(packets, 'run')
    const seconds = (performance.now() - begun) / 1000
    if (this.options.pair) await this.alike()
    await this.rest()
    const after = await Promise.all(nodes.watches.map((watch) => watch.restingMib(restMs)))
    const metrics = await nodes.target.metrics()
    await bystanders.stop()
    await this.nothingLeft()
    this.problems.push(...swarm.problems, ...bystanders.problems)
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
        this.alive()
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

  private alive(): void {
    for (const { node, odd } of this.nodes.watches) {
      if (!node.isUp) throw new Error(`node ${node.place.name} is gone: ${node.log.slice(-3000)}`)
      if (odd.length > 0) throw new Error(`node ${node.place.name} said: ${odd[0]}`)
    }
  }

  /** The fuzzed connections are gone; then their sessions and retained messages are ended as any client could do it. */
  private async rest(): Promise<void> {
    const { target } = this.nodes
    await this.until('the fuzzed connections are gone', async () => {
      const clients = await target.rows('clients')
      return clients.every(({ client, connected }) => !connected || String(client).startsWith(CALM_ID))
    })
    const { mqtt } = target.node.place
    const sessions = (await target.rows('sessions')).map(({ client }) => String(client))
    const lanes = Array.from({ length: SWEEPERS }, async () => {
      for (let client = sessions.pop(); client !== undefined; client = sessions.pop()) {
        if (client.startsWith(CALM_ID)) continue
        const last = MqttClient.open(mqtt, client, 4)
        last.sendConnect({ cleanStart: true })
        await last.expect('connack')
        await last.disconnect()
      }
    })
    await Promise.all(lanes)
    const sweeper = await MqttClient.connect(mqtt, `${CALM_ID}sweeper`, { version: 5, keepAlive: 4 })
    await this.until('nothing is retained', async () => {
      const retained = await target.rows('retained')
      for (const { topic } of retained) {
        sweeper.sendPublish(String(topic), '', { qos: 1, retain: true })
        await sweeper.expect('puback')
      }
      return retained.length === 0
    })
    await sweeper.disconnect()
  }

  /** Both nodes of the pair come to hold the same, and their link has never dropped. */
  private async alike(): Promise<void> {
    const { watches } = this.nodes
    const fuzzed = ({ client }: Record<string, unknown>) => client === undefined || !String(client).startsWith(CALM_ID)
    const lists = async (watch: NodeWatch): Promise<string> => {
      const all = ['sessions', 'subscriptions', 'retained'].map((list) => watch.rows(list))
      const rows = (await Promise.all(all)).flat().filter(fuzzed)
      return rows
        .map(({ mine: _, ...row }) => JSON.stringify(row))
        .sort()
        .join('\n')
    }
    let [a, b] = ['', '']
    await this.until('both nodes hold the same', async () => {
      ;[a, b] = (await Promise.all(watches.map(lists))) as [string, string]
      return a === b && a !== ''
    }).catch((error) => {
      const [inA, inB] = [new Set(a.split('\n')), new Set(b.split('\n'))]
      const only = [...inA].filter((row) => !inB.has(row)).slice(0, 5)
      const others = [...inB].filter((row) => !inA.has(row)).slice(0, 5)
      this.problems.push(`${error.message}; only a: ${only.join(' ')}; only b: ${others.join(' ')}`)
    })
    this.figures.push(`both nodes hold the same ${a.split('\n').length} sessions, subscriptions and retained messages`)
    let joined = 0
    for (const watch of watches) {
      const metrics = await watch.metrics()
      const [joins, faults, resumes] = ['joins', 'link_faults', 'link_resumes'].map((name) => metrics.get(name))
      joined += joins as number
      if (faults !== 0 || resumes !== 0 || metrics.get('link_up') !== 1)
        this.problems.push(`node ${watch.node.place.name}: ${faults} link faults, ${resumes} resumes`)
    }
    if (joined !== 1) this.problems.push(`the nodes have joined ${joined} times`)
  }

  private async nothingLeft(): Promise<void> {
    for (const watch of this.nodes.watches) {
      let left = ''
      await this.until('nothing is left', async () => {
        const metrics: Metrics = await watch.metrics()
        left = NOTHING_LEFT.flatMap((name) => (metrics.get(name) === 0 ? [] : [`${name} ${metrics.get(name)}`])).join(
          ', ',
        )
        return left === ''
      }).catch(() => this.problems.push(`left at node ${watch.node.place.name}: ${left}`))
    }
  }

  private async until(what: string, check: () => Promise<boolean>, ms = 30_000): Promise<void> {
    const end = performance.now() + ms
    while (!(await check())) {
      this.alive()
      if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
      await sleep(100)
    }
  }
}
