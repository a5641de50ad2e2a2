// Pair: starts two nodes on this machine that act as one broker, and says what to type next. Ctrl-C ends both.
//
//   npm run pair            nodes a and b on loopback; state in a temporary folder, removed at the end
//
// It knows the nodes by their command line and admin address only, as an operator does.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SYNCED_MS_MAX = 60_000
const END_MS_MAX = 15_000

type Place = { name: string; mqtt: number; cluster: number; admin: number }
type Node = Place & { child: ChildProcess; log: string; ended: Promise<void>; isUp: boolean }

const A: Place = { name: 'a', mqtt: 1883, cluster: 7883, admin: 18083 }
const B: Place = { name: 'b', mqtt: 1884, cluster: 7884, admin: 18084 }

const root = fileURLToPath(new URL('../..', import.meta.url))
const isDeno = 'Deno' in globalThis

function start(own: Place, peer: Place, folder: string): Node {
  const args = [
    ...(isDeno ? ['run', '-A', '--no-lock'] : []),
    'src/main.ts',
    'start',
    ...['--name', own.name],
    ...['--listen', `127.0.0.1:${own.mqtt}`],
    ...['--cluster', `127.0.0.1:${own.cluster}`],
    ...['--peer', `127.0.0.1:${peer.cluster}`],
    ...['--admin', `127.0.0.1:${own.admin}`],
    ...['--data', join(folder, own.name)],
  ]
  // A process group of its own: Ctrl-C reaches this program alone, which then ends both nodes in order.
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const node: Node = { ...own, child, log: '', ended, isUp: true }
  const take = (chunk: Buffer) => {
    node.log = (node.log + chunk.toString()).slice(-20_000)
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  const over = () => {
    node.isUp = false
    resolve()
  }
  child.on('error', (error) => {
    node.log += String(error)
    over()
  })
  child.on('exit', over)
  return node
}

async function isSynced(node: Node): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${node.admin}/health/synced`, { signal: AbortSignal.timeout(1000) })
    await answer.body?.cancel()
    return answer.status === 200
  } catch {
    return false
  }
}

/** Says which port is taken before a node does, as the sentence here can name both nodes' needs. */
async function takenPort(places: readonly Place[]): Promise<number | null> {
  for (const place of places) {
    for (const port of [place.mqtt, place.cluster, place.admin]) {
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
      if (!(await promise)) return port
    }
  }
  return null
}

async function end(nodes: readonly Node[]): Promise<void> {
  for (const node of nodes) {
    if (!node.isUp) continue
    node.child.kill('SIGTERM')
    await Promise.race([node.ended, sleep(END_MS_MAX, undefined, { ref: false })])
    if (node.isUp) node.child.kill('SIGKILL')
  }
}

function next(): string {
  const run = 'npx bun src/main.ts'
  return `
Two nodes, one broker:

  a   mqtt://127.0.0.1:${A.mqtt}   admin http://127.0.0.1:${A.admin}/api/v1/status
  b   mqtt://127.0.0.1:${B.mqtt}   admin http://127.0.0.1:${B.admin}/api/v1/status

In a second terminal, listen on node b:

  ${run} sub -p ${B.mqtt} -t 'hello/#' -v

In a third, publish on node a:

  ${run} pub -p ${A.mqtt} -t hello/world -m 'from a to b' -q 1

See what both know:

  ${run} status --admin 127.0.0.1:${A.admin}
  ${run} clients --admin 127.0.0.1:${B.admin}

mosquitto_pub and mosquitto_sub take the same flags. Ctrl-C here ends both nodes.
`
}

async function main(): Promise<number> {
  const taken = await takenPort([A, B])
  if (taken !== null) {
    console.error(`pair: port ${taken} is taken on this machine; end what uses it, then try again`)
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'tandemq-pair-'))
  const stop = Promise.withResolvers<'stop'>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.resolve('stop'))
  const nodes = [start(A, B, folder), start(B, A, folder)]
  try {
    console.log('Starting nodes a and b …')
    const deadline = Date.now() + SYNCED_MS_MAX
    let stopped: 'stop' | undefined
    while (!(await Promise.all(nodes.map(isSynced))).every(Boolean)) {
      const dead = nodes.find((node) => !node.isUp)
      if (dead !== undefined || Date.now() > deadline) {
        console.error(dead ? `pair: node ${dead.name} ended` : `pair: not in step after ${SYNCED_MS_MAX / 1000} s`)
        for (const node of nodes) console.error(`\nnode ${node.name} said:\n${node.log || '(nothing)'}`)
        return 1
      }
      stopped = await Promise.race([stop.promise, sleep(100, undefined)])
      if (stopped) return 0
    }
    console.log(next())
    // One node may end and come back by hand; with both gone there is nothing left to look after.
    await Promise.race([stop.promise, Promise.all(nodes.map((node) => node.ended))])
    return 0
  } finally {
    await end(nodes)
    rmSync(folder, { recursive: true, force: true })
    console.log('Both nodes have ended.')
  }
}

process.exit(await main())
