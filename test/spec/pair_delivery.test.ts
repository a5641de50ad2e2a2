// One broker of two nodes: what MQTT promises to clients of one node holds for clients of both, and for a session that moves.

import { utf8 } from '../../src/base/bytes.ts'
import { bothWays, equal } from '../support/pair.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('pair delivery')
const both = bothWays(test)
const kept = { cleanStart: false, sessionExpiry: 100 }

both('[MQTT-3.8.4-8] every QoS to every QoS, durable and not, across the link', (world, here, there) => {
  const p = world.connect(here, 'p', kept)
  for (const fields of [kept, {}])
    for (const granted of [0, 1, 2] as const) {
      const c = world.connect(there, `c${granted}${'sessionExpiry' in fields}`, fields)
      c.subscribe('t', granted)
      for (const qos of [0, 1, 2] as const) {
        p.publish('t', `${qos}`, { qos })
        assert.is(c.take().qos, Math.min(qos, granted))
        c.expectNothing()
      }
      c.unsubscribe('t')
    }
  equal(world)
})

both('[MQTT-3.3.1-12] [MQTT-3.3.1-13] RETAIN and Retain As Published across the link', (world, here, there) => {
  const p = world.connect(here, 'p')
  for (const [name, fields] of [
    ['durable', kept],
    ['clean', {}],
  ] as const) {
    const plain = world.connect(there, `plain ${name}`, fields)
    plain.subscribe([{ filter: 't', qos: 1 }])
    const as = world.connect(there, `as ${name}`, fields)
    as.subscribe([{ filter: 't', qos: 1, retainAsPublished: true }])
    for (const retain of [true, false])
      for (const qos of [0, 1] as const) {
        p.publish('t', 'x', { qos, retain })
        assert.is(plain.expect('publish').retain, false)
        assert.is(as.expect('publish').retain, retain)
      }
    p.publish('t', '', { retain: true })
    plain.disconnect()
    as.disconnect()
  }
})

both('[MQTT-3.3.1-5] [MQTT-3.3.1-6] retained messages of one node are those of the other', (world, here, there) => {
  const p = world.connect(here, 'p')
  p.publish('t', 'old', { retain: true })
  p.publish('t', 'new', { retain: true, qos: 1 })
  p.publish('u', 'gone', { retain: true, qos: 2 })
  world.connect(there, 'q').publish('u', '', { retain: true, qos: 1 })
  for (const node of [here, there]) {
    const c = world.connect(node, `c${node.config.name}`)
    c.subscribe('#', 1)
    assert.equal(c.deliveries(), ['t=new'])
    c.disconnect()
  }
})

both('[MQTT-3.3.4-3] subscription identifiers across the link', (world, here, there) => {
  for (const fields of [kept, {}]) {
    const c = world.connect(there, 'c', { ...fields, cleanStart: true })
    c.subscribe('a/#', 1, 7)
    c.subscribe('a/+', 1, 9)
    const p = world.connect(here, 'p')
    for (const qos of [0, 1] as const) {
      p.publish('a/b', 'x', { qos })
      assert.equal([...(c.expect('publish').subscriptionIds ?? [])].sort(), [7, 9])
    }
    c.expectNothing()
  }
})

both('[MQTT-3.8.3-3] no local holds for a client that has moved', (world, here, there) => {
  const c = world.connect(here, 'c', kept)
  c.subscribe([{ filter: 't', qos: 1, noLocal: true }])
  c.drop()
  const moved = world.connect(there, 'c', kept)
  moved.publish('t', 'mine', { qos: 1 })
  moved.expectNothing()
  world.connect(here, 'p').publish('t', 'other', { qos: 1 })
  assert.equal(moved.deliveries(), ['t=other'])
})

both('[MQTT-3.3.2-17] [MQTT-3.3.2-6] properties and expiry cross the link, live and waiting', (world, here, there) => {
  const live = world.connect(there, 'live')
  const waits = world.connect(there, 'waits', kept)
  for (const c of [live, waits]) c.subscribe('t', 1)
  waits.drop()
  const props = {
    contentType: 'text/plain',
    correlationData: utf8('c'),
    userProperties: [
      ['b', '1'],
      ['a', '2'],
    ] as [string, string][],
  }
  world.connect(here, 'p').publish('t', 'x', { qos: 1, expiry: 60, ...props })
  const first = live.expect('publish')
  assert.is(first.expiry, 60)
  world.pass(20_000)
  const second = world.connect(here, 'waits', kept).expect('publish')
  assert.is(second.expiry, 40, 'counted down on both nodes')
  for (const d of [first, second])
    assert.equal(
      { contentType: d.contentType, correlationData: d.correlationData, userProperties: d.userProperties },
      props,
    )
})

