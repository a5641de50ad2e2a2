// Flows: many small conversations of one publisher and one subscriber, each held at a chosen packet of its QoS 1 or QoS 2 flow,
// then let go at once: what a kill at that moment must not break. Knows nodes by their MQTT port only.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import { MqttClient, text } from './mqtt_client.ts'

/** Where a flow stands when the node is killed; `sent`: the packet leaves at the very moment. */
export type Step =
  | 'publisher sent PUBLISH'
  | 'publisher got PUBACK'
  | 'publisher got PUBREC'
  | 'publisher sent PUBREL'
  | 'publisher got PUBCOMP'
  | 'subscriber got PUBLISH'
  | 'subscriber sent PUBACK'
  | 'subscriber sent PUBREC'
  | 'subscriber got PUBREL'
  | 'subscriber sent PUBCOMP'

export const STEPS: Readonly<Record<1 | 2, readonly Step[]>> = {
  1: ['publisher sent PUBLISH', 'publisher got PUBACK', 'subscriber got PUBLISH', 'subscriber sent PUBACK'],
  2: [
    'publisher sent PUBLISH',
    'publisher got PUBREC',
    'publisher sent PUBREL',
    'publisher got PUBCOMP',
    'subscriber got PUBLISH',
    'subscriber sent PUBREC',
    'subscriber got PUBREL',
    'subscriber sent PUBCOMP',
  ],
}

const DURABLE: Partial<ConnectFields> = { cleanStart: false, sessionExpiry: 3600 }
const ID = 7
const COME_BACK_MS = 30_000

/** Tries until the node takes it. @throws when the session is not there any more */
async function comeBack(port: number, clientId: string): Promise<MqttClient> {
  const until = performance.now() + COME_BACK_MS
  for (;;) {
    try {
      const client = await MqttClient.connect(port, clientId, DURABLE)
      if (!client.present) throw new Gone(`${clientId}: session present 0`)
      return client
    } catch (error) {
      if (error instanceof Gone || performance.now() > until) throw error
      await sleep(20)
    }
  }
}
class Gone extends Error {}

export class Flow {
  readonly qos: 1 | 2
  readonly step: Step
  /** What went wrong, in plain words. */
  readonly problems: string[] = []
  private readonly name: string
  private ports: readonly [publisher: number, subscriber: number] = [0, 0]
  private publisher!: MqttClient
  private subscriber!: MqttClient
  private release: (() => void) | null = null
  /** The publisher's side: what it still has to hear. */
  private owes: 'nothing' | 'PUBLISH' | 'PUBREL' = 'PUBLISH'
  private readonly held = new Set<number>()
  private readonly got = new Map<string, number>()
  private wanted: Step | null
  private reached = Promise.withResolvers<void>()
  private changed = Promise.withResolvers<void>()

  constructor(name: string, qos: 1 | 2, step: Step) {
    this.name = name
    this.qos = qos
    this.step = step
    this.wanted = step
  }

  /** Runs up to the step; what is `sent` at it waits for letGo(). */
  async prepare(publisherPort: number, subscriberPort: number): Promise<void> {
    const { name, qos } = this
    this.ports = [publisherPort, subscriberPort]
    this.subscriber = await MqttClient.connect(subscriberPort, `${name}-sub`, DURABLE)
    await this.subscriber.subscribe(`flow/${name}`, qos)
    this.publisher = await MqttClient.connect(publisherPort, `${name}-pub`, DURABLE)
    void this.read(this.subscriber)
    if (this.step === 'publisher sent PUBLISH') return this.hold(() => this.sendPublish(false))
    void this.publish()
    await Promise.race([
      this.reached.promise,
      sleep(10_000).then(() => Promise.reject(new Error(`${name}: never came to "${this.step}"`))),
    ])
  }

  private hold(action: () => void): void {
    this.release = action
    this.reached.resolve()
  }

  /** The packet that was held back leaves now. */
  letGo(): void {
    const { release } = this
    this.release = null
    this.wanted = null
    release?.()
  }

  /** True where the flow has come to the step it is to be held at. */
  private at(step: Step): boolean {
    if (this.wanted !== step) return false
    this.reached.resolve()
    return true
  }

  // ---- publisher

  private sendPublish(dup: boolean): void {
    this.publisher.sendPublish(`flow/${this.name}`, 'first', { qos: this.qos, packetId: ID, dup })
  }

  private sendPubrel(): void {
    this.owes = 'PUBREL'
    this.publisher.sendPubrel(ID)
  }

  /** From the start, held where the step says so. */
  private async publish(): Promise<void> {
    const { publisher } = this
    this.sendPublish(false)
    if (this.qos === 1) {
      if ((await publisher.next())?.cmd !== 'puback') return
      this.owes = 'nothing'
      this.at('publisher got PUBACK')
      return
    }
    if ((await publisher.next())?.cmd !== 'pubrec') return
    this.owes = 'PUBREL'
    if (this.at('publisher got PUBREC')) return
    if (this.at('publisher sent PUBREL')) return this.hold(() => this.sendPubrel())
    this.sendPubrel()
    if ((await publisher.next())?.cmd !== 'pubcomp') return
    this.owes = 'nothing'
    this.at('publisher got PUBCOMP')
  }

