// Wire bench: packets per second through the decoder and the encoder alone, beside mqtt-packet. `bun test/bench/wire.ts`
import { type Packet, parser } from 'mqtt-packet'
import { ByteWriter, copyBytes, NO_BYTES, utf8 } from '../../src/base/bytes.ts'
import { writeConnect, writeSubscribe } from '../../src/wire/client_encoder.ts'
import { Decoder } from '../../src/wire/decoder.ts'
import { writeAck, writePublish } from '../../src/wire/encoder.ts'
import { encodeMessageProps } from '../../src/wire/message_props.ts'
import type { PacketSink, Version } from '../../src/wire/packet.ts'

const CHUNK_BYTES = 64 * 1024
const RUN_MS = 400

class Counter implements PacketSink {
  n = 0
  sum = 0
  onPublish(p: { packetId: number; payloadEnd: number }): void {
    this.n++
    this.sum += p.packetId + p.payloadEnd
  }
  onAck(_: number, packetId: number): void {
    this.n++
    this.sum += packetId
  }
  onPingreq(): void {
    this.n++
  }
  onControl(): void {
    this.n++
  }
  onFault(_: number, text: string): void {
    throw new Error(text)
  }
}

/** Runs `round` for a while and prints how many packets a second it handles. */
function measure(name: string, round: () => number): void {
  for (let i = 0; i < 20; i++) round()
  const started = performance.now()
  let packets = 0
  let spent = 0
  while (spent < RUN_MS) {
    packets += round()
    spent = performance.now() - started
  }
  console.log(`${name.padEnd(44)} ${(packets / spent / 1000).toFixed(2).padStart(8)} M/s`)
}

function decodes(name: string, version: Version, write: (w: ByteWriter, i: number) => void): void {
  const w = new ByteWriter(CHUNK_BYTES)
  writeConnect(w, { version, clientId: 'bench', cleanStart: true, keepAlive: 60 })
  const counter = new Counter()
  const decoder = new Decoder(counter, 1 << 20)
  decoder.feed(w.view())
  w.clear()
  for (let i = 1; w.length < CHUNK_BYTES - 200; i++) write(w, i)
  const chunk = w.take()
  measure(`decode ${name}`, () => {
    counter.n = 0
    decoder.feed(chunk)
    return counter.n
  })
}

const topic = utf8('bench/sensor/12')
const payload = new Uint8Array(64)
const props = encodeMessageProps({ contentType: 'text/plain', userProperties: [['unit', 'C']] })

function publishes(version: Version, qos: number, passed: Uint8Array | null, expiry = -1) {
  return (w: ByteWriter, i: number) => {
    writePublish(w, version, topic, payload, 0, 64, qos, false, false, i & 0x3fff || 1, passed, expiry, null, 0)
  }
}

const aliased = (w: ByteWriter) => {
  writePublish(w, 5, NO_BYTES, payload, 0, 64, 0, false, false, 0, null, -1, null, 9)
}

console.log('64-byte payload, 15-byte topic, chunks of 64 KiB')
decodes('PUBLISH QoS 0, 3.1.1', 4, publishes(4, 0, null))
decodes('PUBLISH QoS 1, 3.1.1', 4, publishes(4, 1, null))
decodes('PUBLISH QoS 0, 5.0', 5, publishes(5, 0, null))
decodes('PUBLISH QoS 0, 5.0, two properties', 5, publishes(5, 0, props))
decodes('PUBLISH QoS 0, 5.0, two properties and expiry', 5, publishes(5, 0, props, 60))
decodes('PUBLISH QoS 0, 5.0, alias for its topic', 5, aliased)
decodes('PUBACK', 4, (w, i) => writeAck(w, 4, (i & 0x3fff) + 1, 0, 4))
decodes('SUBSCRIBE', 5, (w) => writeSubscribe(w, 5, 1, [{ filter: 'a/#', qos: 1 }]))

for (const [name, write] of [
  ['PUBLISH QoS 0, 3.1.1', publishes(4, 0, null)],
  ['PUBLISH QoS 1, 5.0', publishes(5, 1, null)],
  ['PUBLISH QoS 1, 5.0, two properties and expiry', publishes(5, 1, props, 60)],
  ['PUBLISH QoS 0, 5.0, alias for its topic', aliased],
  ['PUBACK', (w: ByteWriter, i: number) => writeAck(w, 4, (i & 0x3fff) + 1, 0, 4)],
] as const) {
  const w = new ByteWriter(CHUNK_BYTES)
  measure(`encode ${name}`, () => {
    w.clear()
    for (let i = 0; i < 500; i++) write(w, i)
    return 500
  })
}

const chunks = new ByteWriter(CHUNK_BYTES)
for (let i = 0; i < 500; i++) publishes(4, 0, null)(chunks, i)
const theirs = parser({ protocolVersion: 4 })
let got = 0
theirs.on('packet', (_: Packet) => got++)
const chunk = Buffer.from(copyBytes(chunks.view()))
measure('mqtt-packet decode PUBLISH QoS 0, 3.1.1', () => {
  got = 0
  theirs.parse(chunk)
  return got
})
