// HAProxy: the real one on loopback, before two nodes: round robin, health check on /health/ready, connections of a node that
// goes down are cut.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Folder, freePorts, Proc } from './processes.ts'

const START_MS_MAX = 10_000

/** `admin` null: no HTTP health check, a TCP connection will do. */
export type Server = { readonly name: string; readonly mqtt: number; readonly admin: number | null }
export type ServerState = { readonly name: string; readonly up: boolean; readonly connections: number }
export type HaproxyOptions = { readonly sendProxy?: boolean }

function configuration(servers: readonly Server[], mqtt: number, stats: number, options: HaproxyOptions): string {
  const http = servers.every((server) => server.admin !== null)
  const lines = servers.map((server) => {
    const check = server.admin === null ? 'check' : `check port ${server.admin}`
    return `  server ${server.name} 127.0.0.1:${server.mqtt} ${check}${options.sendProxy === true ? ' send-proxy-v2' : ''}`
  })
  return `global
  maxconn 4000
  nbthread 1

defaults
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout check 1s

frontend mqtt
  mode tcp
  bind 127.0.0.1:${mqtt}
  default_backend nodes

backend nodes
  mode tcp
  balance roundrobin
  option redispatch 1
  retries 3
${http ? '  option httpchk GET /health/ready\n  http-check expect status 200\n' : ''}\
  default-server inter 200ms fastinter 100ms downinter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
${lines.join('\n')}

frontend stats
  mode http
  timeout http-request 2s
  bind 127.0.0.1:${stats}
  stats enable
  stats uri /
`
}

/** `await using` ends it. */
export class Haproxy implements AsyncDisposable {
  readonly port: number
  private readonly stats: number
  private readonly proc: Proc
  private readonly folder = new Folder()

  private constructor(servers: readonly Server[], ports: readonly number[], options: HaproxyOptions) {
    const [port, stats] = ports as [number, number]
    this.port = port
    this.stats = stats
    const file = join(this.folder.path, 'haproxy.cfg')
    writeFileSync(file, configuration(servers, port, stats, options))
    this.proc = new Proc('haproxy', ['-db', '-f', file])
  }

  /** Starts it and waits until it holds every server for up. */
  static async start(servers: readonly Server[], options: HaproxyOptions = {}): Promise<Haproxy> {
    const haproxy = new Haproxy(servers, await freePorts(2), options)
    try {
      await haproxy.until((states) => states.length === servers.length && states.every((state) => state.up))
    } catch (error) {
      await haproxy[Symbol.asyncDispose]()
      throw error
    }
    return haproxy
  }

  /** What it holds of its servers; empty when it does not answer. */
  async servers(): Promise<ServerState[]> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.stats}/;csv`, { signal: AbortSignal.timeout(1000) })
      const rows = (await answer.text()).split('\n').map((line) => line.split(','))
      const column = (name: string) => rows[0]!.findIndex((title) => title.replace('# ', '') === name)
      const [name, status, current] = [column('svname'), column('status'), column('scur')]
      return rows
        .filter((row) => row[0] === 'nodes' && row[name] !== 'BACKEND')
        .map((row) => ({ name: row[name]!, up: row[status] === 'UP', connections: Number(row[current]) }))
    } catch {
      return []
    }
  }

  /** Waits until its view of the servers is this. */
  async until(isSo: (states: readonly ServerState[]) => boolean, ms = START_MS_MAX): Promise<void> {
    const until = performance.now() + ms
    for (;;) {
      const states = await this.servers()
      if (isSo(states)) return
      if (!this.proc.isUp || performance.now() > until) {
        throw new Error(`haproxy: ${this.proc.isUp ? JSON.stringify(states) : 'ended'}\n${this.proc.log.slice(-2000)}`)
      }
      await sleep(50)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proc.kill9()
    this.folder[Symbol.dispose]()
  }
}
