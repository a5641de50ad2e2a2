// Brokers: TandeMQ (from source or as its executable) and mosquitto as processes of a bench, alone and as two nodes. Each
// ends with its `await using`. Knows nothing of load.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { isAbsolute, join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Folder, freePorts, type Health, Proc, root } from '../support/processes.ts'

const START_MS_MAX = 30_000

/** One or two processes with their data. `pub` and `sub` are the ports for publishers and subscribers. */
export interface Brokers extends AsyncDisposable {
  readonly pub: number
  readonly sub: number
}

/** How TandeMQ is started: the executable, or Bun with the source. */
export type Binary = { readonly command: string; readonly args: readonly string[]; readonly compiled: boolean }

/** @param where `source`, or an executable's path @returns null when there is none */
export function findBinary(where: string): Binary | null {
  if (where === 'source') return { command: process.execPath, args: ['src/main.ts'], compiled: false }
  const command = isAbsolute(where) ? where : join(root, where)
  return existsSync(command) ? { command, args: [], compiled: true } : null
}

/** One TandeMQ node; may be started again with the same place and data. */
export class BenchNode implements Brokers {
  readonly name: string
  readonly pub: number
  readonly sub: number
  readonly cluster: number
  readonly admin: number
  readonly folder: Folder
  proc: Proc | null = null
  private readonly binary: Binary

  constructor(binary: Binary, name: string, ports: readonly number[], folder = new Folder()) {
    const [mqtt = 0, admin = 0, cluster = 0] = ports
    this.binary = binary
    this.name = name
    this.pub = mqtt
    this.sub = mqtt
    this.admin = admin
    this.cluster = cluster
    this.folder = folder
  }

  /** A lone node that is not running yet. */
  static async place(binary: Binary): Promise<BenchNode> {
    return new BenchNode(binary, 'a', await freePorts(2))
  }

  static async lone(binary: Binary, args: readonly string[] = []): Promise<BenchNode> {
    const node = await BenchNode.place(binary)
    await node.start(null, args)
    return node
  }

  spawn(peer: BenchNode | null, args: readonly string[] = []): Proc {
    const { binary, name, folder } = this
    const pair = peer === null ? [] : ['--cluster', loopback(this.cluster), '--peer', loopback(peer.cluster)]
    const own = ['--name', name, '--listen', loopback(this.pub), '--admin', loopback(this.admin)]
    this.proc = new Proc(binary.command, [
      ...binary.args,
      ...own,
      ...pair,
      '--data',
      join(folder.path, name),
      '--allow-anonymous',
      ...args,
    ])
    return this.proc
  }

  async start(peer: BenchNode | null, args: readonly string[] = []): Promise<void> {
    this.spawn(peer, args)
    await this.until('ready')
  }

  async health(which: Health): Promise<boolean> {
    try {
      const answer = await fetch(this.url(`/health/${which}`), { signal: AbortSignal.timeout(2000) })
      await answer.arrayBuffer()
      return answer.status === 200
    } catch {
      return false
    }
  }

  url(path: string): string {
    return `http://${loopback(this.admin)}${path}`
  }

  async status(): Promise<Record<string, unknown>> {
    return (await (await fetch(this.url('/api/v1/status'))).json()) as Record<string, unknown>
  }

  async until(which: Health, everyMs = 10, ms = START_MS_MAX): Promise<void> {
    const until = performance.now() + ms
    while (!(await this.health(which))) {
      if (this.proc?.isUp !== true || performance.now() > until) {
        throw new Error(`node ${this.name} is not ${which}:\n${this.proc?.log.slice(-3000)}`)
      }
      await sleep(everyMs)
    }
  }

  get pid(): number {
    return this.proc?.child.pid ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proc?.terminate(5_000)
    this.folder[Symbol.dispose]()
  }
}

export class TandemPair implements Brokers {
  readonly a: BenchNode
  readonly b: BenchNode

  private constructor(a: BenchNode, b: BenchNode) {
    this.a = a
    this.b = b
  }

  /** Two nodes that are not running yet. */
  static async places(binary: Binary): Promise<TandemPair> {
    const ports = await freePorts(6)
    return new TandemPair(new BenchNode(binary, 'a', ports.slice(0, 3)), new BenchNode(binary, 'b', ports.slice(3)))
  }

  static async start(binary: Binary, args: readonly string[] = []): Promise<TandemPair> {
    const pair = await TandemPair.places(binary)
    pair.a.spawn(pair.b, args)
    pair.b.spawn(pair.a, args)
    await pair.synced()
    return pair
  }

  get nodes(): readonly [BenchNode, BenchNode] {
    return [this.a, this.b]
  }

  get pub(): number {
    return this.a.pub
  }

  get sub(): number {
    return this.b.pub
  }

  other(node: BenchNode): BenchNode {
    return node === this.a ? this.b : this.a
  }

  async synced(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.until('synced')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()))
  }
}

/** mosquitto alone, or two with a bridge between them, over which everything goes both ways. */
export class Mosquitto implements Brokers {
  readonly pub: number
  readonly sub: number
  private readonly procs: Proc[] = []
  private readonly folder = new Folder()

  private constructor(ports: readonly number[]) {
    this.pub = ports[0] ?? 0
    this.sub = ports.at(-1) ?? 0
  }

  /** Of two, the one with the bridge starts last: it would wait a while where the other is not up yet. */
  static async start(nodes: 1 | 2): Promise<Mosquitto> {
    const brokers = new Mosquitto(await freePorts(nodes))
    const { pub, sub } = brokers
    if (nodes === 2) await brokers.spawn(sub, [])
    await brokers.spawn(pub, nodes === 2 ? bridgeTo(sub) : [])
    if (nodes === 2) await sleep(1000)
    return brokers
  }

  private async spawn(port: number, bridge: readonly string[]): Promise<void> {
    const file = join(this.folder.path, `${port}.conf`)
    writeFileSync(file, [...settings(port), ...bridge, ''].join('\n'))
    this.procs.push(new Proc('mosquitto', ['-c', file]))
    await untilListening(port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.procs.map((proc) => proc.terminate(5_000)))
    this.folder[Symbol.dispose]()
  }
}

function settings(port: number): string[] {
  return [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'max_inflight_messages 1000',
    'max_queued_messages 100000',
    'log_type error',
  ]
}

function bridgeTo(port: number): string[] {
  return [
    'connection bridge',
    `address 127.0.0.1:${port}`,
    'topic # both 2',
    'remote_clientid bridge',
    'cleansession false',
    'restart_timeout 1',
    'bridge_protocol_version mqttv311',
    'try_private true',
    'notifications false',
  ]
}

function loopback(port: number): string {
  return `127.0.0.1:${port}`
}

async function untilListening(port: number): Promise<void> {
  const until = performance.now() + START_MS_MAX
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    const up = await promise
    socket.destroy()
    if (up) return
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`)
    await sleep(20)
  }
}

/** Resident memory, kB. */
export function residentKb(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1] ?? Number.NaN)
}
