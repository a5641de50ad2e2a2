// Peer message: the frames and ops that travel between the two nodes, as the arrays that MessagePack carries, and the check
// that what arrived has that shape. Numbers are never reused. Knows no sockets and no meaning.
import { copyBytes } from '../base/bytes.ts'
import type { QoS, Will } from './packet.ts'

/** What a build can do beyond protocol version 1, as bits of HELLO; only what both have is used. */
export const Feature = { shared: 1 } as const
export const FEATURES = Feature.shared

/** Versions of the link's protocol this build speaks. */
export const LINK_PROTOCOL = { min: 1, max: 1 } as const

export const FrameKind = {
  hello: 1,
  ops: 2,
  ack: 3,
  heartbeat: 4,
  qos0: 5,
  lead: 6,
  ready: 7,
  start: 8,
  offer: 9,
  ok: 10,
  live: 11,
  evict: 12,
  leave: 13,
  alone: 14,
  refuse: 15,
  blob_reserved: 16, // payload fragments
  merge: 17,
  merged: 18,
} as const

export const OpKind = {
  pub: 1,
  enq: 2,
  out: 3,
  deq: 4,
  inboundDel: 5,
  sub: 6,
  unsub: 7,
  interest: 8,
  conn: 9,
  claim: 10,
  grant: 11,
  deny: 12,
  kick_reserved: 13,
  end: 14,
  new: 15,
  snapBegin: 16,
  snapHead: 17,
  snapPart: 18,
  snapRetained: 19,
  snapPresence: 20,
  snapEnd: 21,
  expiry: 22,
  shadows: 23,
  members: 24,
  deal: 25,
  bounce: 26,
} as const

export type TokenWire = readonly [epoch: number, minter: number, n: number]
export type AncestorWire = readonly [epoch: number, minter: number, n: number, forkVer: number]
export type GenerationWire = readonly [n: number, minter: number]
/** flags: bits 0-1 QoS, 2 RETAIN, 3 forwarded, 4 RETAIN for which there is no room. expiry: milliseconds left, -1 none. */
export type MessageWire = readonly [
  origin: number,
  seq: number,
  hlc: number,
  topic: string,
  payload: Uint8Array,
  flags: number,
  props: Uint8Array | null,
  expiry: number,
  publisher: string,
]
export type WillWire = readonly [
  topic: string,
  payload: Uint8Array,
  qos: number,
  retain: number,
  delay: number,
  props: Uint8Array | null,
  expiry: number,
]
/** flags: bit 0 RETAIN. share, here and below: the shared subscription that picked the session; absent: none did. */
export type TargetWire = readonly [
  client: string,
  tag: number,
  pos: number,
  qos: number,
  flags: number,
  subIds: number[] | null,
  share?: string,
]
/** The member of a shared subscription that the sender has picked among the receiver's. */
export type PickWire = readonly [share: string, client: string]
/** message: the sequence number of a message that the receiver itself sent, or the message. */
export type EnqItemWire = readonly [
  pos: number,
  qos: number,
  flags: number,
  subIds: number[] | null,
  message: number | MessageWire,
  share?: string,
]
export type QueueItemWire = readonly [
  pos: number,
  qos: number,
  flags: number,
  subIds: number[] | null,
  message: MessageWire,
  state: number,
  packetId: number,
  share?: string,
]
export type SubWire = readonly [filter: string, options: number, id: number]
/** state: 0 gone, 1 up, 2 down with a will that waits. node: 1 the sender's connection, 0 the receiver's. dueLeft: ms, -1 none. */
export type PresenceWire = readonly [
  client: string,
  boot: number,
  n: number,
  node: number,
  state: number,
  expiry: number,
  will: WillWire | null,
  dueLeft: number,
]
export type RetainedWire = readonly [topic: string, message: MessageWire | null, hlc: number, node: number]

