// SubFormat: lines as mosquitto_sub writes them.
import { ByteWriter } from '../../../src/base/bytes.ts'
import { type Format, parseFormat, plainFormat, verboseFormat } from '../../../src/cli/client/sub_format.ts'
import type { Delivery } from '../../../src/wire/client_decoder.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('sub format')
const message = (more: Partial<Delivery> = {}): Delivery => ({
  cmd: 'publish',
  topic: 'a/b',
  payload: new TextEncoder().encode('hi'),
  qos: 1,
  retain: true,
  dup: false,
  packetId: 7,
  props: null,
  subscriptionIds: null,
  expiry: -1,
  topicAlias: 0,
  aliased: false,
  ...more,
})
const now = new Date('2026-01-02T03:04:05.006Z')
const print = (format: Format, more: Partial<Delivery> = {}) => {
  const out = new ByteWriter()
  format(out, message(more), now)
  return new TextDecoder().decode(out.view())
}

for (const [format, expected] of [
  ['%t|%p|%q|%r|%l|%m|%%', 'a/b|hi|1|1|2|7|%'],
  ['%x %X', '6869 6869'],
  ['a\\tb\\n\\\\', 'a\tb\n\\'],
  ['%I %U', '2026-01-02T03:04:05.006Z 1767323045.006'],
  ['%C%R%D%E%F%P%S', ''],
  ['%j', '{"tst":"2026-01-02T03:04:05.006Z","topic":"a/b","qos":1,"retain":1,"payloadlen":2,"mid":7,"payload":"hi"}'],
] as const) {
  test(`${format}`, () => assert.is(print(parseFormat(format)), expected))
}

test('properties, where the message has them', () => {
  const properties = {
    contentType: 'text/plain',
    responseTopic: 'r',
    expiry: 9,
    payloadFormat: 1 as const,
    userProperties: [
      ['a', '1'],
      ['a', '2'],
    ] as const,
    subscriptionIds: [3, 4],
  }
  assert.is(print(parseFormat('%C|%R|%E|%F|%P|%S'), properties), 'text/plain|r|9|1|a:1 a:2|3 4')
})

test('%J puts a JSON payload in as it is', () => {
  const payload = new TextEncoder().encode('{"t":21.5}')
  assert.equal(JSON.parse(print(parseFormat('%J'), { payload })).payload, { t: 21.5 })
})

test('plain and verbose lines', () => {
  assert.is(print(plainFormat), 'hi')
  assert.is(print(verboseFormat), 'a/b hi')
  assert.is(print(verboseFormat, { payload: new Uint8Array(0) }), 'a/b (null)')
})

test('an unknown letter is refused', () => {
  assert.throws(() => parseFormat('%t %z'), /^-F: %z is not known here/)
  assert.throws(() => parseFormat('%'), /^-F: % is not known here/)
})

test.run()
