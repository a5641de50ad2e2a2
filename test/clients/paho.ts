// Paho: Eclipse Paho's Python library, as a client of the table: all its clients live in one process, which is spoken to in lines of
// JSON. Knows that process, and no feature.

import { Proc } from '../support/processes.ts'
import { PYTHON } from '../support/tools.ts'
import {
  type Connect,
  type End,
  Library,
  LibraryListener,
  type Message,
  type Properties,
  type Publish,
  type Subscribe,
  until,
  type Version,
} from './client.ts'

const SCRIPT = 'test/support/paho_client.py'

type PahoEvent = { readonly client: string } & (
  | { readonly event: 'connack'; readonly code: number; readonly present: boolean; readonly properties: Properties }
  | ({ readonly event: 'message' } & Message)
  | { readonly event: 'suback'; readonly granted: readonly number[] }
  | { readonly event: 'unsuback' | 'published' | 'pingresp' }
  | ({ readonly event: 'end' } & End)
)

/** The process. */
export class PahoProcess implements AsyncDisposable {
  readonly proc = new Proc(PYTHON, [SCRIPT])
  private readonly listeners = new Map<string, PahoListener>()

  constructor() {
    this.proc.onLine((line) => {
      // What Python itself says is in the log.
      if (!line.startsWith('{')) return
      const event = JSON.parse(line) as PahoEvent
      this.listeners.get(event.client)?.onEvent(event)
    })
  }

  add(listener: PahoListener): string {
    const name = `p${this.listeners.size}`
    this.listeners.set(name, listener)
    return name
  }

  tell(order: object): void {
    if (!this.proc.isUp) throw new Error(`${SCRIPT} has ended:\n${this.proc.log.slice(-4000)}`)
    this.proc.child.stdin?.write(JSON.stringify(order) + '\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proc.child.stdin?.end()
    await this.proc.terminate()
  }
}

class PahoListener extends LibraryListener {
  private readonly process: PahoProcess
  private readonly name: string
  private readonly goodbye: Properties
  private published = 0

  constructor(process: PahoProcess, version: Version, connect: Connect) {
    super()
    this.process = process
    this.goodbye = connect.goodbye
    this.name = process.add(this)
    this.tell('open', { version, ...connect })
  }

  private tell(what: string, fields: object = {}): void {
    this.process.tell({ client: this.name, do: what, ...fields })
  }

  onEvent(event: PahoEvent): void {
    if (event.event === 'connack') {
      this.code = event.code
      this.present = event.present
      this.properties = event.properties
    } else if (event.event === 'message') this.messages.push(event)
    else if (event.event === 'suback') this.granted = event.granted
    else if (event.event === 'unsuback') this.unsubscribed = true
    else if (event.event === 'published') this.published++
    else if (event.event === 'pingresp') this.pings++
    else if (event.event === 'end') this.end ??= event
  }

  subscribe(subscribe: Subscribe): void {
    this.tell('subscribe', subscribe)
  }

  unsubscribe(filters: readonly string[]): void {
    this.tell('unsubscribe', { filters })
  }

  /** It tells that a message is acknowledged, not how. */
  async publish(publish: Publish): Promise<readonly number[]> {
    const all = this.published + publish.payloads.length
    this.tell('publish', publish)
    await until(
      () => this.published === all || undefined,
      () => `${publish.payloads.length} messages acknowledged`,
    )
    return []
  }

  pause(): void {
    this.tell('pause')
  }

  resume(): void {
    this.tell('resume')
  }

  async leave(reason = 0): Promise<void> {
    this.tell('leave', { reason, properties: this.goodbye })
    await this.ended()
  }

  vanish(): void {
    this.tell('vanish')
  }
}

export class Paho extends Library {
  private readonly process: PahoProcess

  constructor(version: Version, process: PahoProcess) {
    super(version)
    this.process = process
  }

  protected open(connect: Connect): PahoListener {
    return new PahoListener(this.process, this.version, connect)
  }
}
