// OneNode, TwoNodes: a lone broker node, or a pair in sync, in this process, with a clock, sockets, disks and a link that the
// test moves by hand. Synchronous: what a client says is answered before the call returns. For faults there is the simulator.

import { LIMITS } from '../../src/base/limits.ts'
import type { Connection } from '../../src/connection/connection.ts'
import type { BrokerNode } from '../../src/core/node.ts'
import type { ClientSocket, NodeConfig } from '../../src/core/ports.ts'
import type { Users } from '../../src/host/users/users.ts'
import type { Delivery } from '../../src/wire/client_decoder.ts'
import type { ConnectFields, SubscribeFields } from '../../src/wire/client_encoder.ts'
import type { QoS } from '../../src/wire/packet.ts'
import { type Logged, Member, WALL_MS } from './member.ts'
import { type Cmd, type PacketOf, type PublishFields, ScriptedClient } from './mqtt_client.ts'

/** Nodes and the one clock they share. */
abstract class World {
  protected abstract readonly members: readonly Member[]
  protected now = 1_000

  /** Lets the nodes do all there is to do at this moment. */
  drive(): void {
    for (let round = 0; this.work(); round++) {
      if (round > 1000) throw new Error('the nodes do not come to rest')
    }
  }

  /** @returns whether there is more to do */
  private work(): boolean {
    let more = false
    for (const { node } of this.members) {
      node.at(this.now, WALL_MS + this.now)
      node.drain()
    }
    for (const member of this.members) {
      if (member.answer()) more = true
      if (member.held) continue
      const peer = this.members.find((other) => other !== member)
      for (const bytes of member.outgoing.splice(0)) {
        if (member.mute) continue
        peer?.node.linkData(bytes)
        more = true
      }
    }
    // Time stands still within a drive, but for the disk's flush interval.
    return more || this.members.some((member) => member.diskAnswers && member.node.deadline() <= this.now)
  }

  /** Moves the clock in steps small enough for every timer between. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.now < until) {
      const next = Math.min(...this.members.map(({ node }) => node.deadline()))
      this.now = Math.min(until, Math.max(this.now + 1, Math.min(next, this.now + 1000)))
      this.drive()
    }
  }

  /** Time goes on while the nodes stand still. */
  sleep(ms: number): void {
    this.now += ms
    this.drive()
  }

  /** As many milliseconds as a change may stay off the disk. */
  settle(): void {
    this.pass(LIMITS.flushMs * 2 + LIMITS.lazyMs)
  }

  protected openAt(node: BrokerNode, clientId: string, version: 3 | 4 | 5, loopback = true): SpecClient {
    return new SpecClient(this, node, clientId, version, loopback)
  }

  protected connectAt(node: BrokerNode, clientId: string, fields: Partial<ConnectFields>): SpecClient {
    const client = this.openAt(node, clientId, fields.version ?? 5)
    client.sendConnect(fields)
    const connack = client.expect('connack')
    if (connack.reason !== 0) throw new Error(`${clientId}: CONNACK ${connack.reason.toString(16)}`)
    client.present = connack.sessionPresent
    return client
  }
}

export class OneNode extends World {
  protected readonly members: readonly [Member]

  /** @param users null: nobody is asked who they are */
  constructor(config: Partial<NodeConfig> = {}, users: Users | null = null) {
    super()
    this.members = [new Member(config, this.now, users)]
    this.drive()
  }

  get node(): BrokerNode {
    return this.members[0].node
  }

  get log(): readonly Logged[] {
    return this.members[0].log
  }

  set diskAnswers(yes: boolean) {
    this.members[0].diskAnswers = yes
  }

  /** True: what was asked is answered now. */
  set authAnswers(yes: boolean) {
    this.members[0].authAnswers = yes
    this.drive()
  }

  /** As a password file read again. */
  replaceUsers(users: Users): void {
    const gone = this.members[0].authenticator?.replace(users) ?? new Set<string>()
    this.node.authentication.revoke(gone)
    this.drive()
  }

  open(clientId: string, options: { version?: 3 | 4 | 5; loopback?: boolean } = {}): SpecClient {
    return this.openAt(this.node, clientId, options.version ?? 5, options.loopback)
  }

  /** CONNECT accepted; `present` tells of the session. */
  connect(clientId: string, fields: Partial<ConnectFields> = {}): SpecClient {
    return this.connectAt(this.node, clientId, fields)
  }

  metric(name: string): number {
    return this.node.metrics.get(name)
  }
}

