// RetainedTree test: lookups equal brute force after any history; cursors hold while the tree changes.
import { Prng } from '../../../src/base/prng.ts'
import { matches } from '../../../src/topic/name.ts'
import { RetainedTree } from '../../../src/topic/retained.ts'
import { assert, suite } from '../../support/suite.ts'
import { randomFilter, randomTopic } from './random.ts'

const test = suite('topic/retained')

function treeOf(...topics: string[]): RetainedTree<string> {
  const tree = new RetainedTree<string>()
  for (const topic of topics) tree.set(topic, `of ${topic}`)
  return tree
}

function found(tree: RetainedTree<unknown>, filter: string): string[] {
  const topics: string[] = []
  tree.match(filter, (topic) => topics.push(topic))
  return topics
}

test('set, get and delete go by the exact topic', () => {
  const tree = treeOf('a/b', 'a', '/')
  assert.is(tree.size, 3)
  assert.is(tree.get('a'), 'of a')
  assert.is(tree.get('/'), 'of /')
  assert.is(tree.get('a/'), undefined)
  tree.set('a', 'new')
  assert.is(tree.size, 3)
  assert.is(tree.delete('a'), 'new')
  assert.is(tree.delete('a'), undefined)
  assert.is(tree.get('a'), undefined)
  assert.is(tree.get('a/b'), 'of a/b')
  assert.is(tree.size, 2)
})

test('match gives value and topic, for exact filters too', () => {
  const tree = treeOf('a', 'a/b', 'a/b/c', 'b')
  const seen: string[] = []
  tree.match('a/#', (topic, value) => seen.push(`${topic}: ${value}`))
  assert.equal(seen, ['a: of a', 'a/b: of a/b', 'a/b/c: of a/b/c'])
  assert.equal(found(tree, 'a/b'), ['a/b'])
  assert.equal(found(tree, 'a/x'), [])
  assert.equal(found(tree, '+'), ['a', 'b'])
})

test('[MQTT-4.7.2-1] match keeps $ topics from wildcards at the root only', () => {
  const tree = treeOf('$SYS', '$SYS/a', 'a', 'a/$x')
  assert.equal(found(tree, '#'), ['a', 'a/$x'])
  assert.equal(found(tree, '+/#'), ['a', 'a/$x'])
  assert.equal(found(tree, '+'), ['a'])
  assert.equal(found(tree, '+/a'), [])
  assert.equal(found(tree, 'a/+'), ['a/$x'])
  assert.equal(found(tree, '$SYS/#'), ['$SYS', '$SYS/a'])
  assert.equal(found(tree, '$SYS/+'), ['$SYS/a'])
  assert.equal(found(tree, '$SYS/a'), ['$SYS/a'])
})

test('entries keep the order of insertion, which a new value does not change', () => {
  const tree = treeOf('c', 'a', 'b')
  tree.set('c', 'new')
  tree.delete('a')
  tree.set('a', 'again')
  assert.equal(
    [...tree.entries()],
    [
      ['c', 'new'],
      ['b', 'of b'],
      ['a', 'again'],
    ],
  )
})

test('cursor gives slices, then nothing', () => {
  const tree = treeOf('a', 'b', 'c')
  const cursor = tree.cursor()
  assert.equal(
    cursor.next(2).map(([topic]) => topic),
    ['a', 'b'],
  )
  tree.set('c', 'changed')
  assert.equal(cursor.next(2), [['c', 'changed']])
  tree.set('d', 'late')
  assert.equal(cursor.next(2), [])
  assert.equal(cursor.next(2), [])
  assert.equal(treeOf().cursor().next(10), [])
})

test('cursor reaches its end while topics come and go', () => {
  const tree = treeOf('a', 'b', 'c', 'd')
  const cursor = tree.cursor()
  const seen: string[] = []
  for (let turn = 0; ; turn++) {
    assert.ok(turn < 10, 'the cursor ends')
    const slice = cursor.next(1)
    if (slice.length === 0) break
    for (const [topic] of slice) seen.push(topic)
    for (const topic of ['x', 'y']) {
      tree.delete(topic)
      tree.set(topic, 'again')
    }
  }
  assert.equal(seen, ['a', 'b', 'c', 'd'])
})

test('cursor visits what exists throughout exactly once, whatever else changes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const prng = new Prng(seed)
    const tree = new RetainedTree<number>()
    for (let i = 0; i < 60; i++) tree.set(randomTopic(prng), i)
    const stayed = new Set([...tree.entries()].map(([topic]) => topic))
    const seen: string[] = []
    const cursor = tree.cursor()
    for (;;) {
      const slice = cursor.next(prng.int(1, 5))
      if (slice.length === 0) break
      for (const [topic, value] of slice) {
        assert.is(value, tree.get(topic))
        seen.push(topic)
      }
      for (let n = prng.int(0, 4); n > 0; n--) {
        const topic = randomTopic(prng)
        if (prng.chance(0.5)) tree.set(topic, n)
        else if (tree.delete(topic) !== undefined) stayed.delete(topic)
      }
    }
    assert.is(new Set(seen).size, seen.length, `seed ${seed}: none twice`)
    for (const topic of stayed) assert.ok(seen.includes(topic), `seed ${seed}: ${topic}`)
  }
})

test('match equals brute force after random sets and deletes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const prng = new Prng(seed)
    const tree = new RetainedTree<number>()
    const model = new Map<string, number>()
    for (let step = 0; step < 300; step++) {
      const topic = randomTopic(prng)
      if (prng.chance(0.6)) {
        tree.set(topic, step)
        model.set(topic, step)
      } else {
        const was = model.get(topic)
        model.delete(topic)
        assert.is(tree.delete(topic), was, `seed ${seed}: delete ${topic}`)
      }
      if (step % 10 !== 0) continue
      const filter = prng.chance(0.2) ? topic : randomFilter(prng)
      const got = new Map<string, number>()
      tree.match(filter, (name, value) => {
        assert.not(got.has(name), `seed ${seed}: ${name} twice`)
        got.set(name, value)
      })
      const wanted = [...model].filter(([name]) => matches(filter, name))
      assert.equal([...got].sort(byName), wanted.sort(byName), `seed ${seed}, step ${step}: ${filter}`)
      assert.equal([...tree.entries()], [...model], `seed ${seed}, step ${step}: entries`)
      assert.is(tree.size, model.size)
    }
  }
})

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}

test('delete leaves no empty nodes', () => {
  const tree = treeOf('a/b/c', 'a/b', '/', '$SYS/x', 'a/d')
  const nodes = () => (tree as unknown as { root: { children: Map<string, unknown> | null } }).root.children
  for (const [topic] of tree.entries()) tree.delete(topic)
  assert.is(tree.size, 0)
  assert.is(nodes(), null)
})

test('a wildcard looks only at the levels it may match', () => {
  const tree = new RetainedTree<number>()
  for (let i = 0; i < 100_000; i++) tree.set(`site/${i % 1000}/device/${i}/temperature`, i)
  // Looking at all topics would be 10^9 comparisons here: the file's time limit is the assertion.
  for (let site = 0; site < 1000; site++) {
    for (let n = 0; n < 10; n++) assert.is(found(tree, `site/${site}/device/${site + n * 1000}/+`).length, 1)
  }
  assert.is(found(tree, 'site/7/#').length, 100)
  assert.is(found(tree, '#').length, 100_000)
})

test.run()
