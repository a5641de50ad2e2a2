// Clients of the demo: a subscriber with a session, which connects again whenever it must, and a publisher that makes a new
// connection for each message.

import { setTimeout as sleep } from 'node:timers/promises'
import { MqttClient, text } from '../support/mqtt_client.ts'

export const SUBSCRIBER = 'demo-subscriber'
export const PUBLISHER = 'demo-publisher'
const TOPIC = 'demo/messages'
const RETRY_MS = 50
const ANSWER_MS_MAX = 5_000

export class DemoSubscriber {
  onMessage: (number: number) => void = () => {}
  /** A connection that goes on with its session. */
  onBack: (milliseconds: number) => void = () => {}
  ready = false
  private client: MqttClient | null = null
  private stopped = false
  private readonly port: number

  constructor(port: number) {
    this.port = port
  }

  async run(): Promise<void> {
    let lostAt = -1
    while (!this.stopped) {
      try {
        const fields = { cleanStart: false, sessionExpiry: 3600 }
        const client = await MqttClient.connect(this.port, SUBSCRIBER, fields)
        this.client = client
        if (!client.present) await client.subscribe(TOPIC, 1)
        else if (lostAt >= 0) this.onBack(performance.now() - lostAt)
        this.ready = true
        await this.listen(client)
      } catch {
        this.client?.drop()
      }
      if (lostAt < 0 || this.client !== null) lostAt = performance.now()
      this.client = null
      await sleep(RETRY_MS)
    }
  }

  /** Until the connection ends. */
  private async listen(client: MqttClient): Promise<void> {
    while (!client.closed || client.inbox.length > 0) {
      const packet = await client.next()
      if (packet?.cmd !== 'publish') continue
      client.sendPuback(packet.packetId)
      this.onMessage(Number(text(packet.payload)))
    }
  }

  stop(): void {
    this.stopped = true
    this.client?.drop()
  }
}

/** One connection, one message, again until it is acknowledged. @returns how many connections it took */
export async function publishOne(port: number, number: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    let client: MqttClient | null = null
    try {
      client = await MqttClient.connect(port, PUBLISHER)
      client.sendPublish(TOPIC, String(number), { qos: 1 })
      await client.expect('puback', ANSWER_MS_MAX)
      await client.disconnect()
      return tries
    } catch {
      client?.drop()
      await sleep(RETRY_MS)
    }
  }
}