both('[MQTT-3.3.2-5] what has expired on one node does not come on the other', (world, here, there) => {
  const c = world.connect(here, 'c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect(here, 'p')
  p.publish('t', 'short', { qos: 1, expiry: 5 })
  p.publish('t', 'long', { qos: 1, expiry: 50 })
  world.pass(6_000)
  assert.equal(world.connect(there, 'c', kept).deliveries(), ['t=long'])
  equal(world)
})

// ---- a session that moves

both(
  '[MQTT-3.2.2-3] a session is present on both nodes, with its subscriptions and its queue, in order',
  (world, here, there) => {
    const c = world.connect(here, 'c', kept)
    assert.not(c.present)
    c.subscribe('#', 2)
    c.drop()
    const p = world.connect(here, 'p')
    const q = world.connect(there, 'q')
    for (let i = 0; i < 10; i++) (i % 2 === 0 ? p : q).publish('t', `${i}`, { qos: 1 })
    const moved = world.connect(there, 'c', kept)
    assert.ok(moved.present)
    const got = moved.deliveries()
    assert.is(got.length, 10)
    for (const parity of [0, 1])
      assert.equal(
        got.map((d) => Number(d.slice(2))).filter((n) => n % 2 === parity),
        [0, 2, 4, 6, 8].map((n) => n + parity),
        'each publisher’s messages in their order',
      )
    equal(world)
  },
)

both('[MQTT-3.1.4-3] a CONNECT on the other node disconnects the first with 0x8E', (world, here, there) => {
  for (const fields of [kept, {}]) {
    const first = world.connect(here, 'c', fields)
    const second = world.connect(there, 'c', fields)
    first.expectDisconnect(0x8e)
    assert.not(second.closed)
    assert.is(second.present, 'sessionExpiry' in fields)
    second.disconnect(0, 'sessionExpiry' in fields ? 0 : undefined)
    assert.is(here.sessions.get('c'), undefined)
    assert.is(there.sessions.get('c'), undefined)
  }
})

both('[MQTT-3.1.4-4] Clean Start on one node ends the session of the other', (world, here, there) => {
  const c = world.connect(here, 'c', kept)
  c.subscribe('t', 1)
  c.drop()
  const p = world.connect(here, 'p')
  p.publish('t', 'queued', { qos: 1 })
  const moved = world.connect(there, 'c', { ...kept, cleanStart: true })
  assert.not(moved.present)
  p.publish('t', 'later', { qos: 1 })
  moved.expectNothing()
  equal(world)
})

both(
  '[MQTT-4.4.0-1] what is under way is sent again by the other node: DUP, the same identifiers, in order',
  (world, here, there) => {
    const c = world.connect(here, 'c', kept)
    c.subscribe('t', 2)
    const p = world.connect(there, 'p')
    for (let i = 0; i < 6; i++) p.publish('t', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const first = c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []))
    assert.is(first.length, 6)
    c.sendPuback(first[0]!.packetId)
    c.sendPubrec(first[1]!.packetId)
    c.expect('pubrel')
    c.drop()
    const moved = world.connect(there, 'c', kept)
    const packets = moved.takeAll()
    assert.equal(
      packets.flatMap((packet) => (packet.cmd === 'pubrel' ? [packet.packetId] : [])),
      [first[1]!.packetId],
    )
    assert.equal(
      packets.flatMap((packet) => (packet.cmd === 'publish' ? [[packet.packetId, packet.qos, packet.dup]] : [])),
      first.slice(2).map((d) => [d.packetId, d.qos, true]),
    )
    equal(world)
  },
)

both(
  '[MQTT-4.3.3-10] a QoS 2 message begun on one node and repeated on the other goes out once',
  (world, here, there) => {
    const c = world.connect(here, 'c', kept)
    c.subscribe('t', 2)
    const p = world.connect(here, 'p', kept)
    p.sendPublish('t', 'x', { qos: 2, packetId: 7 })
    p.expect('pubrec')
    c.take()
    p.drop()
    const moved = world.connect(there, 'p', kept)
    moved.sendPublish('t', 'x', { qos: 2, packetId: 7, dup: true })
    assert.is(moved.expect('pubrec').reason, 0)
    c.expectNothing()
    moved.sendPubrel(7)
    assert.is(moved.expect('pubcomp').reason, 0)
    moved.sendPublish('t', 'y', { qos: 2, packetId: 7 })
    moved.expect('pubrec')
    assert.is(c.take().dup, false)
    equal(world)
  },
)

both('a late acknowledgement to the other node hits the message it was for, and no other', (world, here, there) => {
  const c = world.connect(here, 'c', { ...kept, receiveMaximum: 2 })
  c.subscribe('t', 1)
  const p = world.connect(there, 'p')
  for (let i = 0; i < 6; i++) p.publish('t', `${i}`, { qos: 1 })
  const old = c.takeAll().flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []))
  assert.is(old.length, 2)
  c.drop()
  const moved = world.connect(there, 'c', { ...kept, receiveMaximum: 2 })
  for (const d of old) moved.sendPuback(d.packetId)
  for (const d of old) moved.sendPuback(d.packetId)
  const seen: string[] = []
  for (;;) {
    const packet = moved.inbox.shift()
    if (packet === undefined) break
    if (packet.cmd !== 'publish') continue
    seen.push(new TextDecoder().decode(packet.payload))
    if (!packet.dup) moved.sendPuback(packet.packetId)
  }
  assert.equal(
    seen.filter((n) => Number(n) > 1),
    ['2', '3', '4', '5'],
  )
  assert.is(there.sessions.get('c')?.queue.count, 0)
  equal(world)
})

