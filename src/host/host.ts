// Host: one running node: store, node, loop, listeners, peer link, admin, signals, and the order in which they start and end.
// Knows nothing of MQTT or of the pair's protocol.
import { hostname } from 'node:os'
import process from 'node:process'
import { Bug } from '../base/assert.ts'
import { OperatorFault } from '../base/fault.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeConfig, Ports, StorePort } from '../core/ports.ts'
import type { Image, NodeRecord } from '../session/image.ts'
import { type DialAddress, formatAddress, type ListenAddress } from './address.ts'
import { Admin } from './admin/admin.ts'
import { type AdminServer, serveAdmin } from './admin/admin_server.ts'
import { monotonicMs, wallMs } from './clock.ts'
import type { HostedNode } from './hosted_node.ts'
import { type LinkEvents, PeerLink, searchMs } from './link/peer_link.ts'
import { Log, type LogFormat, type LogLevel } from './log.ts'
import { Loop } from './loop.ts'
import { descriptorsMax } from './sockets/descriptors.ts'
import type { Listener } from './sockets/listener.ts'
import { WsClients } from './sockets/listener_ws.ts'
import type { Pipes } from './sockets/pipe.ts'
import { listenClients, loadPipes } from './sockets/runtime.ts'
import { type RoomLimit, SocketRoom } from './sockets/socket_room.ts'
import { MemoryStore, SqliteStore, type StoreEvents } from './store/store.ts'
import type { AclFile } from './users/acl_file.ts'
import { Authenticator } from './users/authenticator.ts'
import type { PasswordFile } from './users/password_file.ts'

