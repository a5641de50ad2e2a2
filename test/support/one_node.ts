// OneNode: a lone broker node in this process, with a clock, sockets and a disk that the test moves by hand. Synchronous:
// what a client says is answered before the call returns. Knows no pair.

import type { Turn } from '../../src/base/brand.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Connection } from '../../src/connection/connection.ts'
import { BrokerNode } from '../../src/core/node.ts'
import type { ClientSocket, NodeConfig } from '../../src/core/ports.ts'
import type { ConnectFields, SubscribeFields } from '../../src/wire/client_encoder.ts'
import type { QoS } from '../../src/wire/packet.ts'
import { type Cmd, type PacketOf, type PublishFields, ScriptedClient } from './mqtt_client.ts'

const WALL_MS = 1_780_000_000_000

export const CONFIG: NodeConfig = {
  name: 'a',
  paired: false,
  ack: 'peer-ram',
  partition: 'available',
  bootstrap: false,
  suspectMs: LIMITS.suspectMs,
  soloMs: LIMITS.soloMs,
  stuckMs: LIMITS.stuckMs,
  bootWaitMs: LIMITS.bootWaitMs,
  willGraceMs: LIMITS.willGraceMs,
  claimTimeoutMs: LIMITS.claimTimeoutMs,
  flushMs: LIMITS.flushMs,
  allowAnonymous: false,
  packetBytesMax: LIMITS.packetBytesMax,
  queuedMessagesMax: LIMITS.queuedMessagesMax,
  queuedBytesMax: LIMITS.queuedBytesMax,
  connectionsMax: LIMITS.connectionsMax,
  receiveMaximum: LIMITS.receiveMaximum,
  sessionExpiryMax: LIMITS.sessionExpiryMax,
  keepAliveMax: 0,
  qosMax: 2,
  retainAvailable: true,
  queueQos0: false,
  nonce: 7,
  seed: 7,
  mutations: new Set(),
  version: 'test',
}

export type Logged = { name: string; fields: Record<string, unknown> }

export class OneNode {
  readonly node: BrokerNode
  readonly log: Logged[] = []
  /** False: flushes are taken and never completed. */
  diskAnswers = true
  private readonly asked: (() => void)[] = []
  private now = 1_000

  constructor(config: Partial<NodeConfig> = {}) {
    const store = {
      flush: (_batch: unknown, turn: Turn) => void this.asked.push(() => this.node.stored(turn)),
      writeRecord: () => void this.asked.push(() => this.node.recordStored()),
    }
    const link = { send() {}, backlog: () => 0, close() {} }
    const log = { event: (name: string, fields: Record<string, unknown>) => void this.log.push({ name, fields }) }
    this.node = new BrokerNode({ ...CONFIG, ...config }, null, null, { link, store, log }, this.now, WALL_MS)
    this.drive()
  }

  /** Lets the node do all there is to do at this moment. */
  drive(): void {
    this.node.at(this.now, WALL_MS + this.now)
    for (let round = 0; ; round++) {
      if (round > 1000) throw new Error('the node does not come to rest')
      this.node.drain()
      const answers = this.diskAnswers ? this.asked.splice(0) : []
      for (const answer of answers) answer()
      if (answers.length > 0) continue
      // Time stands still within a drive, but for the disk's flush interval.
      if (this.diskAnswers && this.node.deadline() <= this.now) continue
      return
    }
  }

  /** Moves the clock in steps small enough for every timer between. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.now < until) {
      this.now = Math.min(until, Math.max(this.now + 1, Math.min(this.node.deadline(), this.now + 1000)))
      this.drive()
    }
  }

  /** As many milliseconds as a change may stay off the disk. */
  settle(): void {
    this.pass(LIMITS.flushMs * 2 + LIMITS.lazyMs)
  }

  open(clientId: string, options: { version?: 3 | 4 | 5; loopback?: boolean } = {}): SpecClient {
    return new SpecClient(this, clientId, options.version ?? 5, options.loopback ?? true)
  }

  /** CONNECT accepted; `present` tells of the session. */
  connect(clientId: string, fields: Partial<ConnectFields> = {}): SpecClient {
    const client = this.open(clientId, { version: fields.version ?? 5 })
    client.sendConnect(fields)
    const connack = client.expect('connack')
    if (connack.reason !== 0) throw new Error(`${clientId}: CONNACK ${connack.reason.toString(16)}`)
    client.present = connack.sessionPresent
    return client
  }

