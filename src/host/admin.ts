// Admin: what the node answers over HTTP: health, metrics, API. Routes only; sockets are admin_server.ts.
import type { HostedNode } from './hosted_node.ts'

/** `browser`: some web page sent it (it has an Origin header). */
export type AdminRequest = {
  readonly method: string
  readonly path: string
  readonly loopback: boolean
  readonly browser: boolean
}
export type AdminAnswer = { readonly status: number; readonly type: string; readonly body: string }

export type AdminSources = {
  readonly name: string
  readonly node: HostedNode
  /** Fields the host adds to the node's status: addresses, the link, process facts. */
  readonly hostStatus: () => Record<string, unknown>
  readonly drainAway: () => void
}

type Route = { readonly method: 'GET' | 'POST'; readonly answer: (request: AdminRequest) => AdminAnswer }

export class Admin {
  private readonly routes: ReadonlyMap<string, Route>
  private readonly sources: AdminSources

  constructor(sources: AdminSources) {
    this.sources = sources
    const { node } = sources
    const get = (answer: () => AdminAnswer): Route => ({ method: 'GET', answer })
    this.routes = new Map<string, Route>([
      ['/health/live', get(() => this.health(true))],
      ['/health/ready', get(() => this.health(node.ready))],
      ['/health/synced', get(() => this.health(node.synced))],
      [
        '/metrics',
        get(() => ({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: node.metrics.render() })),
      ],
      ['/api/v1/status', get(() => json(200, this.status()))],
      ['/api/v1/clients', get(() => json(200, node.clients()))],
      ['/api/v1/drain', { method: 'POST', answer: (request) => this.drain(request) }],
    ])
  }

  answer(request: AdminRequest): AdminAnswer {
    const end = request.path.indexOf('?')
    const path = end === -1 ? request.path : request.path.slice(0, end)
    const route = this.routes.get(path) ?? this.listing(path)
    if (route === null) return json(404, { error: `nothing at ${path}` })
    // HAProxy's plain "option httpchk" asks with OPTIONS.
    const method =
      request.method === 'HEAD' || (request.method === 'OPTIONS' && path.startsWith('/health/'))
        ? 'GET'
        : request.method
    if (method !== route.method) return json(405, { error: `${path} takes ${route.method}` })
    return route.answer(request)
  }

  /** The API's lists of what only the node knows, as far as this node offers them. */
  private listing(path: string): Route | null {
    const found = /^\/api\/v1\/(sessions|subscriptions|retained)$/.exec(path)
    if (found === null) return null
    const name = found[1] as 'sessions' | 'subscriptions' | 'retained'
    const { node } = this.sources
    return {
      method: 'GET',
      answer: () =>
        node.rows === undefined ? json(501, { error: `${path} is not supported yet` }) : json(200, node.rows(name)),
    }
  }

  private status(): Record<string, unknown> {
    const { name, node, hostStatus } = this.sources
    const own = node.status() as Record<string, unknown>
    return { node: name, ...own, mode: node.mode, ready: node.ready, synced: node.synced, ...hostStatus() }
  }

  private health(good: boolean): AdminAnswer {
    return json(good ? 200 : 503, this.status())
  }

  private drain(request: AdminRequest): AdminAnswer {
    if (!request.loopback || request.browser) return json(403, { error: 'drain is taken from this machine only' })
    this.sources.drainAway()
    return json(202, { draining: true })
  }
}

function json(status: number, value: unknown): AdminAnswer {
  return { status, type: 'application/json', body: JSON.stringify(value) + '\n' }
}
