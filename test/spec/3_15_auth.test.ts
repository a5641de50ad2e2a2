// AUTH: sections 3.15 and 4.12 of MQTT 5.0, on one node and on two: who has proven itself at one proves itself anew at the other.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import { text } from '../support/mqtt_client.ts'
import type { SpecClient } from '../support/one_node.ts'
import { ScramClient, usersOf } from '../support/passwords.ts'
import { frame, props } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.15 AUTH')
const { alone, everywhere } = arrangements(test)

const METHOD = 'SCRAM-SHA-512'
const setting = { users: usersOf({ al: 'secret', bo: 'hidden' }) }

/** CONNECT up to the challenge, and the answer to it. */
function challenge(c: SpecClient, scram: ScramClient, fields = {}): Uint8Array {
  c.sendConnect({ ...kept(5), authMethod: METHOD, authData: scram.first, ...fields })
  const asked = c.expect('auth')
  assert.equal([asked.reason, asked.method], [0x18, METHOD])
  return scram.answer(asked.data)
}

function answer(c: SpecClient, data: Uint8Array, reason = 0x18): void {
  c.sendAuth({ reason, method: METHOD, data })
}

function proven(w: AnyBroker, clientId: string, fields = {}): SpecClient {
  const c = w.open(clientId)
  answer(c, challenge(c, new ScramClient('al', 'secret'), fields))
  const connack = c.expect('connack')
  assert.equal([connack.reason, connack.authMethod], [0, METHOD])
  c.present = connack.sessionPresent
  return c
}

everywhere(
  '[MQTT-3.15.2-1] [MQTT-4.12.0-2] [MQTT-4.12.0-5]',
  'the server asks with 0x18 and ends with CONNACK, or with AUTH 0x00 when it was anew',
  (w) => {
    for (let i = 0; i < 3; i++) {
      const c = proven(w, 'c')
      assert.is(c.present, i > 0)
      if (i === 0) c.subscribe('t', 1)
      const scram = new ScramClient('al', 'secret', 'another-nonce-of-this-client')
      answer(c, scram.first, 0x19)
      const asked = c.expect('auth')
      assert.equal([asked.reason, asked.method], [0x18, METHOD])
      answer(c, scram.answer(asked.data))
      const done = c.expect('auth')
      assert.equal([done.reason, done.method], [0, METHOD])
      assert.is(text(done.data ?? new Uint8Array()), scram.serverFinal, 'the server has proven itself as well')
      proven(w, `p${i}`).publish('t', `${i}`, { qos: 1 })
      assert.is(text(c.take().payload), `${i}`)
      c.drop()
    }
  },
  setting,
)

everywhere(
  '[MQTT-4.12.0-4]',
  'a wrong proof is refused and closed, at whichever node, and takes nobody’s place',
  (w) => {
    let owner = proven(w, 'c')
    owner.subscribe('t', 1)
    const thief = w.open('c')
    answer(thief, challenge(thief, new ScramClient('bo', 'guessed'), { cleanStart: true }))
    assert.is(thief.expect('connack').reason, 0x87)
    assert.ok(thief.closed)
    assert.not(owner.closed)
    owner = proven(w, 'c')
    assert.is(owner.present, true)
  },
  setting,
)

alone(
  '[MQTT-3.15.2-1] [MQTT-4.12.0-3]',
  'an AUTH of a client with a reason that is not its own closes the connection',
  (w) => {
    for (let reason = 0; reason < 256; reason++) {
      if (reason === 0x18) continue
      const c = w.open('c')
      const data = challenge(c, new ScramClient('al', 'secret'))
      c.raw(frame(0xf0, [reason], props([0x15], METHOD, [0x16, data.length >> 8, data.length & 0xff], data)))
      for (const packet of c.takeAll()) assert.ok(packet.cmd === 'connack' && packet.reason >= 0x80, `${reason}`)
      assert.ok(c.closed, `${reason}`)
    }
  },
  setting,
)

alone(
  '[MQTT-3.15.2-2] [MQTT-3.15.2-3] [MQTT-3.1.2-24]',
  'no AUTH is larger than the client takes: who takes none that size is refused',
  (w) => {
    let proved = 0
    for (let size = 20; size < 320; size += 10) {
      const c = w.open('c')
      c.heard = []
      c.sendConnect({ authMethod: METHOD, authData: new ScramClient('al', 'secret').first, maximumPacketSize: size })
      for (const bytes of c.heard) assert.ok(bytes.length <= size, `${bytes.length} bytes of ${size}`)
      const [packet] = c.takeAll()
      if (packet?.cmd === 'auth') proved++
      else assert.ok(packet?.cmd === 'connack' && packet.reason === 0x95 && c.closed)
      c.drop()
    }
    assert.ok(proved > 0 && proved < 30)
  },
  setting,
)

everywhere(
  '[MQTT-4.12.1-2]',
  'authentication anew that fails ends the connection; the session can be had again',
  (w) => {
    let c = proven(w, 'c')
    const wrong = new ScramClient('al', 'wrong')
    answer(c, wrong.first, 0x19)
    answer(c, wrong.answer(c.expect('auth').data))
    c.expectDisconnect(0x87)
    c = proven(w, 'c')
    assert.is(c.present, true)
  },
  setting,
)

test.run()
