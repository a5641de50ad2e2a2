// ClientFlags: the flags that `tandemq pub` and `sub` share, named as mosquitto's, into what a client connects with.
import process from 'node:process'
import { utf8 } from '../../base/bytes.ts'
import { OperatorFault } from '../../base/fault.ts'
import { validTopicName } from '../../topic/name.ts'
import type { ConnectFields, WillFields } from '../../wire/client_encoder.ts'
import { type QoS, SESSION_NEVER_EXPIRES, type Version } from '../../wire/packet.ts'
import { type Flag, parseArguments, type Values } from '../arguments.ts'
import type { Described } from '../help.ts'
import { type ClientProperties, takeProperties } from './client_properties.ts'

export const CLIENT_FLAGS: readonly (Described & Flag)[] = [
  { name: 'host', short: 'h', value: 'HOST', help: 'broker (default localhost)' },
  { name: 'port', short: 'p', value: 'PORT', help: 'its port (default 1883, with --ws 8083)' },
  { name: 'ws', value: null, help: 'over WebSocket, at the path /mqtt' },
  {
    name: 'url',
    short: 'L',
    value: 'URL',
    help: 'mqtt:// or ws://[user[:password]@]host[:port]/topic, for all of these at once',
  },
  { name: 'topic', short: 't', value: 'TOPIC', help: 'topic; sub: filter, repeatable', list: true },
  { name: 'qos', short: 'q', value: 'QOS', help: 'quality of service 0, 1 or 2 (default 0)' },
  { name: 'id', short: 'i', value: 'ID', help: 'client identifier (default: a random one)' },
  { name: 'id-prefix', short: 'I', value: 'PREFIX', help: 'client identifier: this and the process id' },
  { name: 'keepalive', short: 'k', value: 'SECONDS', help: 'keep alive (default 60)' },
  { name: 'username', short: 'u', value: 'NAME', help: 'user name' },
  { name: 'pw', short: 'P', value: 'PASSWORD', help: 'password' },
  { name: 'disable-clean-session', short: 'c', value: null, help: 'keep the session; needs --id' },
  {
    name: 'session-expiry-interval',
    short: 'x',
    value: 'SECONDS',
    help: 'life of the session without connection; implies MQTT 5.0',
  },
  { name: 'protocol-version', short: 'V', value: 'VERSION', help: '31, 311 or 5 (default 311)' },
  { name: 'will-topic', value: 'TOPIC', help: 'topic of the will' },
  { name: 'will-payload', value: 'TEXT', help: 'its payload' },
  { name: 'will-qos', value: 'QOS', help: 'its quality of service' },
  { name: 'will-retain', value: null, help: 'retain it' },
  { name: 'debug', short: 'd', value: null, help: 'say on stderr what is sent and received' },
  { name: 'quiet', value: null, help: 'no error messages' },
]

export const PROPERTY_HELP: Described = {
  name: 'property',
  short: 'D',
  value: 'COMMAND PROPERTY VALUE',
  help: 'MQTT 5.0 property',
}

const PORT_TCP = 1883
const PORT_WS = 8083
/** The runtimes' timers hold 31 bits of milliseconds, and fire at once beyond them. */
const TIMER_SECONDS_MAX = 2_147_483

/** Flags of mosquitto's that are refused by name instead of as unknown. */
const PLANNED = ['cafile', 'capath', 'cert', 'key', 'insecure', 'tls-version', 'tls-alpn', 'psk', 'unix', 'srv']

export type ClientArguments = {
  readonly host: string
  readonly port: number
  /** Over WebSocket. */
  readonly ws: boolean
  readonly topics: readonly string[]
  readonly qos: QoS
  readonly connect: ConnectFields
  readonly properties: ClientProperties
  readonly debug: boolean
  readonly quiet: boolean
  /** The command's own flags. */
  readonly values: Values
}

