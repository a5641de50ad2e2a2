// AdminClient: `tandemq status`, `clients` and `drain`: ask a running node over its admin address. Knows no MQTT.
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { type DialAddress, formatAddress, parseDial } from '../host/address.ts'
import { type Flag, parseArguments } from './arguments.ts'
import { Failure } from './failure.ts'
import { commandHelp, type Described } from './help.ts'
import { visible } from './visible.ts'

const ADMIN_PORT = 18083
const ASK_MS_MAX = 5000
const DRAIN_MS_MAX = 60_000
const POLL_MS = 50

const ADMIN: Described = {
  name: 'admin',
  value: 'HOST:PORT',
  help: `where the node listens (default 127.0.0.1:${ADMIN_PORT})`,
}
const JSON_FLAG: Described = { name: 'json', value: null, help: 'for machines' }

const COMMANDS: Record<
  string,
  { what: string; flags: Described[]; run: (node: Remote, json: boolean) => Promise<void> }
> = {
  status: { what: 'What a running node says of itself.', flags: [ADMIN, JSON_FLAG], run: status },
  clients: { what: 'Who is connected, on both nodes.', flags: [ADMIN, JSON_FLAG], run: clients },
  drain: {
    what: 'Lets a running node hand over its sessions, tell its clients and end; comes back when it is gone: when its port refuses.',
    flags: [ADMIN],
    run: drain,
  },
}

/** @throws {OperatorFault | Failure} */
export async function admin(command: string, args: readonly string[]): Promise<void> {
  const { what, flags, run } = COMMANDS[command] as (typeof COMMANDS)[string]
  if (args.includes('--help')) {
    console.log(commandHelp(`${command} [OPTIONS]`, what, flags))
    return
  }
  const values = parseArguments(command, args, flags as Flag[])
  const text = values.get('admin')?.[0] ?? String(ADMIN_PORT)
  const to = parseDial(/^\d+$/.test(text) ? `127.0.0.1:${text}` : text, '--admin', ADMIN_PORT)
  await run(new Remote(to), values.has('json'))
}

/** Nobody listens at the address. */
class NobodyThere extends Failure {}

class Remote {
  readonly address: string
  private readonly to: DialAddress
  /** Where the list goes on of which the last answer was a part. */
  private next: string | null = null

  constructor(to: DialAddress) {
    this.address = formatAddress(to.host, to.port)
    this.to = to
  }

  async ask(method: string, path: string): Promise<unknown> {
    let answer: Answer
    try {
      answer = await fetchDirectly(this.to, method, path)
    } catch (error) {
      const refused = (error as { code?: string }).code === 'ECONNREFUSED'
      throw new (refused ? NobodyThere : Failure)(`no node answers at ${this.address} (--admin)`)
    }
    const { status, link, text } = answer
    this.next = /<([^>]*)>; rel="next"/.exec(link)?.[1] ?? null
    if (status >= 200 && status < 300) return JSON.parse(text)
    throw new Failure(`${this.address} answers ${status}: ${visible(errorText(text))}`)
  }

  /** All rows of a list, page by page. */
  async list(path: string): Promise<Record<string, unknown>[]> {
    const rows: Record<string, unknown>[] = []
    for (let next: string | null = path; next !== null; next = this.next) {
      rows.push(...((await this.ask('GET', next)) as Record<string, unknown>[]))
    }
    return rows
  }
}

type Answer = { readonly status: number; readonly link: string; readonly text: string }

/** Never through a proxy, whatever the environment says, as fetch would: what is asked is the node at this very address. */
function fetchDirectly({ host, port }: DialAddress, method: string, path: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const read = async (response: IncomingMessage) => {
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const { statusCode, headers } = response
    resolve({ status: statusCode as number, link: String(headers['link'] ?? ''), text })
  }
  const signal = AbortSignal.timeout(ASK_MS_MAX)
  const asking = request({ host, port, method, path, signal, createConnection: () => connect(port, host) })
  asking.on('response', (response) => read(response).catch(reject))
  asking.on('error', reject)
  asking.end()
  return promise
}

function errorText(body: string): string {
  try {
    return (JSON.parse(body) as { error?: string }).error ?? body.trim()
  } catch {
    return body.slice(0, 200).trim()
  }
}

async function status(node: Remote, json: boolean): Promise<void> {
  const answer = await node.ask('GET', '/api/v1/status')
  if (json) console.log(JSON.stringify(answer))
  else console.log(table(flatten(answer as Record<string, unknown>, '')))
}

async function clients(node: Remote, json: boolean): Promise<void> {
  const rows = await node.list('/api/v1/clients')
  rows.sort((a, b) => (String(a['client']) < String(b['client']) ? -1 : 1))
  if (json) {
    console.log(JSON.stringify(rows))
    return
  }
  if (rows.length === 0) {
    console.log('no clients')
    return
  }
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  console.log(table([columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]))
}

async function drain(node: Remote): Promise<void> {
  await node.ask('POST', '/api/v1/drain')
  const end = performance.now() + DRAIN_MS_MAX
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    try {
      await node.ask('GET', '/health/live')
    } catch (error) {
      if (error instanceof NobodyThere) return
      if (!(error instanceof Failure)) throw error // no answer is no end: it may be busy handing over
    }
    if (performance.now() > end) throw new Failure(`${node.address} is still there after ${DRAIN_MS_MAX / 1000} s`)
  }
}

function flatten(value: Record<string, unknown>, prefix: string): string[][] {
  return Object.entries(value).flatMap(([key, item]) => {
    const nested = typeof item === 'object' && item !== null && !Array.isArray(item)
    return nested ? flatten(item as Record<string, unknown>, `${prefix}${key}.`) : [[prefix + key, cell(item)]]
  })
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.map(cell).join(', ')
  return visible(typeof value === 'object' ? JSON.stringify(value) : String(value))
}

function table(rows: string[][]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length)
  return rows
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
