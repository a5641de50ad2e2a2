// Everywhere: a test written once and run in three arrangements: on one node, with its clients on different nodes of a pair,
// and with sessions that move between two steps. Black-box: it hands out clients, never a node.

import type { NodeConfig } from '../../src/core/ports.ts'
import type { Users } from '../../src/host/users/users.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import type { Version } from '../../src/wire/packet.ts'
import { OneNode, type SpecClient, TwoNodes } from './one_node.ts'
import type { suite } from './suite.ts'

export type Arrangement = 'one node' | 'two nodes' | 'hand-over'
const ARRANGEMENTS: readonly Arrangement[] = ['one node', 'two nodes', 'hand-over']

/** With this a session outlives its connection: for a hundred seconds, or for ever with 3.1.1. */
export function kept(version: Version): Partial<ConnectFields> {
  return version === 5 ? { version, cleanStart: false, sessionExpiry: 100 } : { version, cleanStart: false }
}

/** Of each node; without users nobody is asked who they are. */
export type Setting = Partial<NodeConfig> & { readonly users?: Users }

/** The one broker that clients see, of one node or two: it says where they connect, the test does not. */
export class AnyBroker {
  readonly arrangement: Arrangement
  /** Some session has been served by both nodes. */
  moved = false
  private readonly world: OneNode | TwoNodes
  /** By client id: how it connected last, and to which node of the pair. */
  private readonly places = new Map<string, { node: 0 | 1; fields: Partial<ConnectFields> }>()

  constructor(arrangement: Arrangement, { users, ...config }: Setting) {
    this.arrangement = arrangement
    this.world = new (arrangement === 'one node' ? OneNode : TwoNodes)(config, users)
  }

  /**
   * CONNECT accepted. With two nodes, clients go to one and the other by turns, and come back to where they were; with hand-over
   * all begin at the same, and who comes back comes to the other one.
   */
  connect(clientId: string, fields: Partial<ConnectFields> = {}): SpecClient {
    const { world } = this
    if (world instanceof OneNode) return world.connect(clientId, fields)
    const node = this.place(clientId, fields)
    return world.connect(node === 0 ? world.a : world.b, clientId, fields)
  }

  /** The socket only. */
  open(clientId: string, version: Version = 5, loopback = true): SpecClient {
    const { world } = this
    if (world instanceof OneNode) return world.open(clientId, { version, loopback })
    const node = this.place(clientId, { version })
    return world.open(node === 0 ? world.a : world.b, clientId, version, loopback)
  }

  private place(clientId: string, fields: Partial<ConnectFields>): 0 | 1 {
    const before = this.places.get(clientId)
    let node: 0 | 1 = before?.node ?? 0
    if (this.arrangement === 'two nodes') node = before?.node ?? ((this.places.size % 2) as 0 | 1)
    else if (before !== undefined) {
      node = before.node === 0 ? 1 : 0
      this.moved = true
    }
    this.places.set(clientId, { node, fields })
    return node
  }

  /** Between two steps: with hand-over this client goes on at the other node; else nothing happens. */
  move(client: SpecClient): SpecClient {
    if (this.arrangement !== 'hand-over') return client
    client.expectNothing()
    const before = this.places.get(client.clientId)
    if (before === undefined) throw new Error(`${client.clientId} has never connected`)
    const moved = this.connect(client.clientId, { ...before.fields, version: client.version, cleanStart: false })
    if (!moved.present) throw new Error(`${client.clientId}: its session did not move`)
    return moved
  }

  pass(ms: number): void {
    this.world.pass(ms)
  }
}

/** Tags of the statements a test holds: of MQTT 5.0, or of each version it is run with. */
export type Tags = string | { readonly 5?: string; readonly 4?: string }
type Act = (broker: AnyBroker, version: 4 | 5) => void
type Write = (tags: Tags, says: string, act: Act, setting?: Setting) => void

/** The two ways to write a test of a suite: for one client on one node, and for all the rest. */
export function arrangements(test: ReturnType<typeof suite>): { alone: Write; everywhere: Write } {
  const write = (tags: Tags, says: string, add: (title: string, version: 4 | 5) => void) => {
    const { 5: five, 4: four }: Exclude<Tags, string> = typeof tags === 'string' ? { 5: tags } : tags
    if (five !== undefined) add(`${five} ${says}`.trimStart(), 5)
    if (four !== undefined) add(`${four} 3.1.1: ${says}`, 4)
  }
  return {
    alone: (tags, says, act, setting = {}) =>
      write(tags, says, (title, version) => {
        test(title, () => act(new AnyBroker('one node', setting), version))
      }),
    everywhere: (tags, says, act, setting = {}) =>
      write(tags, says, (title, version) => {
        for (const arrangement of ARRANGEMENTS)
          test(`${title} (${arrangement})`, () => {
            const broker = new AnyBroker(arrangement, setting)
            act(broker, version)
            if (arrangement === 'hand-over' && !broker.moved) throw new Error('no session moved in this test')
          })
      }),
  }
}
