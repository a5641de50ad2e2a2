// Series: the tries of one kind, in milliseconds, and what of them is reported.
import { percentile, printTable, short } from './figures.ts'

export type Aim = { readonly at: 'p50' | 'p99' | 'max'; readonly ms: number }

export class Series {
  readonly title: string
  readonly aim: Aim | null
  /** The same work on something that does not have to do what is measured; null: there is none. */
  readonly control: Series | null
  readonly values: number[] = []

  constructor(title: string, aim: Aim | null = null, control: Series | null = null) {
    this.title = title
    this.aim = aim
    this.control = control
  }

  add(ms: number): void {
    this.values.push(ms)
  }

  summary(): { title: string; tries: number; p50: number; p99: number; max: number; aim: Aim | null } {
    const { title, values, aim } = this
    const at = (q: number) => percentile(values, q)
    return { title, tries: values.length, p50: at(0.5), p99: at(0.99), max: at(1), aim }
  }

  /** `noise`: missed, but the control alone took more than half of what the aim allows. */
  get verdict(): '' | 'ok' | 'noise' | 'SHORT' {
    const { aim, control } = this
    if (aim === null) return ''
    if (this.summary()[aim.at] <= aim.ms) return 'ok'
    return control !== null && control.summary()[aim.at] > aim.ms / 2 ? 'noise' : 'SHORT'
  }
}

export function printSeries(list: readonly Series[]): void {
  const rows = list.map((series) => {
    const { title, tries, p50, p99, max, aim } = series.summary()
    const asked = aim === null ? '' : `${aim.at} ≤ ${aim.ms}`
    return [title, String(tries), short(p50), short(p99), short(max), asked, series.verdict]
  })
  printTable(['milliseconds', 'tries', 'p50', 'p99', 'max', 'aim', ''], rows)
}
