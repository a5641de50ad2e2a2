// Sub: `tandemq sub`, with mosquitto_sub's flags: one line per message, and a connection that comes back by itself.
import process from 'node:process'
import { ByteWriter } from '../../base/bytes.ts'
import { OperatorFault } from '../../base/fault.ts'
import { pipesWs } from '../../host/sockets/pipe_ws.ts'
import { loadPipes } from '../../host/sockets/runtime.ts'
import { matches, validFilter } from '../../topic/name.ts'
import type { Delivery } from '../../wire/client_decoder.ts'
import type { SubscribeFields } from '../../wire/client_encoder.ts'
import type { Flag } from '../arguments.ts'
import { Failure } from '../failure.ts'
import { commandHelp, type Described } from '../help.ts'
import { writeOut } from '../output.ts'
import { refusalText } from '../refusal.ts'
import {
  CLIENT_FLAGS,
  type ClientArguments,
  PROPERTY_HELP,
  readClientArguments,
  readInt,
  readSeconds,
} from './client_flags.ts'
import { MqttClient } from './mqtt_client.ts'
import { type Format, parseFormat, plainFormat, verboseFormat } from './sub_format.ts'

const FLAGS: readonly (Described & Flag)[] = [
  { name: 'count', short: 'C', value: 'N', help: 'end after N messages' },
  { name: 'exit-after-subscribe', short: 'E', value: null, help: 'end when the server has taken the subscription' },
  { name: 'timeout', short: 'W', value: 'SECONDS', help: 'end after this time, with exit code 27' },
  { name: 'verbose', short: 'v', value: null, help: 'print the topic before the message' },
  {
    name: 'format',
    short: 'F',
    value: 'FORMAT',
    help: '%t topic, %p payload, %q QoS, %r retain, %l length, %x hex, %j JSON …',
  },
  { name: 'no-eol', short: 'N', value: null, help: 'no end of line behind a message' },
  { name: 'no-retained', short: 'R', value: null, help: 'leave out retained messages' },
  { name: 'retained-only', value: null, help: 'retained messages only; ends at the first other one' },
  { name: 'retain-as-published', value: null, help: 'keep the retain flag of the publisher; MQTT 5.0' },
  { name: 'retain-handling', value: 'WHEN', help: 'retained messages: always, new or never; MQTT 5.0' },
  { name: 'filter-out', short: 'T', value: 'FILTER', help: 'leave out matching topics, repeatable', list: true },
  {
    name: 'unsubscribe',
    short: 'U',
    value: 'FILTER',
    help: 'end a subscription of the session, repeatable',
    list: true,
  },
]
const EXIT_TIMEOUT = 27
const RETAIN_HANDLING = { always: 0, new: 1, never: 2 } as const

export async function sub(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(
      commandHelp('sub [OPTIONS] -t FILTER', 'Prints messages as they arrive.', [
        ...FLAGS,
        ...CLIENT_FLAGS,
        PROPERTY_HELP,
      ]),
    )
    return
  }
  const given = readClientArguments('sub', args, FLAGS)
  const unsubscribe = given.values.get('unsubscribe') ?? []
  if (given.topics.length + unsubscribe.length === 0) throw new OperatorFault('--topic: is missing')
  for (const [flag, filters] of [
    ['--topic', given.topics],
    ['--filter-out', given.values.get('filter-out') ?? []],
    ['--unsubscribe', unsubscribe],
  ] as const) {
    for (const filter of filters)
      if (!validFilter(filter)) throw new OperatorFault(`${flag}: "${filter}" is not a topic filter`)
  }
  await new Subscriber(given).run()
}

class Subscriber {
  private readonly given: ClientArguments
  private readonly format: Format
  private readonly eol: boolean
  private readonly skipped: readonly string[]
  private readonly subscriptions: readonly SubscribeFields[]
  private readonly out = new ByteWriter(4096)
  private readonly ended = Promise.withResolvers<void>()
  private client!: MqttClient
  private left: number
  /** Enough has come: end once it is acknowledged. */
  private enough = false

