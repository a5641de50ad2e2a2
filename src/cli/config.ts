// Config: settings as texts into what the node and the host are started with; every value is checked here, and a wrong one is
// one sentence that names its flag. Opens no sockets; reads the secret's file.
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeConfig } from '../core/ports.ts'
import { isLoopback, parseDial, parseListen } from '../host/address.ts'
import type { HostConfig } from '../host/host.ts'
import { NODE_NAME } from '../host/link/handshake.ts'
import { LOG_LEVELS } from '../host/log.ts'
import { AclFile } from '../host/users/acl_file.ts'
import { PasswordFile } from '../host/users/password_file.ts'
import { SHARED_STRATEGIES } from '../topic/share_group.ts'
import { memoryShare } from './memory.ts'
import { SETTINGS } from './settings.ts'
import { type Environment, type GivenSettings, readSources } from './sources.ts'
import { VERSION } from './version.ts'

export type Config = { readonly node: NodeConfig; readonly host: HostConfig; readonly testOnly: boolean }

const PORT_MQTT = '1883'
const PORT_CLUSTER = 7883
const ADMIN_DEFAULT = '127.0.0.1:18083'
const DATA_DEFAULT = './tandemq-data'
const SECRET_BYTES_MAX = 4096
const TEXT_LENGTH_MAX = 256
const ACK_LEVELS = ['peer-ram', 'peer-write', 'peer-disk', 'both-disk'] as const
const DAY_MS = 86_400_000
/** A terabyte: more is a slip. */
const BYTES_MOST = 2 ** 40
const QUEUE_FULL = ['drop-newest', 'drop-oldest', 'disconnect'] as const

/** @throws {OperatorFault} */
export function readConfig(args: readonly string[], environment: Environment): Config {
  const settings = new Settings(readSources(args, environment))
  const pair = readPair(settings)
  const acl = readAcl(settings)
  const name = settings.text('name') ?? `${hostname()}-${pair?.cluster.port ?? PORT_CLUSTER}`
  if (!NODE_NAME.test(name)) {
    throw settings.fault('name', `"${name}" is not a name of up to 64 letters, digits and . _ - : @`)
  }
  return {
    testOnly: settings.on('test-config'),
    node: readNode(settings, name, pair !== null, acl),
    host: {
      listen: (settings.texts('listen') ?? [PORT_MQTT]).map((text) => parseListen(text, settings.label('listen'))),
      listenWs: (settings.texts('listen-ws') ?? []).map((text) => parseListen(text, settings.label('listen-ws'))),
      wsOrigins: readOrigins(settings),
      pair,
      dataDir: settings.on('no-data') ? null : (settings.text('data') ?? DATA_DEFAULT),
      admin: parseListen(settings.text('admin') ?? ADMIN_DEFAULT, settings.label('admin')),
      proxyProtocol: settings.on('proxy-protocol'),
      passwords: readPasswords(settings),
      acl,
      logLevel: settings.oneOf('log-level', LOG_LEVELS, 'info'),
      logFormat: settings.oneOf('log-format', ['text', 'json'], 'text'),
    },
  }
}

