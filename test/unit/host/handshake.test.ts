// Handshake: two of them, byte by byte, without sockets; then what an attacker could do with bytes once seen.

import { join } from 'node:path'
import { Handshake, type HandshakeResult, type Hello, LINK_VERSION } from '../../../src/host/link/handshake.ts'
import { readGolden } from '../../support/golden.ts'
import { root } from '../../support/processes.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('peer handshake')
const secretA = new TextEncoder().encode('correct horse')
const secretB = new TextEncoder().encode('battery staple')

class Side {
  readonly handshake: Handshake
  readonly sent: Uint8Array[] = []
  /** Frames the other side has already got. */
  taken = 0
  result: HandshakeResult | null = null
  decided: Hello | null = null

  constructor(
    name: string,
    dialer: boolean,
    options: { secret?: Uint8Array | null; version?: number; link?: number; nonce?: string } = {},
  ) {
    const { secret = secretA, version = LINK_VERSION, link = 1 } = options
    const { nonce = crypto.getRandomValues(new Uint8Array(32)).toHex() } = options
    this.handshake = new Handshake({
      dialer,
      secret,
      hello: { version, name, nonce, instance: `instance of ${name} ${nonce}`, lost: { instance: '', link: 0 } },
      send: (frame) => this.sent.push(frame.slice()),
      decide: (peer) => {
        this.decided = peer
        return link
      },
    })
    this.handshake.start()
  }

  get(bytes: Uint8Array): void {
    this.result ??= this.handshake.receive(bytes)
  }

  get problem(): string | null {
    return this.result?.kind === 'failed' ? this.result.problem : null
  }
}

/** Carries frames until nothing is on its way. */
function drive(a: Side, b: Side, carry: (to: Side, bytes: Uint8Array) => void = (to, bytes) => to.get(bytes)): void {
  for (;;) {
    const from = a.taken < a.sent.length ? a : b
    if (from.taken === from.sent.length) return
    carry(from === a ? b : a, from.sent[from.taken++] as Uint8Array)
  }
}

for (const [dialer, acceptor] of [
  ['a', 'b'],
  ['b', 'a'],
] as const) {
  test(`the same secret opens the link when ${dialer} dials, with the number the smaller name gave`, () => {
    const one = new Side(dialer, true, { link: 7 })
    const two = new Side(acceptor, false, { link: 7 })
    drive(one, two)
    for (const side of [one, two]) assert.is(side.result?.kind === 'open' && side.result.link, 7)
    assert.is(one.decided === null, dialer === 'b', 'only the smaller name is asked')
    assert.is(two.decided === null, dialer === 'a')
  })

  test(`bytes come one at a time when ${dialer} dials`, () => {
    const one = new Side(dialer, true)
    const two = new Side(acceptor, false)
    drive(one, two, (to, bytes) => {
      for (const byte of bytes) to.get(Uint8Array.of(byte))
    })
    assert.is(one.result?.kind, 'open')
    assert.is(two.result?.kind, 'open')
  })

  test(`the smaller name may say no when ${dialer} dials`, () => {
    const one = new Side(dialer, true, { link: 0 })
    const two = new Side(acceptor, false, { link: 0 })
    drive(one, two)
    assert.is(one.problem, 'not-this-one')
    assert.is(two.problem, 'not-this-one')
  })
}

test('what the core sends right behind the last frame is not lost', () => {
  const one = new Side('a', true)
  const two = new Side('b', false)
  drive(one, two, (to, bytes) => to.get(to === two && one.taken === 3 ? Uint8Array.from([...bytes, 9, 8, 7]) : bytes))
  assert.equal(two.result?.kind === 'open' && [...two.result.rest], [9, 8, 7])
})

test('another secret is noticed by both sides', () => {
  const one = new Side('a', true, { secret: secretA })
  const two = new Side('b', false, { secret: secretB })
  drive(one, two)
  assert.is(one.problem, 'secret')
  assert.is(two.problem, 'secret')
  assert.is(two.sent.length, 2, 'no proof is given to somebody who gave none')
})

test('a secret on one side only is noticed by both sides', () => {
  const one = new Side('a', true, { secret: null })
  const two = new Side('b', false)
  drive(one, two)
  assert.is(one.problem, 'no-secret')
  assert.is(two.problem, 'no-secret')
})

test('another version is noticed by both sides', () => {
  const one = new Side('a', true, { version: LINK_VERSION + 1 })
  const two = new Side('b', false)
  drive(one, two)
  assert.is(one.problem, 'version')
  assert.is(two.problem, 'version')
})

