// Check stream: what a node says it has applied, and the order in which it says it: an acknowledgement comes behind everything
// derived from what it acknowledges (invariant 12), groups are sent without a gap and applied once (13). Reads the link's bytes.
import { FrameReader } from '../../src/wire/peer_codec.ts'
import { type Frame, FrameKind } from '../../src/wire/peer_message.ts'
import type { Cluster } from './cluster.ts'
import type { Core } from './core.ts'
import type { SimNode } from './sim_node.ts'

/** One life of one node. */
class Watch {
  readonly core: Core
  private readonly node: SimNode
  private readonly cluster: Cluster
  private reader = new FrameReader()
  private link = -1
  /** The stream being sent, and its last group on this link; -1: none yet. */
  private out = 0
  private sent = -1
  /** The stream being applied, and for each group the last of ours that may hold what came of it. */
  private in = 0
  private derived: number[] = [0]

  constructor(cluster: Cluster, node: SimNode, core: Core) {
    this.cluster = cluster
    this.node = node
    this.core = core
  }

  /** Bytes of the peer have been applied. */
  onApplied(): void {
    const { in: stream, out } = this.core.pairing
    if (stream.id !== this.in) {
      this.in = stream.id
      this.derived = [0]
    }
    if (stream.applied < this.derived.length - 1)
      this.violate('13', `applies from ${stream.applied} again, of ${this.derived.length - 1}`)
    const last = this.core.emitter.hasOps ? out.next : out.next - 1
    while (this.derived.length <= stream.applied) this.derived.push(last)
  }

  onSent(bytes: Uint8Array): void {
    const { link } = this.core.pairing
    if (link.count !== this.link) {
      this.link = link.count
      this.reader = new FrameReader()
      this.sent = -1
    }
    this.reader.feed(bytes, (frame) => {
      this.onFrame(frame)
      return true
    })
  }

  private onFrame(frame: Frame): void {
    const { out } = this.core.pairing
    if (frame[0] === FrameKind.ops) {
      const [, id, first, groups, ack] = frame
      if (id !== this.out) this.sent = -1
      this.out = id
      if (this.sent !== -1 && first !== this.sent + 1) this.violate('13', `sends ${first} behind ${this.sent}`)
      this.sent = first + groups.length - 1
      this.acknowledges(ack, this.sent)
    } else if (frame[0] === FrameKind.ack) this.acknowledges(frame[2], this.sent === -1 ? out.sent : this.sent)
  }

  private acknowledges(ack: number, sent: number): void {
    const needs = this.derived[ack] ?? 0
    if (needs > sent)
      this.violate('12', `acknowledges ${ack}, and what came of it stands in ${needs}, sent up to ${sent}`)
  }

  private violate(invariant: string, text: string): void {
    this.cluster.violate(invariant, `${this.node.name} ${text}`)
  }
}

/** Watches both nodes, in all their lives. */
export function watchStreams(cluster: Cluster): void {
  const watches = new Map<SimNode, Watch>()
  const watch = (node: SimNode, core: Core): Watch => {
    let found = watches.get(node)
    if (found?.core !== core) {
      found = new Watch(cluster, node, core)
      watches.set(node, found)
    }
    return found
  }
  for (const node of cluster.nodes) {
    node.onApplied = (core) => watch(node, core).onApplied()
    node.onSent = (core, bytes) => watch(node, core).onSent(bytes)
  }
}
