// Cut link, live: two nodes in two network namespaces whose cable is pulled. Neither takes the other one for dead, whether it hears
// nothing any more or cannot even reach its own network; both go on alone in time, and come together when the cable is back.
// timeout: 120 s

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Folder, Proc } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('cut link')
const NETWORK = '10.213.77'
const WAIT_MS = 20_000
/** As many as fit into the name of an interface. */
const id = `tq${process.pid}`

function ip(...args: string[]): boolean {
  return spawnSync('ip', args).status === 0
}

/** Two namespaces and a cable; removed with what they hold. */
class Cable implements Disposable {
  readonly names = [`${id}a`, `${id}b`] as const

  constructor() {
    const [a, b] = this.names
    const done = [
      ip('netns', 'add', a),
      ip('netns', 'add', b),
      ip('link', 'add', `${id}x`, 'netns', a, 'type', 'veth', 'peer', 'name', `${id}y`, 'netns', b),
      ...[a, b].flatMap((name, i) => {
        const end = i === 0 ? `${id}x` : `${id}y`
        return [
          ip('-n', name, 'addr', 'add', `${NETWORK}.${i + 1}/24`, 'dev', end),
          ip('-n', name, 'link', 'set', end, 'up'),
          ip('-n', name, 'link', 'set', 'lo', 'up'),
        ]
      }),
    ]
    if (!done.every(Boolean)) {
      this[Symbol.dispose]()
      throw new Error('no network namespaces here')
    }
  }

  /** The end of b: a hears nothing any more, b has no network. */
  set plugged(yes: boolean) {
    ip('-n', this.names[1], 'link', 'set', `${id}y`, yes ? 'up' : 'down')
  }

  [Symbol.dispose](): void {
    for (const name of this.names) ip('netns', 'del', name)
  }
}

function start(cable: Cable, i: 0 | 1, folder: string): Proc {
  const runtime = 'Deno' in globalThis ? ['run', '-A', '--no-lock'] : []
  const name = i === 0 ? 'a' : 'b'
  return new Proc('ip', [
    ...['netns', 'exec', cable.names[i], process.execPath, ...runtime, 'src/main.ts', '--name', name],
    ...['--cluster', `${NETWORK}.${i + 1}:7883`, '--peer', `${NETWORK}.${2 - i}:7883`],
    ...['--cluster-secret-file', join(folder, 'secret'), '--data', join(folder, name)],
  ])
}

/** What it says from now on, until that is among it. */
async function says(node: Proc, from: number, what: RegExp): Promise<void> {
  const until = performance.now() + WAIT_MS
  while (!what.test(node.log.slice(from))) {
    if (performance.now() > until || !node.isUp) throw new Error(`it never said ${what}:\n${node.log.slice(-3_000)}`)
    await sleep(20)
  }
}

const mayMake = (() => {
  try {
    new Cable()[Symbol.dispose]()
    return true
  } catch {
    return false
  }
})()
const maybe = mayMake ? test : test.skip

maybe('both nodes wait --solo-ms, go on alone, and are one broker again when the cable is back', async () => {
  using cable = new Cable()
  using folder = new Folder()
  writeFileSync(join(folder.path, 'secret'), 'correct horse battery staple', { mode: 0o600 })
  const nodes = [start(cable, 0, folder.path), start(cable, 1, folder.path)] as const
  try {
    for (const node of nodes) await says(node, 0, /SYNC, ready/)
    const cut = nodes.map((node) => node.log.length)
    cable.plugged = false
    for (const [i, node] of nodes.entries()) {
      await says(node, cut[i] as number, /SOLO, ready/)
      const why = /"event":"going_alone","why":"(\w+)"/.exec(node.log.slice(cut[i]))?.[1]
      assert.is(why, 'T_solo', node.log.slice(cut[i]))
    }
    const back = nodes.map((node) => node.log.length)
    cable.plugged = true
    for (const [i, node] of nodes.entries()) await says(node, back[i] as number, /SYNC, ready/)
  } finally {
    for (const node of nodes) await node.terminate()
  }
})

test.run()
