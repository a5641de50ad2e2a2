// Topics test: one ref per name, from text or from bytes, within a bound.
import { utf8 } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import { validTopicName } from '../../../src/topic/name.ts'
import { sameBytes, TopicTable } from '../../../src/topic/topics.ts'
import { assert, suite } from '../../support/suite.ts'
import { randomTopic } from './random.ts'

const test = suite('topic/topics')

test('intern and internBytes give one ref per name', () => {
  const table = new TopicTable(10, 1000)
  const ref = table.intern('温/a')
  assert.is(ref.name, '温/a')
  assert.equal(ref.bytes, utf8('温/a'))
  assert.is(ref.version, -1)
  assert.is(ref.route, null)
  assert.is(table.intern('温/a'), ref)
  const packet = utf8('xx温/ayy')
  assert.is(table.internBytes(packet, 2, 7), ref)
  assert.is(table.internBytes(packet, 2, 7), ref)
  assert.is.not(table.internBytes(packet, 2, 6), ref)
  assert.is(table.internBytes(packet, 2, 6).name, '温/')
})

test('internBytes keeps a copy: the buffer may be overwritten', () => {
  const table = new TopicTable(10, 1000)
  const packet = utf8('a/b')
  const ref = table.internBytes(packet, 0, 3)
  packet.fill(0x78)
  assert.equal(ref.bytes, utf8('a/b'))
  assert.is(table.internBytes(packet, 0, 3).name, 'xxx')
})

test('internBytes keeps a byte order mark', () => {
  const bytes = utf8('\ufeffa')
  assert.is(new TopicTable(10, 1000).internBytes(bytes, 0, bytes.length).name, '\ufeffa')
})

test('[MQTT-1.5.4-1] internBytes gives a name nobody may publish to when the bytes are ill-formed', () => {
  const table = new TopicTable(10, 1000)
  const samples = [
    [0xff],
    [0x61, 0x80],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80], // a surrogate
    [0xf4, 0x90, 0x80, 0x80], // above U+10FFFF
    [0xe6, 0xb8], // cut short
  ]
  for (const sample of samples) {
    const ref = table.internBytes(Uint8Array.from(sample), 0, sample.length)
    assert.not(validTopicName(ref.name))
    assert.is.not(ref, table.internBytes(Uint8Array.from(sample), 0, sample.length))
  }
})

test('a full table forgets the names that are not used; refs in use elsewhere stay good', () => {
  const table = new TopicTable(4, 1000)
  const [used, unused] = [table.intern('used'), table.intern('unused')]
  const bytes = utf8('unused')
  for (const name of ['b', 'c', 'd', 'e', 'f']) {
    table.intern(name)
    assert.is(table.intern('used'), used)
  }
  const second = table.internBytes(bytes, 0, bytes.length)
  assert.is.not(second, unused)
  assert.equal([second.name, unused.name], ['unused', 'unused'])
  assert.ok(sameBytes(unused, bytes, 0, bytes.length))
})

test('the bytes of names are bounded too', () => {
  const table = new TopicTable(1000, 100)
  const first = table.intern('a'.repeat(40))
  table.intern('b'.repeat(40))
  table.intern('c'.repeat(40))
  assert.is.not(table.intern('a'.repeat(40)), first)
})

test('a table of any size answers as if it had no bound', () => {
  const prng = new Prng(7)
  const table = new TopicTable(20, 1000)
  for (let i = 0; i < 5000; i++) {
    const name = randomTopic(prng)
    const bytes = utf8(`${'-'.repeat(i % 4)}${name}/tail`)
    const start = i % 4
    const ref = prng.chance(0.5) ? table.intern(name) : table.internBytes(bytes, start, bytes.length - 5)
    assert.is(ref.name, name)
    assert.ok(sameBytes(ref, bytes, start, bytes.length - 5))
  }
})

test('internBytes tells names with equal hashes apart', () => {
  const table = new TopicTable(10, 1000)
  for (const name of ['costarring', 'liquid', 'costarring', 'liquid']) {
    const bytes = utf8(name)
    assert.is(table.internBytes(bytes, 0, bytes.length), table.intern(name))
  }
})

test('sameBytes compares exactly the range', () => {
  const ref = new TopicTable(1, 1000).intern('a/b')
  const packet = utf8('xa/bx')
  assert.is(sameBytes(ref, packet, 1, 4), true)
  assert.is(sameBytes(ref, packet, 0, 3), false)
  assert.is(sameBytes(ref, packet, 1, 3), false)
  assert.is(sameBytes(ref, packet, 1, 5), false)
  assert.is(sameBytes(ref, utf8('a/c'), 0, 3), false)
  assert.is(sameBytes(ref, utf8('A/b'), 0, 3), false)
})

test.run()
