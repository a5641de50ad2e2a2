// Unheard: a node that has slept does not acknowledge on its own what it cannot know to be wanted elsewhere.
import { TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('unheard')

/** A publish that nobody on this node wants, after this node has slept and before it hears of the other one. */
function afterSleep(rulesOut: readonly string[]) {
  const world = new TwoNodes({ mutations: new Set(rulesOut) })
  const client = world.connect(world.a, 'p', { cleanStart: true })
  world.hold(world.a)
  world.hold(world.b)
  world.sleep(60_000)
  assert.is(world.a.mode, 'SYNC', 'its own sleep proves nothing about the other one')
  client.sendPublish('nobody/here', 'x', { qos: 1 })
  return { world, client }
}

test('after a sleep PUBACK waits for the other node, also where it changes nothing', () => {
  const { world, client } = afterSleep([])
  client.expectNothing()
  world.letGo(world.a)
  world.letGo(world.b)
  assert.is(client.expect('puback').reason, 0x10)
  client.sendPublish('nobody/here', 'y', { qos: 1 })
  client.expect('puback')
})

test('a node that was replaced in its sleep never says it', () => {
  const { world, client } = afterSleep([])
  world.a.linkClosed('the other one has gone on alone')
  world.drive()
  client.expectNothing()
})

test('without the rule it is acknowledged at once', () => {
  afterSleep(['unheard']).client.expect('puback')
})

test.run()
