// MqttClient: what ends it for good, what it comes back from and how fast, and what it does not even send. Against a server in this
// process that says what a test tells it to.
import { ByteWriter, utf8 } from '../../../src/base/bytes.ts'
import { type ClientEvents, MqttClient } from '../../../src/cli/client/mqtt_client.ts'
import type { Message } from '../../../src/cli/client/mqtt_outbox.ts'
import type { Failure } from '../../../src/cli/failure.ts'
import type { Dialer, Pipe, PipeEvents } from '../../../src/host/sockets/pipe.ts'
import { type ConnackFields, writeAck, writeConnack, writeDisconnect } from '../../../src/wire/encoder.ts'
import { PacketType, type QoS, type Version } from '../../../src/wire/packet.ts'
import { Reason } from '../../../src/wire/reason.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('mqtt client')

/** One connection, seen by the server: the first bytes of what came, and what it says. */
class Side implements Pipe {
  readonly remote = ''
  readonly local = ''
  events: PipeEvents | null = null
  readonly types: number[] = []
  closed = false
  readonly at = performance.now()

  /** Takes apart only what a byte of remaining length suffices for, or the first packet of a write. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 2 + (bytes[at + 1] as number)) {
      this.types.push((bytes[at] as number) >> 4)
      if ((bytes[at + 1] as number) >= 0x80) break
    }
  }

  backlog(): number {
    return 0
  }

  end(): void {
    this.closed = true
  }

  destroy(): void {
    this.closed = true
    this.events = null
  }

  says(write: (w: ByteWriter) => void): void {
    const w = new ByteWriter()
    write(w)
    this.events?.onData(w.view().slice())
  }

  close(): void {
    this.closed = true
    this.events?.onClose('closed by the other side')
  }
}

class Scene {
  readonly client: MqttClient
  readonly sides: Side[] = []
  readonly published: [string, number, string | undefined][] = []
  failure: Failure | null = null
  private readonly version: Version

  /** @param greet what becomes of each connection, after its CONNECT */
  constructor(version: Version, greet: (side: Side, scene: Scene) => void) {
    this.version = version
    const dialer: Dialer = {
      dial: (_to, _timeoutMs, onPipe) => {
        queueMicrotask(() => {
          const side = new Side()
          this.sides.push(side)
          onPipe(side)
          queueMicrotask(() => greet(side, this))
        })
        return () => {}
      },
    }
    const events: ClientEvents = {
      onConnected: () => {},
      onMessage: () => true,
      onSuback: () => {},
      onPublished: ({ topic }, reason, words) => void this.published.push([topic, reason, words]),
      onBatch: () => {},
      onDrain: () => {},
      onFailed: (failure) => {
        this.failure = failure
        this.client.end()
      },
      debug: () => {},
    }
    const connect = { version, clientId: 'c', cleanStart: true, keepAlive: 0 }
    this.client = new MqttClient({ host: 'h', port: 1 }, connect, dialer, events)
    this.client.start()
  }

  accept(side: Side, fields: Partial<ConnackFields> = {}): void {
    side.says((w) => writeConnack(w, this.version, { sessionPresent: false, reason: 0, ...fields }))
  }

  publish(topic: string, qos: QoS, more: Partial<Message> = {}): void {
    const payload = utf8('0123456789')
    this.client.publish({ topic, payload, qos, retain: false, props: null, expiry: -1, topicAlias: 0, ...more })
  }

