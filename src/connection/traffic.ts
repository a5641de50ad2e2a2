// Traffic: what went over all client connections since the start: packets by type, bytes, payloads. Knows neither clients nor topics.
import type { PacketType } from '../wire/packet.ts'

/** Packet types are the numbers 1 to 15. */
const TYPES = 16

export class Traffic {
  private readonly packetsIn = new Float64Array(TYPES)
  private readonly packetsOut = new Float64Array(TYPES)
  bytesIn = 0
  /** Bytes that the sockets have taken. */
  bytesOut = 0
  /** Payload bytes of PUBLISH packets. */
  payloadBytesIn = 0
  payloadBytesOut = 0

  received(type: PacketType): void {
    this.packetsIn[type] = (this.packetsIn[type] as number) + 1
  }

  sent(type: PacketType): void {
    this.packetsOut[type] = (this.packetsOut[type] as number) + 1
  }

  receivedOf(type: PacketType): number {
    return this.packetsIn[type] as number
  }

  sentOf(type: PacketType): number {
    return this.packetsOut[type] as number
  }

  get packetsReceived(): number {
    return sum(this.packetsIn)
  }

  get packetsSent(): number {
    return sum(this.packetsOut)
  }
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, n) => total + n, 0)
}
