// Store load: reads the node record and the image back, and refuses what does not add up. Writes nothing.
import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { BootId, Hlc } from '../../base/brand.ts'
import type { Ancestor } from '../../base/identity.ts'
import type { EntryState, Image, MessageRow, NodeRecord, PresenceRow } from '../../session/image.ts'
import type { QoS, Will } from '../../wire/packet.ts'
import { messageSum } from './store_apply.ts'
import { RECORD_TABLES } from './store_schema.ts'

/** The file holds something that we never wrote. */
export class Damage extends Error {
  override name = 'Damage'
}

type Cell = string | number | Uint8Array | null
type Row = readonly Cell[]

export function recordSum(seq: number, body: string): number {
  return crc32(body, seq >>> 0)
}

/** The newer of the copies whose checksum is right. */
export function loadRecord(db: DatabaseSync): { record: NodeRecord | null; seq: number } {
  let best: { record: NodeRecord; seq: number } | null = null
  let found = 0
  for (const table of RECORD_TABLES) {
    let rows: Row[]
    try {
      rows = select(db, `SELECT seq, body, sum FROM ${table}`)
    } catch {
      found++
      continue
    }
    for (const row of rows) {
      found++
      const [seq, body, sum] = row as [number, string, number]
      if (sum !== recordSum(seq, body) || (best !== null && best.seq >= seq)) continue
      best = { record: JSON.parse(body) as NodeRecord, seq }
    }
  }
  if (best !== null) return best
  if (found > 0) throw new Damage('no copy of the node record is whole')
  return { record: null, seq: 0 }
}

export function loadImage(db: DatabaseSync): Image {
  // Format 1 knew no shared subscriptions; the thread that writes brings the file up to date (store_worker.ts).
  const share = formatOf(db) === 1 ? "''" : 'share'
  return {
    sessions: select(
      db,
      `SELECT client, mine, epoch, minter, n, ver, lineage, expiry, expires_at, packet_ids, next_pos FROM session`,
    ).map((row) => ({
      client: row[0] as string,
      mine: row[1] === 1,
      epoch: row[2] as number,
      minter: row[3] as BootId,
      n: row[4] as number,
      ver: row[5] as number,
      lineage: lineage(row[6] as string),
      expiry: row[7] as number,
      expiresAt: row[8] as number,
      packetIds: numbers(row[9] as string),
      nextPos: row[10] as number,
    })),
    subscriptions: select(db, 'SELECT client, filter, options, subscription_id FROM subscription').map((row) => ({
      client: row[0] as string,
      filter: row[1] as string,
      options: row[2] as number,
      subscriptionId: row[3] as number,
    })),
    messages: select(
      db,
      `SELECT id, origin, seq, hlc, topic, payload, qos, retain, props, expires_at, publisher, sum FROM message`,
    ).map(message),
    queue: select(
      db,
      `SELECT client, pos, message, qos, retain, subscription_ids, state, packet_id, ${share} FROM queue ORDER BY client, pos`,
    ).map((row) => ({
      client: row[0] as string,
      pos: row[1] as number,
      message: row[2] as number,
      qos: row[3] as QoS,
      retain: row[4] === 1,
      subscriptionIds: row[5] === null ? null : numbers(row[5] as string),
      state: row[6] as EntryState,
      packetId: row[7] as number,
      share: row[8] === '' ? null : (row[8] as string),
    })),
    shadows: select(
      db,
      `SELECT client, message, qos, retain, subscription_ids, ${share} FROM shadow ORDER BY client, message`,
    ).map((row) => ({
      client: row[0] as string,
      message: row[1] as number,
      qos: row[2] as QoS,
      retain: row[3] === 1,
      subscriptionIds: row[4] === null ? null : numbers(row[4] as string),
      share: row[5] === '' ? null : (row[5] as string),
    })),
    inbound: select(db, 'SELECT client, packet_id FROM inbound').map((row) => ({
      client: row[0] as string,
      packetId: row[1] as number,
    })),
    retained: select(db, 'SELECT topic, message, hlc, node FROM retained').map((row) => ({
      topic: row[0] as string,
      message: row[1] as number,
      hlc: row[2] as Hlc,
      node: row[3] as BootId,
    })),
    presence: select(
      db,
      `SELECT client, boot, n, mine, up, expiry, will_due_at, will_topic, will_payload, will_qos, will_retain, will_delay,
         will_props, will_expiry FROM presence`,
    ).map(presence),
  }
}

export function formatOf(db: DatabaseSync): number {
  return (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
}

function message(row: Row): MessageRow {
  const [id, topic, payload, props] = [row[0] as number, row[4] as string, row[5] as Uint8Array, row[8] as Uint8Array]
  if (row[11] !== messageSum(id, topic, payload, props)) throw new Damage(`message ${id} has a wrong checksum`)
  return {
    id,
    origin: row[1] as BootId,
    seq: row[2] as number,
    hlc: row[3] as Hlc,
    topic,
    payload,
    qos: row[6] as QoS,
    retain: row[7] === 1,
    props,
    expiresAt: row[9] as number,
    publisher: row[10] as string,
  }
}

function presence(row: Row): PresenceRow {
  let will: Will | null = null
  if (row[7] !== null) {
    will = {
      topic: row[7] as string,
      payload: row[8] as Uint8Array,
      qos: row[9] as QoS,
      retain: row[10] === 1,
      delay: row[11] as number,
      props: row[12] as Uint8Array | null,
      expiry: row[13] as number,
    }
  }
  return {
    client: row[0] as string,
    boot: row[1] as BootId,
    n: row[2] as number,
    mine: row[3] === 1,
    up: row[4] === 1,
    expiry: row[5] as number,
    will,
    willDueAt: row[6] as number,
  }
}

/** Rows as arrays: objects with names would cost a third more. */
function select(db: DatabaseSync, sql: string): Row[] {
  const statement = db.prepare(sql)
  statement.setReturnArrays(true)
  return statement.all() as unknown as Row[]
}

function numbers(text: string): number[] {
  return text === '' ? [] : text.split(',').map(Number)
}

function lineage(text: string): Ancestor[] {
  const all = numbers(text)
  if (all.length % 4 !== 0) throw new Damage('a lineage is cut off')
  const ancestors: Ancestor[] = []
  for (let i = 0; i < all.length; i += 4) {
    const [epoch, minter, n, forkVer] = all.slice(i, i + 4) as [number, number, number, number]
    ancestors.push({ token: { epoch, minter: minter as BootId, n }, forkVer })
  }
  return ancestors
}
