// Series: the tries of one kind, in milliseconds, and what of them is reported.
import { percentile, printTable, short } from './figures.ts'

export type Aim = { readonly at: 'p50' | 'p99' | 'max'; readonly ms: number }

export class Series {
  readonly title: string
  readonly aim: Aim | null
  readonly values: number[] = []

  constructor(title: string, aim: Aim | null = null) {
    this.title = title
    this.aim = aim
  }

  add(ms: number): void {
    this.values.push(ms)
  }

  summary(): { title: string; tries: number; p50: number; p99: number; max: number; aim: Aim | null } {
    const { title, values, aim } = this
    const at = (q: number) => percentile(values, q)
    return { title, tries: values.length, p50: at(0.5), p99: at(0.99), max: at(1), aim }
  }

  get ok(): boolean | null {
    return this.aim === null ? null : this.summary()[this.aim.at] <= this.aim.ms
  }
}

export function printSeries(list: readonly Series[]): void {
  const rows = list.map((series) => {
    const { title, tries, p50, p99, max, aim } = series.summary()
    const verdict = series.ok === null ? '' : series.ok ? 'ok' : 'SHORT'
    return [title, String(tries), short(p50), short(p99), short(max), aim ? `${aim.at} ≤ ${aim.ms}` : '', verdict]
  })
  printTable(['milliseconds', 'tries', 'p50', 'p99', 'max', 'aim', ''], rows)
}