export type PubOp = readonly [
  kind: 1,
  seq: number,
  hlc: number,
  /** A name as text is remembered by the receiver; later it comes as its number in the order of first appearance. */
  topic: string | number,
  payload: Uint8Array,
  flags: number,
  props: Uint8Array | null,
  expiry: number,
  publisher: string | number,
  targets: TargetWire[] | null,
  inbound: readonly [client: string, tag: number, packetId: number] | null,
  willOf: readonly [client: string, boot: number, n: number] | null,
  picks?: PickWire[],
]
export type EnqOp = readonly [kind: 2, client: string, tag: number, items: EnqItemWire[]]
/** triples: position, packet identifier, state, … */
export type OutOp = readonly [kind: 3, client: string, tag: number, triples: number[]]
export type DeqOp = readonly [kind: 4, client: string, tag: number, positions: number[]]
export type InboundDelOp = readonly [kind: 5, client: string, tag: number, packetIds: number[]]
export type SubOp = readonly [kind: 6, client: string, tag: number, filter: string, options: number, id: number]
export type UnsubOp = readonly [kind: 7, client: string, tag: number, filter: string]
export type InterestOp = readonly [kind: 8, add: string[], del: string[]]
export type ConnOp = readonly [kind: 9, presence: PresenceWire]
export type ClaimOp = readonly [
  kind: 10,
  client: string,
  boot: number,
  n: number,
  hlc: number,
  cleanStart: number,
  expiry: number,
  will: WillWire | null,
]
export type GrantOp = readonly [
  kind: 11,
  client: string,
  boot: number,
  n: number,
  token: TokenWire | null,
  sessionPresent: number,
  lineage: AncestorWire[],
  packetIds: number[],
  expiry: number,
]
export type DenyOp = readonly [kind: 12, client: string, boot: number, n: number, reason: number]
export type EndOp = readonly [kind: 14, client: string, tag: number]
export type NewOp = readonly [kind: 15, client: string, token: TokenWire, expiry: number]
export type SnapBeginOp = readonly [kind: 16]
export type SnapHeadOp = readonly [
  kind: 17,
  client: string,
  token: TokenWire,
  /** 1: the sender owns it. */
  owner: number,
  lineage: AncestorWire[],
  ver: number,
  expiry: number,
  /** Milliseconds until it ends; -1: connected or never. */
  expiresLeft: number,
  packetIds: number[],
  nextPos: number,
  subscriptions: SubWire[],
  inbound: number[],
  queue: QueueItemWire[],
]
export type SnapPartOp = readonly [kind: 18, client: string, tag: number, queue: QueueItemWire[]]
export type SnapRetainedOp = readonly [kind: 19, items: RetainedWire[]]
export type SnapPresenceOp = readonly [kind: 20, items: PresenceWire[]]
export type SnapEndOp = readonly [kind: 21]
export type ExpiryOp = readonly [kind: 22, client: string, tag: number, expiry: number]
/** Messages kept for sessions that the receiver owns or will own (healing after a split). */
export type ShadowsOp = readonly [kind: 23, client: string, items: EnqItemWire[]]

/** Shared subscriptions of sessions without expiry: the receiver picks among these members too. */
export type MembersOp = readonly [kind: 24, add: PickWire[], del: PickWire[]]
/** A message that a session left behind, for other members. ref: as PubOp's seq, what the answer refers to. */
export type DealOp = readonly [kind: 25, ref: number, message: MessageWire, picks: PickWire[]]
/** Nobody here can take it: the sender's own members, then. */
export type BounceOp = readonly [kind: 26, ref: number, shares: string[]]

export type Op =
  | PubOp
  | EnqOp
  | OutOp
  | DeqOp
  | InboundDelOp
  | SubOp
  | UnsubOp
  | InterestOp
  | ConnOp
  | ClaimOp
  | GrantOp
  | DenyOp
  | EndOp
  | NewOp
  | SnapBeginOp
  | SnapHeadOp
  | SnapPartOp
  | SnapRetainedOp
  | SnapPresenceOp
  | SnapEndOp
  | ExpiryOp
  | ShadowsOp
  | MembersOp
  | DealOp
  | BounceOp

export type HelloFrame = readonly [
  kind: 1,
  protoMin: number,
  protoMax: number,
  features: number,
  clusterId: string,
  name: string,
  boot: number,
  generation: GenerationWire,
  history: GenerationWire[],
  status: string,
  mode: string,
  streamIn: number,
  streamOut: number,
  applied: number,
  durable: number,
  hlc: number,
  wall: number,
  ack: string,
  witnessIncarnation: number,
  version: string,
]
export type OpsFrame = readonly [kind: 2, stream: number, first: number, groups: Op[][], ack: number, durable: number]
export type AckFrame = readonly [kind: 3, stream: number, ack: number, durable: number]
/** `heldUs`: microseconds between the arrival of the heartbeat it echoes and its own leaving. */
export type HeartbeatFrame = readonly [
  kind: 4,
  seq: number,
  echo: number,
  heldUs: number,
  durable: number,
  mode: string,
]
/** message: topic, payload, flags, props, expiry, publisher, … six by six. */
export type Qos0Frame = readonly [kind: 5, fields: unknown[]]
export type OfferFrame = readonly [kind: 9, generation: GenerationWire, history: GenerationWire[], clusterId: string]
export type MergeFrame = readonly [kind: 17, ops: Op[], last: number]
export type Frame =
  | HelloFrame
  | OpsFrame
  | AckFrame
  | HeartbeatFrame
  | Qos0Frame
  | readonly [kind: 6]
  | readonly [kind: 7, stream: number]
  | readonly [kind: 8, stream: number]
  | OfferFrame
  | readonly [kind: 10]
  | readonly [kind: 11]
  | readonly [kind: 12, generation: GenerationWire, reason: string]
  | readonly [kind: 13, reason: string]
  | readonly [kind: 14]
  | readonly [kind: 15, code: string, text: string]
  | MergeFrame
  | readonly [kind: 18]

export function willToWire(will: Will | null): WillWire | null {
  if (will === null) return null
  return [will.topic, will.payload, will.qos, will.retain ? 1 : 0, will.delay, will.props, will.expiry]
}

/** Copies what it keeps. */
export function willFromWire(w: WillWire | null): Will | null {
  if (w === null) return null
  const props = w[5] === null ? null : copyBytes(w[5])
  return {
    topic: w[0],
    payload: copyBytes(w[1]),
    qos: (w[2] & 3) as QoS,
    retain: w[3] === 1,
    delay: w[4],
    props,
    expiry: w[6],
  }
}
