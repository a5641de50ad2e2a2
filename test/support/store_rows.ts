// Store rows: samples of what the store keeps, for its tests.

import type { BootId, Hlc } from '../../src/base/brand.ts'
import type { MessageRow, NodeRecord, QueueRow } from '../../src/session/image.ts'

export const BIG = Number.MAX_SAFE_INTEGER

export function messageRow(id: number, more: Partial<MessageRow> = {}): MessageRow {
  return {
    ...{ id, origin: 7 as BootId, seq: id, hlc: 1 as Hlc, topic: 't', payload: new Uint8Array([1, 2, 3]), qos: 1 },
    ...{ retain: false, props: null, expiresAt: 0, publisher: 'p' },
    ...more,
  }
}

/** It waits. */
export function queueRow(client: string, pos: number, message: number): QueueRow {
  return {
    ...{ client, pos, message, qos: 1, retain: false },
    ...{ subscriptionIds: null, share: null, state: 0, packetId: 0 },
  }
}

export const RECORD: NodeRecord = {
  clusterId: 'c',
  name: 'knoten-ä',
  bootCounter: 1,
  generation: { n: 3, minter: BIG as BootId },
  history: [{ n: 2, minter: 9 as BootId }],
  status: 'SOLO',
  peerName: '',
  witnessIncarnation: 0,
}

export const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, i) => i)
