// Admin: routes and answers, then the same over real HTTP as a load balancer asks.
import { Admin } from '../../../src/host/admin/admin.ts'
import { serveAdmin } from '../../../src/host/admin/admin_server.ts'
import type { HostedNode } from '../../../src/host/hosted_node.ts'
import { loadPipes } from '../../../src/host/sockets/runtime.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('admin')

function make(node: Partial<HostedNode> = {}): { admin: Admin; drained: () => number; counted: string[] } {
  let drained = 0
  const counted: string[] = []
  const stub = {
    mode: 'SYNC',
    ready: true,
    synced: true,
    metrics: { render: () => '# TYPE tandemq_x gauge\ntandemq_x 1\n' },
    status: () => ({ peer: 'b', generation: 3 }),
    page: (list, { limit, cursor }) => {
      if (cursor === 'gone') return null
      return { rows: [{ list, limit, cursor }], next: limit < 10 ? 'n&x' : null }
    },
    count: (name) => void counted.push(name),
    ...node,
  } as HostedNode
  const hostStatus = () => ({ version: '1' })
  const drainAway = () => void drained++
  const admin = new Admin({ name: 'a', hosts: ['Box.example'], node: () => stub, hostStatus, drainAway })
  return { admin, drained: () => drained, counted }
}

const ask = (admin: Admin, method: string, path: string, more: object = {}) =>
  admin.answer({ method, path, loopback: true, browser: false, forwarded: false, host: null, ...more })

for (const [path, node, status] of [
  ['/health/live', { ready: false, synced: false, mode: 'WAIT_PEER' }, 200],
  ['/health/ready', { ready: true }, 200],
  ['/health/ready', { ready: false }, 503],
  ['/health/synced', { synced: true }, 200],
  ['/health/synced', { ready: true, synced: false }, 503],
] as const) {
  test(`${path} with ${JSON.stringify(node)} is ${status}, with the facts as JSON`, () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const answer = ask(make(node).admin, method, path)
      assert.is(answer.status, status)
      const body = JSON.parse(answer.body)
      assert.is(body.node, 'a')
      assert.is(body.peer, 'b')
      assert.is(body.generation, 3)
      assert.type(body.mode, 'string')
      assert.type(body.ready, 'boolean')
      assert.type(body.synced, 'boolean')
    }
  })
}

test('metrics are Prometheus text', () => {
  const answer = ask(make().admin, 'GET', '/metrics')
  assert.is(answer.status, 200)
  assert.match(answer.type, /^text\/plain; version=0\.0\.4/)
  assert.match(answer.body, /^tandemq_x 1$/m)
})

test('the API gives status, clients, sessions, subscriptions and retained messages', () => {
  const { admin } = make()
  assert.is(JSON.parse(ask(admin, 'GET', '/api/v1/status').body).version, '1')
  for (const list of ['clients', 'sessions', 'subscriptions', 'retained']) {
    const answer = ask(admin, 'GET', `/api/v1/${list}`)
    assert.equal(JSON.parse(answer.body), [{ list, limit: 1000, cursor: null }])
    assert.is(answer.next, undefined)
  }
})

test('a list that goes on says where: the same request with a cursor', () => {
  const { admin } = make()
  const first = ask(admin, 'GET', '/api/v1/subscriptions?limit=2&filter=a%2F%2B')
  assert.is(first.next, '/api/v1/subscriptions?limit=2&filter=a%2F%2B&cursor=n%26x')
  const second = ask(admin, 'GET', first.next as string)
  assert.equal(JSON.parse(second.body), [{ list: 'subscriptions', limit: 2, cursor: 'n&x' }])
})

for (const [query, sentence] of [
  ['limit=0', /limit: a whole number from 1 to 1000/],
  ['limit=1001', /limit/],
  ['limit=ten', /limit/],
  ['limit=1&limit=2', /limit: given twice/],
  ['page=2', /page: \/api\/v1\/clients takes limit, cursor, client, node, connected/],
  ['connected=yes', /connected: true or false/],
] as const)
  test(`a list asked for with ${query} is 400, with one sentence`, () => {
    const answer = ask(make().admin, 'GET', `/api/v1/clients?${query}`)
    assert.is(answer.status, 400)
    assert.match(JSON.parse(answer.body).error, sentence)
  })

test('a filter that is none is 400, a cursor that has gone is 410', () => {
  const { admin } = make()
  assert.is(ask(admin, 'GET', '/api/v1/retained?topic=a%23').status, 400)
  assert.is(ask(admin, 'GET', '/api/v1/retained?topic=a%2F%23').status, 200)
  assert.is(ask(admin, 'GET', '/api/v1/retained?cursor=gone').status, 410)
})

