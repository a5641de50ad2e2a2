// AdminServer: HTTP around Admin on either runtime. Bun's own server costs half a millisecond at start where node:http costs
// forty, so node:http is loaded on Deno only. Knows no routes.
import type { AddressInfo } from 'node:net'
import { bindFault, isLoopback, type ListenAddress } from '../address.ts'
import { FORWARDED } from '../http_trust.ts'
import type { Admin, AdminAnswer, AdminRequest } from './admin.ts'

export interface AdminServer {
  readonly port: number
  stop(): void
}

/** @throws {OperatorFault} where the address cannot be bound */
export async function serveAdmin(address: ListenAddress, admin: Admin): Promise<AdminServer> {
  const serve = 'Bun' in globalThis ? serveBun : serveNode
  try {
    return await serve(address.host ?? '::', address.port, admin).catch((error) => {
      if (address.host !== null || error.code === 'EADDRINUSE') throw error
      return serve('0.0.0.0', address.port, admin) // a machine without IPv6
    })
  } catch (error) {
    throw bindFault('--admin', address, error)
  }
}

async function serveBun(hostname: string, port: number, admin: Admin): Promise<AdminServer> {
  const server = Bun.serve({
    hostname,
    port,
    // HAProxy asks in HTTP/1.0 without a Host header: then the URL is a bare path.
    fetch: (request, it) => {
      const path = request.url.replace(/^[a-z]+:\/\/[^/]*/, '')
      const loopback = isLoopback(it.requestIP(request)?.address ?? '')
      const facts = readHeaders((name) => request.headers.get(name))
      return respond(admin, { method: request.method, path, loopback, ...facts })
    },
    error: (error) => {
      queueMicrotask(() => Promise.reject(error)) // ours: ends the process
      return new Response('', { status: 500 })
    },
  })
  return { port: server.port as number, stop: () => void server.stop(true) }
}

function respond(admin: Admin, request: AdminRequest): Response {
  const answer = admin.answer(request)
  return new Response(answer.body, { status: answer.status, headers: headers(answer) })
}

async function serveNode(host: string, port: number, admin: Admin): Promise<AdminServer> {
  const { createServer } = await import('node:http')
  const server = createServer((request, response) => {
    const loopback = isLoopback(request.socket.remoteAddress ?? '')
    const facts = readHeaders((name) => request.headers[name]?.toString() ?? null)
    const answer = admin.answer({ method: request.method ?? 'GET', path: request.url ?? '/', loopback, ...facts })
    const length = new TextEncoder().encode(answer.body).length
    response.writeHead(answer.status, { ...headers(answer), 'content-length': length })
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  })
  const { promise, resolve, reject } = Promise.withResolvers<AdminServer>()
  server.once('error', reject)
  server.listen({ host, port }, () => {
    const stop = () => {
      server.close()
      server.closeAllConnections()
    }
    resolve({ port: (server.address() as AddressInfo).port, stop })
  })
  return promise
}

/** @param get null where there is none of this name */
function readHeaders(get: (name: string) => string | null): Pick<AdminRequest, 'browser' | 'forwarded' | 'host'> {
  const has = (name: string) => get(name) !== null
  return { browser: has('origin'), forwarded: FORWARDED.some(has), host: get('host') }
}

function headers({ type, next }: AdminAnswer): Record<string, string> {
  const link = next === undefined ? {} : { link: `<${next}>; rel="next"` }
  return { 'content-type': type, 'cache-control': 'no-store', ...link }
}
