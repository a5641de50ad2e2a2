// MQTT.js: the library, as a client of the table. Knows no feature.

import { Buffer } from 'node:buffer'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import type { IAuthPacket, IPublishPacket, Packet, UserProperties } from 'mqtt-packet'
import { ScramClient } from '../support/passwords.ts'
import {
  type Connect,
  Library,
  LibraryListener,
  type Properties,
  type Publish,
  type Subscribe,
  type Version,
} from './client.ts'

const LEVELS = { '3.1': 3, '3.1.1': 4, '5.0': 5 } as const
const METHOD = 'SCRAM-SHA-512'

type JsProperties = NonNullable<IPublishPacket['properties']>

/** To the library's own forms. */
function toJs(properties: Properties): Record<string, unknown> {
  const { payloadFormatIndicator, correlationData, userProperty, ...rest } = properties
  const named: Record<string, string[]> = {}
  for (const [name, value] of userProperty ?? []) (named[name] ??= []).push(value)
  return {
    ...rest,
    ...(payloadFormatIndicator !== undefined && { payloadFormatIndicator: payloadFormatIndicator === 1 }),
    ...(correlationData !== undefined && { correlationData: Buffer.from(correlationData) }),
    ...(userProperty !== undefined && { userProperties: named }),
  }
}

function pairs(properties: UserProperties): [string, string][] {
  return Object.entries(properties).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  )
}

function fromJs(properties: JsProperties = {}): Properties {
  const { payloadFormatIndicator, correlationData, userProperties, subscriptionIdentifier, ...rest } = properties
  return {
    ...rest,
    ...(payloadFormatIndicator !== undefined && { payloadFormatIndicator: Number(payloadFormatIndicator) }),
    ...(correlationData !== undefined && { correlationData: correlationData.toString() }),
    ...(userProperties !== undefined && { userProperty: pairs(userProperties) }),
    ...(subscriptionIdentifier !== undefined && { subscriptionIdentifier: [subscriptionIdentifier].flat() }),
  }
}

function optionsOf(version: Version, connect: Connect): IClientOptions {
  const { id: clientId, clean, keepAlive: keepalive, user, scram, will, properties } = connect
  const isFive = version === '5.0'
  return {
    protocolVersion: LEVELS[version],
    protocolId: version === '3.1' ? 'MQIsdp' : 'MQTT',
    ...{ clientId, clean, keepalive, reconnectPeriod: 0 },
    ...(user !== null && !scram && { username: user.name, password: user.password }),
    ...(will !== null && {
      will: { ...will, payload: Buffer.from(will.payload), properties: isFive ? toJs(will.properties) : {} },
    }),
    ...(isFive && { properties: toJs(properties) }),
  }
}

class JsListener extends LibraryListener {
  private readonly inner: MqttClient
  private readonly isFive: boolean
  private readonly goodbye: Properties
  private readonly acks: number[] = []
  /** What is to be acknowledged once it goes on; null: it is not paused. */
  private held: (() => void)[] | null = null

  constructor(version: Version, connect: Connect) {
    super()
    this.isFive = version === '5.0'
    this.goodbye = connect.goodbye
    const options = optionsOf(version, connect)
    const scram =
      connect.scram && connect.user !== null ? new ScramClient(connect.user.name, connect.user.password) : null
    if (scram !== null)
      options.properties = { authenticationMethod: METHOD, authenticationData: Buffer.from(scram.first) }
    const url = `${connect.webSocket ? 'ws' : 'mqtt'}://127.0.0.1:${connect.port}${connect.webSocket ? '/mqtt' : ''}`
    this.inner = mqtt.connect(url, options)
    if (scram !== null) this.prove(scram)
    this.inner.on('packetreceive', (packet) => this.onPacket(packet))
    this.inner.on('message', (topic, payload, { qos, retain, properties }) => {
      this.messages.push({ topic, payload: payload.toString(), qos, retain, properties: fromJs(properties) })
    })
    this.inner.on('close', () => {
      this.end ??= { reason: null, properties: {} }
    })
    this.inner.on('error', () => {})
    this.inner.handleMessage = (_packet, done) => {
      if (this.held === null) done()
      else this.held.push(done)
    }
  }

  private prove(scram: ScramClient): void {
    this.inner.handleAuth = ({ properties }: IAuthPacket, callback) => {
      const authenticationData = Buffer.from(scram.answer(properties?.authenticationData ?? null))
      callback(undefined, {
        cmd: 'auth',
        reasonCode: 0x18,
        properties: { authenticationMethod: METHOD, authenticationData },
      })
    }
    this.inner.on('packetreceive', (packet) => {
      if (packet.cmd !== 'connack' || packet.reasonCode !== 0) return
      if (packet.properties?.authenticationData?.toString() !== scram.serverFinal)
        throw new Error('the server has not proven that it knows the password')
    })
  }

  private onPacket(packet: Packet): void {
    if (packet.cmd === 'connack') {
      this.code = packet.reasonCode ?? packet.returnCode ?? null
      this.present = packet.sessionPresent
      this.properties = fromJs(packet.properties as JsProperties)
    } else if (packet.cmd === 'suback') this.granted = packet.granted as number[]
    else if (packet.cmd === 'unsuback') this.unsubscribed = true
    else if (packet.cmd === 'puback' || packet.cmd === 'pubrec') this.acks.push(packet.reasonCode ?? 0)
    else if (packet.cmd === 'pingresp') this.pings++
    else if (packet.cmd === 'disconnect')
      this.end = { reason: packet.reasonCode ?? null, properties: fromJs(packet.properties as JsProperties) }
  }

  subscribe({ filters, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh, identifier }: Subscribe): void {
    const map = Object.fromEntries(filters.map((filter) => [filter, { qos, nl, rap, rh }]))
    const options = { qos, ...(identifier !== null && { properties: { subscriptionIdentifier: identifier } }) }
    // It fails when a filter is refused; SUBACK says so too.
    this.inner.subscribeAsync(map, options).catch(() => {})
  }

  unsubscribe(filters: readonly string[]): void {
    this.inner.unsubscribeAsync([...filters]).catch(() => {})
  }

  async publish({ topic, payloads, qos, retain, properties }: Publish): Promise<readonly number[]> {
    const before = this.acks.length
    for (const [i, payload] of payloads.entries()) {
      const name = i > 0 && properties.topicAlias !== undefined ? '' : topic
      const options = { qos, retain, ...(this.isFive && { properties: toJs(properties) }) }
      // It fails when a message is refused; the acknowledgement says so too.
      await this.inner.publishAsync(name, payload, options).catch(() => {})
    }
    return this.acks.slice(before)
  }

  pause(): void {
    this.held = []
    this.inner.keepaliveManager.destroy()
  }

  resume(): void {
    const held = this.held ?? []
    this.held = null
    for (const done of held) done()
  }

  async leave(reason = 0): Promise<void> {
    const properties = toJs(this.goodbye)
    await (this.isFive ? this.inner.endAsync(false, { reasonCode: reason, properties }) : this.inner.endAsync())
  }

  vanish(): void {
    this.inner.stream.destroy()
    this.inner.end(true)
  }
}

export class MqttJs extends Library {
  protected open(connect: Connect): JsListener {
    return new JsListener(this.version, connect)
  }
}
