// WsFrames: what a client's frames carry, however the stream is cut; each thing a client may not send; and the server's frames.
import { closeFrame, controlFrame, WsReader, writeFrameHeader } from '../../../src/wire/ws_frames.ts'
import { assert, suite } from '../../support/suite.ts'
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  joined,
  PING,
  PONG,
  TEXT,
  takeServerFrames,
} from '../../support/ws_frames.ts'

const test = suite('WebSocket frames')

/** What the sink was told, in order; bytes that come one after the other are one entry. */
class Heard {
  readonly log: string[] = []
  readonly reader: WsReader = new WsReader({
    onBytes: (bytes) => this.say('bytes ', [...bytes].join(' ')),
    onPing: (payload) => this.say('ping ', [...payload].join(' ')),
    onClose: (code) => this.say('close ', `${code}`),
    onFault: (code, text) => this.say('fault ', `${code} ${text}`),
  })

  private say(what: string, text: string): void {
    const last = this.log.length - 1
    if (what === 'bytes ' && this.log[last]?.startsWith(what)) this.log[last] += ` ${text}`
    else this.log.push(what + text)
  }

  /** Copies, for a reader overwrites what it is given. */
  feed(...chunks: Uint8Array[]): this {
    for (const chunk of chunks) this.reader.feed(new Uint8Array(chunk))
    return this
  }
}

const heard = (...frames: Uint8Array[]) => new Heard().feed(joined(frames)).log
const count = (n: number, from = 0) => Array.from({ length: n }, (_, i) => (i + from) % 256)

const sizes = [0, 1, 2, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 100_001]
for (const size of sizes)
  test(`a frame of ${size} bytes is unmasked`, () => {
    const log = heard(clientFrame(count(size)), clientFrame([1, 2, 3]))
    assert.equal(log, [`bytes ${[...count(size), 1, 2, 3].join(' ')}`])
  })

const long: Uint8Array[] = [
  clientFrame(count(3), { fin: false }),
  clientFrame([], { opcode: PING }),
  clientFrame(count(130, 3), { fin: false, opcode: 0, mask: [1, 2, 3, 4] }),
  clientFrame(count(125), { opcode: PING, mask: [0xff, 0, 0x80, 1] }),
  clientFrame([], { fin: false, opcode: 0 }),
  clientFrame(count(7, 133), { opcode: 0, lengthBytes: 8 }),
  clientFrame([9], { opcode: PONG }),
  clientFrame(count(5), { lengthBytes: 2, mask: [0, 0, 0, 0] }),
  clientFrame(closePayload(1001, 'bye'), { opcode: CLOSE }),
  clientFrame([66]),
]
const longLog = [
  `bytes ${count(3).join(' ')}`,
  'ping ',
  `bytes ${count(130, 3).join(' ')}`,
  `ping ${count(125).join(' ')}`,
  `bytes ${[...count(7, 133), ...count(5)].join(' ')}`,
  'close 1001',
]

test('[MQTT-6.0.0-2] [MQTT-3.1.1/6.0.0-2] fragments, pings between them and several frames in one chunk: payload in order, nothing behind the close', () => {
  assert.equal(heard(...long), longLog)
})

test('[MQTT-6.0.0-2] [MQTT-3.1.1/6.0.0-2] however the stream is cut in two, or into single bytes, the same is heard', () => {
  const stream = joined(long)
  for (let cut = 0; cut <= stream.length; cut++)
    assert.equal(new Heard().feed(stream.subarray(0, cut), stream.subarray(cut)).log, longLog, `cut at ${cut}`)
  for (const step of [1, 2, 3, 5, 7]) {
    const chunks: Uint8Array[] = []
    for (let at = 0; at < stream.length; at += step) chunks.push(stream.subarray(at, at + step))
    assert.equal(new Heard().feed(...chunks).log, longLog, `pieces of ${step}`)
  }
})

test('payload goes on as it comes: a frame that names an enormous length makes nothing grow', () => {
  const h = new Heard().feed(clientFrame([1, 2], { length: 2 ** 50 }))
  assert.equal(h.log, ['bytes 1 2'])
  h.feed(Uint8Array.of(3 ^ 0x21))
  assert.equal(h.log, ['bytes 1 2 3'])
})

