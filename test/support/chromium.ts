// Chromium: a real browser without a window, told over its DevTools protocol to open a page and to run code in it.

import { Folder, Proc } from './processes.ts'

const WAIT_MS = 30_000
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
]

type Answer = {
  id?: number
  method?: string
  result?: { targetId?: string; sessionId?: string; result?: { value?: unknown }; exceptionDetails?: unknown }
  error?: { message: string }
}

export class Chromium implements AsyncDisposable {
  private readonly folder: Folder
  private readonly proc: Proc
  private readonly socket: WebSocket
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private readonly loads: (() => void)[] = []
  private lastId = 0
  private session = ''

  private constructor(folder: Folder, proc: Proc, socket: WebSocket) {
    this.folder = folder
    this.proc = proc
    this.socket = socket
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer
      if (answer.id !== undefined) this.waiting.get(answer.id)?.(answer)
      else if (answer.method === 'Page.loadEventFired') for (const resolve of this.loads.splice(0)) resolve()
    })
  }

  /** Starts it, with a profile of its own, and an empty page. */
  static async start(): Promise<Chromium> {
    const folder = new Folder()
    const proc = new Proc('chromium', [...FLAGS, `--user-data-dir=${folder.path}`, 'about:blank'])
    const url = await devToolsUrl(proc)
    const socket = new WebSocket(url)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error(`no DevTools at ${url}`)))
    })
    const browser = new Chromium(folder, proc, socket)
    const { targetId } = await browser.ask('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.ask('Target.attachToTarget', { targetId, flatten: true })
    browser.session = sessionId as string
    await browser.ask('Page.enable', {})
    return browser
  }

  /** Opens a page and waits until all of it is there. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => void this.loads.push(resolve))
    await this.ask('Page.navigate', { url })
    await loaded
  }

  /** Runs an expression in the page. @returns its value, or that of the promise it is */
  async run(expression: string): Promise<unknown> {
    const params = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.ask('Runtime.evaluate', params)
    if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`)
    return result?.value
  }

  private ask(method: string, params: Record<string, unknown>): Promise<NonNullable<Answer['result']>> {
    const id = ++this.lastId
    const { promise, resolve, reject } = Promise.withResolvers<NonNullable<Answer['result']>>()
    const timer = setTimeout(() => reject(new Error(`${method}: no answer in ${WAIT_MS} ms`)), WAIT_MS)
    this.waiting.set(id, ({ result, error }) => {
      clearTimeout(timer)
      this.waiting.delete(id)
      if (error === undefined) resolve(result ?? {})
      else reject(new Error(`${method}: ${error.message}`))
    })
    this.socket.send(
      JSON.stringify({ id, method, params, ...(this.session === '' ? {} : { sessionId: this.session }) }),
    )
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close()
    await this.proc.terminate(5_000)
    this.folder[Symbol.dispose]()
  }
}

function devToolsUrl(proc: Proc): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const fail = () => reject(new Error(`chromium did not start:\n${proc.log.slice(-2000)}`))
  const timer = setTimeout(fail, WAIT_MS)
  proc.onOutput(() => {
    const found = /DevTools listening on (ws:\S+)/.exec(proc.log)
    if (found === null) return
    clearTimeout(timer)
    resolve(found[1] as string)
  })
  proc.ended.then(fail)
  return promise
}
