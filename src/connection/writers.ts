// Writers: output buffers shared by connections, so that an idle one holds none.
import { ByteWriter } from '../base/bytes.ts'

const CAPACITY = 4096
const KEEP = 256
const KEEP_BYTES_MAX = 256 * 1024

export class Writers {
  private free: ByteWriter[] = []

  take(): ByteWriter {
    return this.free.pop() ?? new ByteWriter(CAPACITY)
  }

  give(writer: ByteWriter): void {
    writer.clear()
    if (this.free.length < KEEP && writer.buf.length <= KEEP_BYTES_MAX) this.free.push(writer)
  }
}
