// Scram: the client's messages as RFC 5802 writes them, and one exchange computed by hand.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { utf8 } from '../../../src/base/bytes.ts'
import { PasswordHash } from '../../../src/host/users/password_hash.ts'
import { ScramExchange } from '../../../src/host/users/scram.ts'
import {
  type ClientFinal,
  type ClientFirst,
  parseClientFinal,
  parseClientFirst,
  saslName,
} from '../../../src/host/users/scram_messages.ts'
import { Users } from '../../../src/host/users/users.ts'
import { text } from '../../support/mqtt_client.ts'
import { ScramClient, usersOf } from '../../support/passwords.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('scram')
const first = (message: string) => parseClientFirst(utf8(message))
const final = (message: string) => parseClientFinal(utf8(message))
const PROOF = Buffer.alloc(64, 7).toString('base64')

test('client-first-message', () => {
  const rows: readonly [string, Partial<ClientFirst>][] = [
    ['n,,n=user,r=abc', { gs2Header: 'n,,', bare: 'n=user,r=abc', username: 'user', nonce: 'abc' }],
    ['y,,n=user,r=abc', { gs2Header: 'y,,' }],
    ['n,a=user,n=user,r=abc', { gs2Header: 'n,a=user,', bare: 'n=user,r=abc' }],
    ['n,a=a=2Cb,n=a=2Cb,r=abc', { username: 'a,b' }],
    ['n,,n=a=3Db=2Cc,r=!+"#~', { username: 'a=b,c', nonce: '!+"#~' }],
    ['n,,n=ü 中,r=a=b', { username: 'ü 中', nonce: 'a=b' }],
    ['n,,n=user,r=abc,x=1,Y=2=3', { bare: 'n=user,r=abc,x=1,Y=2=3' }],
  ]
  for (const [message, fields] of rows) {
    const parsed = first(message)
    assert.type(parsed, 'object', `${message}: ${parsed}`)
    for (const [name, value] of Object.entries(fields)) assert.is((parsed as ClientFirst)[name as 'nonce'], value)
  }
})

test('what is no client-first-message', () => {
  for (const message of [
    '',
    'n',
    'n,',
    'n,,',
    'n,,n=user',
    'n,,n=user,r=',
    'n,,n=user,r=a b',
    'n,,n=user,r=ü',
    'n,,n=,r=abc',
    'n,,n=us=er,r=abc',
    'n,,n=us=2cer,r=abc',
    'n,,r=abc,n=user',
    'n,,m=x,n=user,r=abc',
    'n,,n=user,r=abc,m=x',
    'n,,n=user,r=abc,',
    'n,,n=user,r=abc,x',
    'n,,n=user,r=abc,x=',
    'n,,n=user,r=abc\0',
    'n=user,r=abc',
    'N,,n=user,r=abc',
    'p=tls-unique,,n=user,r=abc',
    'n,a=other,n=user,r=abc',
    'n,b=user,n=user,r=abc',
    `n,,n=${'u'.repeat(5000)},r=abc`,
  ])
    assert.type(first(message), 'string', message)
  assert.type(parseClientFirst(null), 'string')
  assert.type(parseClientFirst(new Uint8Array([0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff])), 'string')
  assert.match(first('p=tls-unique,,n=user,r=abc') as string, /channel binding/)
})

test('client-final-message', () => {
  const parsed = final(`c=biws,r=abc,x=1,p=${PROOF}`) as ClientFinal
  assert.is(parsed.withoutProof, 'c=biws,r=abc,x=1')
  assert.is(text(parsed.binding), 'n,,')
  assert.is(parsed.nonce, 'abc')
  assert.is(parsed.proof.length, 64)
})

test('what is no client-final-message', () => {
  for (const message of [
    '',
    'c=biws,r=abc',
    `c=biws,p=${PROOF}`,
    `r=abc,c=biws,p=${PROOF}`,
    `c=bi!s,r=abc,p=${PROOF}`,
    `c=biws,r=abc,p=${PROOF},x=1`,
    `c=biws,r=abc,m=1,p=${PROOF}`,
    `c=biws,r=abc,x,p=${PROOF}`,
    `c=biws,r=abc,p=${PROOF.slice(0, -1)}`,
    `c=biws,r=abc,p=${PROOF.slice(4)}`,
    'c=biws,r=abc,p=',
  ])
    assert.type(final(message), 'string', message)
})

test('names', () => {
  assert.is(saslName('=2C=3D'), ',=')
  assert.is(saslName('=3D2C'), '=2C')
  for (const wrong of ['', '=', '=2', '=41', 'a=']) assert.is(saslName(wrong), null)
})

test('one exchange, each step computed by hand', () => {
  const salted = pbkdf2Sync('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096, 64, 'sha512')
  const salt = new Uint8Array(Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))
  const users = new Users(new Map([['user', new PasswordHash(4096, salt, new Uint8Array(salted))]]))
  const bare = 'n=user,r=rOprNGfwEbeRWgbNEkqO'
  const exchange = ScramExchange.begin(utf8(`n,,${bare}`), users) as ScramExchange
  const challenge = text(exchange.challenge)
  assert.match(challenge, /^r=rOprNGfwEbeRWgbNEkqO[\w+/]{24},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096$/)
  const nonce = challenge.slice(2, challenge.indexOf(','))
  const hmac = (key: Uint8Array, data: string) => createHmac('sha512', key).update(data).digest()
  const clientKey = hmac(salted, 'Client Key')
  const storedKey = createHash('sha512').update(clientKey).digest()
  const message = `${bare},${challenge},c=biws,r=${nonce}`
  const signature = hmac(storedKey, message)
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] as number))).toString('base64')
  const done = exchange.finish(utf8(`c=biws,r=${nonce},p=${proof}`), users)
  assert.is(text(done as Uint8Array), `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`)
})

test('each exchange has a nonce of its own, and takes no other, no other header and no other proof', () => {
  const users = usersOf({ al: 'x' })
  const client = new ScramClient('al', 'x')
  const begin = () => ScramExchange.begin(client.first, users) as ScramExchange
  const [one, two] = [begin(), begin()]
  assert.is.not(text(one.challenge), text(two.challenge))
  const answer = text(client.answer(one.challenge))
  assert.is(two.finish(utf8(answer), users), 'SCRAM: another nonce')
  assert.is(begin().finish(utf8(answer.replace('c=biws', 'c=eSws')), users), 'SCRAM: another nonce')
  assert.is(one.finish(utf8(answer.replace('c=biws', 'c=eSws')), users), 'SCRAM: another gs2 header')
  assert.is(one.finish(utf8(answer.replace(/p=..../, 'p=AAAA')), users), 'user name or password is wrong')
  assert.instance(one.finish(utf8(answer), users), Uint8Array)
  assert.is(one.finish(utf8(answer), usersOf({ al: 'x' })), 'user name or password is wrong', 'another salt since')
})

test('a `$6$` hash serves no SCRAM, and is not told from an unknown user', () => {
  const users = usersOf({ al: 'x' }, 0)
  const exchange = ScramExchange.begin(new ScramClient('al', 'x').first, users) as ScramExchange
  const answer = new ScramClient('al', 'x').answer(exchange.challenge)
  assert.is(exchange.finish(answer, users), 'user name or password is wrong')
})

test.run()
