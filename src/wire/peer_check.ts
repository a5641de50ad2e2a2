// Peer check: that what arrived from the other node has the shape of a frame of peer_message.ts, before anything looks at it.
// Knows shapes only: ranges and meaning are for whoever takes the frame.
import { PeerFault } from '../base/fault.ts'
import { type Frame, FrameKind, OpKind } from './peer_message.ts'

type Check = (value: unknown) => boolean

const num: Check = (v) => Number.isSafeInteger(v)
const str: Check = (v) => typeof v === 'string'
const bin: Check = (v) => v instanceof Uint8Array
const orNull =
  (check: Check): Check =>
  (v) =>
    v === null || check(v)
const list =
  (check: Check): Check =>
  (v) => {
    if (!Array.isArray(v)) return false
    for (let i = 0; i < v.length; i++) if (!check(v[i])) return false
    return true
  }
const tuple =
  (...checks: Check[]): Check =>
  (v) => {
    if (!Array.isArray(v) || v.length < checks.length) return false
    for (let i = 0; i < checks.length; i++) if (!(checks[i] as Check)(v[i])) return false
    return true
  }
const nums = list(num)
const strs = list(str)
const token = tuple(num, num, num)
const generation = tuple(num, num)
const lineage = list(tuple(num, num, num, num))
const message = tuple(num, num, num, str, bin, num, orNull(bin), num, str)
const will = orNull(tuple(str, bin, num, num, num, orNull(bin), num))
const share: Check = (v) => v === undefined || typeof v === 'string'
const optional =
  (check: Check, at: number): Check =>
  (v) =>
    check(v) && share((v as unknown[])[at])
const target = optional(tuple(str, num, num, num, num, orNull(nums)), 6)
const picks = list(tuple(str, str))
/** Written out, like `pub`. */
const enqItem: Check = (v) =>
  Array.isArray(v) &&
  num(v[0]) &&
  num(v[1]) &&
  num(v[2]) &&
  (v[3] === null || nums(v[3])) &&
  (num(v[4]) || message(v[4])) &&
  share(v[5])
const queueItem = optional(tuple(num, num, num, orNull(nums), message, num, num), 7)
const presence = tuple(str, num, num, num, num, num, will, num)
const any: Check = () => true

const targetsOrNull = orNull(list(target))
const idOrNull = orNull(tuple(str, num, num))
const ref: Check = (v) => typeof v === 'string' || num(v)

/** Written out: it is checked once a message. */
const pub: Check = (v) =>
  Array.isArray(v) &&
  v.length >= 12 &&
  num(v[1]) &&
  num(v[2]) &&
  ref(v[3]) &&
  v[4] instanceof Uint8Array &&
  num(v[5]) &&
  (v[6] === null || v[6] instanceof Uint8Array) &&
  num(v[7]) &&
  ref(v[8]) &&
  targetsOrNull(v[9]) &&
  idOrNull(v[10]) &&
  idOrNull(v[11]) &&
  (v[12] === undefined || picks(v[12]))

const OPS: readonly (Check | undefined)[] = (() => {
  const t: (Check | undefined)[] = []
  const kind = any
  t[OpKind.pub] = pub
  t[OpKind.enq] = tuple(kind, str, num, list(enqItem))
  t[OpKind.out] = tuple(kind, str, num, nums)
  t[OpKind.deq] = tuple(kind, str, num, nums)
  t[OpKind.inboundDel] = tuple(kind, str, num, nums)
  t[OpKind.sub] = tuple(kind, str, num, str, num, num)
  t[OpKind.unsub] = tuple(kind, str, num, str)
  t[OpKind.interest] = tuple(kind, strs, strs)
  t[OpKind.conn] = tuple(kind, presence)
  t[OpKind.claim] = tuple(kind, str, num, num, num, num, num, will)
  t[OpKind.grant] = tuple(kind, str, num, num, orNull(token), num, lineage, nums, num)
  t[OpKind.deny] = tuple(kind, str, num, num, num)
  t[OpKind.end] = tuple(kind, str, num)
  t[OpKind.new] = tuple(kind, str, token, num)
  t[OpKind.snapBegin] = tuple(kind)
  t[OpKind.snapHead] = tuple(
    kind,
    str,
    token,
    num,
    lineage,
    num,
    num,
    num,
    nums,
    num,
    list(tuple(str, num, num)),
    nums,
    list(queueItem),
  )
  t[OpKind.snapPart] = tuple(kind, str, num, list(queueItem))
  t[OpKind.snapRetained] = tuple(kind, list(tuple(str, orNull(message), num, num)))
  t[OpKind.snapPresence] = tuple(kind, list(presence))
  t[OpKind.snapEnd] = tuple(kind)
  t[OpKind.expiry] = tuple(kind, str, num, num)
  t[OpKind.shadows] = tuple(kind, str, list(enqItem))
  t[OpKind.members] = tuple(kind, picks, picks)
  t[OpKind.deal] = tuple(kind, num, message, picks)
  t[OpKind.bounce] = tuple(kind, num, strs)
  return t
})()

const op: Check = (v) => Array.isArray(v) && (OPS[v[0] as number]?.(v) ?? false)

const FRAMES: readonly (Check | undefined)[] = (() => {
  const t: (Check | undefined)[] = []
  const kind = any
  t[FrameKind.hello] = tuple(
    kind,
    num,
    num,
    num,
    str,
    str,
    num,
    generation,
    list(generation),
    str,
    str,
    num,
    num,
    num,
    num,
    num,
    num,
    str,
    num,
    str,
  )
  t[FrameKind.ops] = tuple(kind, num, num, list(list(op)), num, num)
  t[FrameKind.ack] = tuple(kind, num, num, num)
  t[FrameKind.heartbeat] = tuple(kind, num, num, num, num, str)
  t[FrameKind.qos0] = tuple(kind, (v) => {
    if (!Array.isArray(v) || v.length % 6 !== 0) return false
    for (let i = 0; i < v.length; i += 6)
      if (
        !(
          str(v[i]) &&
          bin(v[i + 1]) &&
          num(v[i + 2]) &&
          (v[i + 3] === null || bin(v[i + 3])) &&
          num(v[i + 4]) &&
          str(v[i + 5])
        )
      )
        return false
    return true
  })
  t[FrameKind.lead] = tuple(kind)
  t[FrameKind.ready] = tuple(kind, num)
  t[FrameKind.start] = tuple(kind, num)
  t[FrameKind.offer] = tuple(kind, generation, list(generation), str)
  t[FrameKind.ok] = tuple(kind)
  t[FrameKind.live] = tuple(kind)
  t[FrameKind.evict] = tuple(kind, generation, str)
  t[FrameKind.leave] = tuple(kind, str)
  t[FrameKind.alone] = tuple(kind)
  t[FrameKind.refuse] = tuple(kind, str, str)
  t[FrameKind.merge] = tuple(kind, list(op), num)
  t[FrameKind.merged] = tuple(kind)
  return t
})()

/** @throws {PeerFault} where the value is no frame of a known kind and shape */
export function checkFrame(value: unknown): Frame {
  if (!Array.isArray(value)) throw new PeerFault('frame is not an array')
  const check = FRAMES[value[0] as number]
  if (check === undefined) throw new PeerFault('frame of an unknown kind')
  if (!check(value)) throw new PeerFault('frame of a wrong shape')
  return value as unknown as Frame
}
