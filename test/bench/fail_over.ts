// FailOver: the node that serves a client is killed with SIGKILL; what the survivor and the client make of it, and when.
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchNode, TandemPair } from './brokers.ts'
import { type Arrival, BenchClient } from './client.ts'
import type { Series } from './series.ts'

export type FailOverTimes = {
  /** Kill to the survivor's first change of mode, as its log says. */
  readonly noticed: Series
  /** Kill to the survivor serving alone. */
  readonly alone: Series
  /** Kill to the client's CONNACK from the survivor, session present. */
  readonly back: Series
  /** The survivor serving alone to that CONNACK; 0 where the CONNACK was first. */
  readonly backAfter: Series
}

const RETRY_MS = 5

export async function failOver(pair: TandemPair, kills: number, times: FailOverTimes): Promise<void> {
  for (let i = 0; i < kills; i++) {
    const victim = pair.nodes[i % 2] as BenchNode
    await once(pair, victim, times)
    victim.spawn(pair.other(victim))
    await pair.synced()
  }
}

async function once(pair: TandemPair, victim: BenchNode, times: FailOverTimes): Promise<void> {
  const survivor = pair.other(victim)
  const client = await BenchClient.connected(victim.pub, 'refugee')
  await client.subscribe('refugee/t', 1)
  await sleep(700 + Math.random() * 500) // a link that has settled, anywhere between two heartbeats
  const modes: { at: number; line: string }[] = []
  survivor.proc?.onOutput((chunk) => {
    const at = performance.now()
    for (const line of chunk.split('\n')) if (/: mode /.test(line)) modes.push({ at, line })
  })
  const { promise: lost, resolve } = Promise.withResolvers<number>()
  client.onClosed = resolve
  const from = performance.now()
  victim.proc?.signal('SIGKILL')
  await lost
  const { at } = await comeBack(survivor, client.clientId)
  const alone = await serving(modes)
  times.noticed.add((modes[0]?.at ?? Number.NaN) - from)
  times.alone.add(alone - from)
  times.back.add(at - from)
  times.backAfter.add(Math.max(0, at - alone))
  await victim.proc?.ended
}

/** Tries until it is welcome, as a client does. */
async function comeBack(node: BenchNode, clientId: string): Promise<Arrival> {
  const until = performance.now() + 20_000
  for (;;) {
    try {
      const client = await BenchClient.open(node.pub, clientId)
      const arrival = await client.connect()
      if (!arrival.sessionPresent) throw new Error('fail-over: the session is not there')
      client.end()
      return arrival
    } catch (error) {
      if (performance.now() > until || String(error).includes('session')) throw error
      await sleep(RETRY_MS)
    }
  }
}

async function serving(modes: readonly { at: number; line: string }[]): Promise<number> {
  const until = performance.now() + 20_000
  for (;;) {
    const found = modes.find(({ line }) => /\bSOLO, ready/.test(line))
    if (found !== undefined) return found.at
    if (performance.now() > until) throw new Error(`the survivor does not serve: ${modes.map(({ line }) => line)}`)
    await sleep(2)
  }
}
