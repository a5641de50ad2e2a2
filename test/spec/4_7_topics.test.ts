// Topics and filters: MQTT 5.0 section 4.7, through a whole node.

import { OneNode } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.7 topics')

/** Which of the topics reach a subscription, live; and of those retained before it. */
function reach(filter: string, topics: readonly string[]): { live: string[]; retained: string[] } {
  const world = new OneNode()
  const c = world.connect('c')
  assert.equal(c.subscribe(filter), [0], filter)
  const p = world.connect('p')
  for (const topic of topics) p.publish(topic, '', {})
  const live = c.deliveries()
  for (const topic of topics) p.publish(topic, 'x', { retain: true })
  const late = world.connect('late')
  late.subscribe(filter)
  return {
    live: live.map((d) => d.slice(0, -1)).sort(),
    retained: late
      .deliveries()
      .map((d) => d.slice(0, -2))
      .sort(),
  }
}

function reaches(filter: string, topics: readonly string[], expected: readonly string[]): void {
  const { live, retained } = reach(filter, topics)
  assert.equal(live, [...expected].sort(), `${filter} live`)
  assert.equal(retained, [...expected].sort(), `${filter} retained`)
}

test('[MQTT-4.7.1-1] # stands for any levels below, the parent among them', () => {
  const topics = ['sport', 'sport/', 'sport/tennis', 'sport/tennis/p1', 'sports', '/sport', 'x']
  reaches('sport/#', topics, ['sport', 'sport/', 'sport/tennis', 'sport/tennis/p1'])
  reaches('#', topics, topics)
})

test('[MQTT-4.7.1-2] + stands for exactly one level, also an empty one', () => {
  const topics = ['sport', 'sport/', 'sport/tennis', 'sport/tennis/p1', '/sport', '/']
  reaches('sport/+', topics, ['sport/', 'sport/tennis'])
  reaches('+', topics, ['sport'])
  reaches('+/+', topics, ['sport/', 'sport/tennis', '/sport', '/'])
  reaches('/+', topics, ['/sport', '/'])
  reaches('+/tennis/#', topics, ['sport/tennis', 'sport/tennis/p1'])
})

test('[MQTT-4.7.1-1] [MQTT-4.7.1-2] a wildcard that is no whole level, or # not at the end, is refused with 0x8F', () => {
  const c = new OneNode().connect('c')
  for (const filter of ['a#', 'a/#/b', '#/a', 'a+', 'a/+b', 'a/b+/c', '++', '##', 'a/b#'])
    assert.equal(c.subscribe(filter), [0x8f], filter)
  assert.is(c.closed, false)
})

test('[MQTT-4.7.2-1] filters that begin with a wildcard do not match topics that begin with $', () => {
  const topics = ['$own/x', '$x', 'a/$x', 'a']
  reaches('#', topics, ['a/$x', 'a'])
  reaches('+/x', topics, [])
  reaches('+', topics, ['a'])
  reaches('$own/#', topics, ['$own/x'])
  reaches('$own/+', topics, ['$own/x'])
  reaches('a/+', topics, ['a/$x'])
})

test('[MQTT-4.7.3-1] an empty filter is refused, an empty topic name closes the connection', () => {
  const world = new OneNode()
  const c = world.connect('c')
  assert.equal(c.subscribe(''), [0x8f])
  c.sendPublish('', 'x')
  assert.is(c.expect('disconnect').cmd, 'disconnect')
  assert.ok(c.closed)
})

test('[MQTT-4.7.3-4] topics are compared as they are: case, spaces and Unicode forms count', () => {
  const topics = ['A/b', 'a/b', 'a/b ', 'caf\u00e9', 'cafe\u0301']
  reaches('a/b', topics, ['a/b'])
  reaches('caf\u00e9', topics, ['caf\u00e9'])
})

test('[MQTT-4.7.0-1] wildcards have no place in a topic name', () => {
  for (const topic of ['a/#', '+', '#', 'a+']) {
    const c = new OneNode().connect('c')
    c.sendPublish(topic, 'x')
    c.expectDisconnect(0x90)
  }
})

test('names of many levels: as many as the limit, and no more', () => {
  const world = new OneNode()
  const c = world.connect('c')
  const deep = Array.from({ length: 128 }, () => 'x').join('/')
  assert.equal(c.subscribe(deep), [0])
  c.sendPublish(deep, 'x')
  assert.equal(c.deliveries(), [`${deep}=x`])
  assert.equal(c.subscribe(`${deep}/x`), [0x8f])
})

test.run()
