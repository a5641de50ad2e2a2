// Faults: the table of what clients get wrong (fixtures/faults.ts), walked for 3.1, 3.1.1 and 5.0: the standard's answer, one line in
// the log, one counter, and nobody else notices.

import { type Answer, FAULTS, type FaultCase, type Version } from '../../fixtures/faults.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { NodeConfig } from '../../src/core/ports.ts'
import { OneNode, type SpecClient } from '../support/one_node.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('faults')
const NAMES: Record<Version, string> = { 3: '3.1', 4: '3.1.1', 5: '5.0' }
const ADDRESS = 'test:faulty'

function answerOf(c: FaultCase, version: Version): Answer | null {
  if (version === 5) return c.v5
  return version === 3 && c.v31 !== undefined ? c.v31 : c.v3
}

/** What each counter of faults says. */
function counters(world: OneNode): Record<string, number> {
  const all: Record<string, number> = {}
  for (const [, name, reason, value] of world.node.metrics
    .render()
    .matchAll(/^tandemq_(faults|refused)_total\{reason="(\w+)"\} (\d+)$/gm))
    if (value !== '0') all[`${name}_${reason}`] = Number(value)
  return all
}

function lines(world: OneNode) {
  return world.log.filter(({ name }) => name === 'client_fault' || name === 'connect_refused')
}

function expectAnswer(client: SpecClient, answer: Answer): void {
  // What was right in front of the fault has its own answer.
  while (client.inbox[0]?.cmd === 'pubrec') client.inbox.shift()
  if (answer === 'close' || answer === 'ignored') client.expectNothing()
  else if ('connack' in answer) assert.is(client.expect('connack').reason, answer.connack)
  else if ('disconnect' in answer) {
    if (client.version === 5) assert.is(client.expect('disconnect').reason, answer.disconnect)
  } else {
    const packet = client.expect(answer.packet)
    const code = 'codes' in packet ? (packet.codes[0] ?? -1) : packet.reason
    assert.is(code, answer.code)
  }
  client.expectNothing()
}

for (const version of [3, 4, 5] as const) {
  for (const c of FAULTS) {
    const answer = answerOf(c, version)
    if (answer === null) continue
    test(`${NAMES[version]}: ${c.what}`, () => {
      const world = new OneNode(c.limits as Partial<NodeConfig>)
      const bystander = world.connect('bystander', { version })
      bystander.subscribe('b', 0)
      const p = world.connect('p', { version })
      const client =
        c.at === 'open'
          ? world.connect('faulty', { version })
          : world.open('faulty', { version, loopback: c.remote !== true })
      client.raw(c.bytes(version))
      expectAnswer(client, answer)
      const goesOn = answer === 'ignored' || (typeof answer === 'object' && 'packet' in answer)
      assert.is(client.closed, !goesOn)
      if (goesOn) {
        client.sendPingreq()
        client.expect('pingresp')
      }
      assert.equal(counters(world), c.metric === null ? {} : { [c.metric]: 1 })
      assert.equal(
        lines(world).map(({ fields }) => [fields['address'], fields['reason']]),
        c.log === null ? [] : [[ADDRESS, c.log]],
      )
      if (c.at === 'open' && c.log !== null) assert.is(lines(world)[0]?.fields['client'], 'faulty')
      p.publish('b', 'still here')
      if (c.limits?.['subscriptionsMax'] !== 0) assert.equal(bystander.deliveries(), ['b=still here'])
      for (const other of [bystander, p]) {
        other.sendPingreq()
        other.expect('pingresp')
        assert.not(other.closed)
      }
    })
  }

  test(`${NAMES[version]}: [MQTT-3.1.2-22] silence for one and a half times the keep alive`, () => {
    const world = new OneNode()
    const client = world.connect('faulty', { version, keepAlive: 10 })
    world.pass(15_001)
    if (version === 5) assert.is(client.expect('disconnect').reason, 0x8d)
    client.expectNothing()
    assert.ok(client.closed)
    assert.is(world.metric('keep_alive_timeouts'), 1)
    assert.equal(
      lines(world).map(({ fields }) => [fields['client'], fields['address'], fields['reason']]),
      [['faulty', ADDRESS, 'keepAliveTimeout']],
    )
  })
}

test('no CONNECT in time', () => {
  const world = new OneNode({ connectTimeoutMs: 500 })
  const client = world.open('faulty')
  world.pass(499)
  assert.not(client.closed)
  world.pass(2)
  assert.ok(client.closed)
  client.expectNothing()
  assert.is(world.metric('connect_timeouts'), 1)
  assert.equal(
    lines(world).map(({ fields }) => [fields['address'], fields['reason']]),
    [[ADDRESS, 'connectTimeout']],
  )
  assert.is(LIMITS.connectTimeoutMs, 10_000)
})

test('a fault that comes in single bytes is the same fault', () => {
  for (const c of FAULTS) {
    const answer = c.v5
    if (answer === null || c.limits !== undefined) continue
    const world = new OneNode()
    const client = c.at === 'open' ? world.connect('faulty') : world.open('faulty', { loopback: c.remote !== true })
    for (const byte of c.bytes(5)) if (!client.closed) client.raw([byte])
    expectAnswer(client, answer)
    assert.equal(counters(world), c.metric === null ? {} : { [c.metric]: 1 }, c.what)
  }
})

test.run()
