// Transport: section 4.2 of MQTT 5.0 and 3.1.1: over TCP, on a real node, bytes arrive complete and in order both ways, however
// they are cut.

import { Prng } from '../../src/base/prng.ts'
import { MqttClient, text } from '../support/mqtt_client.ts'
import { Folder, freePorts, NodeProcess } from '../support/processes.ts'
import { bytesOf, connectFrame, frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite<{ node: NodeProcess; folder: Folder }>('transport')

test.before(async (context) => {
  const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
  context.folder = new Folder()
  context.node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, context.folder.path)
  context.node.start()
  await context.node.until('ready')
})
test.after(async ({ node, folder }) => {
  await node.terminate()
  folder[Symbol.dispose]()
})

for (const [version, tag] of [
  [5, '[MQTT-4.2.0-1]'],
  [4, '[MQTT-3.1.1/7.1.1-1] 3.1.1:'],
] as const) {
  const none = version === 5 ? [0] : []

  test(`${tag} packets sent byte by byte, and many in one write, are the same packets`, async ({ node }) => {
    const packets = [
      ...connectFrame(version, 2, `cut-${version}`),
      ...frame(0x82, [0, 1], none, `cut/${version}`, [1]),
      ...[...Array(50).keys()].flatMap((i) => frame(0x32, `cut/${version}`, [1, i], none, bytesOf(`${i}`).slice(2))),
      0xc0,
      0,
    ]
    for (const whole of [false, true]) {
      const c = MqttClient.open(node.place.mqtt, `cut-${version}`, version)
      if (whole) c.raw(packets)
      else for (const byte of packets) c.raw([byte])
      await c.expect('connack')
      await c.expect('suback')
      const payloads: string[] = []
      const acked: number[] = []
      for (;;) {
        const packet = await c.next()
        if (packet === null || packet.cmd === 'pingresp') break
        if (packet.cmd === 'publish') payloads.push(text(packet.payload))
        if (packet.cmd === 'puback') acked.push(packet.packetId)
      }
      assert.equal(payloads, [...Array(50).keys()].map(String))
      assert.equal(
        acked,
        [...Array(50).keys()].map((i) => 256 + i),
      )
      await c.disconnect()
    }
  })

  test(`${tag} a megabyte at a time goes through complete, to a reader that rests`, async ({ node }) => {
    const prng = new Prng(version)
    const payloads = Array.from({ length: 8 }, () =>
      Uint8Array.from({ length: 1_000_000 }, () => Math.floor(prng.next() * 256)),
    )
    const c = await MqttClient.connect(node.place.mqtt, `reads-${version}`, { version })
    await c.subscribe(`bulk/${version}`, 1)
    c.socket.pause()
    const p = await MqttClient.connect(node.place.mqtt, `writes-${version}`, { version })
    for (const payload of payloads) {
      p.sendPublish(`bulk/${version}`, payload, { qos: 1 })
      await p.expect('puback')
    }
    c.socket.resume()
    for (const payload of payloads) {
      const d = await c.expect('publish')
      assert.ok(Buffer.compare(d.payload, payload) === 0)
      c.sendPuback(d.packetId)
    }
    await p.disconnect()
    await c.disconnect()
  })
}

test.run()
