// Nodes: the node that is fuzzed, alone or with its peer, as real processes with short times and small bounds.

import { Folder, freePorts, NodeProcess, PairProcesses } from '../support/processes.ts'
import { NodeWatch } from './node_watch.ts'

/** Short times, so that nobody waits for them; small bounds, so that they are reached. */
const NODE_FLAGS = [
  ...['--listen-ws', '127.0.0.1:0', '--log-format', 'json', '--connect-timeout-ms', '2000'],
  ...['--max-session-expiry', '60', '--max-queued-messages', '500', '--max-queued-bytes', '1000000'],
  ...['--max-retained-messages', '500', '--max-packet-bytes', '100000', '--sys-interval', '1'],
]
/** A link that drops is to be the fuzzed packets' doing, not that of a machine with too much to do. */
const PAIR_FLAGS = ['--suspect-ms', '20000', '--solo-ms', '40000']

export class Nodes implements AsyncDisposable {
  readonly watches: readonly NodeWatch[]
  private readonly end: () => Promise<void>

  private constructor(watches: readonly NodeWatch[], end: () => Promise<void>) {
    this.watches = watches
    this.end = end
  }

  static async start(pair: boolean, program: readonly string[] | null): Promise<Nodes> {
    if (pair) {
      const both = await PairProcesses.start([...NODE_FLAGS, ...PAIR_FLAGS], program ?? undefined)
      const watches = await Promise.all(both.nodes.map((node) => NodeWatch.of(node)))
      return new Nodes(watches, () => both[Symbol.asyncDispose]())
    }
    const [mqtt, cluster, admin] = (await freePorts(3)) as [number, number, number]
    const folder = new Folder()
    const node = new NodeProcess({ name: 'a', mqtt, cluster, admin }, null, folder.path, NODE_FLAGS)
    if (program !== null) node.program = program
    node.start()
    const end = async () => {
      await node.terminate(5_000)
      folder[Symbol.dispose]()
    }
    try {
      await node.until('ready')
      return new Nodes([await NodeWatch.of(node)], end)
    } catch (error) {
      await end()
      throw error
    }
  }

  /** The one that is fuzzed. */
  get target(): NodeWatch {
    return this.watches[0] as NodeWatch
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }
}
