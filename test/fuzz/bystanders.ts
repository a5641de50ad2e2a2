// Bystanders: well-behaved clients beside the fuzzed ones: two that play ping-pong with QoS 1, and one that comes and goes and must get
// every message that was acknowledged to its publisher, in order.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerPacket } from '../../src/wire/client_decoder.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import { LiveClient, type PacketOf, text } from '../support/mqtt_client.ts'

export const CALM_ID = 'calm-'
const PAUSE_MS = 4
const STAY_MS = 1_500
const WAIT_MS = 60_000

class CalmClient extends LiveClient {
  static sent = 0

  static async connect(port: number, name: string, fields: Partial<ConnectFields> = {}): Promise<CalmClient> {
    return await new CalmClient(port, CALM_ID + name, fields.version ?? 5).handshake(fields)
  }

  protected override transmit(bytes: Uint8Array): void {
    CalmClient.sent++
    super.transmit(bytes)
  }

  async publishAndWait(topic: string, payload: string): Promise<void> {
    const id = this.sendPublish(topic, payload, { qos: 1 })
    const ack = await this.expect('puback', WAIT_MS)
    if (ack.packetId !== id) throw new Error(`${this.clientId}: PUBACK ${ack.packetId} for ${id}`)
  }
}

/** One that answers publishes as they come and hands out acknowledgements. */
class Player {
  private readonly client: CalmClient
  readonly hears: string
  readonly says: string
  private said = 0

  constructor(client: CalmClient, hears: string, says: string) {
    this.client = client
    this.hears = hears
    this.says = says
  }

  async prepare(): Promise<void> {
    await this.client.subscribe(this.hears, 1)
  }

  serve(payload: string): void {
    this.said = this.client.sendPublish(this.says, payload, { qos: 1 })
  }

  /** The other's message, and the acknowledgement of the own one if there is one to come. */
  async hear(payload: string): Promise<void> {
    let heard = false
    while (!heard || this.said !== 0) {
      const packet = await this.next()
      if (packet.cmd === 'puback' && packet.packetId === this.said && packet.reason === 0) this.said = 0
      else if (packet.cmd === 'publish' && text(packet.payload) === payload && !heard) {
        this.client.sendPuback(packet.packetId)
        heard = true
      } else throw new Error(`${this.client.clientId}: ${packet.cmd} came instead of "${payload}"`)
    }
  }

  private async next(): Promise<ServerPacket> {
    const packet = await this.client.next(WAIT_MS)
    if (packet === null) throw new Error(`${this.client.clientId}: ${this.client.closed ? 'closed' : 'nothing came'}`)
    return packet
  }

  async acknowledged(): Promise<void> {
    if (this.said === 0) return
    const ack = await this.client.expect('puback', WAIT_MS)
    if (ack.packetId !== this.said) throw new Error(`${this.client.clientId}: a wrong PUBACK`)
    this.said = 0
  }

  async leave(): Promise<void> {
    await this.client.disconnect()
  }
}

export class Bystanders {
  rounds = 0
  roundMsMax = 0
  kept = 0
  received = 0
  repeated = 0
  returns = 0
  readonly problems: string[] = []
  private readonly ports: readonly [number, number]
  private stopping = false
  /** All that will be published has been acknowledged. */
  private published = false
  private running: readonly Promise<void>[] = []

  /** @param ports of one node, or of both */
  constructor(ports: readonly [number, number]) {
    this.ports = ports
  }

  /** Packets that all of them have sent. */
  get sent(): number {
    return CalmClient.sent
  }

  async start(): Promise<void> {
    const [one, two] = this.ports
    const ping = new Player(await CalmClient.connect(one, 'ping', { version: 4 }), 'calm/pong', 'calm/ping')
    const pong = new Player(await CalmClient.connect(two, 'pong', { version: 5 }), 'calm/ping', 'calm/pong')
    await ping.prepare()
    await pong.prepare()
    const publisher = await CalmClient.connect(one, 'publisher', { version: 5 })
    const keeper = await this.returned()
    if ((await keeper.subscribe('calm/kept', 1))[0] !== 1) throw new Error('the subscription was not granted')
    const guard = (work: Promise<void>) =>
      work.catch((error) => {
        this.problems.push(error instanceof Error ? error.message : String(error))
        this.stopping = true
      })
    this.running = [this.rally(ping, pong), this.publishing(publisher), this.receiving(keeper)].map(guard)
  }

  /** Lets what is under way arrive. Afterwards they are gone, and their sessions. */
  async stop(): Promise<void> {
    this.stopping = true
    await Promise.all(this.running)
    if (this.received !== this.kept) this.problems.push(`received ${this.received} of ${this.kept} kept messages`)
  }

  private async rally(ping: Player, pong: Player): Promise<void> {
    while (!this.stopping) {
      const payload = String(this.rounds)
      const begun = performance.now()
      ping.serve(payload)
      await pong.hear(payload)
      pong.serve(payload)
      await ping.hear(payload)
      await pong.acknowledged()
      this.roundMsMax = Math.max(this.roundMsMax, performance.now() - begun)
      this.rounds++
      await sleep(PAUSE_MS)
    }
    await ping.leave()
    await pong.leave()
  }

  private async publishing(publisher: CalmClient): Promise<void> {
    while (!this.stopping) {
      await publisher.publishAndWait('calm/kept', String(this.kept + 1))
      this.kept++
      await sleep(3 * PAUSE_MS)
    }
    this.published = true
    await publisher.disconnect()
  }

  private async returned(): Promise<CalmClient> {
    const port = this.ports[this.returns % 2] as number
    const keeper = await CalmClient.connect(port, 'keeper', { version: 5, cleanStart: false, sessionExpiry: 3600 })
    if (keeper.present !== this.returns > 0) throw new Error(`calm-keeper: session present is ${keeper.present}`)
    this.returns++
    return keeper
  }

  /** Goes without a word now and then and comes back, in a pair to the other node. */
  private async receiving(first: CalmClient): Promise<void> {
    let keeper = first
    let until = performance.now() + STAY_MS
    let quietUntil = 0
    for (;;) {
      const packet = await keeper.next(100)
      if (packet !== null) this.take(keeper, packet)
      else if (keeper.closed) throw new Error('calm-keeper: closed')
      if (this.stopping) {
        if (!this.published && this.problems.length === 0) continue
        quietUntil ||= performance.now() + WAIT_MS
        if (this.received >= this.kept || performance.now() > quietUntil) break
      } else if (performance.now() > until) {
        keeper.drop()
        keeper = await this.returned()
        until = performance.now() + STAY_MS
      }
    }
    keeper.sendDisconnect(0, 0)
    keeper.socket.end()
    await keeper.ended
  }

  private take(keeper: CalmClient, packet: ServerPacket): void {
    if (packet.cmd !== 'publish') throw new Error(`calm-keeper: ${packet.cmd} came`)
    keeper.sendPuback((packet as PacketOf<'publish'>).packetId)
    const n = Number(text(packet.payload))
    if (n === this.received + 1) this.received = n
    else if (n <= this.received) this.repeated++
    else throw new Error(`calm-keeper: message ${n} after ${this.received}`)
  }
}
