// Mqtt packet: the only door to the package mqtt-packet, one frame in, its object out. Knows its habits, not our types.
//
// The package is lenient (cut-off strings become null, unknown flags pass), so every frame is checked by our own code
// before it comes here; an error it still reports is a fault all the same.
import { generate, type Packet, parser, writeToStream } from 'mqtt-packet'
import { malformed, type WireFault } from './wire_fault.ts'

// Its first generate would otherwise build a table of 65 536 buffers.
writeToStream.cacheNumbers = false

type MqttParser = ReturnType<typeof parser>

const REFUSED = malformed('packet that cannot be parsed')

let parsed: Packet | null = null
let failed = false

function makeParser(protocolVersion: number): MqttParser {
  const made = parser({ protocolVersion })
  made.on('packet', (packet) => {
    parsed = packet
  })
  made.on('error', () => {
    failed = true
  })
  return made
}

const shared = new Map<number, MqttParser>()

/** Parses exactly one whole packet; its byte fields are views of `frame`. */
export function parseFrame(frame: Uint8Array, version: number): Packet | WireFault {
  parsed = null
  failed = false
  let using = shared.get(version)
  if (using === undefined) shared.set(version, (using = makeParser(version)))
  const rest = using.parse(asBuffer(frame))
  const packet: Packet | null = parsed
  parsed = null
  // A parser keeps what it was last given, of a CONNECT the password: it is not used again.
  if (failed || rest !== 0 || packet === null || (packet as Packet).cmd === 'connect') shared.delete(version)
  return failed || packet === null ? REFUSED : packet
}

/** Encodes a packet as a client sends it. */
export function generateFrame(packet: Packet, version: number): Uint8Array {
  return generate(packet, { protocolVersion: version })
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
