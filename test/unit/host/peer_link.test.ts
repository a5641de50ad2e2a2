// PeerLink: two of them in one process over loopback: they find each other, agree on one connection, and refuse strangers.
import { utf8 } from '../../../src/base/bytes.ts'
import type { OperatorFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { PeerLink, searchMs } from '../../../src/host/link/peer_link.ts'
import { type Pipe, type Pipes, REFUSED } from '../../../src/host/sockets/pipe.ts'
import { loadPipes } from '../../../src/host/sockets/runtime.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('peer link')
const pipes = await loadPipes()
const host = '127.0.0.1'
const secret = new TextEncoder().encode('correct horse')

/** A port nobody listens on right now. */
async function freePort(): Promise<number> {
  const listener = await pipes.listen({ host, port: 0 }, (pipe) => pipe.destroy())
  listener.stop()
  return listener.port
}

class Side {
  readonly link: PeerLink
  readonly port: number
  readonly log: string[] = []
  readonly counted: string[] = []
  fault: OperatorFault | null = null
  opened = 0
  closed = 0
  refused = 0
  received = ''

  constructor(
    name: string,
    port: number,
    peerPort: number,
    options: {
      secret?: Uint8Array | null
      version?: number
      starting?: boolean
      pipes?: Pipes
      searchMs?: number
    } = {},
  ) {
    this.port = port
    this.link = new PeerLink({
      name,
      cluster: { host, port },
      peer: { host, port: peerPort },
      secret: options.secret === undefined ? secret : options.secret,
      pipes: options.pipes ?? pipes,
      searchMs: options.searchMs ?? 1000,
      starting: () => options.starting ?? true,
      fatal: (fault) => {
        this.fault ??= fault
        this.link.stop()
      },
      warn: (message) => this.log.push(message),
      count: (name) => this.counted.push(name),
      ...(options.version === undefined ? {} : { version: options.version }),
    })
  }

  async start(): Promise<this> {
    await this.link.listen()
    this.link.start({
      linkOpened: ({ peerName }) => {
        this.opened++
        this.log.push(`open ${peerName}`)
      },
      linkData: (bytes) => {
        this.received += new TextDecoder().decode(bytes)
      },
      linkWritable: () => {},
      linkClosed: () => this.closed++,
      dialFailed: (refused) => {
        if (refused) this.refused++
        this.log.push('dial failed')
      },
    })
    return this
  }

  get up(): boolean {
    return this.link.status().up
  }

  say(text: string): void {
    this.link.send(new TextEncoder().encode(text))
  }
}

async function until(condition: () => boolean, ms = 5000): Promise<void> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition}`)
    await sleep(5)
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function pair(a: object = {}, b: object = {}, names = ['a', 'b']): Promise<[Side, Side]> {
  const [portA, portB] = [await freePort(), await freePort()]
  const one = new Side(names[0] as string, portA, portB, a)
  const two = new Side(names[1] as string, portB, portA, b)
  return [one, two]
}

function stop(...sides: Side[]): void {
  for (const side of sides) side.link.stop()
}

test('simultaneous dials end in one link that carries bytes both ways', async () => {
  for (let round = 0; round < 10; round++) {
    const [a, b] = await pair()
    await Promise.all([a.start(), b.start()])
    await until(() => a.up && b.up)
    a.say('from a')
    b.say('from b')
    await until(() => a.received === 'from b' && b.received === 'from a')
    await sleep(20)
    assert.is(a.opened, 1, 'no second link')
    assert.is(b.opened, 1)
    assert.is(a.closed + b.closed, 0)
    stop(a, b)
  }
})

test('a third node does not take the link from the one that has it', async () => {
  for (const name of ['aa', 'c']) {
    const [a, b] = await pair()
    await Promise.all([a.start(), b.start()])
    await until(() => a.up && b.up)
    const third = new Side(name, await freePort(), a.port)
    await third.start()
    await until(() => a.counted.includes('strangers_third_node'))
    await sleep(50)
    assert.equal([a.up, b.up, a.closed + b.closed, a.opened], [true, true, 0, 1])
    stop(third, b)
    await until(() => !a.up)
    stop(a)
  }
})

test('a node that starts later is met by its own first dial, and refusals before that are told as such', async () => {
  for (const late of [0, 1]) {
    const sides = await pair()
    const [early, other] = late === 1 ? sides : [sides[1], sides[0]]
    await early.start()
    await until(() => early.refused >= 2)
    await other.start()
    const began = performance.now()
    await until(() => early.up && other.up)
    assert.ok(performance.now() - began < 400, 'no back-off to wait for')
    stop(...sides)
  }
})

test('a peer that comes back as a new process replaces the link', async () => {
  const [a, b] = await pair()
  await Promise.all([a.start(), b.start()])
  await until(() => a.up && b.up)
  b.link.stop()
  await until(() => a.closed === 1)
  const again = await new Side('b', b.link['options'].cluster.port, a.link['options'].cluster.port).start()
  await until(() => a.up && again.up && a.opened === 2)
  a.say('hello again')
  await until(() => again.received === 'hello again')
  stop(a, again)
})

test('after close() by the core a new link comes up on both sides', async () => {
  for (const closer of [0, 1]) {
    const sides = await pair()
    await Promise.all(sides.map((side) => side.start()))
    await until(() => sides.every((side) => side.up))
    sides[closer]?.link.close('the core says so')
    await until(() => sides.every((side) => side.up && side.opened === 2 && side.closed === 1))
    stop(...sides)
  }
})

test('a peer that has lost the link without our noticing is taken again, and its dial in flight is not', async () => {
  // The connection is cut silently: b's side is destroyed while a hears nothing of it.
  const deaf: Pipe[] = []
  const hiding: Pipes = {
    ...pipes,
    listen: (address, onPipe) => pipes.listen(address, (pipe) => onPipe(noClose(pipe, deaf))),
    dial: (to, ms, onPipe, onFail) => pipes.dial(to, ms, (pipe) => onPipe(noClose(pipe, deaf)), onFail),
  }
  const [a, b] = await pair({ pipes: hiding })
  await Promise.all([a.start(), b.start()])
  await until(() => a.up && b.up)
  b.link.close('cut')
  await until(() => b.opened === 2 && a.opened === 2)
  assert.is(a.closed, 1)
  stop(a, b)
  for (const pipe of deaf) pipe.destroy()
})

function noClose(pipe: Pipe, all: Pipe[]): Pipe {
  all.push(pipe)
  return {
    remote: pipe.remote,
    local: pipe.local,
    get events() {
      return pipe.events
    },
    set events(events) {
      pipe.events = events === null ? null : { ...events, onClose: () => {} }
    },
    write: (bytes) => pipe.write(bytes),
    backlog: () => pipe.backlog(),
    end: () => pipe.end(),
    destroy: () => pipe.destroy(),
  }
}

const refusals: [string, object, object, string[], RegExp][] = [
  [
    'another secret',
    {},
    { secret: new TextEncoder().encode('battery') },
    ['a', 'b'],
    /--cluster-secret-file: .*another secret.*same file/,
  ],
  ['a secret on one side only', {}, { secret: null }, ['a', 'b'], /--cluster-secret-file: only one of/],
  ['another version', {}, { version: 2 }, ['a', 'b'], /--peer: .*version .*same release/],
  ['equal names', {}, {}, ['a', 'a'], /--name: both nodes are called a/],
]

for (const [title, a, b, names, sentence] of refusals) {
  test(`${title} ends both nodes that start, with one sentence`, async () => {
    const [one, two] = await pair(a, b, names)
    await Promise.all([one.start(), two.start()])
    await until(() => one.fault !== null && two.fault !== null)
    assert.match(one.fault?.message ?? '', sentence)
    assert.match(two.fault?.message ?? '', sentence)
    assert.is(one.opened + two.opened, 0)
    stop(one, two)
  })

  test(`${title} does not end a node that serves: it says so once and in its status`, async () => {
    const [one, two] = await pair({ ...a, starting: false }, { ...b, starting: false }, names)
    await Promise.all([one.start(), two.start()])
    await until(() => sentence.test(one.link.status().problem ?? '') && sentence.test(two.link.status().problem ?? ''))
    await sleep(200)
    assert.is(one.log.filter((line) => sentence.test(line)).length, 1)
    assert.is(one.fault, null)
    assert.is(two.fault, null)
    stop(one, two)
  })
}

test('a node that was given its own address says so', async () => {
  const port = await freePort()
  const side = await new Side('a', port, port).start()
  await until(() => side.fault !== null)
  assert.match(side.fault?.message ?? '', /--peer: .* is this node itself/)
  stop(side)
})

test('a port in use is one sentence that names the flag', async () => {
  const port = await freePort()
  const holder = await pipes.listen({ host, port }, (pipe) => pipe.destroy())
  const side = new Side('a', port, await freePort())
  let message = ''
  await side.start().catch((error) => {
    message = error.message
  })
  assert.match(message, /^--cluster: .* already in use/)
  holder.stop()
  stop(side)
})

test('a peer that accepts and says nothing counts as a failed dial, not as refused', async () => {
  const mute = await pipes.listen({ host, port: 0 }, () => {})
  const side = await new Side('a', await freePort(), mute.port).start()
  await until(() => side.log.includes('dial failed'))
  assert.is(side.refused, 0)
  mute.stop()
  stop(side)
})

test('a dial that fails at once says so when the dialer has returned, and is followed by others', async () => {
  const nowhere = { host: '255.255.255.255', port: 7883 }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let returned = false
  pipes.dial(
    nowhere,
    1000,
    (pipe) => pipe.destroy(),
    () => resolve(returned),
  )
  returned = true
  assert.ok(await promise)
  const side = new Side('a', await freePort(), nowhere.port)
  Object.assign(side.link['options'].peer, nowhere)
  await side.start()
  await until(() => side.log.filter((line) => line === 'dial failed').length >= 3)
  stop(side)
})

test('a refusal proves a death only where the peer itself ended the link: who cannot reach the network is told the same', async () => {
  for (const silent of [true, false]) {
    let cut = false
    const failing: Pipes = {
      ...pipes,
      dial: (to, ms, onPipe, onFail) => {
        if (!cut) return pipes.dial(to, ms, onPipe, onFail)
        const timer = setTimeout(() => onFail(REFUSED), 1)
        return () => clearTimeout(timer)
      },
    }
    const [a, b] = await pair({ pipes: failing }, {})
    await Promise.all([a.start(), b.start()])
    await until(() => a.up && b.up)
    cut = true
    const before = a.refused
    if (silent) a.link.close('no heartbeat came back')
    b.link.stop()
    await until(() => a.log.filter((line) => line === 'dial failed').length > before + 2)
    if (silent) assert.is(a.refused, before)
    else assert.ok(a.refused > before)
    stop(a)
  }
})

test('a peer that falls silent is dialed often enough to be given up in time', async () => {
  // Suspicion after 1 s, alone after 3 s: all the dials that must fail fit between.
  const ms = searchMs(1000, 3000)
  assert.ok(LIMITS.failedDialsMin * (ms + 100) + 100 <= 2000 - LIMITS.heartbeatMs + 100)
  assert.is(searchMs(1000, 60_000), 1000, 'a patient operator gets patient dials')
  assert.is(searchMs(1000, 1001), 100, 'and no dial is hopeless')
  const [a, b] = await pair({ searchMs: 100 }, { searchMs: 100 })
  await Promise.all([a.start(), b.start()])
  await until(() => a.up && b.up)
  b.link.stop()
  const mute = await pipes.listen({ host, port: b.link['options'].cluster.port }, () => {})
  await until(() => a.log.filter((line) => line === 'dial failed').length >= LIMITS.failedDialsMin)
  assert.is(a.opened, 1)
  mute.stop()
  stop(a)
})

test('strangers that send garbage or nothing do not disturb a link', async () => {
  const [a, b] = await pair()
  await Promise.all([a.start(), b.start()])
  await until(() => a.up && b.up)
  const to = { host, port: a.link['options'].cluster.port }
  for (let i = 0; i < 30; i++) {
    pipes.dial(
      to,
      1000,
      (pipe) => i % 2 === 0 && pipe.write(new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')),
      () => {},
    )
  }
  await sleep(100)
  a.say('still here')
  await until(() => b.received === 'still here')
  assert.is(a.opened, 1)
  stop(a, b)
})

test('strangers with a name of their own each are told of once a minute, and counted by what was wrong', async () => {
  const side = await new Side('a', await freePort(), await freePort(), { starting: false }).start()
  const to = { host, port: side.link['options'].cluster.port }
  const say = (bytes: Uint8Array) =>
    pipes.dial(
      to,
      1000,
      (pipe) => pipe.write(bytes),
      () => {},
    )
  for (let i = 0; i < 10; i++) {
    const body = utf8(JSON.stringify({ t: 'hello', magic: 'TandeMQ', version: 99, name: `stranger${i}` }))
    say(Uint8Array.from([0, 0, 0, body.length, ...body]))
    await until(() => side.counted.length === i + 1)
  }
  say(utf8('GET / HTTP/1.1\r\n\r\n'))
  await until(() => side.counted.length === 11)
  await sleep(50)
  assert.equal(side.counted, [...Array(10).fill('strangers_version'), 'strangers_garbage'])
  assert.is(side.log.filter((line) => line.includes('stranger')).length, 1, side.log.join('\n'))
  stop(side)
})

test.run()
