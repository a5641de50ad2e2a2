// Processes: real nodes on loopback, started, killed, paused and ended by process id, on ports that nobody else gets. Knows a
// node by its command line and admin address only, as an operator does.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const LOG_CHARS_MAX = 8_000_000
const END_MS_MAX = 15_000
/** Below the range from which outgoing connections take theirs: a port stays free while its node is down. */
const PORT_MIN = 10_240
const PORT_MAX = 32_000

export const root = fileURLToPath(new URL('../..', import.meta.url))
const isDeno = 'Deno' in globalThis
const THIS_PROGRAM = [process.execPath, ...(isDeno ? ['run', '-A', '--no-lock'] : []), 'src/main.ts']

const running = new Set<Proc>()
process.once('exit', () => {
  for (const proc of running) proc.child.kill('SIGKILL')
})

const taken = new Set<number>()

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  return promise
}

/** Ports of loopback that nothing listens on and no other call has got. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    if (taken.has(port) || !(await isFree(port))) continue
    taken.add(port)
    ports.push(port)
  }
  return ports
}

/** A folder of its own for one test; `using` removes it. */
export class Folder implements Disposable {
  readonly path: string

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'tandemq-test-'))
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A child process whose output is kept, and which does not outlive this one. */
export class Proc {
  readonly child: ChildProcess
  /** Both outputs, as they came. */
  log = ''
  isUp = true
  exitCode: number | null = null
  readonly ended: Promise<number | null>
  private readonly listeners: ((chunk: string) => void)[] = []

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.ended = promise
    this.child = spawn(command, args, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    running.add(this)
    const take = (chunk: Uint8Array) => {
      const text = chunk.toString()
      this.log += text
      // Not at each chunk: it copies all of it.
      if (this.log.length > 2 * LOG_CHARS_MAX) this.log = this.log.slice(-LOG_CHARS_MAX)
      for (const listener of this.listeners) listener(text)
    }
    this.child.stdout?.on('data', take)
    this.child.stderr?.on('data', take)
    this.child.stdin?.on('error', () => {})
    const over = (code: number | null) => {
      running.delete(this)
      this.isUp = false
      this.exitCode = code
      resolve(code)
    }
    this.child.once('error', (error) => {
      this.log += String(error)
      over(null)
    })
    this.child.once('exit', over)
  }

  onOutput(listener: (chunk: string) => void): void {
    this.listeners.push(listener)
  }

  /** Whole lines of what it says. */
  onLine(listener: (line: string) => void): void {
    let rest = ''
    this.onOutput((chunk) => {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) listener(line)
    })
  }

  signal(name: NodeJS.Signals): void {
    const { pid } = this.child
    if (!this.isUp || pid === undefined) return
    // Not child.kill: on Deno a child that was sent a signal is reported as killed by it, whatever its exit code.
    try {
      process.kill(pid, name)
    } catch {
      // it has just ended
    }
  }

  /** Resolves once it is gone. */
  async kill9(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }

  /** SIGTERM; after `ms` the hard way. @returns the exit code, null when it had to be killed */
  async terminate(ms = END_MS_MAX): Promise<number | null> {
    this.signal('SIGTERM')
    const timer = new AbortController()
    const late = sleep(ms, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const)
    const how = await Promise.race([this.ended, late])
    timer.abort()
    if (how === 'late') await this.kill9()
    return this.exitCode
  }
}

export type NodePlace = {
  readonly name: string
  readonly mqtt: number
  readonly cluster: number
  readonly admin: number
}
export type Health = 'live' | 'ready' | 'synced'
export type HealthAnswer = { readonly status: number; readonly mode: string; readonly body: Record<string, unknown> }

/** One node of a pair: its place stays, its process comes and goes. */
export class NodeProcess {
  readonly place: NodePlace
  readonly data: string
  /** A command that its process is started by, with the node's own command behind it: a shell that first takes something away. */
  startedBy: readonly string[] = []
  /** What stands for TandeMQ, without flags: this runtime with the source, or an executable. */
  program: readonly string[] = THIS_PROGRAM
  private readonly args: readonly string[]
  private proc: Proc | null = null
  private past = ''
  private listener: (chunk: string) => void = () => {}

  constructor(place: NodePlace, peer: NodePlace | null, folder: string, args: readonly string[] = []) {
    this.place = place
    this.data = join(folder, place.name)
    const pair = peer === null ? [] : ['--cluster', address(place.cluster), '--peer', address(peer.cluster)]
    this.args = [
      ...['--name', place.name, '--listen', address(place.mqtt), '--admin', address(place.admin)],
      ...pair,
      ...['--data', this.data],
      ...args,
    ]
  }

