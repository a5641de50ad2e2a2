// PUBACK, PUBREC, PUBREL, PUBCOMP: sections 3.4 to 3.7 of MQTT 5.0: reason codes of the server, and of clients that make some up.

import { arrangements, kept } from '../support/everywhere.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.4 to 3.7 acknowledgements')
const { alone, everywhere } = arrangements(test)

const RECEIVED = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const RELEASED = [0x00, 0x92]

/** Packet types by the name they have in an inbox, with the reasons they may carry. */
const ACKS = [
  ['puback', 0x40, RECEIVED, '[MQTT-3.4.2-1]'],
  ['pubrec', 0x50, RECEIVED, '[MQTT-3.5.2-1]'],
  ['pubrel', 0x62, RELEASED, '[MQTT-3.6.2-1]'],
  ['pubcomp', 0x70, RELEASED, '[MQTT-3.7.2-1]'],
] as const

for (const [name, first, reasons, tag] of ACKS)
  alone(tag, `a reason that is none of ${name.toUpperCase()} closes the connection, each other one does not`, (w) => {
    for (let reason = 0; reason < 256; reason++) {
      const c = w.connect('c')
      c.raw([first, 3, 0, 9, reason])
      if (reasons.includes(reason)) assert.not(c.closed, `${reason}`)
      else c.expectDisconnect(0x82)
    }
  })

alone(
  '[MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]',
  'each form of an acknowledgement is understood: without reason, without properties, with some',
  (w) => {
    for (const [, first] of ACKS)
      for (const rest of [
        [],
        [0],
        [0, 0],
        [0, ...props([0x1f], 'in words')],
        [0, ...props([0x1f], 'words', [0x26], 'a', 'b', [0x26], 'a', 'c')],
      ]) {
        const c = w.connect('c')
        c.raw(frame(first, [0, 9], rest))
        assert.not(c.closed)
        for (const bad of [props([0x1f], 'a', [0x1f], 'b'), props([0x11, 0, 0, 0, 1]), [1], [0, 0]]) {
          const d = w.connect('d')
          d.raw(frame(first, [0, 9], [0], bad))
          assert.ok(d.expect('disconnect').reason >= 0x80)
          assert.ok(d.closed)
        }
      }
  },
)

everywhere(
  '[MQTT-3.4.2-1] [MQTT-3.5.2-1]',
  'the server says Success for what somebody takes, 0x10 for what nobody takes',
  (w) => {
    let p = w.connect('p', kept(5))
    const c = w.connect('c')
    c.subscribe('t', 2)
    for (const [topic, reason] of [
      ['t', 0],
      ['u', 0x10],
    ] as const) {
      p.sendPublish(topic, 'x', { qos: 1 })
      assert.is(p.expect('puback').reason, reason)
      const id = p.sendPublish(topic, 'x', { qos: 2 })
      assert.is(p.expect('pubrec').reason, reason)
      p.sendPubrel(id)
      assert.is(p.expect('pubcomp').reason, 0)
      p = w.move(p)
    }
  },
)

everywhere(
  '[MQTT-3.6.2-1] [MQTT-3.7.2-1]',
  'the server says Success for a flow it knows, 0x92 for one it does not',
  (w) => {
    const p = w.connect('p')
    let c = w.connect('c', kept(5))
    c.subscribe('t', 2)
    c = w.move(c)
    p.publish('t', 'x', { qos: 2 })
    const { packetId } = c.expect('publish')
    c.sendPubrec(packetId)
    assert.equal(c.expect('pubrel'), { cmd: 'pubrel', packetId, reason: 0 })
    c.sendPubrec(packetId + 1)
    assert.equal(c.expect('pubrel'), { cmd: 'pubrel', packetId: packetId + 1, reason: 0x92 })
    c.sendPubrel(77)
    assert.equal(c.expect('pubcomp'), { cmd: 'pubcomp', packetId: 77, reason: 0x92 })
    c.sendPubcomp(packetId)
    c.sendPubrec(packetId)
    assert.equal(c.expect('pubrel'), { cmd: 'pubrel', packetId, reason: 0x92 })
    assert.not(c.closed)
  },
)

test.run()
