// Pub: `tandemq pub`, with mosquitto_pub's flags. Ends when the server has taken every message.
import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { NO_BYTES, utf8 } from '../../base/bytes.ts'
import { OperatorFault } from '../../base/fault.ts'
import { pipesWs } from '../../host/sockets/pipe_ws.ts'
import { loadPipes } from '../../host/sockets/runtime.ts'
import { validTopicName } from '../../topic/name.ts'
import { encodeMessageProps } from '../../wire/message_props.ts'
import type { Flag } from '../arguments.ts'
import { Failure } from '../failure.ts'
import { commandHelp, type Described } from '../help.ts'
import { refusalText } from '../refusal.ts'
import {
  CLIENT_FLAGS,
  type ClientArguments,
  PROPERTY_HELP,
  readClientArguments,
  readInt,
  readSeconds,
} from './client_flags.ts'
import { type ClientEvents, MqttClient } from './mqtt_client.ts'
import type { Message } from './mqtt_outbox.ts'

const FLAGS: readonly (Described & Flag)[] = [
  { name: 'message', short: 'm', value: 'TEXT', help: 'the message' },
  { name: 'file', short: 'f', value: 'FILE', help: 'the message is what is in FILE' },
  { name: 'stdin-line', short: 'l', value: null, help: 'each line of stdin is a message' },
  { name: 'stdin-file', short: 's', value: null, help: 'all of stdin is the message' },
  { name: 'null-message', short: 'n', value: null, help: 'an empty message (with -r: deletes the retained one)' },
  { name: 'retain', short: 'r', value: null, help: 'retain the message' },
  { name: 'repeat', value: 'N', help: 'send it N times' },
  { name: 'repeat-delay', value: 'SECONDS', help: 'wait between two of them' },
]
const SOURCES = ['message', 'file', 'stdin-line', 'stdin-file', 'null-message']
/** Messages read ahead of the server. */
const PENDING_MAX = 1000
/** Bytes read ahead of the connection: with QoS 0 nothing else says how fast the server is. */
const BACKLOG_BYTES_MAX = 1024 * 1024

export async function pub(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(
      commandHelp('pub [OPTIONS] -t TOPIC -m TEXT', 'Publishes messages.', [...FLAGS, ...CLIENT_FLAGS, PROPERTY_HELP]),
    )
    return
  }
  const given = readClientArguments('pub', args, FLAGS)
  const [topic, ...more] = given.topics
  if (topic === undefined || more.length > 0)
    throw new OperatorFault(`--topic: ${topic === undefined ? 'is missing' : 'pub takes one'}`)
  if (!validTopicName(topic)) throw new OperatorFault(`--topic: "${topic}" is not a topic to publish to`)
  const sources = SOURCES.filter((name) => given.values.has(name))
  if (sources.length !== 1)
    throw new OperatorFault('give one of --message, --file, --stdin-line, --stdin-file and --null-message')
  await new Publisher(given, topic).run(sources[0] as string)
}

class Publisher {
  private readonly given: ClientArguments
  private readonly topic: string
  private client!: MqttClient
  private readonly connected = Promise.withResolvers<void>()
  private readonly failed = Promise.withResolvers<never>()
  private onRoom: (() => void) | null = null
  private refused: string | null = null

  constructor(given: ClientArguments, topic: string) {
    this.given = given
    this.topic = topic
    this.failed.promise.catch(() => {})
  }

  async run(source: string): Promise<void> {
    const { host, port, ws, connect, values } = this.given
    const repeat = readInt(values.get('repeat')?.[0], '--repeat', 1, 2 ** 40) ?? 1
    const delayMs = readSeconds(values.get('repeat-delay')?.[0], '--repeat-delay') ?? 0
    const payload = source === 'stdin-line' || source === 'stdin-file' ? null : this.payload(source)
    this.client = new MqttClient({ host, port }, connect, ws ? pipesWs : await loadPipes(), this.events())
    this.client.start()
    await this.orFail(this.connected.promise)
    if (source === 'stdin-line') await this.whileReading(this.sendLines())
    else {
      const bytes = payload ?? (await this.whileReading(readAll(process.stdin)))
      for (let i = 0; i < repeat; i++) {
        if (i > 0 && delayMs > 0) await this.orFail(new Promise<void>((resolve) => setTimeout(resolve, delayMs)))
        await this.send(bytes)
      }
    }
    while (this.client.pending > 0) await this.orFail(this.room())
    this.client.end()
    if (this.refused !== null) throw new Failure(this.given.quiet ? '' : this.refused)
  }

  private async sendLines(): Promise<void> {
    for await (const line of lines(process.stdin)) await this.send(line)
  }

  /** Once the connection has failed for good nobody waits for stdin, though it cannot be told: on Deno its read holds the process. */
  private async whileReading<T>(work: Promise<T>): Promise<T> {
    try {
      return await this.orFail(work)
    } catch (error) {
      setImmediate(() => process.exit()) // behind what is said of it, with the exit code that is set then
      throw error
    }
  }

  private payload(source: string): Uint8Array {
    const { values } = this.given
    if (source === 'message') return utf8(values.get('message')?.[0] ?? '')
    if (source === 'null-message') return NO_BYTES
    const file = values.get('file')?.[0] ?? ''
    try {
      return readFileSync(file)
    } catch (error) {
      throw new OperatorFault(`--file: cannot read ${file} (${(error as { code?: string }).code ?? error})`)
    }
  }

  private async send(payload: Uint8Array): Promise<void> {
    const { qos, properties, values, connect } = this.given
    const { expiry = -1, topicAlias = 0, ...props } = properties.publish
    const message: Message = {
      topic: this.topic,
      payload,
      qos,
      retain: values.has('retain'),
      props: connect.version === 5 ? encodeMessageProps(props) : null,
      expiry,
      topicAlias,
    }
    this.client.publish(message)
    while (this.client.pending > PENDING_MAX || this.client.backlog > BACKLOG_BYTES_MAX) await this.orFail(this.room())
  }

  private room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.onRoom = resolve
    return promise
  }

  private makeRoom(): void {
    this.onRoom?.()
    this.onRoom = null
  }

  private orFail<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.failed.promise])
  }

  private events(): ClientEvents {
    const { quiet, debug, connect } = this.given
    return {
      onConnected: () => this.connected.resolve(),
      onMessage: () => true,
      onSuback: () => {},
      onPublished: (message, reason, words) => {
        if (reason >= 0x80)
          this.refused = `the server refused the message on ${message.topic}: ${refusalText(reason, connect.version, words)}`
        this.makeRoom()
      },
      onBatch: () => {},
      onDrain: () => this.makeRoom(),
      onFailed: (failure) => {
        this.client.end()
        this.failed.reject(quiet ? new Failure('', failure.exitCode) : failure)
      },
      debug: (text) => {
        if (debug) process.stderr.write(`${text}\n`)
      },
    }
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Lines without their ends; empty ones are left out. */
async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = NO_BYTES
  for await (const chunk of stream) {
    const all = held.length === 0 ? new Uint8Array(chunk) : new Uint8Array(Buffer.concat([held, chunk]))
    let start = 0
    for (let end = all.indexOf(0x0a); end !== -1; end = all.indexOf(0x0a, start)) {
      const line = all.slice(start, all[end - 1] === 0x0d ? end - 1 : end)
      if (line.length > 0) yield line
      start = end + 1
    }
    held = all.slice(start)
  }
  if (held.length > 0) yield held
}
