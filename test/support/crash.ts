// Crash: a pair of real nodes of which one is killed in each test, the two in turns. Clients begin at the node that `serves` and
// go on at the one that `survives`. Knows what a client may say, not what a test is about.

import type { Delivery } from '../../src/wire/client_decoder.ts'
import type { ConnectFields } from '../../src/wire/client_encoder.ts'
import { type LiveClient, MqttClient, type PublishFields, text } from './mqtt_client.ts'
import { type NodeProcess, PairProcesses } from './processes.ts'
import { assert } from './suite.ts'

/** A session that outlives its connection. */
export const kept: Partial<ConnectFields> = { cleanStart: false, sessionExpiry: 600 }

export class CrashPair implements AsyncDisposable {
  serves: NodeProcess
  survives: NodeProcess
  private readonly pair: PairProcesses
  private clients: LiveClient[] = []

  private constructor(pair: PairProcesses) {
    this.pair = pair
    this.serves = pair.a
    this.survives = pair.b
  }

  static async start(args: readonly string[]): Promise<CrashPair> {
    return new CrashPair(await PairProcesses.start(args))
  }

  /** Before each test: clients of the last one are gone. */
  async ready(): Promise<void> {
    for (const client of this.clients.splice(0)) client.drop()
    if (!this.serves.isUp) await this.turn()
  }

  /** The dead node is back, the other one is to die next. */
  async turn(): Promise<void> {
    this.serves.start()
    ;[this.serves, this.survives] = [this.survives, this.serves]
    await this.pair.synced()
  }

  /** kill -9 of the node that serves. */
  async kill(): Promise<void> {
    await this.serves.kill9()
  }

  /** A client of the node that will be killed. */
  async here(clientId: string, fields: Partial<ConnectFields> = {}): Promise<MqttClient> {
    return this.track(await MqttClient.connect(this.serves.place.mqtt, clientId, fields))
  }

  /** A client of the node that survives. */
  async there(clientId: string, fields: Partial<ConnectFields> = {}): Promise<MqttClient> {
    return this.track(await MqttClient.connect(this.survives.place.mqtt, clientId, fields))
  }

  /** A client of a session that the survivor must have. */
  async goesOn(clientId: string, fields: Partial<ConnectFields> = kept): Promise<MqttClient> {
    const client = await this.there(clientId, fields)
    assert.ok(client.present, `${clientId}: the session is present`)
    return client
  }

  track<C extends LiveClient>(client: C): C {
    this.clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.drop()
    await this.pair[Symbol.asyncDispose]()
  }
}

/** Publishes and waits until the message is taken. QoS 0 has the next message's word for it. */
export async function publish(
  c: LiveClient,
  topic: string,
  payload: string,
  fields: PublishFields = {},
): Promise<void> {
  const id = c.sendPublish(topic, payload, { qos: 1, ...fields })
  if (fields.qos === 0) return
  if (fields.qos !== 2) {
    assert.is((await c.expect('puback')).packetId, id)
    return
  }
  assert.is((await c.expect('pubrec')).packetId, id)
  c.sendPubrel(id)
  assert.is((await c.expect('pubcomp')).packetId, id)
}

/** The next `count` packets, which must be messages; nothing is acknowledged. */
export async function take(c: LiveClient, count: number): Promise<Delivery[]> {
  const found: Delivery[] = []
  while (found.length < count) found.push(await c.expect('publish'))
  return found
}

/** The next `count` messages, acknowledged to the end. @param more QoS 2 flows of before that end meanwhile */
export async function drink(c: LiveClient, count: number, more = 0): Promise<Delivery[]> {
  const found: Delivery[] = []
  let open = more
  while (found.length < count || open > 0) {
    const packet = await c.next()
    if (packet?.cmd === 'publish') {
      found.push(packet)
      if (packet.qos === 1) c.sendPuback(packet.packetId)
      if (packet.qos !== 2) continue
      c.sendPubrec(packet.packetId)
      open++
    } else if (packet?.cmd === 'pubrel') {
      c.sendPubcomp(packet.packetId)
      open--
    } else throw new Error(`${c.clientId}: after ${found.length} of ${count} messages: ${JSON.stringify(packet)}`)
  }
  return found
}

/** Nothing comes, neither before the answer to a PINGREQ nor shortly after. */
export async function silence(c: LiveClient): Promise<void> {
  c.sendPingreq()
  await c.expect('pingresp')
  assert.equal(await c.quiet(100), [])
}

/** All that the client has sent is handled. */
export async function heard(c: LiveClient): Promise<void> {
  c.sendPingreq()
  await c.expect('pingresp')
}

export function texts(deliveries: readonly Delivery[]): string[] {
  return deliveries.map(({ payload }) => text(payload))
}

/** `topic=payload` each. */
export function briefs(deliveries: readonly Delivery[]): string[] {
  return deliveries.map((d) => MqttClient.brief(d))
}
