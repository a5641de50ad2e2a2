// Mqtt packet: the only door to the package mqtt-packet, one frame in, its object out. Knows its habits, not our types.
//
// The package is lenient (cut-off strings become null, unknown flags pass), so every frame is checked by our own code
// before it comes here; an error it still reports is a fault all the same.
import { type Packet, parser } from 'mqtt-packet'
import { malformed, type WireFault } from './wire_fault.ts'

type MqttParser = ReturnType<typeof parser>
type Settled = { settings: { protocolVersion: number } }

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
  if (failed || rest !== 0 || packet === null) shared.delete(version)
  // A parser keeps a CONNECT as its settings, password and all; making a new one costs twenty times as much as the packet.
  else if ((packet as Packet).cmd === 'connect') (using as unknown as Settled).settings = { protocolVersion: version }
  return failed || packet === null ? REFUSED : packet
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
