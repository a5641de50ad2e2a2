// Names: topics and publishers that have crossed the stream once and cross it as a number from then on. Both ends count alike,
// because a stream's groups are made and applied in one order; neither counts long ones. Knows no ops.
import { PeerFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'

/** The sender's side. */
export class SentNames {
  private numbers = new Map<string, number>()

  /** The name itself the first time (and when the table is full), its number later. */
  refer(name: string): string | number {
    const number = this.numbers.get(name)
    if (number !== undefined) return number
    if (this.numbers.size < LIMITS.streamNamesMax && name.length <= LIMITS.streamNameLengthMax)
      this.numbers.set(name, this.numbers.size)
    return name
  }

  clear(): void {
    if (this.numbers.size > 0) this.numbers = new Map()
  }
}

/** The receiver's side. */
export class HeardNames {
  private names: string[] = []

  /** @throws {PeerFault} for a number that was never given */
  resolve(ref: string | number): string {
    if (typeof ref === 'number') {
      const name = this.names[ref]
      if (name === undefined) throw new PeerFault('a name was never told')
      return name
    }
    if (this.names.length < LIMITS.streamNamesMax && ref.length <= LIMITS.streamNameLengthMax) this.names.push(ref)
    return ref
  }

  clear(): void {
    if (this.names.length > 0) this.names = []
  }
}
