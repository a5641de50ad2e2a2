import { bytes } from '../../../fixtures/packet/cases.ts'
import { ByteWriter, NO_BYTES, utf8 } from '../../../src/base/bytes.ts'
import { ClientDecoder, type ServerPacket } from '../../../src/wire/client_decoder.ts'
import {
  publishSize,
  writeAck,
  writeAckInWords,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writePublish,
  writeSuback,
  writeUnsuback,
} from '../../../src/wire/encoder.ts'
import type { Version } from '../../../src/wire/packet.ts'
import { Reason } from '../../../src/wire/reason.ts'
import { assert, suite } from '../../support/suite.ts'

function written(write: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter(0)
  write(w)
  return w.take()
}

/** What a client makes of it. */
function read(version: Version, stream: Uint8Array): ServerPacket {
  const packets: ServerPacket[] = []
  const decoder = new ClientDecoder(version, {
    onPacket: (packet) => packets.push(packet),
    onFault: (_, text) => assert.unreachable(text),
  })
  decoder.feed(stream)
  assert.ok(decoder.idle)
  assert.is(packets.length, 1)
  return packets[0] as ServerPacket
}

const test = suite('wire encoder')

test('PUBLISH of each version, byte by byte', () => {
  const w = new ByteWriter(0)
  const topic = utf8('a/b')
  const payload = utf8('..hi..')
  assert.is(writePublish(w, 4, topic, payload, 2, 4, 0, true, false, 0, null, -1, null, 0), -1)
  assert.equal(w.take(), bytes(0x31, 7, 0, 3, 'a/b', 'hi'))
  const at = writePublish(w, 4, topic, payload, 2, 4, 1, false, true, 0x0102, null, 30, [1], 5)
  assert.is(at, 9 + 7)
  assert.equal(w.take().subarray(9), bytes(0x3a, 9, 0, 3, 'a/b', 1, 2, 'hi'))
  w.clear()
  writePublish(w, 5, topic, payload, 2, 4, 2, false, false, 7, null, -1, null, 0)
  assert.equal(w.take(), bytes(0x34, 10, 0, 3, 'a/b', 0, 7, 0, 'hi'))
  w.clear()
  writePublish(w, 5, NO_BYTES, NO_BYTES, 0, 0, 0, false, false, 0, bytes(1, 1), 30, [1, 128], 5)
  const props = bytes(0x23, 0, 5, 0x02, 0, 0, 0, 30, 0x0b, 1, 0x0b, 0x80, 1, 1, 1)
  assert.equal(w.take(), bytes(0x30, 3 + props.length, 0, 0, props.length, ...props))
})

test('publishSize is what writePublish writes, over every length of the length', () => {
  const w = new ByteWriter(0)
  const topic = utf8('a/b')
  const payload = new Uint8Array(2_100_000)
  for (const version of [3, 4, 5] as const) {
    for (const qos of [0, 1, 2]) {
      for (const edge of [0, 127, 16_383, 2_097_151]) {
        for (let n = Math.max(0, edge - 20); n < edge + 3; n++) {
          for (const props of [null, new Uint8Array(125)]) {
            w.clear()
            const ids = props === null ? null : [1, 300, 20_000, 268_435_455]
            const idAt = writePublish(w, version, topic, payload, 0, n, qos, false, false, 0x1234, props, n, ids, qos)
            if (idAt >= 0) assert.is((w.buf[idAt] as number) * 256 + (w.buf[idAt + 1] as number), 0x1234)
            assert.is(w.length, publishSize(version, 3, n, qos, props, n, ids, qos))
          }
        }
      }
    }
  }
})

test('acknowledgements are as short as they can be', () => {
  assert.equal(
    written((w) => writeAck(w, 4, 258, 0, 5)),
    bytes(0x40, 2, 1, 2),
  )
  assert.equal(
    written((w) => writeAck(w, 4, 258, 0x10, 5)),
    bytes(0x40, 3, 1, 2, 0x10),
  )
  assert.equal(
    written((w) => writeAck(w, 5, 258, 0x87, 4)),
    bytes(0x50, 2, 1, 2),
  )
  assert.equal(
    written((w) => writeAck(w, 6, 258, 0x92, 5)),
    bytes(0x62, 3, 1, 2, 0x92),
  )
  assert.equal(
    written((w) => writeAck(w, 7, 258, 0, 3)),
    bytes(0x70, 2, 1, 2),
  )
  assert.equal(written(writePingresp), bytes(0xd0, 0))
})

test('CONNACK of 3.x is two bytes', () => {
  const refused = { sessionPresent: true, reason: Reason.notAuthorized }
  assert.equal(
    written((w) => writeConnack(w, 4, { sessionPresent: true, reason: 0 })),
    bytes(0x20, 2, 1, 0),
  )
  assert.equal(
    written((w) => writeConnack(w, 3, { sessionPresent: true, reason: 0 })),
    bytes(0x20, 2, 0, 0),
  )
  assert.equal(
    written((w) => writeConnack(w, 4, refused)),
    bytes(0x20, 2, 0, 5),
  )
})

