// Goal: the server's choice of topic aliases pays, and what it says of them is what the client has been told.
// Method: streams of topics through a table; a model of the client keeps what it is told.
import { utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { Prng } from '../../../src/base/prng.ts'
import { InboundAliases, OutboundAliases } from '../../../src/connection/aliases.ts'
import { TopicRef } from '../../../src/topic/topics.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('topic aliases')
const MUCH = Number.POSITIVE_INFINITY

function topicsOf(n: number, length = 20): TopicRef[] {
  return Array.from({ length: n }, (_, i) => {
    const name = `${i}`.padStart(length, '/')
    return new TopicRef(name, utf8(name))
  })
}

/** Sends topics through one table; counts the bytes that aliases save (or cost). */
class Client {
  readonly aliases: OutboundAliases
  private readonly max: number
  private readonly told = new Map<number, TopicRef>()
  saved = 0

  constructor(max: number) {
    this.max = max
    this.aliases = new OutboundAliases(max)
  }

  send(topic: TopicRef, room = MUCH): number {
    const alias = this.aliases.choose(topic, room)
    assert.ok(Math.abs(alias) <= this.max, 'never above what the client takes')
    if (alias > 0) assert.is(this.told.get(alias), topic, 'the client knows it by this alias')
    if (alias < 0) this.told.set(-alias, topic)
    this.saved += alias > 0 ? topic.bytes.length - 3 : alias < 0 ? -3 : 0
    return alias
  }
}

test('while there are aliases, a topic gets one at once and goes by it from then on', () => {
  const [topic, other] = topicsOf(2) as [TopicRef, TopicRef]
  const client = new Client(2)
  assert.equal(
    [topic, topic, other, topic, other].map((each) => client.send(each)),
    [-1, 1, -2, 1, 2],
  )
})

test('when all are given, a topic gets one when it comes again', () => {
  const [first, topic] = topicsOf(2) as [TopicRef, TopicRef]
  const client = new Client(1)
  client.send(first)
  assert.equal(
    [1, 2, 3, 4].map(() => client.send(topic)),
    [0, -1, 1, 1],
  )
})

test('topics that come once cost no more than the first aliases', () => {
  const client = new Client(10)
  topicsOf(1000).forEach((topic, i) => {
    assert.is(client.send(topic), i < 10 ? -(i + 1) : 0)
  })
  assert.is(client.saved, -30)
})

test('more topics in turn than there are aliases cost no more than the first aliases', () => {
  const client = new Client(10)
  const topics = topicsOf(1000)
  for (let round = 0; round < 5; round++) for (const topic of topics) client.send(topic)
  assert.ok(client.saved >= -30)
})

test('as many topics in turn as there are aliases all get theirs', () => {
  for (const n of [1, 2, 10, 1024]) {
    const client = new Client(n)
    const topics = topicsOf(n)
    for (let round = 0; round < 3; round++) for (const topic of topics) client.send(topic)
    for (const topic of topics) assert.ok(client.send(topic) > 0)
  }
})

test('busy topics keep their aliases among many rare ones', () => {
  const prng = new Prng(1)
  const client = new Client(8)
  const busy = topicsOf(6)
  const rare = topicsOf(500, 30)
  let all = 0
  for (let i = 0; i < 20_000; i++) {
    const topic = prng.chance(0.8) ? prng.pick(busy) : prng.pick(rare)
    all += topic.bytes.length
    client.send(topic)
  }
  assert.ok(client.saved > all * 0.55, `saved ${client.saved} of ${all} bytes`)
})

test('a name that an alias would not make shorter never gets one', () => {
  const short = new TopicRef('abc', utf8('abc'))
  const client = new Client(10)
  for (let i = 0; i < 5; i++) assert.is(client.send(short), 0)
})

test('without room for an alias a known one still goes, a new one does not', () => {
  const [known, fresh] = topicsOf(2) as [TopicRef, TopicRef]
  const client = new Client(10)
  client.send(known)
  assert.is(client.send(known, 0), 1)
  for (let i = 0; i < 3; i++) assert.is(client.send(fresh, 4), 0)
  assert.is(client.send(fresh, 5), -2)
})

test('whatever comes, the client knows every alias it is sent', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const prng = new Prng(seed)
    const client = new Client(prng.int(1, 40))
    const topics = topicsOf(prng.int(1, 100))
    for (let i = 0; i < 3000; i++) {
      const topic = topics[Math.floor(prng.next() ** 3 * topics.length)] as TopicRef
      client.send(topic, prng.chance(0.1) ? prng.int(0, 9) : MUCH)
    }
  }
})

test('a client that takes any number gets no more than the table holds', () => {
  const client = new Client(65_535)
  const topics = topicsOf(5000)
  for (let round = 0; round < 3; round++)
    for (const topic of topics) {
      assert.ok(Math.abs(client.send(topic)) <= LIMITS.aliasesOutMax)
      assert.ok(Math.abs(client.send(topic)) <= LIMITS.aliasesOutMax)
    }
})

test('inbound aliases are replaced, and bounded by the bytes of their names', () => {
  const aliases = new InboundAliases()
  const large = topicsOf(65, 65_535)
  large.slice(0, 64).forEach((topic, i) => {
    assert.ok(aliases.set(65_535 - i, topic))
  })
  assert.not(aliases.set(1, large[64] as TopicRef), '64 names of 64 KiB, and no more')
  assert.ok(aliases.set(65_535, large[64] as TopicRef), 'in place of another')
  assert.is(aliases.get(65_535), large[64])
  assert.is(aliases.get(1), undefined)
})

test.run()
