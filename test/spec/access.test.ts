// Access: what an access-control file allows, through whole nodes, in each version: SUBSCRIBE by filter, PUBLISH by topic, CONNECT by
// will; and rules replaced while clients are connected.

import { utf8 } from '../../src/base/bytes.ts'
import { rulesOf } from '../support/acl.ts'
import { arrangements } from '../support/everywhere.ts'
import { OneNode, type SpecClient } from '../support/one_node.ts'
import { usersOf } from '../support/passwords.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('access control')
const { everywhere } = arrangements(test)
const NOT_AUTHORIZED = 0x87
const VERSIONS = [3, 4, 5] as const
const RULES = rulesOf(`
topic read news/#
topic deny news/secret
topic read $SYS/broker/version
pattern write in/%c
user al
topic news/#
`)

function refusals(w: OneNode) {
  return w.log.filter(({ name }) => name === 'publish_refused').map(({ fields }) => fields['topic'])
}

for (const version of VERSIONS) {
  const name = { 3: '3.1', 4: '3.1.1', 5: '5.0' }[version]

  test(`${name}: [MQTT-3.8.4-7] each filter has its own answer, and a refused one gets nothing`, () => {
    const w = new OneNode({ access: RULES })
    const al = w.connect('al', { version: 5, username: 'al' })
    const c = w.connect('c', { version })
    const refused = version === 5 ? NOT_AUTHORIZED : version === 4 ? 0x80 : 1
    const ask = (filter: string) => ({ filter, qos: 1 as const })
    const filters = [
      'news/+/x',
      'news/#',
      '#',
      'news/secret',
      'news/+',
      'news',
      '$share/g/news/a/#',
      '$share/g/#',
      'in/c',
    ]
    const allowed = ['news/+/x', 'news', '$share/g/news/a/#']
    const expected = filters.map((filter) => (allowed.includes(filter) ? 1 : refused))
    assert.equal(c.subscribe(filters.map(ask)), expected)
    assert.is(w.metric('subscriptions_refused'), filters.length - allowed.length)
    al.publish('news/b/x', 'yes', { qos: 1 })
    al.publish('news/secret', 'no', { qos: 1 })
    al.publish('news/b', 'no', { qos: 1 })
    assert.equal(c.deliveries(), ['news/b/x=yes'])
  })

  test(`${name}: $SYS has to be listed like any other topic`, () => {
    const w = new OneNode({ access: RULES })
    const c = w.connect('c', { version })
    const refused = version === 5 ? NOT_AUTHORIZED : version === 4 ? 0x80 : 0
    assert.equal(c.subscribe('$SYS/#'), [refused])
    c.expectNothing()
    assert.equal(c.subscribe('$SYS/broker/version'), [0])
    c.expect('publish')
  })

  test(`${name}: a publish that is not allowed reaches nobody, and the connection goes on`, () => {
    const w = new OneNode({ access: RULES })
    const al = w.connect('al', { version: 5, username: 'al' })
    al.subscribe('news/#', 2)
    const c = w.connect('c', { version })
    for (let round = 0; round < 3; round++) {
      for (const topic of ['news/a', 'news/b']) {
        c.sendPublish(topic, 'x', { retain: true })
        c.expectNothing()
        const one = c.sendPublish(topic, 'x', { qos: 1 })
        const puback = c.expect('puback')
        assert.equal([puback.packetId, puback.reason], [one, version === 5 ? NOT_AUTHORIZED : 0])
        const two = c.sendPublish(topic, 'x', { qos: 2 })
        const pubrec = c.expect('pubrec')
        assert.equal([pubrec.packetId, pubrec.reason], [two, version === 5 ? NOT_AUTHORIZED : 0])
        if (version === 5) continue
        c.sendPubrel(two)
        c.expect('pubcomp')
      }
    }
    assert.not(c.closed)
    assert.is(w.metric('dropped_not_authorized'), 18)
    assert.equal(refusals(w), ['news/a', 'news/b'])
    al.subscribe('news/#', 2)
    al.expectNothing()
    c.publish('in/c', 'x', { qos: 2 })
    assert.is(w.metric('dropped_not_authorized'), 18)
  })

  test(`${name}: a will that its client may not publish is refused at CONNECT`, () => {
    const w = new OneNode({ access: RULES })
    const come = (topic: string) => {
      const c = w.open('c', { version })
      c.sendConnect({ will: { topic, payload: utf8('gone'), qos: 1, retain: false } })
      return c.expect('connack').reason
    }
    assert.is(come('news/a'), version === 5 ? NOT_AUTHORIZED : 5)
    assert.is(w.metric('refused_notAuthorized'), 1)
    assert.is(come('in/c'), 0)
  })
}

test('of one packet no more filters are judged than a session may have', () => {
  const w = new OneNode({ access: RULES, subscriptionsMax: 3 })
  const filters = ['a', 'b', 'news', 'c', 'news/x'].map((filter) => ({ filter, qos: 0 as const }))
  assert.equal(w.connect('c').subscribe(filters), [NOT_AUTHORIZED, NOT_AUTHORIZED, 0, 0x97, 0x97])
})

