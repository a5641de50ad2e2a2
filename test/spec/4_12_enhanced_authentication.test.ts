// Enhanced authentication: MQTT 5.0 section 4.12, with SCRAM-SHA-512 over a password file's hashes.

import { utf8 } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { text } from '../support/mqtt_client.ts'
import { OneNode, type SpecClient } from '../support/one_node.ts'
import { ScramClient, usersOf } from '../support/passwords.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('4.12 Enhanced authentication')
const METHOD = 'SCRAM-SHA-512'
const users = usersOf({ al: 'secret', bo: 'hidden' })
const will = { topic: 'will', payload: utf8('gone'), qos: 1, retain: false } as const
const kept = { cleanStart: false, sessionExpiry: 100 }

const world = () => new OneNode({}, users)

/** Up to the server's challenge. */
function begin(c: SpecClient, scram: ScramClient, fields = {}): Uint8Array {
  c.sendConnect({ authMethod: METHOD, authData: scram.first, ...fields })
  return challengeOf(c)
}

function challengeOf(c: SpecClient): Uint8Array {
  const { reason, method, data } = c.expect('auth')
  assert.equal([reason, method], [0x18, METHOD])
  return data as Uint8Array
}

function proceed(c: SpecClient, data: Uint8Array, reason = 0x18, method = METHOD): void {
  c.sendAuth({ reason, method, data })
}

/** A client that has come in by SCRAM. */
function connected(w: OneNode, clientId: string, username = 'al', password = 'secret'): SpecClient {
  const c = w.open(clientId)
  const scram = new ScramClient(username, password)
  proceed(c, scram.answer(begin(c, scram)))
  assert.is(c.expect('connack').reason, 0)
  return c
}

function refused(c: SpecClient, reason: number): void {
  assert.is(c.expect('connack').reason, reason)
  c.expectNothing()
  assert.ok(c.closed)
}

// ---- at CONNECT

test('[MQTT-4.12.0-1] a method that is not offered: CONNACK 0x8C, and closed', () => {
  for (const method of ['SCRAM-SHA-1', 'SCRAM-SHA-512-PLUS', 'scram-sha-512', 'GS2-KRB5', '']) {
    const c = world().open('c')
    c.sendConnect({ authMethod: method, authData: new ScramClient('al', 'secret').first })
    refused(c, 0x8c)
  }
  const c = new OneNode().open('nobody is asked')
  c.sendConnect({ authMethod: METHOD, authData: new ScramClient('al', 'secret').first })
  refused(c, 0x8c)
})

test('[MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] the server asks by AUTH 0x18, the client answers by AUTH 0x18, CONNACK has the server prove itself', () => {
  const w = world()
  const c = w.open('c')
  const scram = new ScramClient('al', 'secret')
  proceed(c, scram.answer(begin(c, scram)))
  const connack = c.expect('connack')
  assert.is(connack.reason, 0)
  assert.is(connack.authMethod, METHOD)
  assert.is(text(connack.authData as Uint8Array), scram.serverFinal)
  c.subscribe('t')
  c.publish('t', 'x')
  assert.equal(c.deliveries(), ['t=x'])
})

test('[MQTT-4.12.0-3] an AUTH of the client with another reason than 0x18 during the exchange is a protocol error', () => {
  const c = world().open('c')
  const scram = new ScramClient('al', 'secret')
  proceed(c, scram.answer(begin(c, scram)), 0x19)
  refused(c, 0x82)
})

test('[MQTT-4.12.0-4] a wrong proof: CONNACK 0x87, and closed; nothing tells it from an unknown user', () => {
  const reasons = (['al', 'nobody'] as const).map((username) => {
    const c = world().open('c')
    const scram = new ScramClient(username, 'wrong')
    proceed(c, scram.answer(begin(c, scram)))
    const connack = c.expect('connack')
    assert.is(connack.reason, 0x87)
    assert.ok(c.closed)
    return connack.reasonString
  })
  assert.is(reasons[0], reasons[1])
})

