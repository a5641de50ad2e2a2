// Journal: batches bring the disk's image to the live state, whatever happened between two of them; and what came and went
// between them never reaches a batch.

import type { BootId, Hlc } from '../../../src/base/brand.ts'
import { NO_BYTES } from '../../../src/base/bytes.ts'
import { Prng } from '../../../src/base/prng.ts'
import type { Batch, MessageRow, QueueRow, SessionRow } from '../../../src/session/image.ts'
import { Journal } from '../../../src/session/journal.ts'
import { Message } from '../../../src/session/message.ts'
import { type Session, Shadow } from '../../../src/session/session.ts'
import { Sessions } from '../../../src/session/sessions.ts'
import { TopicRef } from '../../../src/topic/topics.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('journal')
const topic = new TopicRef('t', NO_BYTES)
let seq = 0
let minted = 0

function message(): Message {
  return new Message(
    1 as BootId,
    ++seq,
    seq as Hlc,
    topic,
    new Uint8Array(seq % 7),
    1,
    false,
    null,
    Number.POSITIVE_INFINITY,
    'p',
  )
}
const token = (epoch = 1) => ({ epoch, minter: 1 as BootId, n: ++minted })
const take = (journal: Journal): Batch =>
  journal.take(
    () => 0,
    () => undefined,
    () => null,
  )

function enqueue(sessions: Sessions, session: Session, m = message()) {
  return sessions.enqueue(session, {
    message: m,
    pos: session.nextPos,
    qos: 1,
    retain: false,
    subscriptionIds: null,
    share: null,
  })!
}

/** Nothing but (perhaps) the session's own row. */
function onlySessions(batch: Batch): void {
  const { sessions: _rows, ...rest } = batch
  for (const [name, rows] of Object.entries(rest)) assert.is(rows.length, 0, name)
}

test('a message that came and went between two batches reaches neither', () => {
  const sessions = new Sessions(new Journal(1))
  const session = sessions.create('c', true, true, token(), 100)
  take(sessions.journal)
  const entry = enqueue(sessions, session)
  sessions.markSent(session, entry, 5, 1)
  sessions.dequeue(session, entry)
  onlySessions(take(sessions.journal))
})

test('an inbound identifier that came and went reaches no batch', () => {
  const sessions = new Sessions(new Journal(1))
  const session = sessions.create('c', true, true, token(), 100)
  take(sessions.journal)
  sessions.addInbound(session, 7)
  sessions.deleteInbound(session, 7)
  onlySessions(take(sessions.journal))
})

test('a session that came and went with all it had reaches no batch', () => {
  const sessions = new Sessions(new Journal(1))
  const session = sessions.create('c', true, true, token(), 100)
  sessions.subscribe(session, 'a/#', 1, 0)
  enqueue(sessions, session)
  sessions.addInbound(session, 7)
  sessions.addShadow(session, new Shadow(message(), 1, false, null, null))
  sessions.end(session)
  const batch = take(sessions.journal)
  for (const [name, rows] of Object.entries(batch)) assert.is(rows.length, 0, name)
})

test('a session without expiry leaves no trace at all', () => {
  const journal = new Journal(1)
  const sessions = new Sessions(journal)
  const session = sessions.create('c', false, true, token(), 0)
  sessions.subscribe(session, 'a/#', 1, 0)
  const entry = enqueue(sessions, session)
  sessions.markSent(session, entry, 5, 1)
  sessions.addInbound(session, 7)
  sessions.dequeue(session, entry)
  sessions.end(session)
  assert.not(journal.changed)
})

test('a payload is written once, however many queues refer to it, and goes with the last of them', () => {
  const sessions = new Sessions(new Journal(1))
  const all = ['a', 'b', 'c'].map((client) => sessions.create(client, true, true, token(), 100))
  const shared = message()
  const entries = all.map((session) => enqueue(sessions, session, shared))
  const first = take(sessions.journal)
  assert.is(first.messages.length, 1)
  assert.is(first.queue.length, 3)
  sessions.dequeue(all[0]!, entries[0]!)
  sessions.dequeue(all[1]!, entries[1]!)
  assert.is(take(sessions.journal).messagesGone.length, 0)
  sessions.dequeue(all[2]!, entries[2]!)
  assert.equal(take(sessions.journal).messagesGone, [first.messages[0]!.id])
})