test('topic aliases: each use of an alias is judged as its topic', () => {
  const w = new OneNode({ access: RULES })
  const c = w.connect('c')
  const say = (topic: string, topicAlias: number) => {
    c.sendPublish(topic, 'x', { qos: 1, topicAlias })
    return c.expect('puback').reason
  }
  const NOBODY = 0x10
  assert.equal([say('news/a', 1), say('in/c', 2)], [NOT_AUTHORIZED, NOBODY])
  assert.equal([say('', 1), say('', 2), say('', 2), say('', 1)], [NOT_AUTHORIZED, NOBODY, NOBODY, NOT_AUTHORIZED])
  assert.equal(refusals(w), ['news/a'])
})

test('the user is the one who has been proven, not the one who is named', () => {
  const w = new OneNode({ access: RULES, allowAnonymous: true }, usersOf({ al: 'secret', bo: 'hidden' }))
  const reasonOf = (c: SpecClient) => {
    c.sendPublish('news/a', 'x', { qos: 1 })
    return c.expect('puback').reason
  }
  assert.is(reasonOf(w.connect('one', { username: 'al', password: utf8('secret') })), 0x10)
  assert.is(reasonOf(w.connect('two', { username: 'bo', password: utf8('hidden') })), NOT_AUTHORIZED)
  assert.is(reasonOf(w.connect('three')), NOT_AUTHORIZED)
})

test('a client identifier that the server chose is the one of the patterns', () => {
  const w = new OneNode({ access: RULES })
  const c = w.open('')
  c.sendConnect({})
  const id = c.expect('connack').assignedClientId as string
  const reasonOf = (topic: string) => {
    c.sendPublish(topic, 'x', { qos: 1 })
    return c.expect('puback').reason
  }
  assert.is(reasonOf(`in/${id}`), 0x10)
  assert.is(reasonOf('in/'), NOT_AUTHORIZED)
})

test('rules replaced: publishes are judged by them at once, subscriptions when they are asked for', () => {
  const w = new OneNode({ access: rulesOf('topic #') })
  const c = w.connect('c')
  const al = w.connect('al', { username: 'al' })
  assert.equal(al.subscribe('a', 0), [NOT_AUTHORIZED])
  assert.equal(c.subscribe('a', 0), [0])
  c.publish('a', '1')
  assert.equal(c.deliveries(), ['a=1'])
  w.node.access.replace(rulesOf('user al\ntopic a\n'))
  c.sendPublish('a', '2', { qos: 1 })
  assert.is(c.expect('puback').reason, NOT_AUTHORIZED)
  al.publish('a', '3')
  assert.equal(c.deliveries(), ['a=3'], 'what was subscribed to stays')
  assert.equal(c.subscribe('a', 0), [NOT_AUTHORIZED])
  assert.equal(al.subscribe('a', 0), [0])
  al.takeAll()
  const late = w.connect('late')
  assert.equal(late.subscribe('a', 0), [NOT_AUTHORIZED])
})

test('[MQTT-4.3.3-10] a QoS 2 message that was taken under former rules is a repetition still, and its flow ends well', () => {
  const w = new OneNode({ access: rulesOf('topic #') })
  const al = w.connect('al', { username: 'al' })
  const c = w.connect('c')
  const again = { qos: 2, packetId: 7, dup: true } as const
  c.sendPublish('a', '1', { qos: 2, packetId: 7 })
  assert.ok(c.expect('pubrec').reason < 0x80)
  w.node.access.replace(rulesOf('user al\ntopic read a\n'))
  assert.equal(al.subscribe('a', 2), [2])
  c.sendPublish('a', '1', again)
  assert.is(c.expect('pubrec').reason, 0)
  c.sendPubrel(7)
  assert.is(c.expect('pubcomp').reason, 0)
  c.sendPublish('a', '2', { qos: 2, packetId: 7 })
  assert.is(c.expect('pubrec').reason, NOT_AUTHORIZED)
  al.expectNothing()
})

everywhere(
  '',
  'both nodes judge by the rules they have',
  (w) => {
    const al = w.connect('al', { username: 'al', sessionExpiry: 100, cleanStart: false })
    assert.equal(al.subscribe('#', 1), [NOT_AUTHORIZED])
    assert.equal(al.subscribe('news/#', 1), [1])
    const c = w.connect('c', { sessionExpiry: 100, cleanStart: false })
    assert.equal(c.subscribe('news/a', 1), [1])
    const moved = w.move(c)
    moved.sendPublish('news/a', 'x', { qos: 1 })
    assert.is(moved.expect('puback').reason, NOT_AUTHORIZED)
    assert.equal(moved.subscribe('#', 1), [NOT_AUTHORIZED])
    const back = w.move(al)
    back.sendPublish('news/a', 'y', { qos: 1 })
    assert.equal(moved.deliveries(), ['news/a=y'])
  },
  { access: RULES },
)

test.run()