test('an unknown user is shown the same salt each time, of the form of the others', () => {
  const challenge = (username: string) => {
    const c = world().open('c')
    return /s=([^,]+),i=(\d+)$/.exec(text(begin(c, new ScramClient(username, 'x')))) as RegExpExecArray
  }
  const [unknown, again, known, other] = ['nobody', 'nobody', 'al', 'someone'].map(challenge)
  assert.is(unknown?.[1], again?.[1])
  assert.is.not(unknown?.[1], other?.[1])
  assert.is(unknown?.[1]?.length, known?.[1]?.length)
  assert.is(unknown?.[2], known?.[2])
})

test('a message that is no SCRAM is refused with 0x87', () => {
  for (const data of ['', 'x', 'p=tls-unique,,n=al,r=abc', 'n,,n=al', 'n,a=bo,n=al,r=abc']) {
    const c = world().open('c')
    c.sendConnect({ authMethod: METHOD, authData: utf8(data) })
    refused(c, 0x87)
  }
  const c = world().open('c')
  c.sendConnect({ authMethod: METHOD })
  refused(c, 0x87)
})

test('an answer to another challenge is refused with 0x87', () => {
  const w = world()
  const old = w.open('old')
  const scram = new ScramClient('al', 'secret')
  const recorded = scram.answer(begin(old, scram))
  const c = w.open('c')
  begin(c, scram)
  proceed(c, recorded)
  refused(c, 0x87)
})

test('a refused client is in the access log by the user it said it was', () => {
  const w = world()
  const c = w.open('c')
  const scram = new ScramClient('al', 'guess')
  proceed(c, scram.answer(begin(c, scram)))
  const refusal = w.log.find(({ name }) => name === 'connect_refused')?.fields
  assert.equal(refusal, {
    client: 'c',
    username: 'al',
    address: 'test:c',
    reason: 'notAuthorized',
    why: 'user name or password is wrong',
  })
})

test('the user name of CONNECT, where there is one, is the one that is proven', () => {
  const w = world()
  for (const [username, reason] of [
    ['al', 0],
    ['bo', 0x87],
  ] as const) {
    const c = w.open('c')
    const scram = new ScramClient('al', 'secret')
    proceed(c, scram.answer(begin(c, scram, { username })))
    assert.is(c.expect('connack').reason, reason)
  }
})

test('[MQTT-4.12.0-5] an AUTH of another method, or of none, is a protocol error', () => {
  const c = world().open('c')
  const scram = new ScramClient('al', 'secret')
  proceed(c, scram.answer(begin(c, scram)), 0x18, 'SCRAM-SHA-1')
  refused(c, 0x82)
  const d = world().open('d')
  begin(d, scram)
  d.sendAuth({ reason: 0x18 })
  refused(d, 0x82)
})

test('[MQTT-4.12.0-6] without a method in CONNECT neither AUTH nor a method in CONNACK comes from the server', () => {
  const c = world().open('c')
  c.sendConnect({ username: 'al', password: utf8('secret') })
  const connack = c.expect('connack')
  assert.equal([connack.reason, connack.authMethod, connack.authData], [0, undefined, undefined])
  c.expectNothing()
})

test('[MQTT-4.12.0-7] AUTH of a client that named no method is a protocol error', () => {
  for (const reason of [0x18, 0x19]) {
    const c = world().connect('c', { username: 'al', password: utf8('secret') })
    proceed(c, new ScramClient('al', 'secret').first, reason)
    c.expectDisconnect(0x82)
  }
})

// ---- before it is over

