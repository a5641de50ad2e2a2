// World: virtual time, one event heap, one source of chance, the transcript and what was found wrong. Knows no MQTT.
import { Prng } from '../../src/base/prng.ts'
import { EventHeap } from './heap.ts'

/** `inv` is the number of the invariant in the design, or X (exception), W (wire). */
export type Violation = { readonly inv: string; readonly text: string; readonly at: number }

/** Far beyond any healthy run: a loop that never comes to rest. */
const EVENTS_MAX = 3_000_000

export class World {
  now = 0
  events = 0
  readonly prng: Prng
  readonly violations: Violation[] = []
  /** Checks to look behind. */
  readonly ignored: ReadonlySet<string>
  /** What was reached, for `--cover`. */
  readonly cover = new Map<string, number>()
  private readonly heap = new EventHeap()
  private readonly print: ((line: string) => void) | null
  private state = 0x811c9dc5

  constructor(seed: number, print: ((line: string) => void) | null, ignored: ReadonlySet<string>) {
    this.prng = new Prng(seed)
    this.print = print
    this.ignored = ignored
  }

  get tracing(): boolean {
    return this.print !== null
  }

  get failed(): boolean {
    return this.violations.length > 0
  }

  /** Of everything that was noted: equal for equal runs. */
  get hash(): string {
    return (this.state >>> 0).toString(16).padStart(8, '0')
  }

  at(time: number, run: () => void): void {
    this.heap.push(Math.max(time, this.now), run)
  }

  after(ms: number, run: () => void): void {
    this.heap.push(this.now + Math.max(0, ms), run)
  }

  /** Runs all events up to `until`; stops early at the first violation, or when `done` says so. */
  run(until: number, done: () => boolean = () => false): void {
    while (!this.failed && this.heap.next() <= until) {
      const event = this.heap.pop()
      if (event === undefined) break
      this.now = event.at
      if (++this.events > EVENTS_MAX) {
        this.violate('26', `more than ${EVENTS_MAX} events`)
        return
      }
      try {
        event.run()
      } catch (error) {
        this.violate('X', error instanceof Error ? (error.stack ?? String(error)) : String(error))
      }
      if (done()) return
    }
    if (!this.failed) this.now = Math.max(this.now, until)
  }

  note(who: string, what: string): void {
    let h = this.state
    for (let i = 0; i < who.length; i++) h = Math.imul(h ^ who.charCodeAt(i), 0x01000193)
    for (let i = 0; i < what.length; i++) h = Math.imul(h ^ what.charCodeAt(i), 0x01000193)
    this.state = Math.imul(h ^ Math.floor(this.now * 1000), 0x01000193)
    if (this.print !== null) this.print(`${this.now.toFixed(3).padStart(10)} ${who.padEnd(5)} ${what}`)
  }

  /** Only into the transcript: what depends on the core's own words. */
  remark(who: string, what: string): void {
    if (this.print !== null) this.print(`${this.now.toFixed(3).padStart(10)} ${who.padEnd(5)}   . ${what}`)
  }

  mark(what: string): void {
    this.cover.set(what, (this.cover.get(what) ?? 0) + 1)
  }

  violate(inv: string, text: string): void {
    if (this.ignored.has(inv)) return
    this.violations.push({ inv, text, at: this.now })
    this.note('!!!', `invariant ${inv}: ${text}`)
  }
}
