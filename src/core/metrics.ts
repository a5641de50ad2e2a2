// Metrics: plain counters and gauges, and their Prometheus text. Counts, never measures.

type Kind = 'counter' | 'gauge'
const PREFIX = 'tandemq_'

export class Metrics {
  private counters = new Map<string, number>()
  publishesIn = 0
  bytesIn = 0
  linkBytesIn = 0
  private gauges = new Map<string, { help: string; read: () => number }>()

  add(name: string, n = 1): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + n)
  }

  get(name: string): number {
    return this.counters.get(name) ?? 0
  }

  gauge(name: string, help: string, read: () => number): void {
    this.gauges.set(name, { help, read })
  }

  entries(): Record<string, number> {
    const all: Record<string, number> = {}
    for (const [name, value] of this.counters) all[name] = value
    for (const [name, { read }] of this.gauges) all[name] = read()
    return all
  }

  /** Prometheus text format 0.0.4. `dropped_x` and `faults_x` become one family with a reason label each. */
  render(): string {
    const families = new Map<string, { kind: Kind; help: string; lines: string[] }>()
    const family = (name: string, kind: Kind, help: string): string[] => {
      let f = families.get(name)
      if (f === undefined) {
        f = { kind, help, lines: [] }
        families.set(name, f)
      }
      return f.lines
    }
    for (const [name, value] of [...this.counters].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      const labelled = /^(dropped|faults|merged)_(.+)$/.exec(name)
      if (labelled !== null) {
        const base = `${PREFIX}${labelled[1]}_total`
        family(base, 'counter', `${labelled[1]} by reason`).push(`${base}{reason="${labelled[2]}"} ${value}`)
      } else {
        const base = `${PREFIX}${name}_total`
        family(base, 'counter', name.replaceAll('_', ' ')).push(`${base} ${value}`)
      }
    }
    for (const [name, { help, read }] of this.gauges) {
      const base = PREFIX + name
      family(base, 'gauge', help).push(`${base} ${read()}`)
    }
    let text = ''
    for (const [name, { kind, help, lines }] of families)
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join('\n')}\n`
    return text
  }
}
