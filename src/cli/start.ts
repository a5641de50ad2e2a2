// Start: the command that runs a node. Reads the configuration and hands over to the host.
import { BrokerNode } from '../core/node.ts'
import { Host } from '../host/host.ts'
import { readConfig } from './config.ts'
import type { Environment } from './sources.ts'

/** Comes back once the node serves; the host ends the process. */
export async function start(args: readonly string[], environment: Environment): Promise<void> {
  const { node, host, testOnly } = readConfig(args, environment)
  if (testOnly) {
    console.log('The settings are valid.')
    return
  }
  await new Host(node, host).start((...parts) => new BrokerNode(...parts))
}