function readNode(settings: Settings, name: string, paired: boolean, acl: AclFile | null): NodeConfig {
  const suspectMs = settings.int('suspect-ms', 100, DAY_MS, LIMITS.suspectMs)
  const soloMs = settings.int('solo-ms', 100, DAY_MS, LIMITS.soloMs)
  if (suspectMs >= soloMs)
    throw settings.fault('suspect-ms', `must be smaller than --solo-ms (${suspectMs} and ${soloMs})`)
  return {
    name,
    paired,
    ack: settings.oneOf('ack', ACK_LEVELS, 'peer-ram'),
    partition: readPartition(settings),
    bootstrap: settings.on('bootstrap'),
    suspectMs,
    soloMs,
    stuckMs: Math.max(LIMITS.stuckMs, 2 * soloMs),
    bootWaitMs: settings.int('boot-wait-ms', 0, DAY_MS, LIMITS.bootWaitMs),
    willGraceMs: settings.int('will-grace-ms', 0, DAY_MS, LIMITS.willGraceMs),
    claimTimeoutMs: LIMITS.claimTimeoutMs,
    flushMs: LIMITS.flushMs,
    groupBytesMost: LIMITS.groupBytesMost,
    allowAnonymous: settings.on('allow-anonymous'),
    access: acl?.rules ?? null,
    packetBytesMax: settings.int('max-packet-bytes', 128, LIMITS.packetBytesMost, LIMITS.packetBytesMax),
    queuedMessagesMax: settings.int('max-queued-messages', 1, 100_000_000, LIMITS.queuedMessagesMax),
    queuedBytesMax: settings.int('max-queued-bytes', 1024, BYTES_MOST, LIMITS.queuedBytesMax),
    queueFull: settings.oneOf('queue-full', QUEUE_FULL, 'drop-newest'),
    queueQos0: settings.on('queue-qos0'),
    queuedBytesTotalMax: settings.int(
      'max-queued-bytes-total',
      2 ** 20,
      BYTES_MOST,
      memoryShare(LIMITS.queuedBytesTotalMax),
    ),
    connectionsMax: settings.int('max-connections', 1, LIMITS.connectionsMax, LIMITS.connectionsMax),
    connectTimeoutMs: settings.int('connect-timeout-ms', 100, DAY_MS, LIMITS.connectTimeoutMs),
    receiveMaximum: settings.int('receive-maximum', 1, 65_535, LIMITS.receiveMaximum),
    inflightMax: settings.int('max-inflight-messages', 1, LIMITS.inflightMax, 0),
    subscriptionsMax: settings.int('max-subscriptions', 0, 10_000_000, LIMITS.subscriptionsPerSessionMax),
    topicLevelsMax: settings.int('max-topic-levels', 1, LIMITS.topicLevelsMax, LIMITS.topicLevelsMax),
    topicBytesMax: settings.int('max-topic-bytes', 1, LIMITS.topicBytesMax, LIMITS.topicBytesMax),
    clientIdBytesMax: settings.int('max-client-id-bytes', 1, 65_535, LIMITS.clientIdBytesMax),
    clientIdPattern: settings.pattern('client-id-pattern'),
    retainedMessagesMax: settings.int('max-retained-messages', 0, 100_000_000, LIMITS.retainedMessagesMax),
    retainedBytesMax: settings.int('max-retained-bytes', 0, BYTES_MOST, memoryShare(LIMITS.retainedBytesMax)),
    sessionExpiryMax: settings.int('max-session-expiry', 0, LIMITS.sessionExpiryMax, LIMITS.sessionExpiryMax),
    keepAliveMax: settings.int('max-keep-alive', 0, 65_535, 0),
    qosMax: settings.int('max-qos', 0, 2, 2) as 0 | 1 | 2,
    retainAvailable: !settings.on('no-retained'),
    validatePayload: settings.on('validate-utf8-payload'),
    responseInformation: readText(settings, 'response-information'),
    serverReference: readText(settings, 'server-reference'),
    topicAliasMaximum: settings.int('topic-alias-maximum', 0, 65_535, LIMITS.topicAliasMaximum),
    sharedStrategy: settings.oneOf('shared-strategy', SHARED_STRATEGIES, 'round-robin'),
    sysIntervalMs: 1000 * settings.int('sys-interval', 0, DAY_MS / 1000, LIMITS.sysIntervalMs / 1000),
    nonce: random32(),
    seed: random32(),
    mutations: new Set(),
    version: VERSION,
  }
}

/** A text that goes to clients in a packet. */
function readText(settings: Settings, name: string): string | null {
  const text = settings.text(name)
  if (text !== null && (text.length > TEXT_LENGTH_MAX || /\p{Cc}/u.test(text)))
    throw settings.fault(name, `must be at most ${TEXT_LENGTH_MAX} characters, without control characters`)
  return text
}

function readPartition(settings: Settings): NodeConfig['partition'] {
  const text = settings.text('partition') ?? 'available'
  if (text === 'available' || text === 'stall') return text
  const found = /^prefer:(.+)$/.exec(text)
  if (found === null) throw settings.fault('partition', `"${text}" is not available, stall or prefer:NAME`)
  return { prefer: found[1] as string }
}

