// Passwords: MQTT 5.0 section 5.4 and 3.1.4, and what 3.1.1 and 3.1 say differently: user name and password at CONNECT.

import { utf8 } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { OneNode, TwoNodes } from '../support/one_node.ts'
import { usersOf } from '../support/passwords.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('5.4 Passwords')
const users = usersOf({ al: 'secret', bo: 'hidden' })
const al = { username: 'al', password: utf8('secret') } as const
const will = { topic: 'will', payload: utf8('gone'), qos: 1, retain: false } as const

/** A page of the API that leaves nothing out. */
const EVERYTHING = {
  ...{ limit: 10, cursor: null, client: null, node: null },
  ...{ connected: null, filter: null, topic: null },
}

type Shown = { username?: string; password?: Uint8Array }

function answer(w: OneNode, shown: Shown, version: 3 | 4 | 5, loopback = false): number {
  const c = w.open('c', { version, loopback })
  // What is given away is erased.
  c.sendConnect({ ...shown, ...(shown.password === undefined ? {} : { password: shown.password.slice() }) })
  const { reason } = c.expect('connack')
  c.expectNothing()
  assert.is(c.closed, reason !== 0)
  return reason
}

test('[MQTT-3.1.4-2] who does not prove who it is is refused and closed, whatever the version, whatever the reason', () => {
  const rows: readonly [Shown, number, number][] = [
    [al, 0, 0],
    [{ ...al, password: utf8('Secret') }, 0x86, 4],
    [{ ...al, password: utf8('secret ') }, 0x86, 4],
    [{ ...al, password: utf8('') }, 0x86, 4],
    [{ username: 'al' }, 0x86, 4],
    [{ ...al, username: 'AL' }, 0x86, 4],
    [{ ...al, username: 'bo' }, 0x86, 4],
    [{ ...al, username: '' }, 0x86, 4],
    [{ ...al, password: new Uint8Array(LIMITS.passwordBytesMax + 1) }, 0x86, 4],
    [{}, 0x87, 5],
  ]
  for (const [shown, reason, code] of rows) {
    const w = new OneNode({}, users)
    assert.is(answer(w, shown, 5), reason, JSON.stringify(shown))
    assert.is(answer(w, shown, 4), code)
    assert.is(answer(w, shown, 3), code)
    if (shown.username !== undefined) {
      assert.is(w.metric('authentications_accepted'), reason === 0 ? 3 : 0)
      assert.is(w.metric('authentications_refused'), reason === 0 ? 0 : 3)
    }
  }
})

test('with a password file nobody is anonymous, from this machine neither, unless that is allowed too', () => {
  const strict = new OneNode({}, users)
  const loose = new OneNode({ allowAnonymous: true }, users)
  for (const loopback of [true, false]) {
    assert.is(answer(strict, {}, 5, loopback), 0x87)
    assert.is(answer(loose, {}, 5, loopback), 0)
    assert.is(answer(loose, al, 5, loopback), 0)
    assert.is(answer(loose, { ...al, password: utf8('wrong') }, 5, loopback), 0x86)
  }
})

test('a password without a user name is allowed in 5.0, and proves nothing', () => {
  const { password } = al
  assert.is(answer(new OneNode({}, users), { password }, 5), 0x87)
  assert.is(answer(new OneNode({ allowAnonymous: true }, users), { password }, 5), 0)
})

test('[MQTT-3.1.1/3.1.2-22] a password without a user name is refused in 3.1.1', () => {
  const c = new OneNode({ allowAnonymous: true }, users).open('c', { version: 4 })
  c.sendConnect({ password: utf8('secret') })
  assert.ok(c.closed)
  assert.ok(c.takeAll().every((packet) => packet.cmd === 'connack' && packet.reason !== 0))
})

test('an empty password is one, no password is none', () => {
  const w = new OneNode({}, usersOf({ al: '' }))
  assert.is(answer(w, { username: 'al', password: utf8('') }, 5), 0)
  assert.is(answer(w, { username: 'al' }, 5), 0x86)
  assert.is(answer(w, { username: 'al', password: new Uint8Array(LIMITS.passwordBytesMax + 1) }, 5), 0x86)
})

test('a `$6$` hash and a `$7$` hash are checked alike', () => {
  assert.is(answer(new OneNode({}, usersOf({ al: 'secret' }, 0)), al, 4), 0)
  assert.is(answer(new OneNode({}, usersOf({ al: 'other' }, 0)), al, 4), 4)
})