  get isUp(): boolean {
    return this.proc?.isUp === true
  }

  get pid(): number | null {
    return this.proc?.child.pid ?? null
  }

  /** What all its processes have said, a line between two of them. */
  get log(): string {
    return this.past + (this.proc?.log ?? '')
  }

  start(): void {
    if (this.isUp) throw new Error(`node ${this.place.name} runs already`)
    if (this.proc !== null) this.past = `${this.log}--- ended with ${this.proc.exitCode} ---\n`.slice(-LOG_CHARS_MAX)
    const [command = '', ...args] = [...this.startedBy, ...this.program, ...this.args]
    this.proc = new Proc(command, args)
    this.proc.onOutput((chunk) => this.listener(chunk))
  }

  /** What any of its processes says, as it comes. */
  onOutput(listener: (chunk: string) => void): void {
    this.listener = listener
  }

  async kill9(): Promise<void> {
    await this.proc?.kill9()
  }

  async terminate(ms = END_MS_MAX): Promise<number | null> {
    return this.proc === null ? null : await this.proc.terminate(ms)
  }

  /** Waits for it to end by itself. @returns the exit code */
  async ended(): Promise<number | null> {
    return this.proc === null ? null : await this.proc.ended
  }

  /** SIGSTOP: the process stands still, its sockets stay open. */
  pause(): void {
    this.proc?.signal('SIGSTOP')
  }

  resume(): void {
    this.proc?.signal('SIGCONT')
  }

  /** Null when it does not answer. */
  async health(which: Health, ms = 1000): Promise<HealthAnswer | null> {
    try {
      const answer = await fetch(this.url(`/health/${which}`), { signal: AbortSignal.timeout(ms) })
      const body = (await answer.json()) as Record<string, unknown>
      return { status: answer.status, mode: String(body['mode']), body }
    } catch {
      return null
    }
  }

  url(path: string): string {
    return `http://${address(this.place.admin)}${path}`
  }

  /** Waits until the health check says yes. */
  async until(which: Health, ms = 30_000): Promise<void> {
    const until = performance.now() + ms
    for (;;) {
      const answer = await this.health(which)
      if (answer?.status === 200) return
      const state = this.isUp ? `is ${answer?.mode ?? 'silent'}` : `has ended with ${this.proc?.exitCode}`
      if (!this.isUp || performance.now() > until) {
        throw new Error(`node ${this.place.name} not ${which} in ${ms} ms, it ${state}\n${this.log.slice(-4000)}`)
      }
      await sleep(25)
    }
  }
}

function address(port: number): string {
  return `127.0.0.1:${port}`
}

/** Two nodes that are each other's peer. `await using` ends both and removes their data. */
export class PairProcesses implements AsyncDisposable {
  readonly a: NodeProcess
  readonly b: NodeProcess
  private readonly folder = new Folder()

  private constructor(places: readonly [NodePlace, NodePlace], args: readonly string[]) {
    const [a, b] = places
    this.a = new NodeProcess(a, b, this.folder.path, args)
    this.b = new NodeProcess(b, a, this.folder.path, args)
  }

  /** Starts both and waits until they are in step. @param args further flags of both nodes */
  static async start(args: readonly string[] = [], program: readonly string[] = THIS_PROGRAM): Promise<PairProcesses> {
    const ports = await freePorts(6)
    const place = (name: string, i: number) => {
      const [mqtt, cluster, admin] = ports.slice(i, i + 3) as [number, number, number]
      return { name, mqtt, cluster, admin }
    }
    const pair = new PairProcesses([place('a', 0), place('b', 3)], args)
    for (const node of pair.nodes) {
      node.program = program
      node.start()
    }
    try {
      await pair.synced()
    } catch (error) {
      await pair[Symbol.asyncDispose]()
      throw error
    }
    return pair
  }

  get nodes(): readonly [NodeProcess, NodeProcess] {
    return [this.a, this.b]
  }

  get places(): readonly [NodePlace, NodePlace] {
    return [this.a.place, this.b.place]
  }

  other(node: NodeProcess): NodeProcess {
    return node === this.a ? this.b : this.a
  }

  async synced(ms = 60_000): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.until('synced', ms)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) node.resume()
    await Promise.all(this.nodes.map((node) => node.terminate(5_000)))
    this.folder[Symbol.dispose]()
  }
}