/** A pair in sync, over a link that does not fail unless it is silenced. */
export class TwoNodes extends World {
  protected readonly members: readonly [Member, Member]

  /** @param users null: nobody is asked who they are */
  constructor(config: Partial<NodeConfig> = {}, users: Users | null = null) {
    super()
    const member = (name: string, nonce: number) =>
      new Member({ ...config, name, nonce, seed: nonce, paired: true }, this.now, users)
    this.members = [member('a', 7), member('b', 8)]
    this.drive()
    this.a.linkOpened({ peerName: 'b' })
    this.b.linkOpened({ peerName: 'a' })
    for (let i = 0; i < 100 && !(this.a.synced && this.b.synced); i++) this.pass(50)
    if (!this.a.synced || !this.b.synced) throw new Error(`no pair: ${this.a.mode}, ${this.b.mode}`)
  }

  get a(): BrokerNode {
    return this.members[0].node
  }

  get b(): BrokerNode {
    return this.members[1].node
  }

  /** What this node says to the other one waits until it is let go. */
  hold(node: BrokerNode): void {
    for (const member of this.members) if (member.node === node) member.held = true
  }

  letGo(node: BrokerNode): void {
    for (const member of this.members) if (member.node === node) member.held = false
    this.drive()
  }

  /** The process of a node ends without a word; the other one sees that nobody listens there. */
  kill(node: BrokerNode): void {
    const survivor = node === this.a ? this.b : this.a
    this.silence()
    survivor.linkClosed('reset')
    this.drive()
    survivor.dialFailed(true)
    this.settle()
  }

  /** From now on neither hears anything of the other. */
  silence(): void {
    for (const member of this.members) member.mute = true
  }

  open(node: BrokerNode, clientId: string, version: 3 | 4 | 5 = 5, loopback = true): SpecClient {
    return this.openAt(node, clientId, version, loopback)
  }

  connect(node: BrokerNode, clientId: string, fields: Partial<ConnectFields> = {}): SpecClient {
    return this.connectAt(node, clientId, fields)
  }
}

/** A client of one node, speaking through a socket that is a pair of calls. */
export class SpecClient extends ScriptedClient {
  readonly world: { drive(): void }
  /** The server has closed the connection. */
  closed = false
  /** Of the last CONNACK. */
  present = false
  /** Bytes the socket still takes. */
  room = Number.POSITIVE_INFINITY
  reading = true
  /** What came, as bytes; null until a test wants them. */
  heard: Uint8Array[] | null = null
  bytesSent = 0
  bytesReceived = 0
  private readonly node: BrokerNode
  private readonly connection: Connection

  constructor(world: { drive(): void }, node: BrokerNode, clientId: string, version: 3 | 4 | 5, loopback: boolean) {
    super(clientId, version)
    this.world = world
    this.node = node
    const socket: ClientSocket = {
      transport: 'tcp',
      address: `test:${clientId}`,
      loopback,
      write: (bytes) => {
        const taken = Math.min(this.room, bytes.length)
        this.room -= taken
        this.bytesReceived += taken
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
        node.closed(this.connection)
      },
    }
    this.connection = node.accept(socket)
  }

  protected override received(bytes: Uint8Array): void {
    this.heard?.push(bytes)
    super.received(bytes)
  }

  protected transmit(bytes: Uint8Array): void {
    if (this.closed) return
    this.bytesSent += bytes.length
    this.node.data(this.connection, bytes)
    this.world.drive()
  }

  /** The socket takes bytes again. */
  unblock(): void {
    this.room = Number.POSITIVE_INFINITY
    this.node.writable(this.connection)
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

  /** The next message, acknowledged to the end. */
  take(): Delivery {
    const d = this.expect('publish')
    const rest = this.takeAll()
    if (d.qos === 1) this.sendPuback(d.packetId)
    if (d.qos === 2) {
      this.sendPubrec(d.packetId)
      const pubrel = this.expect('pubrel')
      if (pubrel.packetId !== d.packetId) throw new Error(`${this.clientId}: PUBREL of another identifier`)
      this.sendPubcomp(d.packetId)
    }
    this.inbox.unshift(...rest)
    return d
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
  publish(topic: string, payload: string | Uint8Array, fields: PublishFields = {}): void {
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
    this.node.closed(this.connection)
    this.world.drive()
  }

  disconnect(reason = 0, sessionExpiry?: number): void {
    this.sendDisconnect(reason, sessionExpiry)
  }
}
