// Topic names and filters: section 4.7 of MQTT 5.0 and 3.1.1.

import { type AnyBroker, arrangements, kept } from '../support/everywhere.ts'
import { frame } from '../support/raw.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.7 matching')
const { alone, everywhere } = arrangements(test)

const TOPICS = [
  'sport',
  'sport/',
  'sport/tennis',
  'sport/tennis/p1',
  'sports',
  '/sport',
  '/',
  'Sport',
  '$x',
  '$x/sport',
  'a/$x',
]

/** Which of the topics reach this filter: live, waiting for it and retained before it. */
function reaches(w: AnyBroker, version: 4 | 5, filter: string, expected: readonly string[]): void {
  const p = w.connect('p', { version })
  let c = w.connect('c', kept(version))
  assert.equal(c.subscribe(filter, 1), [1], filter)
  const all = (): string[] => {
    const topics: string[] = []
    while (c.inbox.length > 0) topics.push(c.take().topic)
    return topics.sort()
  }
  for (const topic of TOPICS) p.publish(topic, 'x', { qos: 1 })
  assert.equal(all(), [...expected].sort(), `${filter} live`)
  c.drop()
  for (const topic of TOPICS) p.publish(topic, 'x', { qos: 1 })
  c = w.connect('c', kept(version))
  assert.equal(all(), [...expected].sort(), `${filter} waiting`)
  c.unsubscribe(filter)
  for (const topic of TOPICS) p.publish(topic, 'x', { qos: 1, retain: true })
  c.subscribe(filter, 1)
  assert.equal(all(), [...expected].sort(), `${filter} retained`)
  c.unsubscribe(filter)
  for (const topic of TOPICS) p.publish(topic, '', { qos: 1, retain: true })
  for (const client of [c, p]) client.disconnect()
}

everywhere(
  { 5: '[MQTT-4.7.1-1]', 4: '[MQTT-3.1.1/4.7.1-2]' },
  '# stands for any levels below, the parent among them',
  (w, version) => {
    reaches(w, version, 'sport/#', ['sport', 'sport/', 'sport/tennis', 'sport/tennis/p1'])
    reaches(w, version, 'sport/tennis/p1/#', ['sport/tennis/p1'])
    reaches(w, version, '/#', ['/sport', '/'])
  },
)

everywhere(
  { 5: '[MQTT-4.7.1-2]', 4: '[MQTT-3.1.1/4.7.1-3]' },
  '+ stands for exactly one level, also an empty one',
  (w, version) => {
    reaches(w, version, 'sport/+', ['sport/', 'sport/tennis'])
    reaches(w, version, '+', ['sport', 'sports', 'Sport'])
    reaches(w, version, '+/+', ['sport/', 'sport/tennis', '/sport', '/', 'a/$x'])
    reaches(w, version, '/+', ['/sport', '/'])
    reaches(w, version, '+/tennis/#', ['sport/tennis', 'sport/tennis/p1'])
    reaches(w, version, 'sport/+/p1', ['sport/tennis/p1'])
  },
)

alone(
  { 5: '[MQTT-4.7.1-1] [MQTT-4.7.1-2]', 4: '[MQTT-3.1.1/4.7.1-2] [MQTT-3.1.1/4.7.1-3]' },
  'a wildcard that is no whole level, or # not at the end, is refused',
  (w, version) => {
    const c = w.connect('c', { version })
    for (const filter of ['a#', 'a/#/b', '#/a', 'a+', 'a/+b', 'a/b+/c', '++', '##', 'a/b#', '+a/#'])
      assert.equal(c.subscribe(filter), [version === 5 ? 0x8f : 0x80], filter)
    for (const topic of ['a', 'b', 'a/b']) c.publish(topic, 'x')
    c.expectNothing()
  },
)

everywhere(
  { 5: '[MQTT-4.7.2-1]', 4: '[MQTT-3.1.1/4.7.2-1]' },
  'a filter that begins with a wildcard matches no topic that begins with $',
  (w, version) => {
    const others = TOPICS.filter((topic) => !topic.startsWith('$'))
    reaches(w, version, '#', others)
    reaches(w, version, '+/#', others)
    reaches(w, version, '+/sport', ['/sport'])
    reaches(w, version, '$x/#', ['$x', '$x/sport'])
    reaches(w, version, '$x/+', ['$x/sport'])
    reaches(w, version, 'a/+', ['a/$x'])
  },
)

alone(
  { 5: '[MQTT-4.7.3-1]', 4: '[MQTT-3.1.1/4.7.3-1]' },
  'an empty filter is refused, an empty topic name closes the connection',
  (w, version) => {
    const c = w.connect('c', { version })
    assert.equal(c.subscribe(''), [version === 5 ? 0x8f : 0x80])
    c.sendPublish('', 'x')
    assert.is(c.takeAll().length, version === 5 ? 1 : 0)
    assert.ok(c.closed)
    const heir = w.open('heir', version)
    heir.sendConnect({ will: { topic: '', payload: new Uint8Array(), qos: 0, retain: false } })
    for (const answer of heir.takeAll()) assert.ok(answer.cmd === 'connack' && answer.reason >= 0x80)
    assert.ok(heir.closed)
  },
)

alone(
  { 5: '[MQTT-4.7.3-2]', 4: '[MQTT-3.1.1/4.7.3-2]' },
  'U+0000 in a name or filter closes the connection',
  (w, version) => {
    const none = version === 5 ? [0] : []
    for (const packet of [
      frame(0x30, 'a/\0', none, [0x78]),
      frame(0x82, [0, 1], none, '\0', [0]),
      frame(0xa2, [0, 1], none, 'a/\0/b'),
    ]) {
      const c = w.connect('c', { version })
      c.raw(packet)
      c.expectDisconnect(0x81)
    }
  },
)

alone(
  { 5: '[MQTT-4.7.3-3]', 4: '[MQTT-3.1.1/4.7.3-3]' },
  'a name or filter of 65 535 bytes is read as one, and nothing of it is lost',
  (w, version) => {
    const c = w.connect('c', { version })
    const long = 'é'.repeat(32_767) + 'x'
    const accepted = c.subscribe(long)[0] === 0
    c.sendPublish(long, 'y')
    if (accepted) assert.equal(c.deliveries(), [`${long}=y`])
    else c.expectDisconnect(0x90)
  },
)

everywhere(
  { 5: '[MQTT-4.7.3-4]', 4: '[MQTT-3.1.1/4.7.3-4]' },
  'names and filters are compared as they are: case, spaces, Unicode forms and unassigned characters count',
  (w, version) => {
    const topics = ['A/b', 'a/b', 'a/b ', ' a/b', 'caf\u00e9', 'cafe\u0301', '\u{1fffe}', 'a//b', 'a/./b']
    const p = w.connect('p', { version })
    let c = w.connect('c', kept(version))
    c = w.move(c)
    for (const filter of topics) {
      c.subscribe(filter, 1)
      for (const topic of topics) p.publish(topic, 'x', { qos: 1 })
      assert.is(c.take().topic, filter)
      c.expectNothing()
      c.unsubscribe(filter)
    }
  },
)

alone('[MQTT-4.7.3-4]', 'names of many levels: as many as the limit, and no more', (w) => {
  const c = w.connect('c')
  const deep = Array.from({ length: 128 }, () => 'x').join('/')
  assert.equal(c.subscribe(deep), [0])
  c.sendPublish(deep, 'x')
  assert.equal(c.deliveries(), [`${deep}=x`])
  assert.equal(c.subscribe(`${deep}/x`), [0x8f])
})

test.run()