test('[MQTT-3.1.4-5] what a client sends behind CONNECT waits until its password is checked', () => {
  const w = new OneNode({}, users)
  const s = w.connect('s', { username: 'bo', password: utf8('hidden') })
  s.subscribe('t')
  w.authAnswers = false
  const right = w.open('right')
  right.sendConnect({ ...al, password: utf8('secret') })
  right.sendPublish('t', 'from a right one')
  const wrong = w.open('wrong')
  wrong.sendConnect({ ...al, password: utf8('wrong') })
  wrong.sendPublish('t', 'from a wrong one')
  s.expectNothing()
  right.expectNothing()
  w.authAnswers = true
  assert.is(right.expect('connack').reason, 0)
  assert.is(wrong.expect('connack').reason, 0x86)
  assert.equal(s.deliveries(), ['t=from a right one'])
})

test('what has changed while the password was checked counts: all places taken, a node that goes away', () => {
  const w = new OneNode({ connectionsMax: 1 }, users)
  w.authAnswers = false
  const [first, second] = ['first', 'second'].map((clientId) => {
    const c = w.open(clientId)
    c.sendConnect({ ...al, password: utf8('secret') })
    return c
  })
  w.authAnswers = true
  assert.is(first?.expect('connack').reason, 0)
  assert.is(second?.expect('connack').reason, 0x89)
  const leaves = new OneNode({}, users)
  leaves.authAnswers = false
  const third = leaves.open('third')
  third.sendConnect({ ...al, password: utf8('secret') })
  leaves.node.drainAway()
  leaves.settle()
  assert.is(third.expect('connack').reason, 0x8b)
  assert.ok(third.closed)
})

test('nobody with a wrong password takes over a session, ends it or sends its will', () => {
  const w = new OneNode({}, users)
  const s = w.connect('s', { username: 'bo', password: utf8('hidden') })
  s.subscribe('will')
  const owner = w.connect('c', { username: 'al', password: utf8('secret'), cleanStart: false, sessionExpiry: 9, will })
  assert.is(answer(w, { ...al, password: utf8('wrong') }, 5), 0x86)
  assert.not(owner.closed)
  s.expectNothing()
  assert.is(answer(w, { ...al, password: utf8('secret') }, 5), 0)
  owner.expectDisconnect(0x8e)
})

test('a refused client is in the access log by name and address, an accepted one by the user it is', () => {
  const w = new OneNode({}, users)
  answer(w, { ...al, password: utf8('guessed') }, 5)
  const refusal = w.log.find(({ name }) => name === 'connect_refused')?.fields
  assert.equal(refusal, {
    client: 'c',
    username: 'al',
    address: 'test:c',
    reason: 'badUserNameOrPassword',
    why: 'user name or password is wrong',
  })
  const c = w.connect('c', { username: 'al', password: utf8('secret') })
  assert.is(w.log.find(({ name }) => name === 'connect')?.fields['username'], 'al')
  assert.is(w.node.page('clients', EVERYTHING)?.rows[0]?.['username'], 'al')
  c.disconnect()
  assert.is(w.log.find(({ name }) => name === 'disconnect')?.fields['username'], 'al')
  assert.not.match(JSON.stringify(w.log), /guessed|secret/)
})

test('users who are withdrawn, or whose password has changed, are shown out; the others stay', () => {
  const w = new OneNode({}, usersOf({ al: 'secret', gone: 'x' }))
  const first = w.connect('first', { username: 'al', password: utf8('secret') })
  const gone = w.connect('gone', { username: 'gone', password: utf8('x') })
  const next = usersOf({ al: 'new' })
  w.replaceUsers(next)
  first.expectDisconnect(0x87)
  gone.expectDisconnect(0x87)
  assert.is(answer(w, { ...al, password: utf8('secret') }, 5), 0x86)
  const second = w.connect('second', { username: 'al', password: utf8('new') })
  w.replaceUsers(next)
  second.expectNothing()
  assert.not(second.closed)
})

test('a user who is withdrawn while the session is on its way does not come in', () => {
  const w = new TwoNodes({}, users)
  w.connect(w.a, 'c', { ...al, password: utf8('secret'), cleanStart: false, sessionExpiry: 9 })
  w.silence()
  const c = w.open(w.b, 'c')
  c.sendConnect({ ...al, password: utf8('secret'), cleanStart: false })
  c.expectNothing()
  w.b.authentication.revoke(new Set(['al']))
  w.drive()
  assert.is(c.expect('connack').reason, 0x87)
  assert.ok(c.closed)
})

test.run()
