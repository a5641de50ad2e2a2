// Broker: what a connection asks of the composition above it. Knows no implementation.

import type { EntryState } from '../session/image.ts'
import type { Entry } from '../session/queue.ts'
import type { Session } from '../session/session.ts'
import type { Access } from '../topic/access.ts'
import type { TopicTable } from '../topic/topics.ts'
import type { Connect, PublishView, SubscribeRequest } from '../wire/packet.ts'
import type { Authentication } from './authentication.ts'
import type { Connection } from './connection.ts'
import type { Rules } from './rules.ts'
import type { Traffic } from './traffic.ts'

export type ConnectionPolicy = {
  readonly allowAnonymous: boolean
  readonly packetBytesMax: number
  readonly receiveMaximum: number
  /** 0: the client's own, or a default. */
  readonly inflightMax: number
  readonly subscriptionsMax: number
  readonly topicLevelsMax: number
  readonly topicBytesMax: number
  readonly clientIdBytesMax: number
  readonly clientIdPattern: RegExp | null
  readonly sessionExpiryMax: number
  readonly keepAliveMax: number
  readonly qosMax: 0 | 1 | 2
  readonly retainAvailable: boolean
  /** 0: none are taken. */
  readonly topicAliasMaximum: number
  /** A payload that says it is UTF-8 text is looked at. */
  readonly validatePayload: boolean
  /** The part of the topic tree for answers, told to who asks; `%c` is the client identifier. Null: none. */
  readonly responseInformation: string | null
}

export interface AccessControl {
  /** What this client may do; null: everything. */
  of(username: string | null, clientId: string): Access | null
}

export interface Broker {
  /** Monotonic milliseconds of this turn. */
  readonly now: number
  readonly policy: ConnectionPolicy
  readonly rules: Rules
  readonly topics: TopicTable
  readonly traffic: Traffic
  readonly authentication: Authentication
  readonly access: AccessControl
  /** The turn that an output of the packet at hand must wait for: this one if the packet changed anything durable, else 0. */
  need(): number
  /** A new packet begins: what was changed before does not gate it. */
  begin(): void
  /** This node serves clients, or may in a moment: then a CONNECT is kept until it is decided. */
  readonly admitting: boolean
  /** Where clients that are not served here find the other node, while it is there and its address is known. */
  readonly elsewhere: string | null
  /** All places are taken, and none of them by this client. */
  fullFor(clientId: string): boolean
  assignClientId(): string
  /** The checked CONNECT: decides who owns the session; answers by connection.accept() or connection.refuse(), now or later. */
  connect(connection: Connection, packet: Connect): void
  /** The connection ended. `clean`: by DISCONNECT without will. */
  ended(connection: Connection, clean: boolean): void
  /** @returns whether anybody was there to receive it */
  publish(connection: Connection, view: PublishView, packetId: number): boolean
  subscribe(session: Session, request: SubscribeRequest, id: number): void
  /** Sends (or queues) the retained messages that a new subscription asks for. */
  replayRetained(session: Session, filter: string): void
  unsubscribe(session: Session, filter: string): boolean
  /** PUBREL of the client arrived. */
  releaseInbound(session: Session, packetId: number): void
  /** An entry goes out (or moves on) under this identifier. */
  sent(session: Session, entry: Entry, packetId: number, state: EntryState): void
  /** An entry is done. */
  done(session: Session, entry: Entry): void
  expiryChanged(session: Session, expiry: number): void
  /** Bytes wait to be written. */
  dirty(connection: Connection): void
  /** The session may have something to send. */
  pump(session: Session): void
  /** The turn up to which everything has its promise. */
  readonly released: number
  /** The session waits for a turn to be released before it can send on. */
  pumpAfter(session: Session, turn: number): void
  count(name: string): void
  log(name: string, fields: Record<string, unknown>): void
  /** Writers that idle connections give back. */
  readonly writers: import('./writers.ts').Writers
}
