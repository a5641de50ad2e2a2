// AdminClient: status, clients and drain as processes, against a server that answers as it is told.
// timeout: 60 s
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Proc } from '../../support/processes.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('admin client')
const runner = 'Deno' in globalThis ? ['run', '-A', '--no-lock', 'src/main.ts'] : ['src/main.ts']

class Fake implements AsyncDisposable {
  readonly server: Server
  readonly asked: string[] = []

  private constructor(listener: RequestListener) {
    this.server = createServer((request, response) => {
      this.asked.push(`${request.method} ${request.url}`)
      listener(request, response)
    })
  }

  static async start(listener: RequestListener): Promise<Fake> {
    const it = new Fake(listener)
    await new Promise<void>((resolve) => it.server.listen(0, '127.0.0.1', resolve))
    return it
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.server.close(() => resolve())
    this.server.closeAllConnections()
    await promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

const json = (response: ServerResponse, value: unknown, status = 200) => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

const ask = (command: string, address: string, env: Record<string, string> = {}) =>
  new Proc(process.execPath, [...runner, command, '--admin', address], env)

test('the node is asked itself, whatever proxies the environment names', async () => {
  await using node = await Fake.start((_request, response) => json(response, { node: 'n' }))
  await using proxy = await Fake.start((_request, response) => json(response, { node: 'proxy' }))
  const through = `http://${proxy.address}`
  const env = {
    HTTP_PROXY: through,
    http_proxy: through,
    ALL_PROXY: through,
    all_proxy: through,
    NODE_USE_ENV_PROXY: '1',
  }
  const command = ask('status', node.address, { ...env, NO_PROXY: '', no_proxy: '' })
  assert.is(await command.ended, 0, command.log)
  assert.is(command.log, 'node  n\n')
  assert.equal(proxy.asked, [])
})

test('a table shows control characters of strangers instead of obeying them; JSON is as it came', async () => {
  const client = 'a\x1b[2J\nb\x9b1m\u202ec'
  const row = { client, subscriptions: ['x\ty', 'é'] }
  await using node = await Fake.start((_request, response) => json(response, [row]))
  const table = ask('clients', node.address)
  assert.is(await table.ended, 0, table.log)
  assert.is(
    table.log.replaceAll(/ +/g, ' '),
    'client subscriptions\na\\u001b[2J\\u000ab\\u009b1m\\u202ec x\\u0009y, é\n',
  )
  const machines = new Proc(process.execPath, [...runner, 'clients', '--json', '--admin', node.address])
  assert.is(await machines.ended, 0, machines.log)
  assert.equal(JSON.parse(machines.log), [row])
})

test('drain: a node that does not answer in time is not gone', async () => {
  let silent = true
  await using node = await Fake.start((request, response) => {
    if (request.method === 'POST') json(response, { draining: true }, 202)
    else if (!silent) response.destroy()
  })
  const command = ask('drain', node.address)
  const early = await Promise.race([command.ended, new Promise((resolve) => setTimeout(resolve, 7_000, 'waits'))])
  assert.is(early, 'waits', 'five seconds of silence are no end')
  assert.ok(node.asked.length >= 3, 'it has asked again')
  silent = false
  const again = node.asked.length
  while (node.asked.length < again + 3) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(command.isUp, 'nor is a connection that is cut')
  await node.stop()
  assert.is(await command.ended, 0, command.log)
})

test('a node that is not there, and one that refuses, in a sentence', async () => {
  await using node = await Fake.start((_request, response) => json(response, { error: 'not from here' }, 403))
  const refused = ask('drain', node.address)
  assert.is(await refused.ended, 1)
  assert.is(refused.log, `tandemq: ${node.address} answers 403: not from here\n`)
  const { address } = node
  await node.stop()
  const none = ask('status', address)
  assert.is(await none.ended, 1)
  assert.is(none.log, `tandemq: no node answers at ${address} (--admin)\n`)
})

test.run()
