// Timers test: each key is due once, at its last deadline, in the order of deadlines.
import { Bug } from '../../../src/base/assert.ts'
import { Prng } from '../../../src/base/prng.ts'
import { Timers } from '../../../src/base/timers.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('base/timers')

test('due gives keys in the order of their deadlines, none before its time', () => {
  const timers = new Timers<string>()
  timers.set('c', 30)
  timers.set('a', 10)
  timers.set('b', 20)
  assert.is(timers.next(), 10)
  assert.is(timers.due(9), undefined)
  assert.is(timers.due(20), 'a')
  assert.is(timers.due(20), 'b')
  assert.is(timers.due(20), undefined)
  assert.is(timers.next(), 30)
  assert.is(timers.size, 1)
})

test('no deadline is infinitely far', () => {
  const timers = new Timers<string>()
  assert.is(timers.next(), Number.POSITIVE_INFINITY)
  assert.is(timers.due(Number.MAX_VALUE), undefined)
  assert.is(timers.deadline('a'), undefined)
})

test('set again moves a deadline, earlier or later', () => {
  const timers = new Timers<string>()
  timers.set('a', 10)
  timers.set('b', 20)
  timers.set('a', 30)
  assert.is(timers.size, 2)
  assert.is(timers.next(), 20)
  timers.set('a', 5)
  assert.is(timers.deadline('a'), 5)
  assert.is(timers.due(5), 'a')
  assert.is(timers.has('a'), false)
  assert.is(timers.due(100), 'b')
  assert.is(timers.due(100), undefined)
})

test('clear takes a deadline away, and a missing one is fine', () => {
  const timers = new Timers<string>()
  timers.set('a', 10)
  timers.clear('a')
  timers.clear('a')
  assert.is(timers.has('a'), false)
  assert.is(timers.size, 0)
  assert.is(timers.next(), Number.POSITIVE_INFINITY)
})

test('a deadline must be finite', () => {
  const timers = new Timers<string>()
  for (const at of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => timers.set('a', at),
      (error: unknown) => error instanceof Bug,
    )
  }
})

test('timers equal a sorted list after any sets and clears', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const prng = new Prng(seed)
    const timers = new Timers<number>()
    const model = new Map<number, number>()
    let now = 0
    for (let step = 0; step < 2000; step++) {
      const key = prng.int(0, 200)
      if (prng.chance(0.5)) {
        const at = now + prng.int(0, 500)
        timers.set(key, at)
        model.set(key, at)
      } else {
        timers.clear(key)
        model.delete(key)
      }
      assert.is(timers.size, model.size)
      assert.is(timers.deadline(key), model.get(key))
      if (!prng.chance(0.05)) continue
      assert.is(timers.next(), Math.min(...model.values()), `seed ${seed}`)
      now += prng.int(0, 100)
      let last = Number.NEGATIVE_INFINITY
      for (let due = timers.due(now); due !== undefined; due = timers.due(now)) {
        const at = model.get(due)
        assert.ok(at !== undefined && at <= now && at >= last, `seed ${seed}: ${due}`)
        last = at!
        model.delete(due)
      }
      for (const at of model.values()) assert.ok(at > now, `seed ${seed}: one was left`)
    }
  }
})

test('a deadline moved again and again does not fill the memory', () => {
  const timers = new Timers<string>()
  for (let now = 0; now < 100_000; now++) timers.set('keep alive', now + 60_000)
  const { heap } = timers as unknown as { heap: unknown[] }
  assert.ok(heap.length < 1000, `${heap.length} items for one key`)
})

test.run()
