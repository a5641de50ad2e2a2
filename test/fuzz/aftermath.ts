// Aftermath: what a node looks like once the fuzzed connections are over: all closed, nothing kept, both nodes of a pair alike.

import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient } from '../support/mqtt_client.ts'
import { CALM_ID } from './bystanders.ts'
import type { NodeWatch } from './node_watch.ts'
import type { Nodes } from './nodes.ts'

const SWEEPERS = 20
/** What must be nothing when all are gone. */
const NOTHING_LEFT = (
  'connections sockets sessions subscriptions shared_subscriptions shared_groups queued_messages queued_bytes inflight_messages ' +
  'retained_messages retained_bytes stored_messages stored_bytes kept_bytes authentications_open claims_open ring_groups ' +
  'publishers_waiting'
).split(' ')

export class Aftermath {
  readonly problems: string[] = []
  readonly figures: string[] = []
  private readonly nodes: Nodes

  constructor(nodes: Nodes) {
    this.nodes = nodes
  }

  /** The fuzzed connections are gone; then their sessions and retained messages are ended as any client could do it. */
  async swept(): Promise<void> {
    const { target } = this.nodes
    await this.until('the fuzzed connections are gone', async () => {
      const clients = await target.rows('clients')
      return clients.every(({ client, connected }) => !connected || String(client).startsWith(CALM_ID))
    })
    const { mqtt } = target.node.place
    const sessions = (await target.rows('sessions')).map(({ client }) => String(client))
    const lanes = Array.from({ length: SWEEPERS }, async () => {
      for (let client = sessions.pop(); client !== undefined; client = sessions.pop()) {
        if (client.startsWith(CALM_ID)) continue
        const last = MqttClient.open(mqtt, client, 4)
        last.sendConnect({ cleanStart: true })
        await last.expect('connack')
        await last.disconnect()
      }
    })
    await Promise.all(lanes)
    const sweeper = await MqttClient.connect(mqtt, `${CALM_ID}sweeper`, { version: 5, keepAlive: 4 })
    await this.until('nothing is retained', async () => {
      const retained = await target.rows('retained')
      for (const { topic } of retained) {
        sweeper.sendPublish(String(topic), '', { qos: 1, retain: true })
        await sweeper.expect('puback')
      }
      return retained.length === 0
    })
    await sweeper.disconnect()
  }

  /** Both nodes of the pair come to hold the same, and their link has never dropped. */
  async alike(): Promise<void> {
    const { watches } = this.nodes
    const fuzzed = ({ client }: Record<string, unknown>) => client === undefined || !String(client).startsWith(CALM_ID)
    const lists = async (watch: NodeWatch): Promise<string> => {
      const all = ['sessions', 'subscriptions', 'retained'].map((list) => watch.rows(list))
      const rows = (await Promise.all(all)).flat().filter(fuzzed)
      return rows
        .map(({ mine: _, ...row }) => JSON.stringify(row))
        .sort()
        .join('\n')
    }
    let [a, b] = ['', '']
    await this.until('both nodes hold the same', async () => {
      ;[a, b] = (await Promise.all(watches.map(lists))) as [string, string]
      return a === b && a !== ''
    }).catch((error) => {
      const [inA, inB] = [new Set(a.split('\n')), new Set(b.split('\n'))]
      const only = [...inA].filter((row) => !inB.has(row)).slice(0, 5)
      const others = [...inB].filter((row) => !inA.has(row)).slice(0, 5)
      this.problems.push(`${error.message}; only a: ${only.join(' ')}; only b: ${others.join(' ')}`)
    })
    this.figures.push(`both nodes hold the same ${a.split('\n').length} sessions, subscriptions and retained messages`)
    let joined = 0
    for (const watch of watches) {
      const metrics = await watch.metrics()
      const [joins, faults, resumes] = ['joins', 'link_faults', 'link_resumes'].map((name) => metrics.get(name))
      joined += joins as number
      if (faults !== 0 || resumes !== 0 || metrics.get('link_up') !== 1)
        this.problems.push(`node ${watch.node.place.name}: ${faults} link faults, ${resumes} resumes`)
    }
    if (joined !== 1) this.problems.push(`the nodes have joined ${joined} times`)
  }

  async nothingLeft(): Promise<void> {
    for (const watch of this.nodes.watches) {
      let left = ''
      await this.until('nothing is left', async () => {
        const metrics = await watch.metrics()
        left = NOTHING_LEFT.flatMap((name) => (metrics.get(name) === 0 ? [] : [`${name} ${metrics.get(name)}`])).join(
          ', ',
        )
        return left === ''
      }).catch(() => this.problems.push(`left at node ${watch.node.place.name}: ${left}`))
    }
  }

  private async until(what: string, check: () => Promise<boolean>, ms = 30_000): Promise<void> {
    const end = performance.now() + ms
    while (!(await check())) {
      for (const watch of this.nodes.watches) watch.check()
      if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
      await sleep(100)
    }
  }
}