/** @throws {OperatorFault} */
export function readClientArguments(command: string, args: readonly string[], own: readonly Flag[]): ClientArguments {
  const { rest, properties } = takeProperties(args)
  for (const arg of rest) {
    if (PLANNED.some((name) => arg === `--${name}`)) throw new OperatorFault(`${arg} is not supported yet`)
  }
  const values = parseArguments(command, rest, [...CLIENT_FLAGS, ...own])
  const url = readUrl(values.get('url')?.[0])
  const word = (name: string) => values.get(name)?.[0]
  const qos = readQos(word('qos'), '--qos')
  const version = readVersion(word('protocol-version'), properties !== null || values.has('session-expiry-interval'))
  const more: ClientProperties = properties ?? { connect: {}, publish: {}, will: {}, subscribe: {} }
  const ws = values.has('ws') || url?.ws === true
  const topics = [...(values.get('topic') ?? []), ...(url?.topic === undefined ? [] : [url.topic])]
  return {
    host: word('host') ?? url?.host ?? 'localhost',
    port: readInt(word('port'), '--port', 1, 65_535) ?? url?.port ?? (ws ? PORT_WS : PORT_TCP),
    ws,
    topics,
    qos,
    connect: { ...readConnect(values, version, url), ...more.connect },
    properties: more,
    debug: values.has('debug'),
    quiet: values.has('quiet'),
    values,
  }

  function readConnect(values: Values, version: Version, url: Url | null): ConnectFields {
    const keeps = values.has('disable-clean-session')
    const id = word('id')
    if (keeps && id === undefined)
      throw new OperatorFault('--disable-clean-session needs --id: a session is found by its client identifier')
    if (id !== undefined && values.has('id-prefix')) throw new OperatorFault('--id and --id-prefix exclude each other')
    const password = word('pw') ?? url?.password
    const expiry = readInt(word('session-expiry-interval'), '--session-expiry-interval', 0, SESSION_NEVER_EXPIRES)
    return {
      version,
      clientId: id ?? `${word('id-prefix') ?? 'tandemq-'}${word('id-prefix') === undefined ? randomId() : process.pid}`,
      cleanStart: !keeps,
      keepAlive: readInt(word('keepalive'), '--keepalive', 0, 65_535) ?? 60,
      username: word('username') ?? url?.username,
      password: password === undefined ? undefined : utf8(password),
      will: readWill(values, more.will),
      sessionExpiry: version === 5 ? (expiry ?? (keeps ? SESSION_NEVER_EXPIRES : undefined)) : undefined,
    }
  }
}

function readWill(values: Values, properties: ClientProperties['will']): WillFields | undefined {
  const topic = values.get('will-topic')?.[0]
  if (topic === undefined) {
    const stray = ['will-payload', 'will-qos', 'will-retain'].find((name) => values.has(name))
    if (stray !== undefined) throw new OperatorFault(`--${stray} needs --will-topic`)
    return undefined
  }
  if (!validTopicName(topic)) throw new OperatorFault(`--will-topic: "${topic}" is not a topic name`)
  return {
    topic,
    payload: utf8(values.get('will-payload')?.[0] ?? ''),
    qos: readQos(values.get('will-qos')?.[0], '--will-qos'),
    retain: values.has('will-retain'),
    ...properties,
  }
}

type Url = { ws: boolean; host: string; port?: number; topic?: string; username?: string; password?: string }

function readUrl(text: string | undefined): Url | null {
  if (text === undefined) return null
  if (/^(mqtts|wss):/.test(text)) throw new OperatorFault(`--url: ${text.replace(/:.*/s, '')} is not supported yet`)
  const found = /^(mqtt|ws):\/\/(?:([^@/]*)@)?(\[[^\]/]+\]|[^:/]+)(?::(\d+))?(?:\/(.*))?$/s.exec(text)
  if (found === null)
    throw new OperatorFault(`--url: "${text}" is not of the form mqtt:// or ws://[user[:password]@]host[:port]/topic`)
  const [username, ...password] = (found[2] ?? '').split(':')
  const port = readInt(found[4], '--url', 1, 65_535)
  return {
    ws: found[1] === 'ws',
    host: (found[3] as string).replace(/^\[|\]$/g, ''),
    ...(port === undefined ? {} : { port }),
    ...(found[5] ? { topic: found[5] } : {}),
    ...(username ? { username: decoded(username) } : {}),
    ...(password.length > 0 ? { password: decoded(password.join(':')) } : {}),
  }
}

/** Names no text: it may be a password. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new OperatorFault('--url: in user name and password a % stands as %25')
  }
}

function readVersion(text: string | undefined, needs5: boolean): Version {
  const versions: Record<string, Version> = { 31: 3, mqttv31: 3, 311: 4, mqttv311: 4, 5: 5, mqttv5: 5 }
  const version = text === undefined ? (needs5 ? 5 : 4) : versions[text.toLowerCase()]
  if (version === undefined) throw new OperatorFault(`--protocol-version: "${text}" is not 31, 311 or 5`)
  if (needs5 && version !== 5) throw new OperatorFault(`--protocol-version: properties and session expiry came with 5`)
  return version
}

function readQos(text: string | undefined, flag: string): QoS {
  return (readInt(text, flag, 0, 2) ?? 0) as QoS
}

/** @throws {OperatorFault} */
export function readInt(text: string | undefined, flag: string, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const n = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (n >= min && n <= max) return n
  throw new OperatorFault(`${flag}: "${text}" is not a whole number from ${min} to ${max}`)
}

/** Seconds with a fraction, as milliseconds. */
export function readSeconds(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new OperatorFault(`${flag}: "${text}" is not a number of seconds`)
  if (Number(text) > TIMER_SECONDS_MAX)
    throw new OperatorFault(`${flag}: "${text}" is more than ${TIMER_SECONDS_MAX} seconds, 24 days`)
  return Number(text) * 1000
}

function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => (byte % 36).toString(36)).join('')
}
