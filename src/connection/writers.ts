// Writers: output buffers shared by connections, so that an idle one holds none; and how much they may take before who does not read
// has to wait. Knows no connection.
import { ByteWriter } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'

const CAPACITY = 4096
const KEEP = 256
const KEEP_BYTES_MAX = 256 * 1024

export class Writers {
  /** Bytes that sockets have not taken at the end of their connections' turns. */
  held = 0
  private readonly heldMax: number
  private free: ByteWriter[] = []

  /** @param heldMax bytes above which each connection gets little room */
  constructor(heldMax: number) {
    this.heldMax = heldMax
  }

  take(): ByteWriter {
    return this.free.pop() ?? new ByteWriter(CAPACITY)
  }

  give(writer: ByteWriter): void {
    writer.clear()
    if (this.free.length < KEEP && writer.buf.length <= KEEP_BYTES_MAX) this.free.push(writer)
  }

  /** What one connection holds. @returns it as it is now */
  account(before: number, now: number): number {
    this.held += now - before
    return now
  }

  /** Bytes of one connection above which its messages of QoS 0 are dropped. */
  get qos0Max(): number {
    return this.held > this.heldMax ? LIMITS.outBytesTightMax : LIMITS.outBytesQos0Max
  }

  /** ... above which those that it can be sent later wait in its session. */
  get pumpMax(): number {
    return this.held > this.heldMax ? LIMITS.outBytesTightMax : LIMITS.outBytesPumpMax
  }
}
