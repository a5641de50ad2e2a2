// Bytes test: what is written is what is read, across growth; text is strict UTF-8.
import { Bug } from '../../../src/base/assert.ts'
import { ByteWriter, utf8, utf8Text } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/bytes')

test('ByteWriter writes integers big end first', () => {
  const out = new ByteWriter()
  out.u8(0xfe)
  out.u16(0x1234)
  out.u32(0xdeadbeef)
  assert.equal([...out.view()], [0xfe, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef])
  assert.is(out.length, 7)
})

test('ByteWriter grows from any capacity, short and long copies alike', () => {
  for (const capacity of [0, 1, 7, 256]) {
    const prng = new Prng(capacity + 1)
    const out = new ByteWriter(capacity)
    const wanted: number[] = []
    for (let i = 0; i < 200; i++) {
      const src = Uint8Array.from({ length: prng.int(0, 120) }, () => prng.int(0, 255))
      const start = prng.int(0, src.length)
      const end = prng.int(start, src.length)
      out.copy(src, start, end)
      wanted.push(...src.subarray(start, end))
      out.copy(src)
      wanted.push(...src)
    }
    assert.equal([...out.view()], wanted)
  }
})

test('ByteWriter: reserve keeps what was written', () => {
  const out = new ByteWriter(2)
  out.u16(0x0102)
  out.reserve(100_000)
  assert.ok(out.buf.length >= 100_002)
  assert.equal([...out.view()], [1, 2])
})

test('ByteWriter: view borrows, take owns, clear starts over', () => {
  const out = new ByteWriter()
  out.u8(1)
  const view = out.view()
  const taken = out.take()
  out.clear()
  assert.is(out.length, 0)
  out.u8(2)
  assert.is(view[0], 2)
  assert.is(taken[0], 1)
})

test('ByteWriter: a reversed range is a bug', () => {
  assert.throws(
    () => new ByteWriter().copy(new Uint8Array(4), 3, 1),
    (error: unknown) => error instanceof Bug,
  )
})

test('utf8Text gives back what utf8 made, byte order mark and U+0000 included', () => {
  for (const text of ['', 'a/b', '温度', '🌡', '\ufeffa', 'a\0b']) assert.is(utf8Text(utf8(text)), text)
})

test('utf8Text gives null for what is not well formed', () => {
  const samples = [[0x80], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0xe6, 0xb8]]
  for (const sample of samples) assert.is(utf8Text(Uint8Array.from(sample)), null, String(sample))
  assert.is(utf8Text(utf8('still fine')), 'still fine')
})

test.run()
