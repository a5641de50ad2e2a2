import { acks, bytes, type Case, connects, controls, publishes } from '../../../fixtures/packet/cases.ts'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { writeConnect } from '../../../src/wire/client_encoder.ts'
import { Decoder } from '../../../src/wire/decoder.ts'
import type { Version } from '../../../src/wire/packet.ts'
import { Reason } from '../../../src/wire/reason.ts'
import { assert, suite } from '../../support/suite.ts'
import { concat, decodeStream, Recorder, type Seen } from './recorder.ts'

function opening(version: 0 | Version): Uint8Array {
  const w = new ByteWriter()
  if (version !== 0) writeConnect(w, { version, clientId: 'zen', cleanStart: true, keepAlive: 60 })
  return w.take()
}

/** What the case's own packet led to. */
function outcome(c: Case, chunk?: number): Seen[] {
  const seen = decodeStream(concat(opening(c.version), c.bytes), chunk)
  return c.version === 0 ? seen : seen.slice(1)
}

for (const [kind, cases] of Object.entries({ CONNECT: connects, PUBLISH: publishes, acks, control: controls })) {
  const test = suite(`wire decoder: ${kind}`)
  for (const c of cases) {
    test(c.packet === null ? `refuses ${c.name}` : c.name, () => {
      for (const chunk of [undefined, 1, 7]) {
        const seen = outcome(c, chunk)
        assert.is(seen.length, 1)
        if (c.packet !== null) assert.equal(seen[0], c.packet)
        else {
          const fault = seen[0] as Seen & { cmd: 'fault' }
          assert.is(fault.cmd, 'fault', JSON.stringify(fault))
          assert.is(fault.reason, c.fault, fault.text)
        }
      }
    })
  }
  test.run()
}

const test = suite('wire decoder')

test('every chunking of a stream gives the same packets', () => {
  for (const version of [3, 4, 5] as const) {
    const packets = [...publishes, ...acks, ...controls].filter((c) => c.version === version && c.packet !== null)
    const stream = concat(opening(version), ...packets.map((c) => c.bytes))
    const whole = decodeStream(stream)
    assert.is(whole.length, packets.length + 1)
    for (let chunk = 1; chunk < 40; chunk++) assert.equal(decodeStream(stream, chunk), whole, `chunks of ${chunk}`)
    for (let cut = 1; cut < stream.length; cut++) {
      const recorder = new Recorder()
      const decoder = new Decoder(recorder, 1 << 20)
      decoder.feed(stream.subarray(0, cut))
      decoder.feed(stream.subarray(cut))
      assert.equal(recorder.seen, whole, `cut at ${cut}`)
      assert.ok(decoder.idle)
    }
  }
})

test('a packet above the limit is refused on its header, one at the limit is not', () => {
  const recorder = new Recorder()
  const decoder = new Decoder(recorder, 1000)
  decoder.feed(opening(4))
  decoder.feed(bytes(0x30, 0xe5, 0x07)) // 997 + 3
  decoder.feed(concat(bytes(0, 1, 'a'), new Uint8Array(994)))
  assert.is(recorder.seen.length, 2)
  decoder.feed(bytes(0x30, 0xe6))
  assert.is(recorder.seen.length, 2)
  decoder.feed(bytes(0x07))
  assert.equal(recorder.seen[2], { cmd: 'fault', reason: Reason.packetTooLarge, text: 'packet larger than allowed' })
  assert.is(decoder.heldBytes, 0)
})

test('a stranger may send no more than a CONNECT needs', () => {
  const recorder = new Recorder()
  const decoder = new Decoder(recorder, LIMITS.packetBytesMax)
  const length = LIMITS.connectBytesMax
  decoder.feed(bytes(0x10, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14))
  assert.is((recorder.seen[0] as { reason: number }).reason, Reason.packetTooLarge)
})

test('a large packet only announced costs no memory', () => {
  const decoder = new Decoder(new Recorder(), LIMITS.packetBytesMax)
  decoder.feed(opening(4))
  decoder.feed(bytes(0x30, 0xf0, 0xff, 0x7f, 0, 1, 'a'))
  assert.not(decoder.idle)
  assert.ok(decoder.heldBytes <= 512)
  decoder.stop()
  assert.is(decoder.heldBytes, 0)
})

test('nothing is delivered after stop, nor after a fault', () => {
  const recorder = new Recorder()
  const decoder = new Decoder(recorder, 1000)
  recorder.onPingreq = () => decoder.stop()
  decoder.feed(concat(opening(4), bytes(0xc0, 0, 0xe0, 0)))
  decoder.feed(bytes(0xe0, 0))
  assert.equal(
    recorder.seen.map((s) => s.cmd),
    ['connect'],
  )
  const seen = decodeStream(bytes(0xc0, 0, 0xc0, 0))
  assert.equal(
    seen.map((s) => s.cmd),
    ['fault'],
  )
})

test('a held packet ends with stop from within its own delivery', () => {
  const recorder = new Recorder()
  const decoder = new Decoder(recorder, 1000)
  recorder.onPingreq = () => decoder.stop()
  decoder.feed(concat(opening(4), bytes(0xc0)))
  decoder.feed(bytes(0, 0xe0, 0))
  assert.equal(
    recorder.seen.map((s) => s.cmd),
    ['connect'],
  )
  assert.ok(decoder.idle)
})

test('the version is known as soon as a CONNECT names it, even if the rest is refused', () => {
  const decoder = new Decoder(new Recorder(), 1000)
  assert.is(decoder.version, 0)
  decoder.feed(bytes(0x10, 16, 0, 4, 'MQTT', 5, 3, 0, 60, 0, 0, 3, 'zen'))
  assert.is(decoder.version, 5)
})

test('a password is copied out of the chunk', () => {
  const chunk = bytes(0x10, 20, 0, 4, 'MQTT', 4, 0xc2, 0, 60, 0, 0, 0, 2, 'me', 0, 2, 'pw')
  const recorder = new Recorder()
  new Decoder(recorder, 1000).feed(chunk)
  chunk.fill(0)
  const { password } = recorder.seen[0] as { password: Uint8Array }
  assert.equal(password, bytes('pw'))
  assert.is(password.buffer.byteLength, 2)
})

test.run()