both('identifiers of a new owner are not those the old one gave out last', (world, here, there) => {
  const c = world.connect(here, 'c', kept)
  c.subscribe('t', 1)
  const p = world.connect(here, 'p')
  p.publish('t', 'x', { qos: 1 })
  const { packetId } = c.expect('publish')
  c.sendPuback(packetId)
  c.drop()
  const moved = world.connect(there, 'c', kept)
  p.publish('t', 'y', { qos: 1 })
  assert.is.not(moved.expect('publish').packetId, packetId)
})

both(
  'a session hops between the nodes, messages of both on the way: each comes once, in order',
  (world, here, there) => {
    world.connect(here, 'c', kept).subscribe('t', 2)
    const p = world.connect(here, 'p')
    const q = world.connect(there, 'q')
    const seen: string[] = []
    for (let hop = 0; hop < 40; hop++) {
      p.publish('t', `p${hop}`, { qos: hop % 2 === 0 ? 1 : 2 })
      q.publish('t', `q${hop}`, { qos: hop % 2 === 0 ? 1 : 2 })
      const c = world.connect(hop % 2 === 0 ? there : here, 'c', kept)
      assert.ok(c.present)
      while (c.inbox.length > 0) {
        const [packet] = c.inbox
        if (packet?.cmd === 'publish') seen.push(new TextDecoder().decode(packet.payload))
        const rest = c.inbox.splice(1)
        c.take()
        c.inbox.push(...rest)
      }
      if (hop % 3 === 0) c.drop()
    }
    for (const name of ['p', 'q'])
      assert.equal(
        seen.filter((s) => s.startsWith(name)),
        Array.from({ length: 40 }, (_, i) => `${name}${i}`),
      )
    equal(world)
  },
)

// ---- answers

both(
  '[MQTT-4.3.2-4] a message that only the other node’s clients want is acknowledged as taken',
  (world, here, there) => {
    const p = world.connect(here, 'p')
    p.sendPublish('t', 'x', { qos: 1 })
    assert.is(p.expect('puback').reason, 0x10)
    for (const fields of [kept, {}]) {
      const c = world.connect(there, 'c', { ...fields, cleanStart: true })
      c.subscribe('t', 1)
      for (const qos of [1, 2] as const) {
        const packetId = p.sendPublish('t', 'x', { qos })
        assert.is(p.expect(qos === 1 ? 'puback' : 'pubrec').reason, 0)
        if (qos === 2) {
          p.sendPubrel(packetId)
          p.expect('pubcomp')
        }
      }
      c.disconnect(0, 'sessionExpiry' in fields ? 0 : undefined)
    }
    p.sendPublish('t', 'x', { qos: 1 })
    assert.is(p.expect('puback').reason, 0x10)
  },
)

both('[MQTT-3.3.4-9] Receive Maximum holds for messages of both nodes together', (world, here, there) => {
  for (const fields of [kept, {}]) {
    const c = world.connect(there, 'c', { ...fields, cleanStart: true, receiveMaximum: 3 })
    c.subscribe('t', 1)
    const p = world.connect(here, 'p')
    const q = world.connect(there, 'q')
    for (let i = 0; i < 5; i++) {
      p.publish('t', `p${i}`, { qos: 1 })
      q.publish('t', `q${i}`, { qos: 1 })
    }
    const seen: string[] = []
    for (let i = 0; i < 10; i++) {
      assert.ok(c.inbox.length <= 3)
      const d = c.expect('publish')
      seen.push(new TextDecoder().decode(d.payload))
      const rest = c.inbox.splice(0)
      c.sendPuback(d.packetId)
      c.inbox.unshift(...rest)
    }
    c.expectNothing()
    assert.is(new Set(seen).size, 10)
  }
})

both('[MQTT-4.5.0-1] 3.1.1 and 5.0 clients of both nodes talk to each other', (world, here, there) => {
  const versions = [3, 4, 5] as const
  const subscribers = versions.flatMap((version) =>
    [here, there].map((node) => {
      const c = world.connect(node, `s${version}${node.config.name}`, { version, cleanStart: true })
      c.subscribe('t/+', 2)
      return c
    }),
  )
  for (const version of versions)
    for (const node of [here, there]) {
      const p = world.connect(node, 'p', { version })
      for (const qos of [0, 1, 2] as const) {
        p.publish(`t/${version}`, `${qos}`, { qos })
        for (const c of subscribers) {
          const d = c.take()
          assert.equal([d.topic, d.qos], [`t/${version}`, qos])
        }
      }
    }
  for (const c of subscribers) c.expectNothing()
})

test.run()
