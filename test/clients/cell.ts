// Cell: one feature with one client: its clients on the nodes of the pair, with names of their own. Knows neither feature nor program.

import type { Connect, Listener, Message, Program, Publish, Question, Sent, Subscribe, Version } from './client.ts'
import type { TableNode, TablePair } from './nodes.ts'

/** What is the same for all cells. */
export type World = {
  readonly pair: TablePair
  /** Node a goes, once all that are to see it have called. */
  readonly leave: (cell: Cell) => Promise<void>
}

export class Cell {
  readonly a: TableNode
  readonly b: TableNode
  readonly version: Version
  private readonly world: World
  private readonly program: Program
  private readonly prefix: string
  private readonly listeners: Listener[] = []
  private publishers = 0

  /** @param prefix of its topics and client identifiers */
  constructor(world: World, version: Version, program: Program, prefix: string) {
    this.a = world.pair.a
    this.b = world.pair.b
    this.world = world
    this.version = version
    this.program = program
    this.prefix = prefix
  }

  /** A name that no other cell has: topic or client identifier. */
  name(part: string): string {
    return `${this.prefix}/${part}`
  }

  get keepAliveMin(): number {
    return this.program.keepAliveMin
  }

  /** A session that outlives its connection. */
  get kept(): Partial<Connect> {
    return { clean: false, ...(this.version === '5.0' && { properties: { sessionExpiryInterval: 600 } }) }
  }

  private connect(node: TableNode, connect: Partial<Connect>): Connect {
    const port = connect.webSocket === true ? node.webSocketPort : node.port
    const id = this.name(`client${this.listeners.length}`)
    const none = { webSocket: false, user: null, scram: false, will: null, properties: {}, goodbye: {} }
    return { port, id, clean: true, keepAlive: 60, ...none, ...connect }
  }

  /** A subscriber; to the topic `t` unless told. */
  async listen(node: TableNode, subscribe: Partial<Subscribe> = {}, connect: Partial<Connect> = {}): Promise<Listener> {
    const plain = {
      unsubscribe: [],
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      identifier: null,
    } as const
    const whole = { filters: [this.name('t')], qos: 1, ...plain, ...subscribe } as const
    const listener = await this.program.listen(this.connect(node, connect), whole)
    this.listeners.push(listener)
    return listener
  }

  message(publish: Partial<Publish>): Publish {
    return { topic: this.name('t'), payloads: ['text'], qos: 1, retain: false, properties: {}, ...publish }
  }

  /** Publishes with a connection of its own; to the topic `t` unless told. */
  async tryPublish(node: TableNode, publish: Partial<Publish> = {}, connect: Partial<Connect> = {}): Promise<Sent> {
    const id = this.name(`publisher${this.publishers++}`)
    return await this.program.publish(this.connect(node, { id, ...connect }), this.message(publish))
  }

  /** The same, and it must be let in. */
  async publish(node: TableNode, publish: Partial<Publish> = {}, connect: Partial<Connect> = {}): Promise<Sent> {
    const sent = await this.tryPublish(node, publish, connect)
    if (sent.connack !== 0) throw new Error(`refused with ${sent.connack}`)
    return sent
  }

  async ask(node: TableNode, question: Question): Promise<Message> {
    return await this.program.ask(this.connect(node, { id: this.name('asker') }), question)
  }

  /** Node a goes, and tells its clients. */
  async drain(): Promise<void> {
    await this.world.leave(this)
  }

  end(): void {
    for (const listener of this.listeners) listener.vanish()
  }
}
