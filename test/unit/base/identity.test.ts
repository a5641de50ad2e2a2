// Identity test: both nodes must order and recognise tokens, generations and connections alike.
import { BootId } from '../../../src/base/brand.ts'
import {
  compareTokens,
  GENERATION_NONE,
  hasGeneration,
  sameConn,
  sameGeneration,
  sameToken,
  type Token,
  tokenTag,
} from '../../../src/base/identity.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/identity')

const boots = [BootId(0, 0), BootId(1, 0), BootId(1, 0xffff_ffff), BootId(0xffff, 5)]
const tokens: Token[] = [0, 1, 7].flatMap((epoch) =>
  boots.flatMap((minter) => [0, 1, 2].map((n) => ({ epoch, minter, n }))),
)

test('compareTokens is a total order: epoch, then minter, then count', () => {
  for (const a of tokens) {
    for (const b of tokens) {
      const way = Math.sign(compareTokens(a, b))
      assert.is(way + Math.sign(compareTokens(b, a)), 0)
      assert.is(way === 0, sameToken(a, b))
      if (a.epoch !== b.epoch) assert.is(way, Math.sign(a.epoch - b.epoch))
      else if (a.minter !== b.minter) assert.is(way, Math.sign(a.minter - b.minter))
    }
  }
  const order = [...tokens].sort(compareTokens)
  assert.equal([...tokens].reverse().sort(compareTokens), order)
})

test('sameToken looks at every part', () => {
  const token: Token = { epoch: 1, minter: BootId(1, 2), n: 3 }
  assert.ok(sameToken(token, { ...token }))
  assert.not(sameToken(token, { ...token, epoch: 2 }))
  assert.not(sameToken(token, { ...token, minter: BootId(1, 3) }))
  assert.not(sameToken(token, { ...token, n: 4 }))
})

test('tokenTag is an exact integer that tells nonces and counts apart', () => {
  const tags = new Set<number>()
  for (const nonce of [0, 1, 0xffff_fffe, 0xffff_ffff]) {
    for (const n of [0, 1, 0x1f_ffff]) {
      const tag = tokenTag({ epoch: 1, minter: BootId(0xffff, nonce), n })
      assert.ok(Number.isSafeInteger(tag), `${tag}`)
      tags.add(tag)
    }
  }
  assert.is(tags.size, 12)
})

test('generations are found by number and minter', () => {
  const a = { n: 1, minter: BootId(1, 1) }
  const b = { n: 1, minter: BootId(1, 2) }
  assert.ok(sameGeneration(a, { ...a }))
  assert.not(sameGeneration(a, b))
  assert.not(sameGeneration(a, { ...a, n: 2 }))
  assert.ok(hasGeneration([GENERATION_NONE, a], { ...a }))
  assert.not(hasGeneration([GENERATION_NONE, a], b))
  assert.not(hasGeneration([], GENERATION_NONE))
})

test('sameConn looks at both parts', () => {
  const conn = { boot: BootId(1, 1), n: 1 }
  assert.ok(sameConn(conn, { ...conn }))
  assert.not(sameConn(conn, { ...conn, n: 2 }))
  assert.not(sameConn(conn, { ...conn, boot: BootId(2, 1) }))
})

test.run()