  constructor(given: ClientArguments) {
    this.given = given
    const { values, qos } = given
    const format = values.get('format')?.[0]
    this.format = format === undefined ? (values.has('verbose') ? verboseFormat : plainFormat) : parseFormat(format)
    this.eol = !values.has('no-eol')
    this.skipped = values.get('filter-out') ?? []
    this.left = readInt(values.get('count')?.[0], '--count', 1, 2 ** 40) ?? Number.POSITIVE_INFINITY
    const handling = values.get('retain-handling')?.[0] ?? 'always'
    if (!Object.hasOwn(RETAIN_HANDLING, handling))
      throw new OperatorFault(`--retain-handling: "${handling}" is not always, new or never`)
    const retainHandling = RETAIN_HANDLING[handling as keyof typeof RETAIN_HANDLING]
    const retainAsPublished = values.has('retain-as-published')
    this.subscriptions = given.topics.map((filter) => ({ filter, qos, retainHandling, retainAsPublished }))
  }

  async run(): Promise<void> {
    const { host, port, ws, connect, values, debug } = this.given
    const timeoutMs = readSeconds(values.get('timeout')?.[0], '--timeout')
    const timer =
      timeoutMs === undefined ? null : setTimeout(() => this.fail(new Failure('timed out', EXIT_TIMEOUT)), timeoutMs)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => this.end())
    this.client = new MqttClient({ host, port }, connect, ws ? pipesWs : await loadPipes(), {
      onConnected: (sessionPresent, again) => this.onConnected(sessionPresent, again),
      onMessage: (message) => this.onMessage(message),
      onSuback: (codes, words) => this.onSuback(codes, words),
      onPublished: () => {},
      onBatch: () => this.onBatch(),
      onDrain: () => {},
      onFailed: (failure) => this.fail(failure),
      debug: (text) => {
        if (debug) process.stderr.write(`${text}\n`)
      },
    })
    this.client.start()
    try {
      await this.ended.promise
    } finally {
      if (timer !== null) clearTimeout(timer)
    }
  }

  private onConnected(sessionPresent: boolean, again: boolean): void {
    const unsubscribe = this.given.values.get('unsubscribe') ?? []
    if (again && sessionPresent) return
    if (unsubscribe.length > 0) this.client.unsubscribe(unsubscribe)
    const id = this.given.properties.subscribe.subscriptionId ?? 0
    if (this.subscriptions.length > 0) this.client.subscribe(this.subscriptions, id)
  }

  private onSuback(codes: readonly number[], words?: string): void {
    const { connect, quiet, topics, values } = this.given
    const refused = codes.flatMap((code, i) =>
      code >= 0x80 ? [`${topics[i]} (${refusalText(code, connect.version)})`] : [],
    )
    const more = words === undefined ? '' : `: ${words}`
    if (refused.length > 0 && !quiet)
      process.stderr.write(`tandemq: subscription refused: ${refused.join(', ')}${more}\n`)
    if (refused.length === codes.length) this.fail(new Failure(''))
    else if (values.has('exit-after-subscribe')) this.enough = true
  }

  private onMessage(message: Delivery): boolean {
    if (this.enough) return false
    const { values } = this.given
    if (values.has('retained-only') && !message.retain) {
      this.enough = true
      return false
    }
    if (values.has('no-retained') && message.retain) return true
    if (this.skipped.some((filter) => matches(filter, message.topic))) return true
    this.format(this.out, message, new Date())
    if (this.eol) this.out.u8(0x0a)
    this.left--
    if (this.left === 0) this.enough = true
    return true
  }

  /** Printed first, acknowledged afterwards. */
  private onBatch(): void {
    writeOut(this.out.view())
    this.out.clear()
    if (this.enough) this.end()
  }

  private end(): void {
    this.client.end()
    this.ended.resolve()
  }

  private fail(failure: Failure): void {
    this.client.end()
    this.ended.reject(this.given.quiet ? new Failure('', failure.exitCode) : failure)
  }
}
