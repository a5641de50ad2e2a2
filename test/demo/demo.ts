// Demo: HAProxy before two nodes, a subscriber, and a publisher that makes a new connection for each message. Shows who is
// where; kills the node under the subscriber; the stream goes on.
//
//   npm run demo                                        any key kills, or starts again what was killed; q ends
//   npm run demo -- --for 20 --kill-after 5 [--every MS]  by itself: kills after 5 s, starts that node again 5 s later
//
// Who is where comes from the nodes' access log, their states from /health/ready, as an operator would look.

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Haproxy } from '../support/haproxy.ts'
import { type NodeProcess, PairProcesses } from '../support/processes.ts'
import { DemoSubscriber, PUBLISHER, publishOne, SUBSCRIBER } from './clients.ts'

const EVERY_MS = 500
const POLL_MS = 50
const LAST_MS_MAX = 10_000

class Demo {
  private readonly pair: PairProcesses
  private readonly haproxy: Haproxy
  private readonly subscriber: DemoSubscriber
  private readonly everyMs: number
  /** Client → node, by the access log. */
  private readonly where = new Map<string, string>()
  private readonly states = new Map<NodeProcess, string>()
  private readonly sentAt = new Map<number, { at: number; via: string }>()
  private readonly received = new Set<number>()
  private sent = 0
  private acknowledged = 0
  private again = 0
  private over = false

  constructor(pair: PairProcesses, haproxy: Haproxy, everyMs: number) {
    this.pair = pair
    this.haproxy = haproxy
    this.everyMs = everyMs
    this.subscriber = new DemoSubscriber(haproxy.port)
    this.subscriber.onMessage = (number) => this.onMessage(number)
    this.subscriber.onBack = (ms) => this.note(`the subscriber is back with its session after ${ms.toFixed(0)} ms`)
    for (const node of pair.nodes) this.follow(node)
  }

  /** Reads a node's access log. */
  private follow(node: NodeProcess): void {
    let rest = ''
    node.onOutput((chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.includes('"event":"connect"')) continue
        const { client } = JSON.parse(line) as { client: string }
        this.where.set(client, node.place.name)
      }
    })
  }

  private at(client: string): string {
    return this.where.get(client) ?? '?'
  }

  private stateLine(): string {
    return this.pair.nodes.map((node) => `${node.place.name} ${(this.states.get(node) ?? '?').padEnd(6)}`).join('  ')
  }

  private note(text: string): void {
    console.log(`${clock()}  --- ${text}`)
  }

  private async watch(): Promise<void> {
    while (!this.over) {
      for (const node of this.pair.nodes) {
        const state = node.isUp ? ((await node.health('ready', 500))?.mode ?? 'SILENT') : 'DOWN'
        const before = this.states.get(node)
        if (state !== before && before !== undefined) this.note(`node ${node.place.name}: ${before} → ${state}`)
        this.states.set(node, state)
      }
      await sleep(POLL_MS)
    }
  }

  private onMessage(number: number): void {
    const sent = this.sentAt.get(number)
    if (this.received.has(number)) this.again++
    this.received.add(number)
    const took = sent === undefined ? '' : `${(performance.now() - sent.at).toFixed(0)} ms`.padStart(8)
    // The access log may be a moment behind the message.
    setTimeout(() => {
      const [from, to] = [sent?.via || this.at(PUBLISHER), this.at(SUBSCRIBER)]
      console.log(`${clock()}  message ${String(number).padEnd(5)} ${from} → ${to}  ${took}    ${this.stateLine()}`)
    }, 20)
  }

  private async publish(): Promise<void> {
    while (!this.over) {
      const number = ++this.sent
      const entry = { at: performance.now(), via: '' }
      this.sentAt.set(number, entry)
      const tries = await publishOne(this.haproxy.port, number)
      this.acknowledged++
      await sleep(10)
      entry.via = this.at(PUBLISHER)
      if (tries > 1) this.note(`message ${number} was acknowledged on connection ${tries}`)
      await sleep(Math.max(0, this.everyMs - (performance.now() - entry.at)))
    }
  }

  /** Kills the node that has the subscriber; with one down already, starts that again. */
  async press(): Promise<void> {
    const down = this.pair.nodes.find((node) => !node.isUp)
    if (down !== undefined) {
      this.note(`node ${down.place.name} is started again`)
      down.start()
      return
    }
    const node = this.pair.nodes.find((one) => one.place.name === this.at(SUBSCRIBER))
    if (node === undefined) return
    this.note(`kill -9 of node ${node.place.name}, which has the subscriber`)
    await node.kill9()
  }

  /** @returns how many were acknowledged and never received */
  async run(ended: Promise<unknown>): Promise<number> {
    const listening = this.subscriber.run()
    while (!this.subscriber.ready) await sleep(10)
    const working = [this.watch(), this.publish()]
    await ended
    this.over = true
    await Promise.all(working)
    const end = performance.now() + LAST_MS_MAX
    while (this.received.size < this.acknowledged && performance.now() < end) await sleep(20)
    await sleep(50)
    this.subscriber.stop()
    await listening
    const lost = this.acknowledged - this.received.size
    const again = this.again > 0 ? `, ${this.again} of them again` : ''
    console.log(`\n${this.acknowledged} sent, ${this.received.size} received${again}, ${lost} lost`)
    return lost
  }
}

function clock(): string {
  return new Date().toISOString().slice(11, 23)
}

/** Keys, where there is a terminal. @returns resolves when the user wants to end */
function keys(demo: Demo): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  const { stdin } = process
  if (!stdin.isTTY) return promise
  stdin.setRawMode(true)
  stdin.on('data', (key: Uint8Array) => {
    // q, Q, Ctrl-C, Ctrl-D
    if (['q', 'Q', '\x03', '\x04'].includes(key.toString())) resolve()
    else void demo.press()
  })
  return promise
}

function seconds(name: string, value: string | undefined): number | null {
  if (value === undefined) return null
  const n = Number(value)
  if (!(n > 0)) throw new Error(`--${name} takes a number above 0`)
  return n
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const
  let times: { for: number | null; kill: number | null; every: number }
  try {
    const { values } = parseArgs({ options: { for: text, 'kill-after': text, every: text } })
    const every = seconds('every', values.every) ?? EVERY_MS
    times = { for: seconds('for', values.for), kill: seconds('kill-after', values['kill-after']), every }
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : error}`)
    return 2
  }
  console.log('Starting nodes a and b and HAProxy …')
  await using pair = await PairProcesses.start()
  await using haproxy = await Haproxy.start(pair.places)
  const demo = new Demo(pair, haproxy, times.every)
  const byHand = process.stdin.isTTY ? "; any key kills the subscriber's node, q ends" : ''
  console.log(`HAProxy on 127.0.0.1:${haproxy.port}${byHand}\n`)
  console.log('time          message       from → to     took    states')
  const timers: ReturnType<typeof setTimeout>[] = []
  const after = (sec: number, run: () => void) => timers.push(setTimeout(run, sec * 1000))
  const byClock = Promise.withResolvers<void>()
  if (times.for !== null) after(times.for, () => byClock.resolve())
  if (times.kill !== null) for (const n of [1, 2]) after(n * times.kill, () => void demo.press())
  const lost = await demo.run(Promise.race([byClock.promise, keys(demo)]))
  for (const timer of timers) clearTimeout(timer)
  return lost === 0 ? 0 : 1
}

process.exit(await main())
