// NodeWatch: one fuzzed node seen from outside: its process, its log line by line, its metrics and lists. Judges its log.

import { setTimeout as sleep } from 'node:timers/promises'
import { rowsOf } from '../support/api.ts'
import type { NodeProcess } from '../support/processes.ts'
import { type Family, parseMetrics } from '../support/prometheus.ts'

const MIB = 1024 * 1024
const ODD_MAX = 20
/** A client's fault is no reason to warn the operator. */
const LEVELS_BAD = ['warn', 'error']

export class NodeWatch {
  readonly node: NodeProcess
  readonly ws: number
  lines = 0
  /** Lines that no node should say, cut. */
  readonly odd: string[] = []
  private rest = ''

  private constructor(node: NodeProcess, ws: number) {
    this.node = node
    this.ws = ws
    node.onOutput((chunk) => this.onOutput(chunk))
  }

  static async of(node: NodeProcess): Promise<NodeWatch> {
    const answer = await node.health('live')
    const listeners = answer?.body['listeners'] as { ws: readonly string[] }
    const ws = Number((listeners.ws[0] as string).split(':').at(-1))
    return new NodeWatch(node, ws)
  }

  private onOutput(chunk: string): void {
    const lines = (this.rest + chunk).split('\n')
    this.rest = lines.pop() as string
    for (const line of lines) {
      this.lines++
      if (!isSound(line) && this.odd.length < ODD_MAX) this.odd.push(line.slice(0, 500))
    }
  }

  /** @throws where the node is gone, or has said what it should not */
  check(): void {
    const { node, odd } = this
    if (!node.isUp) throw new Error(`node ${node.place.name} is gone: ${node.log.slice(-3000)}`)
    if (odd.length > 0) throw new Error(`node ${node.place.name} said: ${odd[0]}`)
  }

  async metrics(): Promise<Metrics> {
    const answer = await fetch(this.node.url('/metrics'), { signal: AbortSignal.timeout(30_000) })
    return new Metrics(await answer.text())
  }

  rows(list: string): Promise<Record<string, unknown>[]> {
    return rowsOf(this.node, `/api/v1/${list}?limit=1000`)
  }

  /** The least resident memory, in MiB, seen while nothing happens. */
  async restingMib(ms: number): Promise<number> {
    let least = Number.POSITIVE_INFINITY
    for (let passed = 0; passed <= ms; passed += 250) {
      least = Math.min(least, (await this.metrics()).get('process_resident_memory_bytes') / MIB)
      await sleep(250)
    }
    return least
  }
}

function isSound(line: string): boolean {
  try {
    const { level, event } = JSON.parse(line) as { level?: string; event?: string }
    return typeof event === 'string' || (level !== undefined && !LEVELS_BAD.includes(level))
  } catch {
    return false
  }
}

export class Metrics {
  private readonly families: ReadonlyMap<string, Family>

  constructor(text: string) {
    this.families = parseMetrics(text)
  }

  /** The sum over all labels. */
  get(name: string): number {
    const family = this.family(name)
    if (family === undefined) throw new Error(`no metric ${name}`)
    return sum(family)
  }

  /** Of what is counted by reason: a family without any reason yet is not shown. */
  total(name: string): number {
    const family = this.family(name)
    return family === undefined ? 0 : sum(family)
  }

  /** Label and value, the largest first; none that is 0. */
  labelled(name: string): string {
    const samples = this.family(name)?.samples.filter(({ value }) => value > 0) ?? []
    const sorted = [...samples].sort((a, b) => b.value - a.value)
    return sorted.map(({ labels, value }) => `${Object.values(labels)[0]} ${value}`).join(', ')
  }

  private family(name: string): Family | undefined {
    const names = [`tandemq_${name}`, `tandemq_${name}_total`, name]
    return names.map((full) => this.families.get(full)).find((family) => family !== undefined)
  }
}

function sum(family: Family): number {
  return family.samples.reduce((total, { value }) => total + value, 0)
}