test('[MQTT-3.1.2-30] anything but AUTH and DISCONNECT before CONNACK is a protocol error', () => {
  const others: ((c: SpecClient) => void)[] = [
    (c) => c.sendPublish('t', 'x'),
    (c) => c.sendPublish('t', 'x', { qos: 2 }),
    (c) => c.sendSubscribe('t'),
    (c) => c.sendUnsubscribe('t'),
    (c) => c.sendPuback(1),
    (c) => c.sendPubrel(1),
    (c) => c.sendPingreq(),
    (c) => c.sendConnect(),
  ]
  for (const send of others) {
    const w = world()
    const s = connected(w, 's', 'bo', 'hidden')
    s.subscribe('t')
    const c = w.open('c')
    begin(c, new ScramClient('al', 'secret'))
    send(c)
    refused(c, 0x82)
    s.expectNothing()
  }
})

test('DISCONNECT during authentication ends it without a word', () => {
  const w = world()
  const c = w.open('c')
  begin(c, new ScramClient('al', 'secret'), { will })
  c.disconnect()
  c.expectNothing()
  assert.ok(c.closed)
  assert.is(w.node.authentication.open.size, 0)
})

test('what comes while an answer is being found waits for it', () => {
  const w = world()
  w.authAnswers = false
  const c = w.open('c')
  const scram = new ScramClient('al', 'secret')
  c.sendConnect({ authMethod: METHOD, authData: scram.first })
  proceed(c, utf8('c=biws,r=guessed,p='))
  c.expectNothing()
  w.authAnswers = true
  challengeOf(c)
  refused(c, 0x87)
})

test('what comes behind the last word of the client waits until it is admitted', () => {
  const w = world()
  const c = w.open('c')
  const scram = new ScramClient('al', 'secret')
  const last = scram.answer(begin(c, scram))
  w.authAnswers = false
  proceed(c, last)
  c.sendPublish('t', 'x', { qos: 1 })
  w.authAnswers = true
  assert.is(c.expect('connack').reason, 0)
  c.expect('puback')
})

test('what comes while an answer is being found is bounded: then the socket is read no more', () => {
  const w = world()
  w.authAnswers = false
  const c = w.open('c')
  c.sendConnect({ authMethod: METHOD, authData: new ScramClient('al', 'secret').first })
  for (let i = 0; i < 5; i++) c.sendPublish('t', 'x'.repeat(LIMITS.connectBytesMax / 4))
  assert.not(c.reading)
  w.authAnswers = true
  assert.ok(c.reading)
  challengeOf(c)
  refused(c, 0x82)
})

test('a packet that is too large to be an answer is refused before it is there', () => {
  const w = world()
  const c = w.open('c')
  begin(c, new ScramClient('al', 'secret'))
  c.raw([0x30, 0x80, 0x80, 0x40])
  c.raw(new Uint8Array(LIMITS.connectBytesMax + 1))
  refused(c, 0x95)
})

test('a client that does not go on is refused in time, and so is one that nobody finds the time for', () => {
  const w = world()
  const c = w.open('c')
  begin(c, new ScramClient('al', 'secret'))
  w.pass(LIMITS.authTimeoutMs - 1000)
  assert.not(c.closed)
  w.pass(2000)
  refused(c, 0x87)
  w.authAnswers = false
  const d = w.open('d')
  d.sendConnect({ authMethod: METHOD, authData: new ScramClient('al', 'secret').first })
  w.pass(LIMITS.authTimeoutMs + 1000)
  refused(d, 0x89)
  w.authAnswers = true
  assert.is(w.node.authentication.open.size, 0)
  assert.is(w.metric('authentication_timeouts'), 2)
})

test('a client that goes in the middle of it leaves nothing behind, whenever that is', () => {
  const w = world()
  const c = w.open('c')
  begin(c, new ScramClient('al', 'secret'))
  c.drop()
  w.authAnswers = false
  const d = w.open('d')
  d.sendConnect({ authMethod: METHOD, authData: new ScramClient('al', 'secret').first })
  d.drop()
  w.authAnswers = true
  assert.is(w.node.authentication.open.size, 0)
  assert.is(w.node.all.size, 0)
})

