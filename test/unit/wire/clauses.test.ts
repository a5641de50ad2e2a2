// Goal: every clause that the decoder cites is shown by a packet. Method: look for each in the names of the packet table;
// decoder.test.ts runs the table.
import { acks, connects, controls, publishes } from '../../../fixtures/packet/cases.ts'
import { assert, suite } from '../../support/suite.ts'

const CLAUSES = [
  '[MQTT-1.5.4-1]',
  '[MQTT-1.5.4-2]',
  '[MQTT-1.5.5-1]',
  '[MQTT-2.1.3-1]',
  '[MQTT-2.2.1-3]',
  '[MQTT-3.1.0-1]',
  '[MQTT-3.1.0-2]',
  '[MQTT-3.1.2-1]',
  '[MQTT-3.1.2-2]',
  '[MQTT-3.1.2-3]',
  '[MQTT-3.1.2-11]',
  '[MQTT-3.1.2-12]',
  '[MQTT-3.1.2-13]',
  '[MQTT-3.1.3-4]',
  '[MQTT-3.1.3-11]',
  '[MQTT-3.1.3-12]',
  '[MQTT-3.3.1-2]',
  '[MQTT-3.3.1-4]',
  '[MQTT-3.3.2-2]',
  '[MQTT-3.3.2-8]',
  '[MQTT-3.3.2-14]',
  '[MQTT-3.3.2-17]',
  '[MQTT-3.3.2-18]',
  '[MQTT-3.3.4-6]',
  '[MQTT-3.4.2-1]',
  '[MQTT-3.6.1-1]',
  '[MQTT-3.8.1-1]',
  '[MQTT-3.8.3-1]',
  '[MQTT-3.8.3-2]',
  '[MQTT-3.8.3-4]',
  '[MQTT-3.8.3-5]',
  '[MQTT-3.10.1-1]',
  '[MQTT-3.10.3-1]',
  '[MQTT-3.10.3-2]',
  '[MQTT-3.14.1-1]',
  '[MQTT-3.14.2-1]',
  '[MQTT-3.15.1-1]',
  '[MQTT-3.15.2-1]',
  '[MQTT-4.7.3-1]',
]

const names = [...connects, ...publishes, ...acks, ...controls].map((c) => c.name)
const test = suite('wire clauses')

for (const clause of CLAUSES) {
  test(`${clause} has a packet in the table`, () => {
    assert.ok(names.some((name) => name.includes(clause)))
  })
}

test.run()
