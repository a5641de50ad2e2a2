// Deque test: first in, first out, whatever the growth and the wrap.
import { Bug } from '../../../src/base/assert.ts'
import { Deque } from '../../../src/base/deque.ts'
import { Prng } from '../../../src/base/prng.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/deque')
const isBug = (error: unknown) => error instanceof Bug

test('an empty deque has nothing to give', () => {
  const deque = new Deque<number>()
  assert.is(deque.length, 0)
  assert.is(deque.peek(), undefined)
  assert.is(deque.last(), undefined)
  assert.is(deque.shift(), undefined)
  assert.is(deque.length, 0)
  assert.equal([...deque], [])
})

test('at counts from the front; outside is a bug', () => {
  const deque = new Deque<string>()
  for (const item of ['a', 'b', 'c']) deque.push(item)
  deque.shift()
  assert.is(deque.at(0), 'b')
  assert.is(deque.at(1), 'c')
  assert.throws(() => deque.at(2), isBug)
  assert.throws(() => deque.at(-1), isBug)
})

test('a deque equals an array after any pushes and shifts', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const prng = new Prng(seed)
    const deque = new Deque<number>()
    const model: number[] = []
    for (let step = 0; step < 2000; step++) {
      // Longer stretches of filling and of emptying, so that the ring both grows and wraps.
      if (prng.chance(step % 400 < 200 ? 0.7 : 0.3)) {
        deque.push(step)
        model.push(step)
      } else assert.is(deque.shift(), model.shift())
      assert.is(deque.length, model.length)
      assert.is(deque.peek(), model[0])
      assert.is(deque.last(), model.at(-1))
      if (step % 100 === 0) assert.equal([...deque], model, `seed ${seed}`)
    }
  }
})

test('clear empties a deque for new use', () => {
  const deque = new Deque<number>()
  for (let i = 0; i < 100; i++) deque.push(i)
  deque.clear()
  assert.is(deque.length, 0)
  assert.is(deque.shift(), undefined)
  deque.push(7)
  assert.equal([...deque], [7])
})

test('a large deque that was emptied works on', () => {
  const deque = new Deque<number>()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5000; i++) deque.push(i)
    for (let i = 0; i < 5000; i++) assert.is(deque.shift(), i)
    assert.is(deque.length, 0)
  }
})

test.run()