const faults: [string, Uint8Array, string][] = [
  ['[MQTT-6.0.0-1] [MQTT-3.1.1/6.0.0-1] a text frame', clientFrame([0x41], { opcode: TEXT }), 'fault 1003 text frame'],
  ['a text frame in fragments', clientFrame([0x41], { opcode: TEXT, fin: false }), 'fault 1003 text frame'],
  ['a frame without mask', clientFrame([1], { mask: null }), 'fault 1002 frame of a client without mask'],
  ['a reserved bit', clientFrame([1], { reserved: 4 }), 'fault 1002 reserved bits'],
  ['a reserved opcode', clientFrame([1], { opcode: 3 }), 'fault 1002 opcode 3'],
  ['a reserved control opcode', clientFrame([1], { opcode: 11 }), 'fault 1002 opcode 11'],
  ['a continuation of nothing', clientFrame([1], { opcode: 0 }), 'fault 1002 continuation'],
  ['a ping in fragments', clientFrame([1], { opcode: PING, fin: false }), 'fault 1002 control frame in fragments'],
  ['a ping of 126 bytes', clientFrame(count(126), { opcode: PING }), 'fault 1002 control frame of more'],
  ['a length beyond 2^53', clientFrame([1], { length: 2 ** 53 }), 'fault 1009 frame length'],
  ['a length with its highest bit set', clientFrame([1], { length: 2 ** 63 }), 'fault 1009 frame length'],
  ['a close frame of one byte', clientFrame([3], { opcode: CLOSE }), 'fault 1002 close frame'],
  ['a reason that is not UTF-8', clientFrame([3, 0xe8, 0xff], { opcode: CLOSE }), 'fault 1007 close frame'],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(
    (code) =>
      [`close code ${code}`, clientFrame(closePayload(code), { opcode: CLOSE }), 'fault 1002 close frame'] as [
        string,
        Uint8Array,
        string,
      ],
  ),
]
for (const [title, frame, fault] of faults)
  test(`${title}: what came before is heard, then the fault, then nothing`, () => {
    const stream = joined([clientFrame([7, 8]), frame, clientFrame([9])])
    for (const chunks of [[stream], [...stream].map((byte) => Uint8Array.of(byte))]) {
      const { log } = new Heard().feed(...chunks)
      assert.is(log.length, 2, log.join('; '))
      assert.is(log[0], 'bytes 7 8')
      assert.ok(log[1]?.startsWith(fault), log[1])
    }
  })

test('a new message within a message is a fault', () => {
  for (const opcode of [BINARY, TEXT]) {
    const log = heard(clientFrame([1], { fin: false }), clientFrame([2], { opcode }))
    assert.equal(log, ['bytes 1', 'fault 1002 a message within a message'])
  }
})

test('close codes that may be sent are taken, and a close frame without code', () => {
  for (const code of [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
    assert.equal(heard(clientFrame(closePayload(code, 'ß'), { opcode: CLOSE })), [`close ${code}`])
  assert.equal(heard(clientFrame([], { opcode: CLOSE })), ['close 1005'])
})

test('stop() within a call ends it all', () => {
  const log: string[] = []
  const reader: WsReader = new WsReader({
    onBytes: (bytes) => {
      log.push(`bytes ${bytes.length}`)
      reader.stop()
    },
    onPing: () => void log.push('ping'),
    onClose: () => void log.push('close'),
    onFault: () => void log.push('fault'),
  })
  reader.feed(joined([clientFrame([1, 2]), clientFrame([], { opcode: PING }), clientFrame([1], { opcode: TEXT })]))
  reader.feed(clientFrame([3]))
  assert.equal(log, ['bytes 2'])
})

test('frames of a server: the shortest header for each length, no mask', () => {
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 70_000]) {
    const out = new Uint8Array(10 + size)
    const header = writeFrameHeader(out, BINARY, size)
    assert.is(header, size < 126 ? 2 : size < 65_536 ? 4 : 10)
    const { frames, rest } = takeServerFrames(out.subarray(0, header + size))
    assert.equal([frames.length, rest.length], [1, 0])
    assert.equal([frames[0]?.fin, frames[0]?.opcode, frames[0]?.payload.length], [true, BINARY, size])
  }
  assert.equal([...controlFrame(PONG, Uint8Array.of(1, 2))], [0x8a, 2, 1, 2])
  assert.equal([...closeFrame(1003)], [0x88, 2, 0x03, 0xeb])
  assert.equal([...closeFrame(1005)], [0x88, 0])
})

test.run()