  metric(name: string): number {
    return this.node.metrics.get(name)
  }
}

/** A client of one node, speaking through a socket that is a pair of calls. */
export class SpecClient extends ScriptedClient {
  readonly world: OneNode
  /** The server has closed the connection. */
  closed = false
  /** Of the last CONNACK. */
  present = false
  /** Bytes the socket still takes. */
  room = Number.POSITIVE_INFINITY
  reading = true
  private readonly connection: Connection

  constructor(world: OneNode, clientId: string, version: 3 | 4 | 5, loopback: boolean) {
    super(clientId, version)
    this.world = world
    const socket: ClientSocket = {
      address: `test:${clientId}`,
      loopback,
      write: (bytes) => {
        const taken = Math.min(this.room, bytes.length)
        this.room -= taken
        if (taken > 0) this.received(bytes.slice(0, taken))
        return taken
      },
      pause: () => {
        this.reading = false
      },
      resume: () => {
        this.reading = true
      },
      end: () => {
        if (this.closed) return
        this.closed = true
        world.node.closed(this.connection)
      },
    }
    this.connection = world.node.accept(socket)
  }

  protected transmit(bytes: Uint8Array): void {
    if (this.closed) return
    this.world.node.data(this.connection, bytes)
    this.world.drive()
  }

  /** The socket takes bytes again. */
  unblock(): void {
    this.room = Number.POSITIVE_INFINITY
    this.world.node.writable(this.connection)
    this.world.drive()
  }

  /** The next packet, which must be this one. */
  expect<C extends Cmd>(cmd: C): PacketOf<C> {
    if (this.fault !== null) throw new Error(`${this.clientId}: server sent ${this.fault}`)
    const packet = this.inbox.shift()
    if (packet === undefined) throw new Error(`${this.clientId}: expected ${cmd}, got nothing`)
    if (packet.cmd !== cmd) throw new Error(`${this.clientId}: expected ${cmd}, got ${JSON.stringify(packet)}`)
    return packet as PacketOf<C>
  }

  expectNothing(): void {
    if (this.fault !== null) throw new Error(`${this.clientId}: server sent ${this.fault}`)
    if (this.inbox.length > 0) throw new Error(`${this.clientId}: expected nothing, got ${JSON.stringify(this.inbox)}`)
  }

  /** Told why, and closed. */
  expectDisconnect(reason: number): void {
    if (this.version === 5) {
      const packet = this.expect('disconnect')
      if (packet.reason !== reason)
        throw new Error(`${this.clientId}: DISCONNECT ${packet.reason.toString(16)}, not ${reason.toString(16)}`)
    }
    this.expectNothing()
    if (!this.closed) throw new Error(`${this.clientId}: not closed`)
  }

  /** Deliveries received so far, as `topic=payload`; other packets must not be among them. */
  deliveries(): string[] {
    return this.takeAll().map((packet) => {
      if (packet.cmd !== 'publish')
        throw new Error(`${this.clientId}: expected deliveries, got ${JSON.stringify(packet)}`)
      return ScriptedClient.brief(packet)
    })
  }

  subscribe(filter: string | readonly SubscribeFields[], qos: QoS = 0, subscriptionId = 0): readonly number[] {
    const packetId = this.sendSubscribe(filter, qos, subscriptionId)
    const suback = this.expect('suback')
    if (suback.packetId !== packetId) throw new Error('SUBACK of another identifier')
    return suback.codes
  }

  unsubscribe(...filters: string[]): readonly number[] {
    const packetId = this.sendUnsubscribe(...filters)
    const unsuback = this.expect('unsuback')
    if (unsuback.packetId !== packetId) throw new Error('UNSUBACK of another identifier')
    return unsuback.codes
  }

  /** The whole flow, from this client's side. */
  publish(topic: string, payload: string, fields: PublishFields = {}): void {
    const id = this.sendPublish(topic, payload, fields)
    if (fields.qos === 1) this.expect('puback')
    if (fields.qos === 2) {
      this.expect('pubrec')
      this.sendPubrel(id)
      this.expect('pubcomp')
    }
  }

  /** The network connection ends without DISCONNECT. */
  drop(): void {
    if (this.closed) return
    this.closed = true
    this.world.node.closed(this.connection)
    this.world.drive()
  }

  disconnect(reason = 0, sessionExpiry?: number): void {
    this.sendDisconnect(reason, sessionExpiry)
  }
}
