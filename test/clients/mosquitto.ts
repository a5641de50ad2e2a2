// Mosquitto: mosquitto_sub, mosquitto_pub and mosquitto_rr, as clients of the table: each connection is a process with its command
// line, and what happens to it is read off its debug output. Knows these programs, and no feature.

import { Proc } from '../support/processes.ts'
import {
  type Connect,
  Listener,
  type Message,
  type Program,
  type Properties,
  type Publish,
  type Question,
  type Sent,
  type Subscribe,
  until,
  type Version,
} from './client.ts'

const NAMES = { '3.1': 'mqttv31', '3.1.1': 'mqttv311', '5.0': 'mqttv5' } as const
/** A message as one line of JSON; of the user properties JSON has no order. */
const FORMAT = '{"message":%j,"user":"%P"}'

type Json = {
  readonly message: {
    readonly topic: string
    readonly payload: string | null
    readonly qos: number
    readonly retain: number
    readonly properties?: Readonly<Record<string, unknown>>
  }
  readonly user: string
}

/** `payloadFormatIndicator` → `payload-format-indicator` */
function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** `-D publish content-type text/plain …` */
function flagsOf(packet: string, properties: Properties): string[] {
  return Object.entries(properties).flatMap(([name, value]) =>
    name === 'userProperty'
      ? (value as NonNullable<Properties['userProperty']>).flatMap((pair) => ['-D', packet, 'user-property', ...pair])
      : ['-D', packet, kebab(name), String(value)],
  )
}

function messageOf(line: string): Message {
  const { message, user } = JSON.parse(line) as Json
  const { 'user-properties': _, 'subscription-identifier': identifier, ...rest } = message.properties ?? {}
  const userProperty = user.split(' ').map((pair) => pair.split(':') as [string, string])
  return {
    ...{ topic: message.topic, payload: message.payload ?? '', qos: message.qos, retain: message.retain === 1 },
    properties: {
      ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [camel(name), value])),
      ...(identifier !== undefined && { subscriptionIdentifier: [Number(identifier)] }),
      ...(user !== '' && { userProperty }),
    },
  }
}

class MosquittoListener extends Listener {
  readonly proc: Proc
  private readonly isFive: boolean

  constructor(version: Version, args: readonly string[]) {
    super()
    this.isFive = version === '5.0'
    // Through stdbuf, or its output stays in its buffer as long as it is no terminal.
    this.proc = new Proc('stdbuf', ['-oL', 'mosquitto_sub', ...args])
    this.proc.onLine((line) => this.onLine(line))
  }

  private onLine(line: string): void {
    const one = (pattern: RegExp) => pattern.exec(line)?.[1]
    const [connack, granted, reason] = [
      one(/ received CONNACK \((\d+)\)/),
      one(/^Subscribed \(mid: \d+\): (.*)$/),
      one(/^Received DISCONNECT \((\d+)\)/),
    ]
    if (line.startsWith('{')) this.messages.push(messageOf(line))
    else if (connack !== undefined) this.code = Number(connack)
    else if (granted !== undefined) this.granted = granted.split(', ').map(Number)
    else if (/ received UNSUBACK/.test(line)) this.unsubscribed = true
    else if (/ received PINGRESP/.test(line)) this.pings++
    else if (/ sending SUBSCRIBE/.test(line))
      this.properties = { assignedClientIdentifier: one(/^Client (\S+) /) as string }
    else if (reason !== undefined) {
      this.end = { reason: Number(reason), properties: {} }
      this.proc.signal('SIGKILL')
    }
  }

  /** It connects again by itself. In 3.x it does not say before that it has lost its connection: it ends here. */
  override async ended() {
    if (this.isFive) return await super.ended()
    await this.proc.kill9()
    return { reason: null, properties: {} }
  }

  publish(): Promise<readonly number[]> {
    throw new Error('mosquitto_sub cannot publish')
  }

  pause(): void {
    this.proc.signal('SIGSTOP')
  }

  resume(): void {
    this.proc.signal('SIGCONT')
  }

  /** In 5.0 always with "Disconnect with Will Message". */
  async leave(): Promise<void> {
    await this.proc.terminate()
  }

