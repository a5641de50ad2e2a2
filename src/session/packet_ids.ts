// Packet ids: 16-bit identifiers towards one client, in four tracks, each handed out cyclically and never lowest-free.
// A late acknowledgement from before a change of owner must not hit a new message: the tracks are QoS × parity of the epoch.
import { assert } from '../base/assert.ts'

/** Identifiers of one track: 1 to 0x3FFF above its base. */
const TRACK = 0x3fff
/**
 * How far a position jumps when what the former owner gave out is not known for certain: a third of the track, so that a client
 * that still owes acknowledgements to the owner before last does not meet the same identifiers again.
 */
const JUMP = 0x1555

export const TRACKS = 4

export function trackOf(qos: 1 | 2, epoch: number): number {
  return (qos === 2 ? 2 : 0) + (epoch & 1)
}

/**
 * The next free identifier of a track.
 * @param positions last identifier (1 to 0x3FFF, 0 none) by track; advanced
 */
export function nextPacketId(positions: number[], track: number, taken: (id: number) => boolean): number {
  let pos = positions[track] as number
  for (let tries = 0; tries <= TRACK; tries++) {
    pos = (pos % TRACK) + 1
    const id = (track << 14) + pos
    if (!taken(id)) {
      positions[track] = pos
      return id
    }
  }
  assert(false, 'the inflight window is smaller than a track')
}

export function jumpPacketIds(positions: number[]): void {
  for (let track = 0; track < TRACKS; track++) positions[track] = (((positions[track] as number) + JUMP) % TRACK) + 1
}

/** Follows what another node gave out. */
export function notePacketId(positions: number[], id: number): void {
  positions[id >> 14] = id & TRACK
}