  /** Goes on after a reconnection with what was not acknowledged, as the standard has it. */
  private async finishPublish(): Promise<void> {
    const { publisher } = this
    // Answers that came before the kill are in the inbox of the former connection only.
    if (this.owes === 'PUBLISH') {
      this.sendPublish(true)
      const answer = await publisher.expect(this.qos === 1 ? 'puback' : 'pubrec', COME_BACK_MS)
      if (answer.packetId !== ID) this.problems.push('acknowledged under another identifier')
      if (this.qos === 2) this.owes = 'PUBREL'
    }
    if (this.owes === 'PUBREL') {
      this.sendPubrel()
      await publisher.expect('pubcomp', COME_BACK_MS)
    }
    this.owes = 'nothing'
  }

  // ---- subscriber

  private async read(client: MqttClient): Promise<void> {
    for (;;) {
      const packet = await client.next(120_000).catch((error: Error) => {
        this.problems.push(error.message)
        return null
      })
      if (packet === null || client !== this.subscriber) return
      if (packet.cmd === 'publish') this.onPublish(packet.packetId, packet.qos, text(packet.payload))
      else if (packet.cmd === 'pubrel') this.onPubrel(packet.packetId)
      this.changed.resolve()
    }
  }

  private onPublish(packetId: number, qos: number, payload: string): void {
    if (qos !== this.qos) this.problems.push(`delivered with QoS ${qos}`)
    const again = this.held.has(packetId)
    if (!again) this.got.set(payload, (this.got.get(payload) ?? 0) + 1)
    if (qos === 2) this.held.add(packetId)
    if (this.at('subscriber got PUBLISH')) return
    const { subscriber } = this
    if (qos === 1) {
      if (this.at('subscriber sent PUBACK')) this.hold(() => subscriber.sendPuback(packetId))
      else subscriber.sendPuback(packetId)
    } else if (this.at('subscriber sent PUBREC')) this.hold(() => subscriber.sendPubrec(packetId))
    else subscriber.sendPubrec(packetId)
  }

  private onPubrel(packetId: number): void {
    if (this.at('subscriber got PUBREL')) return
    const { subscriber } = this
    const answer = () => {
      this.held.delete(packetId)
      subscriber.sendPubcomp(packetId)
    }
    if (this.at('subscriber sent PUBCOMP')) this.hold(answer)
    else answer()
  }

  // ---- afterwards

  /** Those whose node died come back to `port` and finish what they began; then one more message goes through. */
  async resume(diedPort: number, port: number): Promise<void> {
    try {
      if (this.ports[1] === diedPort) {
        await this.subscriber.ended
        this.subscriber = await comeBack(port, `${this.name}-sub`)
        void this.read(this.subscriber)
      }
      if (this.ports[0] === diedPort) {
        await this.publisher.ended
        this.publisher = await comeBack(port, `${this.name}-pub`)
        await this.finishPublish()
      } else await this.hear()
      await this.second()
    } catch (error) {
      this.problems.push(error instanceof Error ? error.message : String(error))
    }
  }

  /** The publisher's node lives: the answer comes on this connection, in its own time. */
  private async hear(): Promise<void> {
    const { publisher } = this
    if (this.owes === 'PUBLISH') {
      await publisher.expect(this.qos === 1 ? 'puback' : 'pubrec', COME_BACK_MS)
      if (this.qos === 2) this.sendPubrel()
    } else if (this.owes === 'PUBREL' && this.step === 'publisher got PUBREC') this.sendPubrel()
    if (this.owes === 'PUBREL') await publisher.expect('pubcomp', COME_BACK_MS)
    this.owes = 'nothing'
  }

  private async second(): Promise<void> {
    const { publisher } = this
    publisher.sendPublish(`flow/${this.name}`, 'second', { qos: this.qos, packetId: ID })
    if (this.qos === 1) await publisher.expect('puback', COME_BACK_MS)
    else {
      await publisher.expect('pubrec', COME_BACK_MS)
      publisher.sendPubrel(ID)
      await publisher.expect('pubcomp', COME_BACK_MS)
    }
    const until = performance.now() + 10_000
    while (!this.got.has('second') && performance.now() < until) {
      this.changed = Promise.withResolvers()
      await Promise.race([this.changed.promise, sleep(500)])
    }
  }

  /** After everything had time to arrive. */
  judge(): void {
    for (const payload of ['first', 'second']) {
      const count = this.got.get(payload) ?? 0
      if (count === 0) this.problems.push(`${payload} message lost`)
      if (this.qos === 2 && count > 1) this.problems.push(`${payload} message delivered ${count} times`)
    }
    if (this.got.get('second') !== 1 && this.got.get('second') !== undefined && this.qos === 1)
      this.problems.push('a message after the kill was delivered twice')
    for (const client of [this.publisher, this.subscriber]) {
      if (client?.fault) this.problems.push(client.fault)
      client?.drop()
    }
  }
}