  vanish(): void {
    this.proc.signal('SIGKILL')
  }
}

export class Mosquitto implements Program {
  readonly keepAliveMin = 5
  private readonly version: Version

  constructor(version: Version) {
    this.version = version
  }

  private argsOf({ port, id, clean, keepAlive, user, will, properties, goodbye }: Connect): string[] {
    const { sessionExpiryInterval: expiry, ...rest } = properties
    return [
      ...['-h', '127.0.0.1', '-p', String(port), '-V', NAMES[this.version], '-d', '-k', String(keepAlive)],
      ...(id === '' ? [] : ['-i', id]),
      ...(clean ? [] : ['-c']),
      ...(user === null ? [] : ['-u', user.name, '-P', user.password]),
      ...(will === null ? [] : ['--will-topic', will.topic, '--will-qos', String(will.qos)]),
      ...(will === null ? [] : ['--will-payload', will.payload, ...(will.retain ? ['--will-retain'] : [])]),
      ...(this.version === '5.0' && will !== null ? flagsOf('will', will.properties) : []),
      ...(expiry === undefined ? [] : ['-x', String(expiry)]),
      ...flagsOf('connect', rest),
      ...flagsOf('disconnect', goodbye),
    ]
  }

  async listen(connect: Connect, subscribe: Subscribe): Promise<Listener> {
    const { filters, unsubscribe, qos, retainAsPublished, retainHandling, identifier } = subscribe
    // It does not come without a filter.
    const all = filters.length === 0 ? [`${connect.id}/unused`] : filters
    const listener = new MosquittoListener(this.version, [
      ...this.argsOf(connect),
      ...['-F', FORMAT, '-q', String(qos)],
      ...all.flatMap((filter) => ['-t', filter]),
      ...unsubscribe.flatMap((filter) => ['-U', filter]),
      ...(retainAsPublished ? ['--retain-as-published'] : []),
      ...(retainHandling === 2 ? ['-R'] : []),
      ...(identifier === null ? [] : ['-D', 'subscribe', 'subscription-identifier', String(identifier)]),
    ])
    await until(
      () => (listener.granted !== null && (unsubscribe.length === 0 || listener.unsubscribed)) || undefined,
      () => `SUBACK and UNSUBACK of mosquitto_sub:\n${listener.proc.log}`,
    )
    return listener
  }

  async publish(connect: Connect, { topic, payloads, qos, retain, properties }: Publish): Promise<Sent> {
    const [first = ''] = payloads
    const lines = payloads.length > 1
    const proc = new Proc('mosquitto_pub', [
      ...this.argsOf(connect),
      ...['-t', topic, '-q', String(qos), lines ? '-l' : first === '' ? '-n' : '-s'],
      ...(retain ? ['-r'] : []),
      ...flagsOf('publish', properties),
    ])
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    proc.child.once('close', () => resolve())
    proc.child.stdin?.end(lines ? payloads.map((payload) => `${payload}\n`).join('') : first)
    await closed
    const connack = / received CONNACK \((\d+)\)/.exec(proc.log)?.[1]
    if (connack === undefined) throw new Error(`mosquitto_pub:\n${proc.log}`)
    const acks = [...proc.log.matchAll(/ received PUBACK \(Mid: \d+, RC:(\d+)\)/g)].map((match) => Number(match[1]))
    return { connack: Number(connack), acks }
  }

  async ask(connect: Connect, { topic, answers, text }: Question): Promise<Message> {
    const proc = new Proc('stdbuf', [
      ...['-oL', 'mosquitto_rr', ...this.argsOf(connect), '-F', FORMAT],
      ...['-t', topic, '-e', answers, '-m', text, '-q', '1'],
      ...(this.version === '5.0' ? flagsOf('publish', { correlationData: text }) : []),
    ])
    let answer: Message | undefined
    proc.onLine((line) => {
      if (line.startsWith('{')) answer = messageOf(line)
    })
    return await until(
      () => answer,
      () => `an answer for mosquitto_rr:\n${proc.log}`,
    )
  }
}
