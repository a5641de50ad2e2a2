// Histogram: how often a measured value fell under each of some bounds. Knows neither name nor unit.

/** Seconds: a hop over a good link takes half a millisecond, a slow disk tens of them; a refused client has waited for five seconds. */
export const LATENCIES = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export class Histogram {
  /** Upper bounds, ascending; what lies above all of them is counted as well. */
  readonly bounds: readonly number[]
  /** By bound, not cumulative; the last one is for what lies above. */
  private readonly counts: number[]
  count = 0
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    let i = 0
    while (i < this.bounds.length && value > (this.bounds[i] as number)) i++
    this.counts[i] = (this.counts[i] as number) + 1
    this.count++
    this.sum += value
  }

  /** Pairs of a bound and how many values were not above it. */
  *cumulative(): Generator<readonly [bound: number, count: number]> {
    let below = 0
    for (const [i, bound] of this.bounds.entries()) {
      below += this.counts[i] as number
      yield [bound, below]
    }
    yield [Number.POSITIVE_INFINITY, this.count]
  }
}
