// Frames: one sample of every frame and every op of the link, and random ones of the right shape. For round trips and fuzzing.

import type { Prng } from '../../src/base/prng.ts'
import {
  type EnqItemWire,
  type Frame,
  FrameKind,
  type MessageWire,
  type Op,
  OpKind,
  type PresenceWire,
  type QueueItemWire,
  type WillWire,
} from '../../src/wire/peer_message.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

const message: MessageWire = [
  2 ** 40,
  17,
  2 ** 51,
  'a/b',
  bytes(1, 2, 3),
  6,
  bytes(38, 0, 1, 97, 0, 1, 98),
  60_000,
  'p',
]
const bare: MessageWire = [1, 1, 1, '', bytes(), 0, null, -1, '']
const will: WillWire = ['will', bytes(9), 2, 1, 30, null, -1]
const share = '$share/g/a/#'
const enqItem: EnqItemWire = [4, 2, 1, [7, 268_435_455], message]
const queueItem: QueueItemWire = [4, 2, 1, null, bare, 3, 65_535]
const presence: PresenceWire = ['c', 2 ** 47, 3, 1, 2, 0xffff_ffff, will, 1500]

/** At least one of each kind that is not reserved. */
export const OPS: readonly Op[] = [
  [OpKind.pub, 5, 2 ** 50, 'a/b', bytes(1), 14, null, -1, 'p', [['c', 2 ** 52, 3, 1, 0, null]], ['p', 8, 9], null],
  [OpKind.pub, 6, 2, 'é', bytes(), 0, bytes(1, 1), 0, '', null, null, ['c', 1, 2]],
  [OpKind.pub, 7, 3, 1, bytes(2), 9, null, -1, 2, [['c', 1, 3, 1, 0, null, share]], null, null, [[share, 'd']]],
  [OpKind.enq, 'c', 1, [enqItem, [5, 1, 0, null, 12], [6, 1, 0, null, 13, share]]],
  [OpKind.out, 'c', 1, [4, 16_385, 1, 5, 32_769, 2]],
  [OpKind.deq, 'c', 1, [4, 5]],
  [OpKind.inboundDel, 'c', 1, [1, 65_535]],
  [OpKind.sub, 'c', 1, 'a/#', 0x2e, 268_435_455],
  [OpKind.unsub, 'c', 1, 'a/#'],
  [OpKind.interest, ['a/#', '+'], []],
  [OpKind.conn, presence],
  [OpKind.claim, 'c', 1, 2, 3, 1, 100, will],
  [OpKind.grant, 'c', 1, 2, [3, 4, 5], 1, [[1, 2, 3, 4]], [0, 0, 0, 16_383], 100],
  [OpKind.grant, 'c', 1, 2, null, 0, [], [], 0],
  [OpKind.deny, 'c', 1, 2, 0x89],
  [OpKind.end, 'c', 1],
  [OpKind.new, 'c', [1, 2, 3], 100],
  [OpKind.snapBegin],
  [OpKind.snapHead, 'c', [1, 2, 3], 1, [[0, 1, 2, 3]], 9, 100, -1, [1, 2, 3, 4], 10, [['a', 1, 0]], [3], [queueItem]],
  [OpKind.snapPart, 'c', 1, [queueItem, [5, 1, 0, null, bare, 0, 0, share]]],
  [
    OpKind.snapRetained,
    [
      ['a', message, 1, 2],
      ['b', null, 3, 4],
    ],
  ],
  [OpKind.snapPresence, [presence]],
  [OpKind.snapEnd],
  [OpKind.expiry, 'c', 1, 0],
  [OpKind.shadows, 'c', [enqItem]],
  [OpKind.members, [[share, 'c']], [[share, 'd']]],
  [OpKind.deal, 9, message, [[share, 'c']]],
  [OpKind.bounce, 9, [share]],
]

const hello: Frame = [
  ...([FrameKind.hello, 1, 1, 0, 'cluster', 'a', 2 ** 47, [3, 4], [[1, 2]], 'INSYNC', 'STALL', 1, 2, 3, 4] as const),
  ...([2 ** 51, 1_780_000_000_000, 'peer-ram', 0, '0.1.0'] as const),
] as unknown as Frame

export const FRAMES: readonly Frame[] = [
  hello,
  [FrameKind.ops, 1, 2, [[...OPS], [], [OPS[0]!]], 3, 4],
  [FrameKind.ack, 1, 2, 3],
  [FrameKind.heartbeat, 1, 2, 3, 4, 'SYNC'],
  [FrameKind.qos0, ['a/b', bytes(1, 2), 4, null, -1, 'p', 'c', bytes(), 0, bytes(1, 1), 30, '']],
  [FrameKind.lead],
  [FrameKind.ready, 1],
  [FrameKind.start, 1],
  [FrameKind.offer, [1, 2], [[0, 0]], 'cluster'],
  [FrameKind.ok],
  [FrameKind.live],
  [FrameKind.evict, [1, 2], 'stuck'],
  [FrameKind.leave, 'drain'],
  [FrameKind.alone],
  [FrameKind.refuse, 'self', 'a sentence'],
  [FrameKind.merge, [...OPS], 1],
  [FrameKind.merged],
]

/** A value of the kind of `v`, often one that lies on an edge. */
export function mutated(v: unknown, prng: Prng): unknown {
  if (prng.chance(0.1))
    return prng.pick([
      null,
      0,
      -1,
      1.5,
      2 ** 53,
      Number.NaN,
      '',
      'x'.repeat(300),
      true,
      [],
      bytes(0),
      [[[]]],
      bytes(...[1, 2]),
    ])
  if (Array.isArray(v)) {
    const copy = v.map((item) => (prng.chance(0.8) ? item : mutated(item, prng)))
    if (prng.chance(0.2)) copy.splice(prng.int(0, copy.length), 1)
    if (prng.chance(0.1)) copy.push(prng.int(0, 9))
    return copy
  }
  if (typeof v === 'number') return prng.pick([v + 1, -v, v * 2 ** 20, 255, 256, 65_536, 2 ** 32, v + 0.5])
  if (typeof v === 'string') return prng.pick([v + v, '', '\u0000', '\ud83d\ude00'])
  return prng.chance(0.5) ? bytes() : v
}
