// Transcript: a scenario as text: commands, a line of dashes, and what happened, one line an event. Blocks are parted by an empty
// line; `#` begins a comment. Runs the commands of a block, gives what happened.

import type { Connection } from '../../src/connection/connection.ts'
import type { ServerPacket } from '../../src/wire/client_decoder.ts'
import type { QoS } from '../../src/wire/packet.ts'
import type { Frame } from '../../src/wire/peer_message.ts'
import { describeFrame, describePacket } from './describe.ts'
import { ScriptedClient, text } from './mqtt_client.ts'
import { type Audience, type NodeName, Stage } from './stage.ts'

export type Block = {
  readonly comments: readonly string[]
  readonly commands: readonly string[]
  readonly output: readonly string[]
}

/** After each command: lazy ops and flushes get through. */
const SETTLE_MS = 120

export function parseTranscript(source: string): Block[] {
  const blocks = source.trim().split(/\n\s*\n/)
  return blocks.map((block) => {
    const lines = block.split('\n')
    const dashes = lines.indexOf('----')
    const script = dashes === -1 ? lines : lines.slice(0, dashes)
    return {
      comments: script.filter((line) => line.startsWith('#')),
      commands: script.filter((line) => !line.startsWith('#')),
      output: dashes === -1 ? [] : lines.slice(dashes + 1),
    }
  })
}

export function formatTranscript(blocks: readonly Block[]): string {
  const texts = blocks.map(({ comments, commands, output }) =>
    [...comments, ...commands, ...(commands.length > 0 ? ['----', ...output] : [])].join('\n'),
  )
  return `${texts.join('\n\n')}\n`
}

class Actor extends ScriptedClient {
  /** Acknowledges only when told to. */
  readonly manual: boolean
  readonly node: NodeName
  readonly name: string
  open = true
  private readonly connection: Connection
  private readonly play: Play

  /** @param name of the device, in the transcript: two may have one client id */
  constructor(play: Play, name: string, clientId: string, node: NodeName, version: 4 | 5, manual: boolean) {
    super(clientId, version)
    this.name = name
    this.play = play
    this.node = node
    this.manual = manual
    this.connection = play.stage.accept(node, {
      transport: 'tcp',
      address: `client:${name}`,
      loopback: true,
      write: (bytes) => {
        if (this.open) this.received(bytes.slice())
        return bytes.length
      },
      pause: () => {},
      resume: () => {},
      end: () => this.ended(),
    })
  }

  private ended(): void {
    if (!this.open) return
    this.open = false
    this.play.say(`${this.node}→${this.name} closed`)
    if (this.play.stage.isUp(this.node)) this.play.stage.node(this.node).closed(this.connection)
  }

  protected transmit(bytes: Uint8Array): void {
    if (!this.open) return
    this.play.stage.node(this.node).data(this.connection, bytes)
  }

  protected override onPacket(packet: ServerPacket | null): void {
    if (packet === null) throw new Error(`${this.clientId}: ${this.fault}`)
    this.play.say(`${this.node}→${this.name} ${describePacket(packet)}`)
    if (!this.manual) this.play.answers.push(() => this.answer(packet))
  }

  private answer(packet: ServerPacket): void {
    if (packet.cmd === 'publish' && packet.qos === 1) this.sendPuback(packet.packetId)
    if (packet.cmd === 'publish' && packet.qos === 2) this.sendPubrec(packet.packetId)
    if (packet.cmd === 'pubrec') this.sendPubrel(packet.packetId)
    if (packet.cmd === 'pubrel') this.sendPubcomp(packet.packetId)
  }

  /** The network connection ends without a word. @param told false: its node is dead and hears nothing */
  drop(told: boolean): void {
    if (!this.open) return
    this.open = false
    if (told) this.play.stage.node(this.node).closed(this.connection)
  }
}

export class Play implements Audience {
  readonly stage: Stage
  /** What clients owe, given after the events at hand. */
  readonly answers: (() => void)[] = []
  private lines: string[] = []
  private readonly actors = new Map<string, Actor>()

  constructor() {
    this.stage = new Stage(this)
    this.lines = []
  }

  /** @returns what happened */
  run(block: Block): string[] {
    for (const command of block.commands) {
      this.command(command)
      this.settle()
    }
    const { lines } = this
    this.lines = []
    return lines
  }

  say(line: string): void {
    this.lines.push(line)
  }

  private settle(): void {
    this.drive()
    for (const until = this.stage.now + SETTLE_MS; this.stage.now < until; this.drive()) this.stage.pass(10)
  }

  private drive(): void {
    do {
      this.stage.drive()
      for (const answer of this.answers.splice(0)) answer()
      this.stage.drive()
    } while (this.answers.length > 0)
  }

  // ---- commands