test('a node that goes away tells clients in the middle of it', () => {
  const w = world()
  const c = w.open('c')
  begin(c, new ScramClient('al', 'secret'))
  w.node.drainAway()
  w.settle()
  assert.ok(c.expect('connack').reason >= 0x80)
  assert.ok(c.closed)
})

test('nobody who has not proven who it is takes over a session', () => {
  const w = world()
  const s = connected(w, 's', 'bo', 'hidden')
  s.subscribe('will')
  const scram = new ScramClient('al', 'secret')
  const owner = w.open('c')
  proceed(owner, scram.answer(begin(owner, scram, { ...kept, will })))
  assert.is(owner.expect('connack').reason, 0)
  const thief = w.open('c')
  const wrong = new ScramClient('al', 'guess')
  const challenge = begin(thief, wrong, { cleanStart: true })
  assert.not(owner.closed)
  proceed(thief, wrong.answer(challenge))
  refused(thief, 0x87)
  owner.sendPingreq()
  owner.expect('pingresp')
  s.expectNothing()
})

// ---- again, on an open connection

test('[MQTT-4.12.1-1] AUTH 0x19 begins anew, other packets flow meanwhile, and AUTH 0x00 ends it', () => {
  const w = world()
  const c = connected(w, 'c')
  c.subscribe('t')
  const scram = new ScramClient('al', 'secret', 'another-nonce-of-the-client')
  proceed(c, scram.first, 0x19)
  const challenge = challengeOf(c)
  c.publish('t', 'x')
  assert.equal(c.deliveries(), ['t=x'])
  proceed(c, scram.answer(challenge))
  const done = c.expect('auth')
  assert.equal([done.reason, done.method, text(done.data as Uint8Array)], [0, METHOD, scram.serverFinal])
  proceed(c, new ScramClient('al', 'secret').first, 0x19)
  challengeOf(c)
})

test('[MQTT-4.12.1-1] AUTH 0x19 with another method than at CONNECT is a protocol error', () => {
  const c = connected(world(), 'c')
  proceed(c, new ScramClient('al', 'secret').first, 0x19, 'SCRAM-SHA-1')
  c.expectDisconnect(0x82)
})

test('[MQTT-4.12.1-2] authentication anew that fails: DISCONNECT 0x87, closed, and the will is sent', () => {
  const w = world()
  const s = connected(w, 's')
  s.subscribe('will')
  const c = w.open('c')
  const scram = new ScramClient('al', 'secret')
  proceed(c, scram.answer(begin(c, scram, { will })))
  c.expect('connack')
  const wrong = new ScramClient('al', 'wrong')
  proceed(c, wrong.first, 0x19)
  proceed(c, wrong.answer(challengeOf(c)))
  c.expectDisconnect(0x87)
  assert.equal(s.deliveries(), ['will=gone'])
})

test('[MQTT-4.12.1-2] authentication anew as another user fails', () => {
  const c = connected(world(), 'c')
  const other = new ScramClient('bo', 'hidden')
  proceed(c, other.first, 0x19)
  proceed(c, other.answer(challengeOf(c)))
  c.expectDisconnect(0x87)
})

test('an AUTH that answers nothing, and one that begins in the middle of another, are protocol errors', () => {
  const c = connected(world(), 'c')
  proceed(c, utf8('x'))
  c.expectDisconnect(0x82)
  const d = connected(world(), 'd')
  const scram = new ScramClient('al', 'secret')
  proceed(d, scram.first, 0x19)
  challengeOf(d)
  proceed(d, scram.first, 0x19)
  d.expectDisconnect(0x82)
})

test('a client that goes in the middle of authentication anew leaves nothing behind', () => {
  const w = world()
  const c = connected(w, 'c')
  proceed(c, new ScramClient('al', 'secret').first, 0x19)
  c.drop()
  assert.is(w.node.authentication.open.size, 0)
})

test.run()
