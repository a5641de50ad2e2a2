// Nodes: the pair that all of the table's clients speak to. One user, topics below `closed/` that nobody may use, WebSocket, and each
// node says where the other is. Knows the nodes by their command line and admin address, and no client.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { utf8 } from '../../src/base/bytes.ts'
import { hashPassword } from '../../src/host/users/password_hash.ts'
import { Folder, freePorts, type NodePlace, NodeProcess } from '../support/processes.ts'

export const USER = { name: 'al', password: 'secret' } as const
const ACL = `
topic readwrite #
topic read $SYS/#
topic deny closed/#

user ${USER.name}
topic readwrite #
topic deny closed/#
`

/** What `/api/v1/clients` has of one. */
export type ClientRow = {
  readonly client: string
  readonly node: string
  readonly connected: boolean
  readonly username: string | null
  readonly transport: string | null
  readonly protocol: string | null
  readonly queued: number
  readonly inflight: number
  readonly subscriptions: readonly string[]
}

export class TableNode {
  readonly process: NodeProcess
  readonly port: number
  readonly webSocketPort: number

  constructor(process: NodeProcess, webSocketPort: number) {
    this.process = process
    this.port = process.place.mqtt
    this.webSocketPort = webSocketPort
  }

  async row(client: string): Promise<ClientRow | undefined> {
    const answer = await fetch(this.process.url(`/api/v1/clients?client=${encodeURIComponent(client)}`))
    return ((await answer.json()) as ClientRow[])[0]
  }
}

export class TablePair implements AsyncDisposable {
  readonly a: TableNode
  readonly b: TableNode
  private readonly folder: Folder

  private constructor(a: TableNode, b: TableNode, folder: Folder) {
    this.a = a
    this.b = b
    this.folder = folder
  }

  static async start(): Promise<TablePair> {
    const folder = new Folder()
    const [passwords, acl] = [join(folder.path, 'passwords'), join(folder.path, 'acl')]
    writeFileSync(passwords, `${USER.name}:${hashPassword(utf8(USER.password), 101)}\n`)
    writeFileSync(acl, ACL)
    const ports = await freePorts(8)
    const place = (name: string, i: number): NodePlace => {
      const [mqtt, cluster, admin] = ports.slice(i, i + 3) as [number, number, number]
      return { name, mqtt, cluster, admin }
    }
    const [a, b] = [place('a', 0), place('b', 3)]
    const node = (own: NodePlace, other: NodePlace, webSocket: number) => {
      const flags = ['--allow-anonymous', '--password-file', passwords, '--acl-file', acl]
      flags.push('--listen-ws', `127.0.0.1:${webSocket}`, '--server-reference', `127.0.0.1:${other.mqtt}`)
      return new TableNode(new NodeProcess(own, other, folder.path, flags), webSocket)
    }
    const pair = new TablePair(node(a, b, ports[6] as number), node(b, a, ports[7] as number), folder)
    for (const { process } of [pair.a, pair.b]) process.start()
    try {
      await Promise.all([pair.a, pair.b].map(({ process }) => process.until('synced')))
    } catch (error) {
      await pair[Symbol.asyncDispose]()
      throw error
    }
    return pair
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a, this.b].map(({ process }) => process.kill9()))
    this.folder[Symbol.dispose]()
  }
}