  private command(line: string): void {
    const words = line.match(/"[^"]*"|\S+/g) ?? []
    const [verb = '', ...rest] = words
    const plain = rest.filter((word) => !/^\w+=/.test(word))
    const options = new Map(
      rest.filter((word) => /^\w+=/.test(word)).map((word) => word.split('=') as [string, string]),
    )
    const at = (i: number): string => plain[i] ?? ''
    switch (verb) {
      case 'connect':
        return this.connect(at(0) as NodeName, at(1), options.get('id') ?? at(1), plain.slice(2), options.get('will'))
      case 'subscribe':
        return void this.actor(at(0)).sendSubscribe(at(1), Number(options.get('qos') ?? 0) as QoS)
      case 'unsubscribe':
        return void this.actor(at(0)).sendUnsubscribe(at(1))
      case 'publish': {
        const id = options.get('id')
        const again = id === undefined ? {} : { packetId: Number(id), dup: true }
        const fields = { qos: Number(options.get('qos') ?? 0) as QoS, retain: plain.includes('retain'), ...again }
        return void this.actor(at(0)).sendPublish(at(1), at(2).replaceAll('"', ''), fields)
      }
      case 'puback':
        return this.actor(at(0)).sendPuback(Number(options.get('id')))
      case 'pubrec':
        return this.actor(at(0)).sendPubrec(Number(options.get('id')))
      case 'pubrel':
        return this.actor(at(0)).sendPubrel(Number(options.get('id')))
      case 'pubcomp':
        return this.actor(at(0)).sendPubcomp(Number(options.get('id')))
      case 'disconnect':
        return this.actor(at(0)).sendDisconnect()
      case 'drop':
        return this.actor(at(0)).drop(true)
      case 'hold':
      case 'release':
        return this.stage.hold(at(0) as NodeName, verb === 'hold')
      case 'cut':
      case 'heal':
        return this.stage.part(verb === 'cut')
      case 'crash':
        return this.crash(at(0) as NodeName)
      case 'start':
        return this.stage.start(at(0) as NodeName)
      case 'drain':
        return this.stage.node(at(0) as NodeName).drainAway()
      case 'wait':
        return this.wait(Number.parseFloat(at(0)) * 1000)
      case 'show':
        return this.show()
      default:
        throw new Error(`no such command: ${line}`)
    }
  }

  private connect(node: NodeName, name: string, clientId: string, words: readonly string[], will?: string): void {
    this.actors.get(name)?.drop(false)
    const version = words.includes('v4') ? 4 : 5
    const actor = new Actor(this, name, clientId, node, version, words.includes('manual'))
    this.actors.set(name, actor)
    const [topic = '', payload = ''] = will?.split(':') ?? []
    actor.sendConnect({
      cleanStart: words.includes('clean'),
      sessionExpiry: words.includes('clean') ? 0 : 3600,
      ...(will === undefined
        ? {}
        : { will: { topic, payload: new TextEncoder().encode(payload), qos: 1, retain: false } }),
    })
  }

  private actor(name: string): Actor {
    const actor = this.actors.get(name)
    if (actor === undefined) throw new Error(`no client ${name} is connected`)
    return actor
  }

  /** Its clients lose their connections. */
  private crash(name: NodeName): void {
    for (const actor of this.actors.values()) if (actor.node === name) actor.drop(false)
    this.stage.crash(name)
  }

  private wait(ms: number): void {
    for (const until = this.stage.now + ms; this.stage.now < until; this.drive()) this.stage.pass(10)
  }

  /** What each node holds. */
  private show(): void {
    for (const name of ['a', 'b'] as const) {
      if (!this.stage.isUp(name)) {
        this.say(`${name}: down`)
        continue
      }
      const node = this.stage.node(name)
      const sessions = [...node.sessions.byClient.values()].filter((session) => session.durable)
      const texts = sessions.map((s) => {
        const queue = [...s.queue].map((entry) => text(entry.message.payload))
        const kept = s.shadows.map((shadow) => text(shadow.message.payload))
        const lists = [
          queue.length > 0 ? ` queue ${queue.join(', ')}` : '',
          kept.length > 0 ? ` kept ${kept.join(', ')}` : '',
        ]
        return `${s.clientId} ${s.mine ? 'owned' : 'replica'}${lists.join('')}`
      })
      this.say([`${name}: ${node.mode}`, ...texts].join('; '))
    }
  }

  // ---- events

  onEvent(node: NodeName, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (name === 'mode') this.say(`${node}: ${fields['from']} → ${fields['to']}`)
    else if (name === 'going_alone') this.say(`${node}: goes on alone (${fields['why']})`)
    else if (name === 'merged') this.say(`${node}: merged ${fields['client']}, queue of ${fields['queued']} from there`)
    else if (name === 'link_dropped') this.say(`${node}: drops the link (${fields['why']})`)
    else if (name === 'possibly_stale') this.say(`${node}: possibly stale`)
  }

  onFrame(from: NodeName, frame: Frame): void {
    const arrow = from === 'a' ? 'a⇒b' : 'b⇒a'
    for (const told of describeFrame(frame)) this.say(`${arrow} ${told}`)
  }
}
