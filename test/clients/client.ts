// Client: what a test asks of anybody's MQTT client, in the words of the standards. Knows no program, no node and no feature.

import { setTimeout as sleep } from 'node:timers/promises'

const WAIT_MS = 30_000

export type Version = '3.1' | '3.1.1' | '5.0'
export type QoS = 0 | 1 | 2

/** Of any packet, by the standard's names; data is text here. */
export type Properties = {
  readonly payloadFormatIndicator?: number
  readonly messageExpiryInterval?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: string
  readonly topicAlias?: number
  readonly sessionExpiryInterval?: number
  readonly receiveMaximum?: number
  readonly maximumPacketSize?: number
  readonly topicAliasMaximum?: number
  readonly willDelayInterval?: number
  readonly assignedClientIdentifier?: string
  readonly serverReference?: string
  readonly subscriptionIdentifier?: readonly number[]
  readonly userProperty?: readonly (readonly [string, string])[]
}

export type Message = {
  /** As the program names it to its user. */
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly retain: boolean
  readonly properties: Properties
}

export type Will = {
  readonly topic: string
  readonly payload: string
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

export type Connect = {
  readonly port: number
  readonly webSocket: boolean
  /** Empty: the server is to choose. */
  readonly id: string
  /** Clean Session in 3.x, Clean Start in 5.0. */
  readonly clean: boolean
  readonly keepAlive: number
  readonly user: { readonly name: string; readonly password: string } | null
  /** The user proves the password by SCRAM-SHA-512. */
  readonly scram: boolean
  readonly will: Will | null
  readonly properties: Properties
  /** Of the DISCONNECT that ends the connection. */
  readonly goodbye: Properties
}

export type Subscribe = {
  /** None: what the session has. */
  readonly filters: readonly string[]
  /** Given up after that. */
  readonly unsubscribe: readonly string[]
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  readonly identifier: number | null
}

/** One message for each payload. With a topic alias only the first has the topic's name. */
export type Publish = {
  readonly topic: string
  readonly payloads: readonly string[]
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

/** The code of CONNACK and, when that is 0, those of PUBACK or PUBREC as far as the program tells them. */
export type Sent = { readonly connack: number; readonly acks: readonly number[] }

export type Question = { readonly topic: string; readonly answers: string; readonly text: string }

/** How the server ended a connection; null: without a word, or the program does not pass it on. */
export type End = { readonly reason: number | null; readonly properties: Properties }

/** Waits until it finds something. */
export async function until<T>(find: () => T | undefined | Promise<T | undefined>, what: () => string): Promise<T> {
  const end = performance.now() + WAIT_MS
  for (;;) {
    const found = await find()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS} ms for ${what()}`)
    await sleep(10)
  }
}

/** One connection, and what has come over it. */
export abstract class Listener {
  /** The code of CONNACK. */
  code: number | null = null
  /** Session Present; null: the program does not tell. */
  present: boolean | null = null
  /** Of CONNACK, as far as the program tells. */
  properties: Properties = {}
  /** The codes of SUBACK. */
  granted: readonly number[] | null = null
  unsubscribed = false
  pings = 0
  readonly messages: Message[] = []
  end: End | null = null

  async received(count: number): Promise<readonly Message[]> {
    return await until(
      () => (this.messages.length >= count ? this.messages : undefined),
      () => `${count} messages, ${this.messages.length} came`,
    )
  }

  async pinged(): Promise<void> {
    await until(
      () => this.pings > 0 || undefined,
      () => 'PINGRESP',
    )
  }

  /** Waits until the server has ended it. */
  async ended(): Promise<End> {
    return await until(
      () => this.end ?? undefined,
      () => 'the end of a connection',
    )
  }

  /** @returns the codes of the acknowledgements */
  abstract publish(publish: Publish): Promise<readonly number[]>
  /** Reads nothing, acknowledges nothing and sends no PINGREQ. */
  abstract pause(): void
  abstract resume(): void
  /** DISCONNECT; in 5.0 with the reason, if the program has a choice. */
  abstract leave(reason?: number): Promise<void>
  /** Without DISCONNECT. */
  abstract vanish(): void
}

/** A program that speaks MQTT of one version. */
export interface Program {
  /** The shortest keep-alive that it takes, in seconds. */
  readonly keepAliveMin: number
  /** Connects and subscribes. */
  listen(connect: Connect, subscribe: Subscribe): Promise<Listener>
  /** Connects, publishes until all is acknowledged, and leaves. */
  publish(connect: Connect, publish: Publish): Promise<Sent>
  /** Publishes a request and waits for the answer: Correlation Data is the question's text. */
  ask(connect: Connect, question: Question): Promise<Message>
}

/** A connection whose program does what it is told while it lasts. */
export abstract class LibraryListener extends Listener {
  abstract subscribe(subscribe: Subscribe): void
  abstract unsubscribe(filters: readonly string[]): void
}

/** A program that is written for the test with somebody's library. */
export abstract class Library implements Program {
  readonly keepAliveMin = 1
  protected readonly version: Version

  constructor(version: Version) {
    this.version = version
  }

  protected abstract open(connect: Connect): LibraryListener

  /** Waits for CONNACK. */
  private async connected(connect: Connect): Promise<LibraryListener> {
    const listener = this.open(connect)
    await until(
      () => listener.code ?? undefined,
      () => `CONNACK for ${connect.id}`,
    )
    return listener
  }

  async listen(connect: Connect, subscribe: Subscribe): Promise<Listener> {
    const listener = await this.connected(connect)
    if (listener.code !== 0) throw new Error(`${connect.id}: refused with ${listener.code}`)
    if (subscribe.filters.length > 0) {
      listener.subscribe(subscribe)
      await until(
        () => listener.granted ?? undefined,
        () => `SUBACK for ${connect.id}`,
      )
    }
    if (subscribe.unsubscribe.length > 0) {
      listener.unsubscribe(subscribe.unsubscribe)
      await until(
        () => listener.unsubscribed || undefined,
        () => `UNSUBACK for ${connect.id}`,
      )
    }
    return listener
  }

  async publish(connect: Connect, publish: Publish): Promise<Sent> {
    const listener = await this.connected(connect)
    try {
      const acks = listener.code === 0 ? await listener.publish(publish) : []
      if (listener.code === 0) await listener.leave()
      return { connack: listener.code as number, acks }
    } finally {
      listener.vanish()
    }
  }

  async ask(connect: Connect, { topic, answers, text }: Question): Promise<Message> {
    const filters = [answers]
    const plain = {
      unsubscribe: [],
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      identifier: null,
    } as const
    const listener = await this.listen(connect, { filters, qos: 1, ...plain })
    try {
      const properties = this.version === '5.0' ? { responseTopic: answers, correlationData: text } : {}
      await listener.publish({ topic, payloads: [text], qos: 1, retain: false, properties })
      const [answer] = await listener.received(1)
      return answer as Message
    } finally {
      listener.vanish()
    }
  }
}