export type HostConfig = {
  readonly listen: readonly ListenAddress[]
  readonly listenWs: readonly ListenAddress[]
  /** Origins of pages whose WebSockets are taken; empty: all. */
  readonly wsOrigins: readonly string[]
  /** Null: a lone node. */
  readonly pair: {
    readonly cluster: ListenAddress
    readonly peer: DialAddress
    readonly secret: Uint8Array | null
  } | null
  /** Null keeps all in memory. */
  readonly dataDir: string | null
  readonly admin: ListenAddress | null
  readonly proxyProtocol: boolean
  /** Null: clients are not asked who they are. */
  readonly passwords: PasswordFile | null
  /** Null: who is let in may use every topic. */
  readonly acl: AclFile | null
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** Exit codes besides 0. */
export const EXIT_OPERATOR = 2
export const EXIT_BUG = 70
export const EXIT_DISK = 74

/** How long a node that goes away waits for its peer and its disk. */
const DRAIN_MS_MAX = 10_000

export type MakeNode = (
  config: NodeConfig,
  record: NodeRecord | null,
  image: Image | null,
  ports: Ports,
  now: number,
  wall: number,
) => HostedNode

type Closing = StorePort & { close(): Promise<void> }

const NO_LINK = { send() {}, backlog: () => 0, close() {} }

export class Host {
  private readonly config: NodeConfig
  private readonly hostConfig: HostConfig
  private readonly log: Log
  private readonly loop = new Loop(() => this.afterDrain())
  private store: Closing | null = null
  private link: PeerLink | null = null
  private readonly listeners: Listener[] = []
  private admin: AdminServer | null = null
  private authenticator: Authenticator | null = null
  private reloading: Promise<void> = Promise.resolve()
  private addresses: Record<string, unknown> = {}
  private modeSeen = ''
  private draining = false
  private ending = false
  private signals = 0

  constructor(config: NodeConfig, hostConfig: HostConfig) {
    this.config = config
    this.hostConfig = hostConfig
    this.log = new Log(config.name, hostConfig.logLevel, hostConfig.logFormat)
  }

  /** @throws {OperatorFault} where a file or an address cannot be used; nothing is left behind then */
  async start(makeNode: MakeNode): Promise<void> {
    process.on('uncaughtException', (error) => this.crash(error))
    process.on('unhandledRejection', (error) => this.crash(error))
    try {
      await this.open(makeNode)
    } catch (error) {
      this.ending = true
      this.loop.stop()
      this.release()
      this.admin?.stop()
      await this.store?.close()
      throw error
    }
  }

  /** Addresses first, the node last: a port in use leaves no trace on the disk. */
  private async open(makeNode: MakeNode): Promise<void> {
    const { config, hostConfig, loop } = this
    const { proxyProtocol } = hostConfig
    const common = { proxyProtocol, connectTimeoutMs: config.connectTimeoutMs, room: this.makeRoom() }
    for (const address of hostConfig.listen)
      this.listeners.push(await listenClients(address, loop, { ...common, flag: '--listen', front: null }))
    const front = new WsClients(() => loop.node, hostConfig.wsOrigins)
    for (const address of hostConfig.listenWs)
      this.listeners.push(await listenClients(address, loop, { ...common, flag: '--listen-ws', front }))
    if (hostConfig.admin !== null) this.admin = await serveAdmin(hostConfig.admin, this.makeAdmin())
    if (hostConfig.pair !== null) this.link = this.makeLink(hostConfig.pair, await loadPipes())
    this.announce(await this.link?.listen())
    const { store, record, image } = await this.openStore()
    this.store = store
    this.authenticator = this.makeAuthenticator()
    const auth = this.authenticator === null ? {} : { auth: this.authenticator }
    const memoryBytes = () => process.memoryUsage.rss()
    const ports: Ports = { link: this.link ?? NO_LINK, store, log: this.log, memoryBytes, ...auth }
    const node = makeNode(config, record, image, ports, monotonicMs(), wallMs())
    this.onSignals()
    loop.attach(node)
    this.link?.start(linkEvents(loop))
  }

  private makeRoom(): SocketRoom {
    const { connectionsMax: connections } = this.config
    const addresses = this.hostConfig.listen.length + this.hostConfig.listenWs.length
    const descriptors = descriptorsMax()
    const refused = (limit: RoomLimit, tell: boolean) => {
      if (limit === 'descriptors') this.loop.node.count('sockets_refused_descriptors')
      else this.loop.node.count('sockets_refused_connections')
      const why = limit === 'descriptors' ? `descriptors (${descriptors}, see ulimit -n)` : '--max-connections'
      if (tell)
        this.log.warn(`clients have ${room.max} sockets open, all that ${why} allow; further ones are closed at once`)
    }
    const room = new SocketRoom({ connections, descriptors, addresses }, refused, monotonicMs)
    if (connections !== LIMITS.connectionsMax && connections > room.max)
      this.log.warn(
        `--max-connections: ${connections} clients do not fit into ${descriptors} descriptors (ulimit -n), ${room.max} do`,
      )
    return room
  }

  private makeLink(pair: NonNullable<HostConfig['pair']>, pipes: Pipes): PeerLink {
    return new PeerLink({
      ...pair,
      name: this.config.name,
      pipes,
      searchMs: searchMs(this.config.suspectMs, this.config.soloMs),
      starting: () => this.loop.node.mode === 'BOOT' || this.loop.node.mode === 'WAIT_PEER',
      fatal: (fault) => this.end(EXIT_OPERATOR, fault.message),
      warn: (message) => this.log.warn(message),
      count: (name) => this.loop.node.count(name),
    })
  }

  private async openStore(): Promise<{ store: Closing; record: NodeRecord | null; image: Image | null }> {
    const { dataDir } = this.hostConfig
    const events: StoreEvents = {
      stored: (turn) => {
        this.loop.enter()
        this.loop.node.stored(turn)
      },
      recordStored: () => {
        this.loop.enter()
        this.loop.node.recordStored()
      },
      // A node that cannot write must not promise anything any more; its peer takes over.
      failed: (message) => this.end(EXIT_DISK, message),
    }
    if (dataDir === null) return { store: new MemoryStore(events), record: null, image: null }
    return SqliteStore.open(dataDir, events)
  }

  private makeAuthenticator(): Authenticator | null {
    const { passwords } = this.hostConfig
    const { acl } = this.hostConfig
    if (passwords === null) {
      if (acl !== null && acl.rules.users.size > 0)
        this.log.warn(`${acl.path} has rules by user name, but without --password-file nobody has to prove a name`)
      return null
    }
    this.warnOpenFile(passwords)
    return new Authenticator(passwords.users, (request, answer) => {
      this.loop.later(() => this.loop.node.authentication.answered(request, answer))
    })
  }

  private makeAdmin(): Admin {
    const hostStatus = () => ({
      version: this.config.version,
      pid: process.pid,
      uptimeMs: Math.round(process.uptime() * 1000),
      listeners: this.addresses,
      link: this.link?.status() ?? null,
    })
    const node = () => (this.loop.attached ? this.loop.node : null)
    const hosts = [hostname(), this.hostConfig.admin?.host ?? '']
    const drainAway = () => this.drainAway('asked over HTTP')
    return new Admin({ name: this.config.name, hosts, node, hostStatus, drainAway })
  }

  private announce(clusterPort: number | undefined): void {
    const { listen, listenWs, pair, admin } = this.hostConfig
    const bound = [...listen, ...listenWs].map(({ host }, i) => formatAddress(host, this.listeners[i]?.port ?? 0))
    this.addresses = { mqtt: bound.slice(0, listen.length) }
    if (listenWs.length > 0) this.addresses['ws'] = bound.slice(listen.length)
    if (pair !== null) this.addresses['cluster'] = formatAddress(pair.cluster.host, clusterPort ?? 0)
    if (admin !== null) this.addresses['admin'] = formatAddress(admin.host, this.admin?.port ?? 0)
    const parts = Object.entries(this.addresses).map(([what, where]) => `${what} on ${[where].flat().join(' and ')}`)
    this.log.info(`tandemq ${this.config.version}: ${parts.join(', ')}`)
  }

  private afterDrain(): void {
    const { node } = this.loop
    this.log.flush()
    if (node.mode !== this.modeSeen) {
      this.log.info(
        `${this.modeSeen === '' ? 'mode' : `mode ${this.modeSeen} →`} ${node.mode}${node.ready ? ', ready' : ''}`,
      )
      this.modeSeen = node.mode
    }
    if (node.fatal !== null) this.end(EXIT_OPERATOR, node.fatal.message)
    else if (node.mode === 'GONE') this.end(0, null)
  }

  // ---- the end

  private onSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        this.signals++
        if (this.signals > 1) this.quit(1, `second signal (${signal}): not waiting any longer`)
        else this.drainAway(signal)
      })
    }
    if (process.platform !== 'win32') process.on('SIGHUP', () => this.reload())
  }

  /** SIGHUP: files are read again, one time after the other; what cannot be used changes nothing. */
  private reload(): void {
    const { authenticator } = this
    const { passwords, acl } = this.hostConfig
    if (passwords === null && acl === null) return this.log.info('SIGHUP: nothing to reload')
    if (authenticator !== null && passwords !== null)
      this.reloading = this.reloading.then(() => this.reloadUsers(authenticator, passwords))
    if (acl !== null) this.reloading = this.reloading.then(() => this.reloadAccess(acl))
  }

  private async reloadAccess(acl: AclFile): Promise<void> {
    const { node } = this.loop
    try {
      const rules = await acl.readAgain()
      this.loop.later(() => {
        node.access.replace(rules)
        node.count('acl_file_reloads')
        this.log.info(`${acl.path}: rules of ${rules.users.size} users`)
      })
    } catch (error) {
      if (!(error instanceof OperatorFault)) throw error
      node.count('acl_file_reload_failures')
      this.log.error(`${error.message}; the former rules stay`)
    }
  }

  private async reloadUsers(authenticator: Authenticator, passwords: PasswordFile): Promise<void> {
    const { node } = this.loop
    try {
      const users = await passwords.readAgain()
      this.loop.later(() => {
        const gone = authenticator.replace(users)
        node.authentication.revoke(gone)
        node.count('password_file_reloads')
        this.log.info(`${passwords.path}: ${users.size} users, ${gone.size} withdrawn or changed`)
        this.warnOpenFile(passwords)
      })
    } catch (error) {
      if (!(error instanceof OperatorFault)) throw error
      node.count('password_file_reload_failures')
      this.log.error(`${error.message}; the former users stay`)
    }
  }

  private warnOpenFile(passwords: PasswordFile): void {
    if (passwords.isOpenToAll)
      this.log.warn(`${passwords.path} can be read by everybody on this machine, whom its hashes let in by SCRAM`)
  }

  private drainAway(why: string): void {
    if (this.draining) return
    this.draining = true
    this.log.info(`draining (${why})`)
    this.loop.later(() => this.loop.node.drainAway())
    setTimeout(() => this.end(0, `not drained within ${DRAIN_MS_MAX / 1000} s, ending all the same`), DRAIN_MS_MAX)
  }

  private release(): void {
    for (const listener of this.listeners) listener.stop()
    this.link?.stop()
  }

  /** Ends the process in good order: what was asked of the disk is on it, unless it takes too long. */
  private end(code: number, message: string | null): void {
    if (this.ending) return
    this.ending = true
    if (message !== null) this.log.error(message)
    this.loop.stop()
    this.release()
    const finish = () => {
      this.admin?.stop() // until here it answers: when it falls silent the node is gone and its directory free
      this.quit(code, null)
    }
    const late = `the disk has not answered for ${LIMITS.storeCloseMs / 1000} s, ending all the same`
    setTimeout(() => this.quit(code === 0 ? EXIT_DISK : code, late), LIMITS.storeCloseMs)
    ;(this.store?.close() ?? Promise.resolve()).then(finish, (error) => this.crash(error))
  }

  /** Ends the process now. */
  private quit(code: number, message: string | null): never {
    if (message !== null) this.log.error(message)
    this.log.close()
    process.exit(code)
  }

  /** Ends the process at once: what is durable is the only thing that can still be trusted. */
  private crash(error: unknown): void {
    if (error instanceof OperatorFault) {
      this.end(EXIT_OPERATOR, error.message)
      return
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const what = error instanceof Bug ? 'this is a bug in tandemq' : 'unexpected error'
    this.quit(EXIT_BUG, `${what}, ending: ${text}`)
  }
}

function linkEvents(loop: Loop): LinkEvents {
  const { node } = loop
  return {
    linkOpened: (info) => {
      loop.settle()
      node.linkOpened(info)
    },
    linkData: (bytes) => {
      loop.settle()
      node.linkData(bytes)
    },
    linkWritable: () => {
      loop.settle()
      node.linkWritable()
    },
    // The node itself may have closed it, in the middle of a call.
    linkClosed: (reason) => loop.later(() => node.linkClosed(reason)),
    dialFailed: (refused) => {
      loop.settle()
      node.dialFailed(refused)
    },
  }
}
