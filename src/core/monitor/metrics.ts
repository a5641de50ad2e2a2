// Metrics: what is counted and what can be read off, and its Prometheus text. Counts, never measures.
import { COUNTER_FAMILIES, COUNTERS } from './counters.ts'
import { Histogram, LATENCIES } from './histogram.ts'

type Kind = 'counter' | 'gauge' | 'histogram'
/** A value and the label that tells it apart from others of its name. */
export type Labelled = readonly [label: string, value: number]

const PREFIX = 'tandemq_'
const DROPPED = 'dropped_'
/** Names that Prometheus gives to what every process has. */
const PROCESS = 'process_'

export class Metrics {
  private readonly counters = new Map<string, number>(Object.keys(COUNTERS).map((name) => [name, 0]))
  private readonly families: { name: string; kind: Kind; help: string; lines: () => string[] }[] = []

  add(name: string, n = 1): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + n)
  }

  get(name: string): number {
    return this.counters.get(name) ?? 0
  }

  /** Messages dropped, for whatever reason. */
  get dropped(): number {
    let sum = 0
    for (const [name, n] of this.counters) if (name.startsWith(DROPPED)) sum += n
    return sum
  }

  /** Reasons for which none was are left out. */
  get droppedByReason(): Record<string, number> {
    const reasons: Record<string, number> = {}
    for (const [name, n] of this.counters)
      if (n > 0 && name.startsWith(DROPPED)) reasons[name.slice(DROPPED.length)] = n
    return reasons
  }

  /** What is counted elsewhere, by whoever counts it cheapest. */
  counter(name: string, help: string, read: () => number): void {
    this.family(`${name}_total`, 'counter', help, (base) => [sample(base, '', read())])
  }

  gauge(name: string, help: string, read: () => number): void {
    this.family(name, 'gauge', help, (base) => [sample(base, '', read())])
  }

  /** Values of one name, each with its own label. */
  labelled(kind: 'counter' | 'gauge', name: string, label: string, help: string, read: () => Labelled[]): void {
    this.family(kind === 'counter' ? `${name}_total` : name, kind, help, (base) =>
      read().map(([value, n]) => sample(base, labels(label, value), n)),
    )
  }

  histogram(name: string, help: string, bounds: readonly number[] = LATENCIES): Histogram {
    const histogram = new Histogram(bounds)
    this.family(name, 'histogram', help, (base) => {
      const lines: string[] = []
      for (const [bound, count] of histogram.cumulative())
        lines.push(sample(`${base}_bucket`, labels('le', numberText(bound)), count))
      return [...lines, sample(`${base}_sum`, '', histogram.sum), sample(`${base}_count`, '', histogram.count)]
    })
    return histogram
  }

  private family(name: string, kind: Kind, help: string, lines: (base: string) => string[]): void {
    const base = name.startsWith(PROCESS) ? name : PREFIX + name
    this.families.push({ name: base, kind, help, lines: () => lines(base) })
  }

  /** Prometheus text format 0.0.4, sorted by name. */
  render(): string {
    const families = [...this.families, ...this.counted()]
    families.sort((a, b) => (a.name < b.name ? -1 : 1))
    let text = ''
    for (const { name, kind, help, lines } of families) {
      text += `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${kind}\n`
      for (const line of lines()) text += `${line}\n`
    }
    return text
  }

  private counted(): Metrics['families'] {
    const found = new Map<string, { name: string; kind: Kind; help: string; lines: () => string[] }>()
    for (const [name, n] of [...this.counters].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      const at = name.indexOf('_')
      const shared = COUNTER_FAMILIES[name.slice(0, Math.max(at, 0))]
      const base = `${PREFIX}${shared === undefined ? name : name.slice(0, at)}_total`
      const line = sample(base, shared === undefined ? '' : labels(shared.label, name.slice(at + 1)), n)
      const before = found.get(base)
      const lines = [...(before?.lines() ?? []), line]
      const help = shared?.help ?? COUNTERS[name] ?? name.replaceAll('_', ' ')
      found.set(base, { name: base, kind: 'counter', help, lines: () => lines })
    }
    return [...found.values()]
  }
}

function labels(name: string, value: string): string {
  const text = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `{${name}="${text}"}`
}

function sample(name: string, label: string, value: number): string {
  return `${name}${label} ${numberText(value)}`
}

function numberText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : String(value)
}
