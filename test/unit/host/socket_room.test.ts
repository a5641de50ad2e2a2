// SocketRoom: who finds room, and what is told of those who do not.
import { LIMITS } from '../../../src/base/limits.ts'
import { SocketRoom } from '../../../src/host/sockets/socket_room.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('socket room')

test('the smaller of both limits counts, and descriptors are kept for all else', () => {
  const room = (connections: number, descriptors: number, addresses = 1) => {
    const { max, limit } = new SocketRoom(
      { connections, descriptors, addresses },
      () => {},
      () => 0,
    )
    return [max, limit]
  }
  assert.equal(room(1_000_000, 1024), [768, 'descriptors'])
  assert.equal(room(1_000_000, 1024, 2), [640, 'descriptors'])
  assert.equal(room(10, Number.POSITIVE_INFINITY), [10 + LIMITS.socketsBeforeConnectMax, 'connections'])
  assert.equal(room(1_000_000, 64), [1, 'descriptors'], 'somebody can come in')
})

test('who finds no room is counted each time and told of once a minute; who leaves makes room', () => {
  let now = 0
  const refused: boolean[] = []
  const room = new SocketRoom(
    { connections: 1, descriptors: LIMITS.descriptorsKept + 2, addresses: 0 },
    (_limit, tell) => void refused.push(tell),
    () => now,
  )
  assert.equal([room.enter(), room.enter(), room.enter(), room.enter()], [true, true, false, false])
  now = LIMITS.socketsRefusedToldMs - 1
  assert.is(room.enter(), false)
  now++
  assert.is(room.enter(), false)
  assert.equal(refused, [true, false, false, true])
  room.leave()
  assert.equal([room.enter(), room.enter()], [true, false])
})

test.run()