  async until(isSo: () => boolean, ms = 15_000): Promise<void> {
    for (const end = performance.now() + ms; !isSo(); await sleep(5))
      if (performance.now() > end) throw new Error(`not within ${ms} ms: ${isSo}`)
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const FINAL = [
  Reason.malformedPacket,
  Reason.protocolError,
  Reason.notAuthorized,
  Reason.sessionTakenOver,
  Reason.topicFilterInvalid,
  Reason.topicNameInvalid,
  Reason.receiveMaximumExceeded,
  Reason.topicAliasInvalid,
  Reason.packetTooLarge,
  Reason.administrativeAction,
  Reason.payloadFormatInvalid,
  Reason.retainNotSupported,
  Reason.qosNotSupported,
  Reason.serverMoved,
  Reason.sharedSubscriptionsNotSupported,
]
for (const reason of FINAL) {
  test(`DISCONNECT 0x${reason.toString(16)} is final: a sentence, and the code as exit code`, async () => {
    const scene = new Scene(5, (side) => {
      scene.accept(side)
      side.says((w) => writeDisconnect(w, { reason, reasonString: 'so \n it is' }))
    })
    await scene.until(() => scene.failure !== null)
    assert.is(scene.failure?.exitCode, reason)
    assert.match(scene.failure?.message ?? '', /^disconnected: [a-z ]+[a-z]: so \\u000a it is$/)
    await sleep(120)
    assert.is(scene.sides.length, 1)
    assert.equal(scene.sides[0]?.types, [PacketType.connect], 'nothing is sent after a DISCONNECT')
  })
}

for (const reason of [
  Reason.normalDisconnection,
  Reason.unspecifiedError,
  Reason.serverBusy,
  Reason.serverShuttingDown,
  Reason.keepAliveTimeout,
  Reason.messageRateTooHigh,
  Reason.useAnotherServer,
]) {
  test(`DISCONNECT 0x${reason.toString(16)} passes: it comes back`, async () => {
    const scene = new Scene(5, (side) => {
      scene.accept(side)
      if (scene.sides.length === 1) side.says((w) => writeDisconnect(w, { reason }))
    })
    await scene.until(() => scene.sides.length === 2)
    assert.is(scene.failure, null)
    scene.client.end()
  })
}

test('it comes back after 50 ms, then 100, doubling each time', async () => {
  const scene = new Scene(4, (side) => {
    scene.accept(side)
    side.close()
  })
  await scene.until(() => scene.sides.length === 6)
  const waits = scene.sides.slice(1).map((side, i) => side.at - (scene.sides[i] as Side).at)
  for (const [i, wait] of waits.entries()) {
    assert.ok(wait >= 50 * 2 ** i - 5, `${waits}`)
    assert.ok(wait < 50 * 2 ** (i + 1) + 300, `${waits}`)
  }
  scene.client.end()
  await sleep(10)
  assert.is(scene.failure, null, 'nothing was under way')
})

test('a message that each connection ends with is given up; losses between which one is taken are no such row', async () => {
  const bad = new Scene(4, (side) => {
    bad.accept(side)
    if (bad.sides.length === 1) {
      bad.publish('fine', 1)
      side.says((w) => writeAck(w, PacketType.puback, 1, 0, 4))
      bad.publish('a', 1)
    }
    side.close()
  })
  const slow = new Scene(4, (side) => {
    slow.accept(side)
    const nth = slow.sides.length
    if (nth === 1) for (let i = 0; i < 9; i++) slow.publish('a', 1)
    if (nth % 2 === 0) side.says((w) => writeAck(w, PacketType.puback, nth / 2, 0, 4))
    if (nth < 9) side.close()
  })
  await bad.until(() => bad.failure !== null)
  assert.is(bad.failure?.exitCode, 1)
  const row = 'the connection was lost 8 times in a row (closed by the other side)'
  assert.is(bad.failure?.message, `${row} with a message of 10 bytes on a under way`)
  assert.is(bad.sides.length, 8)
  assert.ok(bad.sides.every(({ types }) => types.at(-1) === PacketType.publish))
  await slow.until(() => slow.sides.length === 9)
  assert.is(slow.failure, null)
  assert.is(slow.client.pending, 5)
  slow.client.end()
})

test('what goes beyond the limits of CONNACK is refused before it is sent', async () => {
  const scene = new Scene(5, (side) => {
    scene.accept(side, { maximumQos: 1, retainAvailable: false, maximumPacketSize: 30 })
    scene.publish('qos', 2)
    scene.publish('retain', 0, { retain: true })
    for (const qos of [0, 1] as const) scene.publish('large', qos, { payload: new Uint8Array(30) })
    scene.publish('fine', 0)
  })
  await scene.until(() => scene.published.length === 5)
  assert.equal(scene.published, [
    ['qos', Reason.qosNotSupported, 'at most 1'],
    ['retain', Reason.retainNotSupported, undefined],
    ['large', Reason.packetTooLarge, 'at most 30 bytes'],
    ['large', Reason.packetTooLarge, 'at most 30 bytes'],
    ['fine', 0, undefined],
  ])
  assert.is(scene.client.pending, 0)
  assert.equal(scene.sides[0]?.types, [PacketType.connect, PacketType.publish])
  scene.client.end()
})

test('the limits are those of the connection: a message under way is refused by the next one', async () => {
  const scene = new Scene(5, (side) => {
    const limits: Partial<ConnackFields>[] = [{}, { maximumPacketSize: 20 }]
    scene.accept(side, limits[scene.sides.length - 1])
    if (scene.sides.length > 1) return
    scene.publish('large', 1, { payload: new Uint8Array(20) })
    side.close()
  })
  await scene.until(() => scene.published.length === 1)
  assert.equal(scene.published, [['large', Reason.packetTooLarge, 'at most 20 bytes']])
  assert.equal(scene.sides[1]?.types, [PacketType.connect])
  scene.client.end()
})

test.run()
