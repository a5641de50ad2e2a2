// Queue: entries by position, against a plain sorted list; positions that come late, gaps, and the sender's cursor.

import type { BootId, Hlc } from '../../../src/base/brand.ts'
import { NO_BYTES } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import { Message } from '../../../src/session/message.ts'
import { Entry, Queue } from '../../../src/session/queue.ts'
import { TopicRef } from '../../../src/topic/topics.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('queue')
const topic = new TopicRef('t', NO_BYTES)

function entry(pos: number, bytes = 1): Entry {
  const message = new Message(
    1 as BootId,
    pos,
    1 as Hlc,
    topic,
    new Uint8Array(bytes),
    1,
    false,
    null,
    Number.POSITIVE_INFINITY,
    '',
  )
  return new Entry(message, pos, 1, false, null, null)
}

const positions = (queue: Queue) => [...queue].map((e) => e.pos)

test('entries come out in order of position, whatever the order they came in', () => {
  const queue = new Queue()
  for (const pos of [5, 7, 6, 3, 10, 4]) assert.ok(queue.put(entry(pos)), `${pos}`)
  assert.equal(positions(queue), [3, 4, 5, 6, 7, 10])
  assert.is(queue.count, 6)
  assert.is(queue.bytes, 6)
  assert.is(queue.end, 11)
})

test('a position that is taken, or absurdly far away, is refused', () => {
  const queue = new Queue()
  assert.ok(queue.put(entry(100_000_000)))
  assert.not(queue.put(entry(100_000_000)))
  assert.not(queue.put(entry(200_000_000)))
  assert.not(queue.put(entry(1)))
  assert.equal(positions(queue), [100_000_000])
})

test('the cursor passes what is under way and goes back for what comes in front', () => {
  const queue = new Queue()
  for (const pos of [4, 5, 6]) queue.put(entry(pos))
  const first = queue.nextWaiting()!
  assert.is(first.pos, 4)
  assert.is(queue.nextWaiting(), first, 'the cursor does not pass a waiting entry')
  first.state = 1
  assert.is(queue.nextWaiting()!.pos, 5)
  queue.get(5)!.state = 2
  queue.put(entry(2))
  assert.is(queue.nextWaiting()!.pos, 2)
  queue.get(2)!.state = 1
  assert.is(queue.nextWaiting()!.pos, 6)
  queue.get(6)!.state = 1
  assert.is(queue.nextWaiting(), null)
})

test('an emptied queue starts over at any position', () => {
  const queue = new Queue()
  const one = entry(9)
  queue.put(one)
  queue.nextWaiting()
  queue.remove(one)
  assert.is(queue.count, 0)
  assert.is(queue.nextWaiting(), null)
  queue.put(entry(2))
  assert.is(queue.nextWaiting()!.pos, 2)
})

test('removing what is not there is a bug', () => {
  const queue = new Queue()
  queue.put(entry(1))
  assert.throws(() => queue.remove(entry(1)))
})

test('removal while iterating leaves out nothing else', () => {
  const queue = new Queue()
  for (let pos = 0; pos < 200; pos++) queue.put(entry(pos))
  const seen: number[] = []
  for (const e of queue) {
    seen.push(e.pos)
    if (e.pos % 3 !== 0) queue.remove(e)
  }
  assert.is(seen.length, 200)
  assert.is(queue.count, 67)
})

test('a thousand random runs against a sorted list', () => {
  const prng = new Prng(1)
  for (let run = 0; run < 1_000; run++) {
    const queue = new Queue()
    const model = new Map<number, Entry>()
    let top = prng.int(0, 50)
    for (let step = 0; step < 120; step++) {
      const dice = prng.next()
      if (dice < 0.55) {
        const pos = dice < 0.4 ? top++ : prng.int(Math.max(0, top - 60), top + 4)
        const e = entry(pos, prng.int(0, 9))
        assert.is(queue.put(e), !model.has(pos))
        if (!model.has(pos)) model.set(pos, e)
        top = Math.max(top, pos + 1)
      } else if (dice < 0.8 && model.size > 0) {
        const keys = [...model.keys()]
        const e = model.get(keys[prng.int(0, keys.length - 1)]!)!
        queue.remove(e)
        model.delete(e.pos)
      } else {
        const waiting = [...model.values()].filter((e) => e.state === 0).sort((x, y) => x.pos - y.pos)
        const next = queue.nextWaiting()
        assert.is(next, waiting[0] ?? null)
        if (next !== null) next.state = 1
      }
    }
    const sorted = [...model.values()].sort((x, y) => x.pos - y.pos)
    assert.equal(
      positions(queue),
      sorted.map((e) => e.pos),
    )
    assert.is(queue.count, model.size)
    assert.is(
      queue.bytes,
      sorted.reduce((sum, e) => sum + e.message.payload.length, 0),
    )
    for (const e of sorted) assert.is(queue.get(e.pos), e)
  }
})

test.run()
