// Hello: what the two nodes say of themselves first, whether they go together, and the role each takes from it. What the role does
// is in join.ts. Knows no sessions.
import type { BootId } from '../../base/brand.ts'
import { OperatorFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Mode } from '../../pair/modes.ts'
import { type Greeting, roleOf } from '../../pair/roles.ts'
import type { NodeRecord } from '../../session/image.ts'
import { FEATURES, FrameKind, type HelloFrame, LINK_PROTOCOL } from '../../wire/peer_message.ts'
import type { BrokerNode } from '../node.ts'
import { generationFromWire, generationToWire } from './convert.ts'
import type { Pairing } from './pairing.ts'

/** Refusals that time may end. */
const PASSING: ReadonlySet<string> = new Set(['skew', 'taken'])

export class Hello {
  /** A HELLO of the peer that waits until this node knows what it is itself. */
  again: HelloFrame | null = null
  /** What the peer said last. */
  peer: Greeting | null = null
  private sent = false
  /** The peer has said it on this link. */
  heard = false
  /** By how much the peer's wall clock was ahead when it last said HELLO. */
  skewMs = 0
  private mine: Greeting | null = null
  private readonly pairing: Pairing
  private readonly node: BrokerNode

  constructor(pairing: Pairing) {
    this.pairing = pairing
    this.node = pairing.node
  }

  /** A new link: nothing is said yet. */
  renew(): void {
    this.sent = false
    this.heard = false
    this.again = null
  }

  /** While the record is being decided or written, what this node is cannot be said. */
  private get undecided(): boolean {
    return this.pairing.solo.deciding || this.pairing.writing
  }

  /** Says HELLO, once a link, as soon as it can be said. */
  send(): void {
    const { node, pairing } = this
    if (!pairing.link.up || this.sent || pairing.mode === 'BOOT' || pairing.mode === 'GONE') return
    if (this.undecided && !pairing.off('helloDecide')) return
    this.sent = true
    const { record, in: stream } = pairing
    const { generation, history, status, clusterId } = record
    pairing.link.send([
      FrameKind.hello,
      LINK_PROTOCOL.min,
      LINK_PROTOCOL.max,
      FEATURES,
      clusterId,
      node.config.name,
      node.boot,
      generationToWire(generation),
      history.map(generationToWire),
      status,
      pairing.mode,
      stream.id,
      pairing.out.id,
      stream.applied,
      stream.durable,
      node.tickHlc(),
      Math.round(node.wall),
      node.config.ack,
      record.witnessIncarnation,
      node.config.version,
    ])
    this.mine = this.greeting()
  }

  private greeting(): Greeting {
    const { node, pairing } = this
    const { record } = pairing
    return {
      name: node.config.name,
      boot: node.boot,
      generation: record.generation,
      history: record.history,
      status: record.status,
      mode: pairing.mode,
      streamIn: pairing.in.id,
      streamOut: pairing.out.id,
      applied: pairing.in.applied,
    }
  }

  // ---- the peer's

  onHello(frame: HelloFrame): void {
    const { node, pairing } = this
    const [
      ,
      ,
      ,
      features,
      ,
      name,
      boot,
      gen,
      history,
      status,
      mode,
      streamIn,
      streamOut,
      applied,
      ,
      hlc,
      wall,
      ack,
      ,
      version,
    ] = frame
    pairing.peerVersion = version
    pairing.features = features & FEATURES
    const objection = this.objection(frame)
    if (objection !== null) return this.refuse(objection.code, objection.text)
    pairing.link.greeted = true
    this.skewMs = Math.round(wall - node.wall)
    const skew = Math.abs(this.skewMs)
    if (skew > LIMITS.skewAlarmMs) node.ports.log.event('clock_skew', { peer: name, ms: skew })
    node.ratchet(hlc)
    const same = pairing.peerBoot === boot
    pairing.peerBoot = boot as BootId
    pairing.peerAck = ack
    if (this.undecided) {
      this.again = frame
      return
    }
    if (!this.sent) this.send()
    this.peer = {
      name,
      boot,
      generation: generationFromWire(gen),
      history: history.map(generationFromWire),
      status: status as NodeRecord['status'],
      mode: mode as Mode,
      streamIn,
      streamOut,
      applied,
    }
    const mine = pairing.mode === this.mine?.mode ? this.mine : this.greeting()
    const role = roleOf(mine, this.peer, same, !pairing.off('helloMode'))
    node.ports.log.event('hello', { peer: name, role, status, mode, generation: gen[0] })
    pairing.join.take(role)
  }

  /** Why the two nodes do not go together, as the operator is told; null: they do. */
  private objection(frame: HelloFrame): { code: string; text: string } | null {
    const { node } = this
    const { record } = this.pairing
    const [, min, max, , clusterId, name] = frame
    if (min > LINK_PROTOCOL.max || max < LINK_PROTOCOL.min)
      return {
        code: 'version',
        text: `--peer: node ${name} runs ${frame[19]}, whose link protocol ${min}-${max} is not ours; run the same version on both nodes`,
      }
    if (name === node.config.name)
      return { code: 'self', text: `--name: both nodes are called ${name}; give each its own name` }
    // Two nodes that each founded a pair while they could not see each other are merged; one that has another partner is not.
    const foreign = record.peerName !== '' && record.peerName !== name
    if (foreign && clusterId !== '' && record.clusterId !== '' && clusterId !== record.clusterId)
      return {
        code: 'cluster',
        text: `--data: node ${name} belongs to another pair; start one of the two with an empty data directory`,
      }
    // One with an empty directory may replace a partner that has gone for good; one that is only away is not replaced.
    if (foreign && clusterId === '' && this.pairing.mode !== 'SOLO')
      return {
        code: 'taken',
        text: `--peer: node ${node.config.name} belongs to node ${record.peerName}; it takes node ${name} once it serves alone`,
      }
    // Two that know each other go on whatever their clocks say: times cross the link as what is left of them.
    const known = record.peerName === name && record.clusterId !== '' && record.clusterId === clusterId
    const skew = Math.abs(frame[16] - node.wall)
    if (skew > LIMITS.skewRefuseMs && !known)
      return {
        code: 'skew',
        text: `the clocks of the two nodes differ by ${Math.round(skew / 1000)} s; set them`,
      }
    return null
  }

  /** A HELLO that waited is answered as soon as it can be. */
  retry(): void {
    if (this.again === null || this.undecided || !this.pairing.link.up) return
    const { again } = this
    this.again = null
    this.onHello(again)
  }

  // ---- refusals

  private refuse(code: string, text: string): void {
    const { link } = this.pairing
    link.send([FrameKind.refuse, code, text])
    link.drain()
    this.onRefuse(code, text)
  }

  onRefuse(code: string, text: string): void {
    const { node, pairing } = this
    node.ports.log.event('link_refused', { code, text })
    node.refusal = text
    // Before it ever served, a node that cannot pair is not what the operator asked for.
    if (pairing.mode === 'WAIT_PEER' && !PASSING.has(code)) node.fatal = new OperatorFault(text)
    pairing.link.drop(text)
  }
}
