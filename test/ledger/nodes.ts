// Nodes: the two processes under test, ours or mosquitto's, behind one set of verbs.

import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from '../support/haproxy.ts'
import { mosquittoConfig } from '../support/mosquitto.ts'
import { Folder, freePorts, type NodeProcess, PairProcesses, Proc } from '../support/processes.ts'

const ALONE_MS_MAX = 20_000

export interface Nodes extends AsyncDisposable {
  readonly servers: readonly [Server, Server]
  start(i: number): void
  kill9(i: number): Promise<void>
  /** @returns the exit code */
  terminate(i: number): Promise<number | null>
  pause(i: number): void
  resume(i: number): void
  /** Waits until this node serves without the other. */
  alone(i: number): Promise<void>
  /** Waits until both hold everything. */
  synced(): Promise<void>
  /** Messages that wait for somebody on either node. */
  queued(): Promise<number>
  log(i: number): string
}

export class TandemqNodes implements Nodes {
  readonly servers: readonly [Server, Server]
  private readonly pair: PairProcesses

  private constructor(pair: PairProcesses) {
    this.pair = pair
    this.servers = pair.places
  }

  static async start(args: readonly string[]): Promise<TandemqNodes> {
    return new TandemqNodes(await PairProcesses.start(args))
  }

  private node(i: number): NodeProcess {
    return this.pair.nodes[i] as NodeProcess
  }

  start(i: number): void {
    this.node(i).start()
  }

  async kill9(i: number): Promise<void> {
    await this.node(i).kill9()
  }

  async terminate(i: number): Promise<number | null> {
    return await this.node(i).terminate()
  }

  pause(i: number): void {
    this.node(i).pause()
  }

  resume(i: number): void {
    this.node(i).resume()
  }

  async alone(i: number): Promise<void> {
    const until = performance.now() + ALONE_MS_MAX
    for (;;) {
      const answer = await this.node(i).health('ready')
      if (answer?.status === 200 && answer.mode === 'SOLO') return
      if (performance.now() > until) throw new Error(`node ${this.servers[i]?.name} is not alone but ${answer?.mode}`)
      await sleep(10)
    }
  }

  async synced(): Promise<void> {
    await this.pair.synced()
  }

  async queued(): Promise<number> {
    const answers = await Promise.all(this.pair.nodes.map((node) => node.health('live')))
    return Math.max(...answers.map((answer) => Number(answer?.body['queued'] ?? 0)))
  }

  log(i: number): string {
    return this.node(i).log
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair[Symbol.asyncDispose]()
  }
}

/** Two mosquittos, each with its own persistence, and a bridge for everything between them. */
export class MosquittoNodes implements Nodes {
  readonly servers: readonly [Server, Server]
  private readonly folder = new Folder()
  private readonly procs: (Proc | null)[] = [null, null]
  private readonly configs: string[]

  private constructor(ports: readonly number[]) {
    const [a, b] = ports as [number, number]
    this.servers = [
      { name: 'a', mqtt: a, admin: null },
      { name: 'b', mqtt: b, admin: null },
    ]
    const { path } = this.folder
    mkdirSync(path, { recursive: true })
    this.configs = [mosquittoConfig(path, 'a', a, { name: 'b', port: b }), mosquittoConfig(path, 'b', b, null)]
  }

  static async start(): Promise<MosquittoNodes> {
    const nodes = new MosquittoNodes(await freePorts(2))
    nodes.start(1)
    nodes.start(0)
    await nodes.synced()
    return nodes
  }

  start(i: number): void {
    this.procs[i] = new Proc('mosquitto', ['-c', this.configs[i] as string])
  }

  async kill9(i: number): Promise<void> {
    await this.procs[i]?.kill9()
  }

  async terminate(i: number): Promise<number | null> {
    return (await this.procs[i]?.terminate()) ?? null
  }

  pause(i: number): void {
    this.procs[i]?.signal('SIGSTOP')
  }

  resume(i: number): void {
    this.procs[i]?.signal('SIGCONT')
  }

  async alone(i: number): Promise<void> {
    await this.listens(i)
  }

  async synced(): Promise<void> {
    await Promise.all([this.listens(0), this.listens(1)])
    // Nothing says when the bridge is up; it tries again every second.
    await sleep(1_500)
  }

  private async listens(i: number): Promise<void> {
    const port = this.servers[i]?.mqtt as number
    for (let tries = 0; tries < 200; tries++) {
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const socket = connect({ host: '127.0.0.1', port }, () => resolve(true))
      socket.on('error', () => resolve(false))
      const open = await promise
      socket.destroy()
      if (open) return
      await sleep(25)
    }
    throw new Error(`mosquitto ${i} does not listen\n${this.log(i)}`)
  }

  async queued(): Promise<number> {
    return 0
  }

  log(i: number): string {
    return this.procs[i]?.log ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proc of this.procs) proc?.signal('SIGCONT')
    await Promise.all(this.procs.map((proc) => proc?.kill9()))
    this.folder[Symbol.dispose]()
  }
}
