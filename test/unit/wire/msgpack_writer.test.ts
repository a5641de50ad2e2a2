// MsgpackWriter: judged by the package it stands in for, on values of every kind and at every border of a length.
import { decode } from '@msgpack/msgpack'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import { type Packable, writeValue } from '../../../src/wire/msgpack_writer.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('msgpack writer')

function through(value: Packable): unknown {
  const w = new ByteWriter(0)
  writeValue(w, value)
  return decode(w.take())
}

test('integers come back at every border of their width', () => {
  for (const border of [0, 0x80, 0x100, 0x1_0000, 0x1_0000_0000, Number.MAX_SAFE_INTEGER])
    for (const n of [border - 1, border, border + 1, -border, -border - 1])
      if (Number.isSafeInteger(n)) assert.is(through(n), n)
  for (const n of [-1, -32, -33, -128, -129]) assert.is(through(n), n)
})

test('texts come back, plain and not, at every border of their length', () => {
  for (const length of [0, 1, 31, 32, 255, 256, 65_535, 65_536]) {
    assert.is(through('a'.repeat(length)), 'a'.repeat(length))
    assert.is(through('é'.repeat(length)), 'é'.repeat(length))
  }
  assert.is(through('plain then 🙂'), 'plain then 🙂')
})

test('bytes, lists and null come back at every border of their length', () => {
  assert.is(through(null), null)
  for (const length of [0, 15, 16, 255, 256, 65_535, 65_536]) {
    assert.equal(through(new Uint8Array(length).fill(7)), new Uint8Array(length).fill(7))
    assert.equal(through(new Array<number>(length).fill(3)), new Array<number>(length).fill(3))
  }
})

test('anything nested comes back', () => {
  const prng = new Prng(1)
  const make = (depth: number): Packable => {
    switch (prng.int(0, depth > 4 ? 3 : 5)) {
      case 0:
        return null
      case 1:
        return prng.int(-40, 2 ** prng.int(1, 52))
      case 2:
        return prng.pick(['', 'a/b', 'größe', 'x'.repeat(40)])
      case 3:
        return new Uint8Array(prng.int(0, 300)).fill(prng.int(0, 255))
      default:
        return Array.from({ length: prng.int(0, 20) }, () => make(depth + 1))
    }
  }
  for (let i = 0; i < 300; i++) {
    const value = make(0)
    assert.equal(through(value), value)
  }
})

test('a number that is not whole is our own mistake', () => {
  assert.throws(() => through(1.5), /whole number/)
})

test.run()