test('a message that is let go and taken up again keeps (or gets) a row', () => {
  const sessions = new Sessions(new Journal(1))
  const session = sessions.create('c', true, true, token(), 100)
  const m = message()
  const entry = enqueue(sessions, session, m)
  take(sessions.journal)
  sessions.dequeue(session, entry)
  enqueue(sessions, session, m)
  const same = take(sessions.journal)
  assert.is(same.messagesGone.length, 0)
  assert.is(same.messages.length, 0)
  sessions.dequeue(session, session.queue.get(session.nextPos - 1)!)
  take(sessions.journal)
  enqueue(sessions, session, m)
  const again = take(sessions.journal)
  assert.is(again.messages.length, 1)
  assert.is(again.queue[0]!.message, again.messages[0]!.id)
})

test('nothing changed: nothing to take', () => {
  const journal = new Journal(1)
  const sessions = new Sessions(journal)
  sessions.create('c', true, true, token(), 100)
  assert.ok(journal.changed)
  take(journal)
  assert.not(journal.changed)
  onlySessions(take(journal))
})

// ---- against an image

/** What a store makes of batches: the contract of image.ts, word by word. */
class ImageModel {
  readonly sessions = new Map<string, SessionRow>()
  readonly subscriptions = new Map<string, number>()
  readonly messages = new Map<number, MessageRow>()
  readonly queue = new Map<string, QueueRow>()
  readonly inbound = new Set<string>()
  readonly shadows = new Map<string, number>()

  apply(batch: Batch): void {
    for (const client of batch.sessionsGone) {
      this.sessions.delete(client)
      for (const keys of [this.subscriptions, this.queue, this.inbound, this.shadows])
        for (const key of [...keys.keys()]) if (key.startsWith(`${client}|`)) keys.delete(key)
    }
    for (const { client, filter } of batch.subscriptionsGone) this.subscriptions.delete(`${client}|${filter}`)
    for (const id of batch.messagesGone) assert.ok(this.messages.delete(id), 'only what is there is deleted')
    for (const { client, pos } of batch.queueGone) assert.ok(this.queue.delete(`${client}|${pos}`))
    for (const { client, message } of batch.shadowsGone) assert.ok(this.shadows.delete(`${client}|${message}`))
    for (const { client, packetId } of batch.inboundGone) assert.ok(this.inbound.delete(`${client}|${packetId}`))
    for (const row of batch.sessions) this.sessions.set(row.client, row)
    for (const row of batch.subscriptions) this.subscriptions.set(`${row.client}|${row.filter}`, row.options)
    for (const row of batch.messages) {
      assert.not(this.messages.has(row.id), 'a row number is never given twice')
      this.messages.set(row.id, row)
    }
    for (const row of batch.queue) this.queue.set(`${row.client}|${row.pos}`, row)
    for (const row of batch.shadows)
      this.shadows.set(`${row.client}|${row.message}`, this.messages.get(row.message)!.seq)
    for (const row of batch.inbound) this.inbound.add(`${row.client}|${row.packetId}`)
  }
}

