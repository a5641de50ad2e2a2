// Admin: what the node answers over HTTP: health, metrics, API. Routes only; sockets are admin_server.ts.
import type { ListName } from '../../core/monitor/listing.ts'
import type { HostedNode } from '../hosted_node.ts'
import { namesThisMachine } from '../http_trust.ts'
import { parseListQuery } from './admin_query.ts'

export type AdminRequest = {
  readonly method: string
  readonly path: string
  readonly loopback: boolean
  /** Some web page sent it (it has an Origin header). */
  readonly browser: boolean
  /** Some proxy passed it on. */
  readonly forwarded: boolean
  /** The Host header. */
  readonly host: string | null
}
export type AdminAnswer = {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Where the next part of a list is to be had. */
  readonly next?: string
}

export type AdminSources = {
  readonly name: string
  /** What this machine is called, besides localhost. */
  readonly hosts: readonly string[]
  /** Null while the node's state is being read. */
  readonly node: () => HostedNode | null
  /** Fields the host adds to the node's status: addresses, the link, process facts. */
  readonly hostStatus: () => Record<string, unknown>
  readonly drainAway: () => void
}

type Answer = (node: HostedNode, request: AdminRequest) => AdminAnswer
type Route = { readonly method: 'GET' | 'POST'; readonly answer: Answer }

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const STARTING = { mode: 'BOOT', ready: false, synced: false }

export class Admin {
  private readonly sources: AdminSources
  private readonly routes: ReadonlyMap<string, Route> = new Map([
    ['/health/live', get((node) => this.health(node, true))],
    ['/health/ready', get((node) => this.health(node, node.ready))],
    ['/health/synced', get((node) => this.health(node, node.synced))],
    ['/metrics', get((node) => ({ status: 200, type: METRICS_TYPE, body: node.metrics.render() }))],
    ['/api/v1/status', get((node) => json(200, this.status(node)))],
    ['/api/v1/clients', list('clients')],
    ['/api/v1/sessions', list('sessions')],
    ['/api/v1/subscriptions', list('subscriptions')],
    ['/api/v1/retained', list('retained')],
    ['/api/v1/drain', { method: 'POST', answer: (node, request) => this.drain(node, request) }],
  ])

  constructor(sources: AdminSources) {
    this.sources = sources
  }

  answer(request: AdminRequest): AdminAnswer {
    const end = request.path.indexOf('?')
    const path = end === -1 ? request.path : request.path.slice(0, end)
    const node = this.sources.node()
    if (path.startsWith('/api/') && this.isMisdirected(request)) {
      node?.count('admin_hosts_refused')
      return json(421, {
        error: `Host: "${request.host}" is no name of this machine; ask for its address or localhost`,
      })
    }
    const route = this.routes.get(path)
    if (route === undefined) return json(404, { error: `nothing at ${path}` })
    const health = path.startsWith('/health/')
    // HAProxy's plain "option httpchk" asks with OPTIONS.
    const asGet = request.method === 'HEAD' || (health && request.method === 'OPTIONS')
    const method = asGet ? 'GET' : request.method
    if (method !== route.method) return json(405, { error: `${path} takes ${route.method}` })
    if (node !== null) return route.answer(node, request)
    const { name, hostStatus } = this.sources
    if (!health) return json(503, { error: 'the node is starting' })
    return json(path === '/health/live' ? 200 : 503, { node: name, ...STARTING, ...hostStatus() })
  }

  private status(node: HostedNode): Record<string, unknown> {
    const { name, hostStatus } = this.sources
    const own = node.status() as Record<string, unknown>
    return { node: name, ...own, mode: node.mode, ready: node.ready, synced: node.synced, ...hostStatus() }
  }

  private health(node: HostedNode, good: boolean): AdminAnswer {
    return json(good ? 200 : 503, this.status(node))
  }

  /**
   * Asked by a browser of this machine for a page from elsewhere. Only what tells of clients and topics is kept from those: health and
   * metrics are asked for under whatever names balancers and monitors have for us. From elsewhere we have names unknown to us.
   */
  private isMisdirected({ loopback, host }: AdminRequest): boolean {
    return loopback && host !== null && !namesThisMachine(host, this.sources.hosts)
  }

  private drain(node: HostedNode, request: AdminRequest): AdminAnswer {
    if (!request.loopback || request.browser || request.forwarded) {
      node.count('admin_drains_refused')
      return json(403, { error: 'drain is taken from this machine only' })
    }
    this.sources.drainAway()
    return json(202, { draining: true })
  }
}

function get(answer: Answer): Route {
  return { method: 'GET', answer }
}

/** The rows as they are; whether there are more, and where, is in the Link header (RFC 8288), so that a small list is all there is. */
function list(name: ListName): Route {
  return get((node, request) => {
    const query = parseListQuery(name, request.path)
    if (typeof query === 'string') return json(400, { error: query })
    const page = node.page(name, query)
    if (page === null) return json(410, { error: 'cursor: not one of this node since its start; begin again without' })
    const answer = json(200, page.rows)
    return page.next === null ? answer : { ...answer, next: nextPath(request.path, page.next) }
  })
}

function nextPath(path: string, cursor: string): string {
  const [base, text] = path.split('?')
  const params = new URLSearchParams(text)
  params.set('cursor', cursor)
  return `${base}?${params}`
}

function json(status: number, value: unknown): AdminAnswer {
  return { status, type: 'application/json', body: JSON.stringify(value) + '\n' }
}