test('while the node reads its state it lives and is not ready', () => {
  const sources = { name: 'a', hosts: [], node: () => null, hostStatus: () => ({}), drainAway: () => {} }
  const admin = new Admin(sources)
  assert.is(ask(admin, 'GET', '/health/live').status, 200)
  assert.is(ask(admin, 'GET', '/health/ready').status, 503)
  assert.is(JSON.parse(ask(admin, 'GET', '/health/ready').body).mode, 'BOOT')
  assert.is(ask(admin, 'GET', '/metrics').status, 503)
})

test('an unknown path is 404, a wrong method 405', () => {
  const { admin } = make()
  assert.is(ask(admin, 'GET', '/nothing').status, 404)
  assert.is(ask(admin, 'GET', '/health/ready/').status, 404)
  assert.is(ask(admin, 'POST', '/health/ready').status, 405)
  assert.is(ask(admin, 'GET', '/api/v1/drain').status, 405)
  assert.is(ask(admin, 'OPTIONS', '/api/v1/drain').status, 405)
})

test('drain is taken from this machine only, from no web page and through no proxy', () => {
  const { admin, drained, counted } = make()
  assert.is(ask(admin, 'POST', '/api/v1/drain', { loopback: false }).status, 403)
  assert.is(ask(admin, 'POST', '/api/v1/drain', { browser: true }).status, 403)
  assert.is(ask(admin, 'POST', '/api/v1/drain', { forwarded: true }).status, 403)
  assert.is(drained(), 0)
  assert.equal(counted, ['admin_drains_refused', 'admin_drains_refused', 'admin_drains_refused'])
  assert.is(ask(admin, 'POST', '/api/v1/drain').status, 202)
  assert.is(drained(), 1)
})

test('a page that gave its own name the address of this machine reads nothing of the API', () => {
  const { admin, counted } = make()
  const status = (host: string | null, more: object = {}) =>
    ask(admin, 'GET', '/api/v1/clients', { host, ...more }).status
  for (const host of [
    null,
    '',
    '127.0.0.1:18083',
    '10.0.0.1',
    '[::1]:18083',
    '[fe80::1]',
    'localhost',
    'LOCALHOST.:18083',
  ])
    assert.is(status(host), 200, `${host}`)
  for (const host of ['box.example', 'Box.Example:18083']) assert.is(status(host), 200, `${host}: this machine's name`)
  assert.is(counted.length, 0)
  const evil = [
    'evil.example:18083',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.example:',
    '[::1',
    '1234',
  ]
  for (const host of evil) assert.is(status(host), 421, host)
  assert.equal(counted, Array(evil.length).fill('admin_hosts_refused'))
  assert.is(status('evil.example', { loopback: false }), 200, 'who listens on other addresses has other names')
  for (const path of ['/health/ready', '/metrics']) assert.is(ask(admin, 'GET', path, { host: 'lb' }).status, 200)
})

test('HTTP/1.0 without a Host header, as HAProxy asks, and HTTP/1.1 are answered', async () => {
  const server = await serveAdmin({ host: '127.0.0.1', port: 0 }, make({ ready: false }).admin)
  const requests = [
    'GET /health/ready HTTP/1.0\r\n\r\n',
    'OPTIONS /health/ready HTTP/1.0\r\n\r\n',
    'HEAD /health/ready HTTP/1.0\r\n\r\n',
    'GET /health/ready HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n',
  ]
  for (const request of requests) {
    const text = await exchange(server.port, request)
    assert.match(text, /^HTTP\/1\.[01] 503 /, request)
    if (!request.startsWith('HEAD')) assert.match(text, /"mode":"SYNC"/, request)
  }
  for (const [status, headers] of [
    [403, 'Host: 127.0.0.1\r\nOrigin: http://evil\r\n'],
    [403, 'Host: localhost:18083\r\nX-Forwarded-For: 192.0.2.9\r\n'],
    [403, 'Host: localhost:18083\r\nVIA: 1.1 proxy\r\n'],
    [421, 'Host: evil.example\r\n'],
    [202, 'Host: localhost:18083\r\n'],
  ] as const) {
    const drain = await exchange(server.port, `POST /api/v1/drain HTTP/1.1\r\n${headers}Content-Length: 0\r\n\r\n`)
    assert.match(drain, new RegExp(`^HTTP/1.1 ${status} `), headers)
  }
  server.stop()
})

/** Sends one request and gives what came until the end of the answer. */
async function exchange(port: number, request: string): Promise<string> {
  const pipes = await loadPipes()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  pipes.dial(
    { host: '127.0.0.1', port },
    1000,
    (pipe) => {
      const done = () => {
        clearTimeout(timer)
        pipe.destroy()
        resolve(text)
      }
      const timer = setTimeout(done, 500)
      pipe.events = {
        onData: (bytes) => {
          text += new TextDecoder().decode(bytes)
        },
        onDrain: () => {},
        onClose: done,
      }
      pipe.write(new TextEncoder().encode(request))
    },
    ({ why }) => reject(new Error(why)),
  )
  return promise
}

test.run()