test('equal names are noticed by both sides', () => {
  const one = new Side('a', true)
  const two = new Side('a', false)
  drive(one, two)
  assert.is(one.problem, 'same-name')
  assert.is(two.problem, 'same-name')
})

test('a recorded dialer cannot be replayed: its proof does not fit a fresh nonce', () => {
  const one = new Side('a', true)
  drive(one, new Side('b', false))
  const victim = new Side('b', false)
  for (const frame of one.sent) victim.get(frame)
  assert.is(victim.problem, 'secret')
})

test('a recorded acceptor cannot be replayed', () => {
  const two = new Side('b', false)
  drive(new Side('a', true), two)
  const victim = new Side('a', true)
  for (const frame of two.sent) victim.get(frame)
  assert.is(victim.problem, 'secret')
})

test('a reflected proof is refused: the roles differ', () => {
  // The attacker, without the secret, answers a dialer with what the dialer itself sent.
  const victim = new Side('a', true)
  const hello = JSON.parse(new TextDecoder().decode((victim.sent[0] as Uint8Array).subarray(4)))
  victim.get(frame({ ...hello, name: 'b', instance: 'attacker' }))
  victim.get(victim.sent[1] as Uint8Array)
  assert.is(victim.problem, 'secret')
})

test('a changed name in a hello breaks the proof', () => {
  const one = new Side('a', true)
  const two = new Side('b', false)
  drive(one, two, (to, bytes) => {
    const text = new TextDecoder().decode(bytes.subarray(4))
    to.get(
      to === two && text.includes('"name":"a"') ? frame(JSON.parse(text.replace('"name":"a"', '"name":"c"'))) : bytes,
    )
  })
  assert.is(two.problem, 'secret')
})

for (const [title, bytes] of [
  ['a frame too long', Uint8Array.of(0, 0, 0x10, 1)],
  ['something else than JSON', Uint8Array.of(0, 0, 0, 2, 0x7b, 0x7b)],
  ['bytes that are not UTF-8', Uint8Array.of(0, 0, 0, 1, 0xff)],
  ['null', frame(null)],
  ['another magic', frame({ t: 'hello', magic: 'Tandem', version: 1, name: 'x' })],
  ['a name of two lines', frame({ t: 'hello', magic: 'TandeMQ', version: 99, name: 'z\n2026-01-01 a info: fine' })],
  ['a name of 4 kB', frame({ t: 'hello', magic: 'TandeMQ', version: 99, name: 'z'.repeat(4000) })],
  ['an empty name', frame({ t: 'hello', magic: 'TandeMQ', version: 99, name: '' })],
  ['a hello without nonce', frame({ t: 'hello', magic: 'TandeMQ', version: LINK_VERSION, name: 'x' })],
  ['a proof first', frame({ t: 'proof', mac: '' })],
  ['an MQTT CONNECT', Uint8Array.of(0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60)],
] as const) {
  test(`${title} is garbage`, () => {
    const side = new Side('b', false)
    side.get(bytes)
    assert.is(side.problem, 'garbage')
  })
}

function frame(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(value))
  return Uint8Array.from([0, 0, body.length >> 8, body.length & 0xff, ...body])
}

test('version 1 is spoken as it always was: a node of any release can meet one of the next', () => {
  const golden = readGolden(join(root, 'fixtures/peer/v1/handshake.hex'))
  const said: [who: string, frame: unknown, hex: string][] = []
  for (const dialer of ['a', 'b'] as const) {
    const nonce = (name: string) => (name === 'a' ? '11' : '22').repeat(32)
    const acceptor = dialer === 'a' ? 'b' : 'a'
    const one = new Side(dialer, true, { link: 7, nonce: nonce(dialer) })
    const two = new Side(acceptor, false, { link: 7, nonce: nonce(acceptor) })
    drive(one, two, (to, bytes) => {
      const frame = JSON.parse(new TextDecoder().decode(bytes.subarray(4)))
      said.push([to === one ? `${acceptor} accepts` : `${dialer} dials`, frame, bytes.toHex()])
      to.get(bytes)
    })
    for (const side of [one, two]) assert.is(side.result?.kind, 'open')
  }
  assert.equal(
    said,
    golden.map(({ value, bytes }) => [...(value as [string, unknown]), bytes?.toHex() ?? '']),
  )
})

test.run()