test('[MQTT-3.2.2-6] a refusing CONNACK has no session', () => {
  const refused = { sessionPresent: true, reason: Reason.notAuthorized }
  assert.equal(
    written((w) => writeConnack(w, 5, refused)),
    bytes(0x20, 3, 0, 0x87, 0),
  )
})

test('CONNACK of 5.0 with everything comes back as it was', () => {
  const fields = {
    sessionPresent: true,
    reason: 0,
    sessionExpiry: 0xffff_ffff,
    receiveMaximum: 1000,
    maximumQos: 1 as const,
    retainAvailable: false,
    maximumPacketSize: 65_536,
    assignedClientId: 'auto-ü',
    topicAliasMaximum: 16,
    reasonString: 'why not',
    wildcardAvailable: true,
    subscriptionIdsAvailable: true,
    sharedAvailable: false,
    serverKeepAlive: 120,
    responseInformation: 'r/',
    serverReference: 'other:1883',
    authMethod: 'jwt',
    authData: bytes(0, 255),
  }
  assert.equal(
    read(
      5,
      written((w) => writeConnack(w, 5, fields)),
    ),
    { cmd: 'connack', ...fields },
  )
})

test('SUBACK and UNSUBACK carry one code per filter, in order [MQTT-3.8.4-6]', () => {
  const codes = [0, 1, 2, 0x87, 0x8f]
  assert.equal(
    read(
      5,
      written((w) => writeSuback(w, 5, 9, codes)),
    ),
    { cmd: 'suback', packetId: 9, codes },
  )
  assert.equal(
    written((w) => writeSuback(w, 4, 9, codes)),
    bytes(0x90, 7, 0, 9, 0, 1, 2, 0x80, 0x80),
  )
  assert.equal(
    written((w) => writeUnsuback(w, 4, 9, [0, 0x11])),
    bytes(0xb0, 2, 0, 9),
  )
  const unsuback = read(
    5,
    written((w) => writeUnsuback(w, 5, 9, [0, 0x11])),
  )
  assert.equal(unsuback, { cmd: 'unsuback', packetId: 9, codes: [0, 0x11] })
})

test('a SUBACK for more filters than fit a one-byte length', () => {
  const codes = new Array(300).fill(1)
  assert.equal(
    read(
      4,
      written((w) => writeSuback(w, 4, 9, codes)),
    ),
    { cmd: 'suback', packetId: 9, codes },
  )
})

test('DISCONNECT and AUTH leave out what need not be said', () => {
  assert.equal(
    written((w) => writeDisconnect(w, { reason: 0 })),
    bytes(0xe0, 0),
  )
  assert.equal(
    written((w) => writeDisconnect(w, { reason: 0x8e })),
    bytes(0xe0, 1, 0x8e),
  )
  const moved = { reason: Reason.useAnotherServer, reasonString: 'drain', serverReference: 'b:1883' }
  assert.equal(
    read(
      5,
      written((w) => writeDisconnect(w, moved)),
    ),
    { cmd: 'disconnect', ...moved },
  )
  const auth = { cmd: 'auth', reason: 0x18, method: 'jwt', data: bytes(1) }
  assert.equal(
    read(
      5,
      written((w) => writeAuth(w, { reason: 0x18, method: 'jwt', data: bytes(1) })),
    ),
    auth,
  )
})

test('[MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.9.2-1] [MQTT-3.14.2-3] words go along exactly where they fit', () => {
  for (const write of [
    (w, words, max) => writeConnack(w, 5, { sessionPresent: false, reason: 0x87, reasonString: words }, max),
    (w, words, max) => writeAckInWords(w, 4, 300, 0x99, words, max),
    (w, words, max) => writeAckInWords(w, 5, 300, 0x99, words, max),
    (w, words, max) => writeSuback(w, 5, 9, [0x8f, 1], words, max),
    (w, words, max) => writeDisconnect(w, { reason: 0x97, reasonString: words }, max),
    (w, words, max) => writeDisconnect(w, { reason: 0x9c, serverReference: words, reasonString: 'far' }, max),
  ] as ((w: ByteWriter, words: string | undefined, max: number) => void)[]) {
    const bare = written((w) => write(w, undefined, Number.POSITIVE_INFINITY)).length
    for (const n of [1, 100, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 20_000]) {
      const words = 'x'.repeat(n)
      const whole = written((w) => write(w, words, Number.POSITIVE_INFINITY))
      assert.equal(
        read(5, whole),
        read(
          5,
          written((w) => write(w, words, whole.length)),
        ),
      )
      for (const max of [whole.length - 1, whole.length - 2, bare]) {
        const fits = written((w) => write(w, words, max)).length
        assert.ok(fits <= max || fits <= bare, `${fits} bytes of ${max}`)
      }
    }
  }
})

test.run()
