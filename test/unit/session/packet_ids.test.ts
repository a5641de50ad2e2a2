// Packet ids: four tracks that never mix, cyclic, skipping what is under way, jumping at a change of owner.

import { jumpPacketIds, nextPacketId, notePacketId, TRACKS, trackOf } from '../../../src/session/packet_ids.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('packet_ids')
const TRACK = 16_383
const free = () => false

test('a track is QoS and parity of the epoch', () => {
  assert.equal([trackOf(1, 4), trackOf(1, 5), trackOf(2, 4), trackOf(2, 5)], [0, 1, 2, 3])
})

test('[MQTT-2.2.1-3] every identifier of every track is from 1 to 65 535, and no two tracks share one', () => {
  const seen = new Set<number>()
  for (let track = 0; track < TRACKS; track++) {
    const positions = [0, 0, 0, 0]
    for (let i = 0; i < TRACK; i++) {
      const id = nextPacketId(positions, track, free)
      assert.ok(id >= 1 && id <= 0xffff)
      assert.not(seen.has(id))
      seen.add(id)
    }
    assert.ok(seen.has(nextPacketId(positions, track, free)), 'then from the start')
  }
  assert.is(seen.size, TRACKS * TRACK)
})

test('identifiers go round: the lowest free one is not taken again at once', () => {
  const positions = [0, 0, 0, 0]
  const first = nextPacketId(positions, 0, free)
  assert.is.not(nextPacketId(positions, 0, free), first)
})

test('what is under way is skipped, and a full track is a bug', () => {
  const positions = [0, 0, 0, 0]
  const taken = new Set([2, 3, 4])
  assert.is(
    nextPacketId(positions, 0, (id) => taken.has(id)),
    1,
  )
  assert.is(
    nextPacketId(positions, 0, (id) => taken.has(id)),
    5,
  )
  assert.throws(() => nextPacketId(positions, 0, () => true))
})

test('after a jump, a third of a track passes before an identifier from before it comes again', () => {
  const positions = [0, 0, 0, 0]
  const before = new Set<number>()
  for (let i = 0; i < 4_000; i++) before.add(nextPacketId(positions, 1, free))
  jumpPacketIds(positions)
  for (let i = 0; i < 4_000; i++) assert.not(before.has(nextPacketId(positions, 1, free)))
})

test('five owners in a row that knew nothing of each other: none gives out what another one may have', () => {
  const positions = [7, 7, 7, 7]
  const given = new Set<number>()
  for (let epoch = 1; epoch <= 5; epoch++) {
    jumpPacketIds(positions)
    const unknown = positions.slice()
    for (let i = 0; i < 1_000; i++) {
      const id = nextPacketId(unknown, trackOf(1, epoch), free)
      assert.not(given.has(id), `owner ${epoch} gives out ${id} again`)
      given.add(id)
    }
  }
})

test('a replica follows what the owner gave out, in each track', () => {
  const owner = [0, 0, 0, 0]
  const replica = [0, 0, 0, 0]
  for (let i = 0; i < 50_000; i++) notePacketId(replica, nextPacketId(owner, i % TRACKS, free))
  assert.equal(replica, owner)
  jumpPacketIds(replica)
  for (const position of replica) assert.ok(position >= 1 && position <= TRACK)
})

test.run()