/** As browsers send them: lower case, no port where it is the scheme's own, no path. */
function readOrigins(settings: Settings): string[] {
  const texts = settings.texts('ws-origin') ?? []
  if (texts.length > 0 && settings.texts('listen-ws') === null)
    throw settings.fault('ws-origin', '--listen-ws is missing: without WebSocket it has no meaning')
  return texts.map((text) => {
    if (text === 'null') return text // what browsers say of a page that is a file
    if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/i.test(text))
      throw settings.fault('ws-origin', `"${text}" is not an origin of the form https://HOST[:PORT]`)
    return text.toLowerCase().replace(/^(http:\/\/.*):80$|^(https:\/\/.*):443$/, '$1$2')
  })
}

function readPair(settings: Settings): HostConfig['pair'] {
  const peerText = settings.text('peer')
  if (peerText === null) {
    for (const name of ['cluster', 'cluster-secret-file', 'server-reference']) {
      if (settings.text(name) !== null)
        throw settings.fault(name, '--peer is missing: without the other node it has no meaning')
    }
    return null
  }
  const peer = parseDial(peerText, settings.label('peer'), PORT_CLUSTER)
  const cluster = parseListen(settings.text('cluster') ?? String(PORT_CLUSTER), settings.label('cluster'))
  const file = settings.text('cluster-secret-file')
  if (file === null && !(isLoopback(peer.host) && cluster.host !== null && isLoopback(cluster.host))) {
    throw new OperatorFault(
      '--cluster-secret-file is required unless both cluster addresses are loopback (--cluster 127.0.0.1:PORT)',
    )
  }
  return { peer, cluster, secret: file === null ? null : readSecret(file, settings.label('cluster-secret-file')) }
}

function readPasswords(settings: Settings): PasswordFile | null {
  const file = settings.text('password-file')
  return file === null ? null : new PasswordFile(file, settings.label('password-file'))
}

function readAcl(settings: Settings): AclFile | null {
  const file = settings.text('acl-file')
  return file === null ? null : new AclFile(file, settings.label('acl-file'))
}

/** The file's bytes without white space at the end, which editors add. */
function readSecret(file: string, label: string): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new OperatorFault(`${label}: cannot read ${file} (${(error as { code?: string }).code ?? error})`)
  }
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] as number) <= 0x20) end--
  if (end === 0) throw new OperatorFault(`${label}: ${file} is empty`)
  if (end > SECRET_BYTES_MAX) throw new OperatorFault(`${label}: ${file} has more than ${SECRET_BYTES_MAX} bytes`)
  return new Uint8Array(bytes.subarray(0, end))
}

function random32(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number
}

/** Settings with their texts turned into values. */
class Settings {
  private readonly given: GivenSettings

  constructor(given: GivenSettings) {
    this.given = given
    for (const { name, group } of SETTINGS) {
      if (group === 'planned' && given.has(name)) throw new OperatorFault(`${this.label(name)} is not supported yet`)
    }
  }

  label(name: string): string {
    return this.given.get(name)?.label ?? `--${name}`
  }

  fault(name: string, what: string): OperatorFault {
    return new OperatorFault(`${this.label(name)}: ${what}`)
  }

  on(name: string): boolean {
    return this.given.has(name)
  }

  texts(name: string): readonly string[] | null {
    return this.given.get(name)?.texts ?? null
  }

  text(name: string): string | null {
    const text = this.texts(name)?.[0] ?? null
    if (text === '') throw this.fault(name, 'the value is empty')
    return text
  }

  int(name: string, min: number, max: number, initial: number): number {
    const text = this.text(name)
    if (text === null) return initial
    const n = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (n >= min && n <= max) return n
    throw this.fault(name, `"${text}" is not a whole number from ${min} to ${max}`)
  }

  /** A regular expression that the whole text must match; null: none. */
  pattern(name: string): RegExp | null {
    const text = this.text(name)
    if (text === null) return null
    try {
      return new RegExp(`^(?:${text})$`, 'u')
    } catch {
      throw this.fault(name, `"${text}" is not a regular expression`)
    }
  }

  oneOf<T extends string>(name: string, choices: readonly T[], initial: T): T {
    const text = this.text(name)
    if (text === null) return initial
    const found = choices.find((choice) => choice === text)
    if (found !== undefined) return found
    throw this.fault(name, `"${text}" is not ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`)
  }
}
