// Drain: a node full of sessions hands them over while messages for them come in at the other one, which takes over. Both in this
// process, on a clock of their own: what is measured is how long one batch of events holds a node. `bun test/bench/drain.ts`
//
//   --sessions N (10000)   --rate N   messages a second for these sessions (20000)   --link-ms N   one way of the link (5)
//   --wide                 every session has one more subscription that all messages match                --json
//
// The exit code is 1 where a message stands in no queue afterwards, or twice.
import process from 'node:process'
import type { Turn } from '../../src/base/brand.ts'
import { Prng } from '../../src/base/prng.ts'
import { BrokerNode } from '../../src/core/node.ts'
import { CONFIG } from '../support/member.ts'
import { OneNode, SpecClient } from '../support/one_node.ts'
import { printTable, short } from './figures.ts'
import { readFlags } from './flags.ts'

/** A client's calls return before anything is driven. */
class Idle extends OneNode {
  override drive(): void {}
}

const flags = readFlags('drain', { sessions: 10_000, rate: 20_000, 'link-ms': 5, wide: false, json: false })
const WALL_MS = 1_780_000_000_000
const WARM_UP_MS = 200
const DRAIN_MS_MAX = 60_000

/** A node with its end of the link, and the longest time it was held. */
class Side {
  readonly node: BrokerNode
  peer!: Side
  longestMs = 0
  totalMs = 0
  /** Under way from the peer, with the time of arrival. */
  private readonly coming: { at: number; bytes: Uint8Array }[] = []
  private readonly answers: (() => void)[] = []

  constructor(name: string, nonce: number, now: () => number) {
    const link = {
      send: (bytes: Uint8Array) => void this.peer.coming.push({ at: now() + flags['link-ms'], bytes: bytes.slice() }),
      backlog: () => 0,
      close: (why: string) => {
        throw new Error(`${name} drops the link: ${why}`)
      },
    }
    const store = {
      flush: (_batch: unknown, turn: Turn) => void this.answers.push(() => this.node.stored(turn)),
      writeRecord: () => void this.answers.push(() => this.node.recordStored()),
    }
    const config = { ...CONFIG, name, nonce, seed: nonce, paired: true }
    this.node = new BrokerNode(
      config,
      null,
      null,
      { link, store, log: { event: () => {} }, memoryBytes: () => 0 },
      now(),
      WALL_MS,
    )
  }

  /** One turn of its loop. @param events what its clients do */
  step(now: number, events: () => void = () => {}): void {
    const { node, coming } = this
    const startedAt = performance.now()
    node.at(now, WALL_MS + now)
    for (const answer of this.answers.splice(0)) answer()
    let n = 0
    while (n < coming.length && (coming[n] as { at: number }).at <= now) n++
    for (const { bytes } of coming.splice(0, n)) node.linkData(bytes)
    events()
    node.drain()
    const ms = performance.now() - startedAt
    this.totalMs += ms
    this.longestMs = Math.max(this.longestMs, ms)
  }

  /** Since the last call. */
  take(): { longest: number; total: number } {
    const { longestMs: longest, totalMs: total } = this
    this.longestMs = 0
    this.totalMs = 0
    return { longest, total }
  }
}

const idle = new Idle()
let now = 1_000
const a = new Side('a', 7, () => now)
const b = new Side('b', 8, () => now)
a.peer = b
b.peer = a
const pass = (ms: number, events?: () => void): void => {
  for (const until = now + ms; now < until; ) {
    now++
    a.step(now)
    b.step(now, events)
  }
}
pass(10)
a.node.linkOpened({ peerName: 'b' })
b.node.linkOpened({ peerName: 'a' })
pass(1_000)

for (let i = 0; i < flags.sessions; i++) {
  const client = new SpecClient(idle, a.node, `session-${i}`, 5, true)
  client.sendConnect({ cleanStart: false, sessionExpiry: 3600 })
  client.sendSubscribe(`session/${i}/+`, 1)
  if (flags.wide) client.sendSubscribe('session/#', 1)
  client.sendDisconnect(0)
  if (i % 500 === 499) pass(20)
}
pass(500)

let sent = 0
const prng = new Prng(1)
const publisher = new SpecClient(idle, b.node, 'load', 5, true)
publisher.sendConnect({})
let due = 0
const load = (): void => {
  for (due += flags.rate / 1000; due >= 1; due--, sent++)
    publisher.sendPublish(`session/${prng.int(0, flags.sessions - 1)}/x`, `${sent}`, { qos: 1 })
}
pass(WARM_UP_MS, load)
a.take()
b.take()
pass(WARM_UP_MS, load)
const before = b.take()
const startedAt = now
const sentBefore = sent
a.take()
a.node.drainAway()
while (a.node.mode !== 'GONE' && now - startedAt < DRAIN_MS_MAX) pass(1, load)
const leaver = a.take()
const taker = b.take()
const lasted = now - startedAt
pass(500)

const { queuedMessages: queued } = b.node.sessions
const wanted = flags.wide ? sent * flags.sessions : sent
const whole = a.node.mode === 'GONE' && queued === wanted
const figures = { lasted, messages: sent - sentBefore, before, leaver, taker, queued, wanted }
if (flags.json) console.log(JSON.stringify(figures))
else {
  const row = (name: string, { longest, total }: typeof before) => [name, short(longest), short(total)]
  const rows = [row('who takes over, before', before), row('who takes over', taker), row('who leaves', leaver)]
  printTable(['held, real ms', 'longest', 'in all'], rows)
  console.log(`${flags.sessions} sessions in ${lasted} ms of their clock, ${figures.messages} messages meanwhile`)
  console.log(`${whole ? 'whole' : 'NOT WHOLE'}: ${queued} of ${wanted} queued`)
}
process.exit(whole ? 0 : 1)
