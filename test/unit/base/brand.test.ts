// Brand test: each constructor takes its range and stops the process on anything else.
import { Bug } from '../../../src/base/assert.ts'
import { BootId, Hlc, Lsn, PacketId, QueuePos, Turn } from '../../../src/base/brand.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/brand')

function refused(make: (n: number) => unknown, numbers: readonly number[]): void {
  for (const n of numbers) {
    assert.throws(
      () => make(n),
      (error: unknown) => error instanceof Bug,
      `${n}`,
    )
  }
}

test('positions and clocks are safe integers from 0', () => {
  for (const make of [Lsn, Turn, QueuePos, Hlc]) {
    for (const n of [0, 1, Number.MAX_SAFE_INTEGER]) assert.is(make(n), n)
    refused(make, [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER + 1])
  }
})

test('PacketId is 1 to 65 535', () => {
  for (const n of [1, 0x3fff, 0xffff]) assert.is(PacketId(n), n)
  refused(PacketId, [0, -1, 0x1_0000, Number.NaN])
})

test('BootId keeps 16 bits of the counter above the nonce', () => {
  assert.is(BootId(0, 7), 7)
  assert.is(BootId(1, 7), 0x1_0000_0007)
  assert.is(BootId(0x1_0001, 7), BootId(1, 7))
  assert.ok(Number.isSafeInteger(BootId(0xffff, 0xffff_ffff)))
  assert.is.not(BootId(1, 0), BootId(0, 0xffff_ffff))
  refused((nonce) => BootId(1, nonce), [-1, 0x1_0000_0000, Number.NaN])
})

test.run()