function compare(image: ImageModel, sessions: Sessions): void {
  const durable = [...sessions.byClient.values()].filter((s) => s.durable)
  assert.equal([...image.sessions.keys()].sort(), durable.map((s) => s.clientId).sort())
  const used = new Set<number>()
  let entries = 0
  let inbound = 0
  let subscriptions = 0
  let shadows = 0
  for (const s of durable) {
    const row = image.sessions.get(s.clientId)!
    assert.equal([row.epoch, row.n, row.mine, row.nextPos], [s.token.epoch, s.token.n, s.mine, s.nextPos])
    assert.equal([...row.packetIds], [...s.packetIds])
    for (const e of s.queue) {
      const queued = image.queue.get(`${s.clientId}|${e.pos}`)!
      assert.equal([queued.state, queued.packetId], [e.state, e.packetId])
      assert.is(image.messages.get(queued.message)!.seq, e.message.seq)
      used.add(queued.message)
      entries++
    }
    for (const id of s.inbound) assert.ok(image.inbound.has(`${s.clientId}|${id}`))
    for (const sub of s.subscriptions.values())
      assert.is(image.subscriptions.get(`${s.clientId}|${sub.filter}`), sub.options)
    for (const { message } of s.shadows) {
      assert.is(image.shadows.get(`${s.clientId}|${message.row}`), message.seq)
      used.add(message.row)
    }
    inbound += s.inbound.size
    subscriptions += s.subscriptions.size
    shadows += s.shadows.length
  }
  assert.is(image.queue.size, entries)
  assert.is(image.inbound.size, inbound)
  assert.is(image.subscriptions.size, subscriptions)
  assert.is(image.shadows.size, shadows)
  // A session without expiry may still hold what a durable one has let go; a start clears that away.
  const passing = new Set<number>()
  for (const s of sessions.byClient.values()) if (!s.durable) for (const e of s.queue) passing.add(e.message.row)
  for (const id of used) assert.ok(image.messages.has(id))
  for (const id of image.messages.keys()) assert.ok(used.has(id) || passing.has(id), 'messages of nobody do not stay')
}

test('three hundred random lives: after each batch the image is the live state', () => {
  const prng = new Prng(7)
  for (let run = 0; run < 300; run++) {
    const sessions = new Sessions(new Journal(1))
    const image = new ImageModel()
    const clients = ['a', 'b', 'c']
    let last = message()
    for (let step = 0; step < 150; step++) {
      const client = clients[prng.int(0, 2)]!
      const session = sessions.get(client)
      const dice = prng.int(0, 15)
      if (session === undefined) sessions.create(client, prng.chance(0.8), true, token(), 100)
      else if (dice < 5) {
        if (prng.chance(0.6)) last = message()
        if (!sessions.has(session, last, null)) enqueue(sessions, session, last)
      } else if (dice < 9 && session.queue.count > 0) {
        const entries = [...session.queue]
        const entry = entries[prng.int(0, entries.length - 1)]!
        if (prng.chance(0.5)) sessions.dequeue(session, entry)
        else if (entry.state === 0)
          sessions.markSent(session, entry, 1 + session.inflight.size + (prng.int(0, 3) << 14), 1)
      } else if (dice === 9) sessions.subscribe(session, `f/${prng.int(0, 2)}`, prng.int(0, 2), 0)
      else if (dice === 10) sessions.unsubscribe(session, `f/${prng.int(0, 2)}`)
      else if (dice === 11) sessions.addInbound(session, prng.int(1, 3))
      else if (dice === 12) sessions.deleteInbound(session, prng.int(1, 3))
      else if (dice === 13 && session.durable) {
        const kept = prng.chance(0.5) ? last : message()
        if (prng.chance(0.4)) sessions.dropShadows(session)
        else if (!sessions.has(session, kept, null)) sessions.addShadow(session, new Shadow(kept, 1, false, null, null))
      } else if (dice === 14 && session.durable)
        sessions.mint(session, token(session.token.epoch + 1), prng.chance(0.5))
      else if (dice === 15 && prng.chance(0.4)) sessions.end(session)
      if (prng.chance(0.15)) {
        image.apply(take(sessions.journal))
        compare(image, sessions)
      }
    }
    image.apply(take(sessions.journal))
    compare(image, sessions)
    assert.is(
      sessions.queuedMessages,
      [...sessions.byClient.values()].reduce((sum, s) => sum + s.queue.count, 0),
    )
  }
})

test.run()
