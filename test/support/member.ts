// Member: one broker node with the world around it: a disk, a link and somebody who knows the users, each answering when it is
// told to. Knows no client and no time of its own.

import type { Turn } from '../../src/base/brand.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { BrokerNode } from '../../src/core/node.ts'
import type { NodeConfig } from '../../src/core/ports.ts'
import { Authenticator } from '../../src/host/users/authenticator.ts'
import type { Users } from '../../src/host/users/users.ts'
import { deriveAtOnce } from './passwords.ts'

/** Ms since 1970 when a world's clock stands at 0. */
export const WALL_MS = 1_780_000_000_000

export const CONFIG: NodeConfig = {
  name: 'a',
  paired: false,
  ack: 'peer-ram',
  partition: 'available',
  bootstrap: false,
  suspectMs: LIMITS.suspectMs,
  soloMs: LIMITS.soloMs,
  stuckMs: LIMITS.stuckMs,
  bootWaitMs: LIMITS.bootWaitMs,
  willGraceMs: LIMITS.willGraceMs,
  claimTimeoutMs: LIMITS.claimTimeoutMs,
  flushMs: LIMITS.flushMs,
  groupBytesMost: LIMITS.groupBytesMost,
  allowAnonymous: false,
  access: null,
  packetBytesMax: LIMITS.packetBytesMax,
  queuedMessagesMax: LIMITS.queuedMessagesMax,
  queuedBytesMax: LIMITS.queuedBytesMax,
  queueFull: 'drop-newest',
  queueQos0: false,
  queuedBytesTotalMax: LIMITS.queuedBytesTotalMax,
  connectionsMax: LIMITS.connectionsMax,
  connectTimeoutMs: LIMITS.connectTimeoutMs,
  receiveMaximum: LIMITS.receiveMaximum,
  inflightMax: 0,
  subscriptionsMax: LIMITS.subscriptionsPerSessionMax,
  topicLevelsMax: LIMITS.topicLevelsMax,
  topicBytesMax: LIMITS.topicBytesMax,
  clientIdBytesMax: LIMITS.clientIdBytesMax,
  clientIdPattern: null,
  retainedMessagesMax: LIMITS.retainedMessagesMax,
  retainedBytesMax: LIMITS.retainedBytesMax,
  sessionExpiryMax: LIMITS.sessionExpiryMax,
  keepAliveMax: 0,
  qosMax: 2,
  retainAvailable: true,
  topicAliasMaximum: LIMITS.topicAliasMaximum,
  sharedStrategy: 'round-robin',
  sysIntervalMs: LIMITS.sysIntervalMs,
  validatePayload: false,
  responseInformation: null,
  serverReference: null,
  nonce: 7,
  seed: 7,
  mutations: new Set(),
  version: 'test',
}

export type Logged = { name: string; fields: Record<string, unknown> }

/** One node with the world around it. */
export class Member {
  readonly node: BrokerNode
  readonly log: Logged[] = []
  /** False: flushes are taken and never completed. */
  diskAnswers = true
  /** Bytes for the peer, in order. */
  readonly outgoing: Uint8Array[] = []
  /** Nothing of it reaches the peer, and a link that is given up is no surprise. */
  mute = false
  /** It waits, in order. */
  held = false
  /** Who knows the users; null: nobody is asked. */
  readonly authenticator: Authenticator | null
  /** False: questions about clients are taken and not answered. */
  authAnswers = true
  private readonly asked: (() => void)[] = []
  private readonly authAsked: (() => void)[] = []

  constructor(config: Partial<NodeConfig>, now: number, users: Users | null = null) {
    const store = {
      flush: (_batch: unknown, turn: Turn) => void this.asked.push(() => this.node.stored(turn)),
      writeRecord: () => void this.asked.push(() => this.node.recordStored()),
    }
    const link = {
      send: (bytes: Uint8Array) => void this.outgoing.push(bytes.slice()),
      backlog: () => 0,
      close: (why: string) => {
        if (this.mute) return
        throw new Error(`the link was dropped: ${why}`)
      },
    }
    const log = { event: (name: string, fields: Record<string, unknown>) => void this.log.push({ name, fields }) }
    this.authenticator =
      users === null
        ? null
        : new Authenticator(
            users,
            (request, answer) => void this.authAsked.push(() => this.node.authentication.answered(request, answer)),
            deriveAtOnce,
          )
    const memoryBytes = () => 64 << 20
    const ports = {
      link,
      store,
      log,
      memoryBytes,
      ...(this.authenticator === null ? {} : { auth: this.authenticator }),
    }
    this.node = new BrokerNode({ ...CONFIG, ...config }, null, null, ports, now, WALL_MS)
  }

  /** @returns whether the disk, or who knows the users, had something to answer */
  answer(): boolean {
    const answers = [
      ...(this.diskAnswers ? this.asked.splice(0) : []),
      ...(this.authAnswers ? this.authAsked.splice(0) : []),
    ]
    for (const answer of answers) answer()
    return answers.length > 0
  }
}
