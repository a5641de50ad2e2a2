// Topic aliases between two nodes: section 3.3.2.3.4 of MQTT 5.0: they belong to one connection, wherever messages come from and
// sessions go. What one connection does with them is in topic_alias.test.ts.

import { arrangements, kept } from '../support/everywhere.ts'
import type { SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('3.3.2.3.4 topic aliases, everywhere')
const { alone, everywhere } = arrangements(test)

/** Aliases of what came; a name for each alias must have come before it stands alone, on this connection. */
function aliases(c: SpecClient, known: Map<number, string>): number[] {
  const seen: number[] = []
  while (c.inbox.length > 0) {
    const d = c.take()
    if (d.topicAlias > 0) {
      if (d.aliased) assert.is(known.get(d.topicAlias), d.topic, 'an alias of this connection')
      known.set(d.topicAlias, d.topic)
    }
    seen.push(d.topicAlias)
  }
  return seen
}

everywhere(
  '[MQTT-3.1.2-26] [MQTT-3.3.2-11] [MQTT-3.3.2-7]',
  'the server sends no alias above the client’s maximum, and begins anew with each connection',
  (w) => {
    const p = w.connect('p')
    for (const topicAliasMaximum of [1, 3]) {
      let c = w.connect(`c${topicAliasMaximum}`, { ...kept(5), topicAliasMaximum })
      c.subscribe('#', 1)
      for (let round = 0; round < 3; round++) {
        const known = new Map<number, string>()
        for (let i = 0; i < 30; i++) p.publish(`a/long/topic/name/${i % 4}`, 'x', { qos: i % 2 === 0 ? 0 : 1 })
        const seen = aliases(c, known)
        assert.is(seen.length, 30)
        for (const alias of seen) assert.ok(alias <= topicAliasMaximum, `${alias}`)
        c.drop()
        for (let i = 0; i < 6; i++) p.publish('a/long/topic/name/0', 'x', { qos: 1 })
        c = w.connect(`c${topicAliasMaximum}`, { ...kept(5), topicAliasMaximum })
        for (const alias of aliases(c, new Map())) assert.ok(alias <= topicAliasMaximum)
        c = w.connect(`c${topicAliasMaximum}`, { ...kept(5), topicAliasMaximum })
      }
      c.disconnect(0, 0)
    }
  },
)

everywhere(
  '[MQTT-3.1.2-27]',
  'a client that takes no alias is sent none, also after a connection that took some',
  (w) => {
    const p = w.connect('p')
    let c = w.connect('c', { ...kept(5), topicAliasMaximum: 5 })
    c.subscribe('#', 1)
    for (let i = 0; i < 10; i++) p.publish('t', 'x', { qos: 1 })
    c.takeAll()
    c.drop()
    for (let i = 0; i < 5; i++) p.publish('t', 'waits', { qos: 1 })
    c = w.connect('c', kept(5))
    for (let i = 0; i < 10; i++) p.publish('t', 'x', { qos: 1 })
    for (const packet of c.takeAll()) assert.is(packet.cmd === 'publish' && packet.topicAlias, 0)
  },
)

everywhere(
  '[MQTT-3.3.2-12] [MQTT-3.3.2-7]',
  'what a client publishes by alias reaches everybody by name, and its next connection knows the alias no more',
  (w) => {
    let p = w.connect('p', kept(5))
    const c = w.connect('c')
    c.subscribe('#', 2)
    for (const topicAlias of [1, 65_535]) {
      p.publish(`t/${topicAlias}`, 'named', { topicAlias })
      for (const qos of [0, 1, 2] as const) p.publish('', `${qos}`, { topicAlias, qos })
      assert.equal(
        c.deliveries(),
        ['named', '0', '1', '2'].map((payload) => `t/${topicAlias}=${payload}`),
      )
    }
    p.drop()
    p = w.connect('p', kept(5))
    p.sendPublish('', 'x', { topicAlias: 1 })
    p.expectDisconnect(0x82)
    c.expectNothing()
  },
)

alone(
  '[MQTT-3.3.2-12]',
  'a name that is refused takes its alias all the same: what follows under it does not go to the name before',
  (w) => {
    const c = w.connect('c')
    c.subscribe('#', 1)
    const p = w.connect('p')
    p.publish('x', 'named', { qos: 1, topicAlias: 1 })
    p.sendPublish('a/b/c/d', 'refused', { qos: 1, topicAlias: 1 })
    assert.is(p.expect('puback').reason, 0x90)
    for (const qos of [1, 2] as const) {
      p.sendPublish('', 'by alias', { qos, topicAlias: 1 })
      assert.is(p.expect(qos === 1 ? 'puback' : 'pubrec').reason, 0x90)
    }
    p.publish('y', 'named', { qos: 1, topicAlias: 1 })
    p.publish('', 'by alias', { qos: 1, topicAlias: 1 })
    assert.equal(c.deliveries(), ['x=named', 'y=named', 'y=by alias'])
  },
  { topicLevelsMax: 3 },
)

everywhere(
  '[MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-8] [MQTT-3.3.2-9]',
  'an alias that the server does not take closes the connection with 0x94, and nothing of it is passed on',
  (w) => {
    let c = w.connect('c', kept(5))
    c.subscribe('#', 1)
    c = w.move(c)
    for (const topicAlias of [4, 65_535]) {
      const p = w.connect('p')
      p.publish('t', 'x', { topicAlias: 3 })
      c.take()
      p.sendPublish('t', 'x', { topicAlias })
      p.expectDisconnect(0x94)
    }
    const zero = w.connect('p')
    zero.raw([0x30, 8, 0, 1, 0x74, 3, 0x23, 0, 0, 0x78])
    zero.expectDisconnect(0x94)
    c.expectNothing()
  },
  { topicAliasMaximum: 3 },
)

test.run()
