// FilterTree test: what it finds is what the reference finds, after any history of changes.
import { Prng } from '../../../src/base/prng.ts'
import { FilterTree } from '../../../src/topic/filter_tree.ts'
import { matches } from '../../../src/topic/name.ts'
import { assert, suite } from '../../support/suite.ts'
import { randomFilter, randomTopic } from './random.ts'

const test = suite('topic/filter_tree')

function found<V>(tree: FilterTree<V>, topic: string): V[] {
  const out: V[] = []
  tree.match(topic, out)
  return out
}

test('match appends, and keeps the order in which values of one filter were added', () => {
  const tree = new FilterTree<string>()
  for (const value of ['z', 'a', 'm']) tree.add('t/+', value)
  tree.remove('t/+', 'a')
  tree.add('t/+', 'a')
  const out = ['before']
  tree.match('t/1', out)
  assert.equal(out, ['before', 'z', 'm', 'a'])
})

test('match gives a value once per matching filter', () => {
  const tree = new FilterTree<string>()
  for (const filter of ['#', 't/#', 't/+', 't/1', 't/1/#', '+/+', 'u/#', 't']) tree.add(filter, filter)
  assert.equal(found(tree, 't/1').sort(), ['#', '+/+', 't/#', 't/+', 't/1', 't/1/#'])
  for (const filter of ['t/#', 't/1']) tree.add(filter, 'both')
  assert.is(found(tree, 't/1').filter((value) => value === 'both').length, 2)
})

test('[MQTT-4.7.2-1] match keeps $ topics from wildcards at the root only', () => {
  const tree = new FilterTree<string>()
  for (const filter of ['#', '+', '+/#', '+/a', '$SYS/#', '$SYS/+', '$SYS/a']) tree.add(filter, filter)
  assert.equal(found(tree, '$SYS/a').sort(), ['$SYS/#', '$SYS/+', '$SYS/a'])
  assert.equal(found(tree, '$SYS'), ['$SYS/#'])
  assert.equal(found(tree, '$none'), [])
})

test('match takes no key of the tree for a wildcard', () => {
  const tree = new FilterTree<string>()
  tree.add('a/b', 'exact')
  assert.equal(found(tree, 'a/+'), [])
  assert.equal(found(tree, 'a/#'), [])
  assert.equal(found(tree, 'a/constructor'), [])
})

test('version and size change with every change, and with nothing else', () => {
  const tree = new FilterTree<number>()
  const steps: [change: () => unknown, grows: boolean, size: number][] = [
    [() => tree.add('a/#', 1), true, 1],
    [() => tree.add('a/#', 1), false, 1],
    [() => tree.add('a/#', 2), true, 2],
    [() => tree.remove('a', 1), false, 2],
    [() => tree.remove('a/#', 3), false, 2],
    [() => tree.remove('a/+', 1), false, 2],
    [() => tree.match('a', []), false, 2],
    [() => tree.remove('a/#', 1), true, 1],
    [() => tree.remove('a/#', 1), false, 1],
    [() => tree.remove('a/#', 2), true, 0],
  ]
  for (const [change, grows, size] of steps) {
    const before = tree.version
    change()
    assert.is(tree.version > before, grows, String(change))
    assert.is(tree.size, size, String(change))
  }
})

test('remove says whether the pair was there', () => {
  const tree = new FilterTree<number>()
  tree.add('a/+/c', 1)
  assert.is(tree.remove('a/+', 1), false)
  assert.is(tree.remove('a/+/c', 2), false)
  assert.is(tree.remove('a/+/c', 1), true)
  assert.is(tree.remove('a/+/c', 1), false)
})

test('remove leaves no empty nodes', () => {
  const prng = new Prng(1)
  const tree = new FilterTree<number>()
  const empty = JSON.stringify(tree, maps)
  const pairs: [string, number][] = []
  for (let i = 0; i < 500; i++) pairs.push([randomFilter(prng), i])
  for (const [filter, value] of pairs) tree.add(filter, value)
  for (const [filter, value] of pairs) assert.ok(tree.remove(filter, value))
  assert.is(JSON.stringify({ ...tree, version: 0 }, maps), empty)
})

/** Shows Maps and Sets to JSON, which would take them for empty objects. */
function maps(_key: string, value: unknown): unknown {
  return value instanceof Map || value instanceof Set ? [...value] : value
}

test('match equals the reference after random adds and removes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const prng = new Prng(seed)
    const tree = new FilterTree<string>()
    const model = new Map<string, { filter: string; value: string }>()
    for (let step = 0; step < 300; step++) {
      const filter = randomFilter(prng)
      const value = `${prng.int(1, 3)} ${filter}`
      if (prng.chance(0.6)) {
        tree.add(filter, value)
        if (!model.has(value)) model.set(value, { filter, value })
      } else assert.is(tree.remove(filter, value), model.delete(value), `seed ${seed}: remove ${filter}`)
      if (step % 10 !== 0) continue
      assert.is(tree.size, model.size)
      const topic = randomTopic(prng)
      const wanted = [...model.values()].filter((pair) => matches(pair.filter, topic)).map((pair) => pair.value)
      assert.equal(found(tree, topic).sort(), wanted.sort(), `seed ${seed}, step ${step}: ${topic}`)
      for (const one of new Set(wanted.map((value) => value.slice(2)))) {
        const inOrder = [...model.values()].filter((pair) => pair.filter === one).map((pair) => pair.value)
        const got = found(tree, topic).filter((value) => value.slice(2) === one)
        assert.equal(got, inOrder, `seed ${seed}, step ${step}: order under ${one}`)
      }
    }
  }
})

test('100 000 filters are added and matched without looking at each other', () => {
  const tree = new FilterTree<number>()
  for (let i = 0; i < 100_000; i++) tree.add(`device/${i}/command/+`, i)
  // Looking at all filters would be 10^10 comparisons here: the file's time limit is the assertion.
  for (let i = 0; i < 100_000; i++) assert.is(found(tree, `device/${i}/command/x`)[0], i)
})

test('it knows whether some filter begins with a level, wildcards aside', () => {
  const tree = new FilterTree<string>()
  assert.not(tree.leadsTo('$SYS'))
  for (const filter of ['#', '+/x', '$SYSTEM/#', 'a/$SYS']) tree.add(filter, filter)
  assert.not(tree.leadsTo('$SYS'))
  tree.add('$SYS/#', 'x')
  tree.add('$SYS/+/y', 'x')
  tree.remove('$SYS/#', 'x')
  assert.ok(tree.leadsTo('$SYS'))
  tree.remove('$SYS/+/y', 'x')
  assert.not(tree.leadsTo('$SYS'))
})

test.run()
