// Store apply: writes one packed batch into the open database, within the caller's transaction. Knows no threads and no fsync.
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import { type Packed, Unpacker } from './store_pack.ts'

/** Guards what no structure of the file would betray: a bit flipped within a topic, a payload or properties. */
export function messageSum(id: number, topic: string, payload: Uint8Array, props: Uint8Array | null): number {
  const sum = crc32(payload, crc32(topic, id >>> 0))
  return props === null ? sum : crc32(props, sum)
}

export class Applier {
  private readonly db: DatabaseSync
  private readonly sessionGone: StatementSync[]
  private readonly subscriptionGone: StatementSync
  private readonly messageGone: StatementSync
  private readonly queueGone: StatementSync
  private readonly shadowGone: StatementSync
  private readonly inboundGone: StatementSync
  private readonly retainedGone: StatementSync
  private readonly presenceGone: StatementSync
  private readonly session: StatementSync
  private readonly subscription: StatementSync
  private readonly presence: StatementSync
  private readonly message: StatementSync
  private readonly queue: StatementSync
  private readonly shadow: StatementSync
  private readonly inbound: StatementSync
  private readonly retained: StatementSync

  constructor(db: DatabaseSync) {
    this.db = db
    this.sessionGone = ['session', 'subscription', 'queue', 'shadow', 'inbound'].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE client = ?`),
    )
    this.subscriptionGone = db.prepare('DELETE FROM subscription WHERE client = ? AND filter = ?')
    this.messageGone = db.prepare('DELETE FROM message WHERE id = ?')
    this.queueGone = db.prepare('DELETE FROM queue WHERE client = ? AND pos = ?')
    this.shadowGone = db.prepare('DELETE FROM shadow WHERE client = ? AND message = ? AND share = ?')
    this.inboundGone = db.prepare('DELETE FROM inbound WHERE client = ? AND packet_id = ?')
    this.retainedGone = db.prepare('DELETE FROM retained WHERE topic = ?')
    this.presenceGone = db.prepare('DELETE FROM presence WHERE client = ?')
    this.session = this.replace('session', [
      ...['client', 'mine', 'epoch', 'minter', 'n', 'ver', 'lineage'],
      ...['expiry', 'expires_at', 'packet_ids', 'next_pos'],
    ])
    this.subscription = this.replace('subscription', ['client', 'filter', 'options', 'subscription_id'])
    this.presence = this.replace('presence', [
      ...['client', 'boot', 'n', 'mine', 'up', 'expiry', 'will_due_at'],
      ...['will_topic', 'will_payload', 'will_qos', 'will_retain', 'will_delay', 'will_props', 'will_expiry'],
    ])
    this.message = this.replace('message', [
      ...['id', 'origin', 'seq', 'hlc', 'topic', 'payload'],
      ...['qos', 'retain', 'props', 'expires_at', 'publisher', 'sum'],
    ])
    const target = ['client', 'message', 'qos', 'retain', 'subscription_ids', 'share']
    this.queue = this.replace('queue', [...target, 'pos', 'state', 'packet_id'])
    this.shadow = this.replace('shadow', target)
    this.inbound = this.replace('inbound', ['client', 'packet_id'])
    this.retained = this.replace('retained', ['topic', 'message', 'hlc', 'node'])
  }

  apply(packed: Packed): void {
    const from = new Unpacker(packed)
    this.applyGone(from)
    this.applyClients(from)
    this.applyMessages(from)
    assert(from.done, 'a packed batch has a rest')
  }

  private replace(table: string, columns: string[]): StatementSync {
    const marks = columns.map(() => '?').join(', ')
    return this.db.prepare(`INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${marks})`)
  }

  private applyGone(from: Unpacker): void {
    for (let n = from.num(); n > 0; n--) {
      const client = from.text()
      for (const statement of this.sessionGone) statement.run(client)
    }
    for (const statement of [this.retainedGone, this.presenceGone]) {
      for (let n = from.num(); n > 0; n--) statement.run(from.text())
    }
    for (let n = from.num(); n > 0; n--) this.subscriptionGone.run(from.text(), from.text())
    for (let n = from.num(); n > 0; n--) this.messageGone.run(from.num())
    for (let n = from.num(); n > 0; n--) this.queueGone.run(from.text(), from.num())
    for (let n = from.num(); n > 0; n--) this.shadowGone.run(from.text(), from.num(), from.text())
    for (let n = from.num(); n > 0; n--) this.inboundGone.run(from.text(), from.num())
  }

  // Arguments are evaluated from left to right, that is in the order in which store_pack.ts wrote them.
  private applyClients(from: Unpacker): void {
    for (let n = from.num(); n > 0; n--) {
      const [client, mine, epoch, minter] = [from.text(), from.num(), from.num(), from.num()]
      const [count, ver, lineage, expiry] = [from.num(), from.num(), lineageText(from), from.num()]
      const [expiresAt, packetIds, nextPos] = [from.num(), from.list(), from.num()]
      this.session.run(...[client, mine, epoch, minter, count, ver, lineage, expiry, expiresAt, packetIds, nextPos])
    }
    for (let n = from.num(); n > 0; n--) this.subscription.run(from.text(), from.text(), from.num(), from.num())
    for (let n = from.num(); n > 0; n--) {
      const client = from.text()
      const [boot, count, mine, up] = [from.num(), from.num(), from.num(), from.num()]
      const [expiry, willDueAt, hasWill] = [from.num(), from.num(), from.num()]
      const will =
        hasWill === 0
          ? [null, null, null, null, null, null, null]
          : [from.text(), from.blob(), from.num(), from.num(), from.num(), from.blobOrNull(), from.num()]
      this.presence.run(client, boot, count, mine, up, expiry, willDueAt, ...will)
    }
  }

  private applyMessages(from: Unpacker): void {
    for (let n = from.num(); n > 0; n--) {
      const id = from.num()
      const origin = from.num()
      const seq = from.num()
      const hlc = from.num()
      const topic = from.text()
      const payload = from.blob()
      const qos = from.num()
      const retain = from.num()
      const props = from.blobOrNull()
      const sum = messageSum(id, topic, payload, props)
      const expiresAt = from.num()
      const publisher = from.text()
      this.message.run(id, origin, seq, hlc, topic, payload, qos, retain, props, expiresAt, publisher, sum)
    }
    for (let n = from.num(); n > 0; n--) {
      const client = from.text()
      const message = from.num()
      const qos = from.num()
      const retain = from.num()
      this.queue.run(client, message, qos, retain, from.list(), from.text(), from.num(), from.num(), from.num())
    }
    for (let n = from.num(); n > 0; n--) {
      this.shadow.run(from.text(), from.num(), from.num(), from.num(), from.list(), from.text())
    }
    for (let n = from.num(); n > 0; n--) this.inbound.run(from.text(), from.num())
    for (let n = from.num(); n > 0; n--) this.retained.run(from.text(), from.num(), from.num(), from.num())
  }
}

/** A lineage as text: four numbers per ancestor, all with commas between them. */
function lineageText(from: Unpacker): string {
  let text = ''
  for (let n = 4 * from.num(); n > 0; n--) text += (text === '' ? '' : ',') + from.num()
  return text
}
