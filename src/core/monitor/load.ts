// Load: moving averages of counts, as an operating system tells of its load: per minute, over one, five and fifteen minutes. Knows
// neither clock nor what is counted.

export const LOAD_SPANS = [
  { name: '1min', seconds: 60 },
  { name: '5min', seconds: 300 },
  { name: '15min', seconds: 900 },
] as const

export class Load {
  private last: number
  private readonly averages = [0, 0, 0]

  constructor(count: number) {
    this.last = count
  }

  /** @param seconds since the last sample */
  sample(count: number, seconds: number): void {
    const perMinute = ((count - this.last) * 60) / seconds
    this.last = count
    for (const [i, span] of LOAD_SPANS.entries()) {
      const kept = Math.exp(-seconds / span.seconds)
      this.averages[i] = perMinute + kept * ((this.averages[i] as number) - perMinute)
    }
  }

  /** @param span index in LOAD_SPANS */
  average(span: number): number {
    return this.averages[span] as number
  }
}
