// StuckDisk: a node as `tandemq start` runs it, whose disk takes what it is given and never says that it has closed. A program:
// `bun test/support/stuck_disk.ts FLAGS`.
import process from 'node:process'
import { readConfig } from '../../src/cli/config.ts'
import { BrokerNode } from '../../src/core/node.ts'
import { Host } from '../../src/host/host.ts'

const { node, host } = readConfig(process.argv.slice(2), {})
const running = new Host(node, host)
await running.start((...parts) => new BrokerNode(...parts))
Object.assign(running, { store: { close: () => Promise.withResolvers<void>().promise } })
