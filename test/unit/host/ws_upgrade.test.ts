// WsUpgrade: requests as browsers and libraries send them, in any pieces; each thing that is refused, with its status and a
// sentence; and who counts as a program of this machine.
import { readUpgrade } from '../../../src/host/sockets/ws_upgrade.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('WebSocket upgrade')

type Fields = Record<string, string | null>
const usual: Fields = {
  Host: '127.0.0.1:8083',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'mqtt',
}

function request(fields: Fields = {}, line = 'GET /mqtt HTTP/1.1'): Uint8Array {
  const all = Object.entries({ ...usual, ...fields }).filter(([, value]) => value !== null)
  return new TextEncoder().encode(`${line}\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function done(bytes: Uint8Array, origins: readonly string[] = []) {
  const upgrade = readUpgrade(bytes, origins)
  assert.is(upgrade.kind, 'done', upgrade.kind === 'refused' ? upgrade.text : '')
  return upgrade as Extract<typeof upgrade, { kind: 'done' }>
}

function refused(bytes: Uint8Array, origins: readonly string[] = []) {
  const upgrade = readUpgrade(bytes, origins)
  assert.is(upgrade.kind, 'refused')
  return upgrade as Extract<typeof upgrade, { kind: 'refused' }>
}

test("the standard's own example is answered as the standard says", () => {
  const bytes = Uint8Array.from([...request(), 0x82, 0x80])
  const upgrade = done(bytes)
  assert.is(upgrade.bytes, bytes.length - 2)
  assert.is(
    text(upgrade.response),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
  )
})

test('every beginning asks for more', () => {
  const bytes = request({ Cookie: 'x'.repeat(300) })
  for (let end = 0; end < bytes.length; end++)
    assert.is(readUpgrade(bytes.subarray(0, end), [], Math.max(0, end - 1)).kind, 'more', `${end} bytes`)
  for (let seen = 0; seen < bytes.length; seen++)
    assert.is(readUpgrade(bytes, [], seen).kind, 'done', `${seen} bytes seen`)
})

const taken: [string, Fields, string?][] = [
  ['names and tokens in any case', { Host: null, HOST: 'x', Upgrade: 'WebSocket', Connection: 'keep-alive, upgrade' }],
  ['any path, with a query', {}, 'GET /?a=b HTTP/1.1'],
  ['an extension that is offered', { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }],
  ['values without blank, or with many', { Upgrade: '\t websocket \t' }],
]
for (const [title, fields, line] of taken)
  test(`${title}: taken`, () => {
    const { response } = done(request(fields, line))
    assert.ok(!/extensions/i.test(text(response)), 'no extension is agreed on')
  })

const protocols: [string, string][] = [
  ['mqtt', 'mqtt'],
  ['mqttv3.1', 'mqttv3.1'],
  ['mqttv3.1, mqtt', 'mqttv3.1'],
  ['mqtt,mqttv3.1', 'mqtt'],
  ['amqp, mqtt', 'mqtt'],
]
for (const [offered, chosen] of protocols)
  test(`[MQTT-6.0.0-4] [MQTT-3.1.1/6.0.0-4] offered ${offered}, ${chosen} is chosen`, () => {
    const { response } = done(request({ 'Sec-WebSocket-Protocol': offered }))
    assert.match(text(response), `\r\nSec-WebSocket-Protocol: ${chosen}\r\n`)
  })

const wrong: [string, number, RegExp, Uint8Array][] = [
  [
    '[MQTT-6.0.0-3] [MQTT-3.1.1/6.0.0-3] no subprotocol',
    400,
    /must offer mqtt .*not none/,
    request({ 'Sec-WebSocket-Protocol': null }),
  ],
  [
    '[MQTT-6.0.0-3] [MQTT-3.1.1/6.0.0-3] another one',
    400,
    /must offer mqtt .*not amqp, MQTT/,
    request({ 'Sec-WebSocket-Protocol': 'amqp, MQTT' }),
  ],
  ['a page without upgrade', 426, /MQTT over WebSocket only/, request({ Upgrade: null, Connection: 'keep-alive' })],
  ['an upgrade to HTTP/2', 426, /MQTT over WebSocket only/, request({ Upgrade: 'h2c' })],
  ['an older version', 426, /Version must be 13/, request({ 'Sec-WebSocket-Version': '8' })],
  ['no key', 400, /Sec-WebSocket-Key/, request({ 'Sec-WebSocket-Key': null })],
  ['a short key', 400, /Sec-WebSocket-Key/, request({ 'Sec-WebSocket-Key': 'AAAA' })],
  ['no host', 400, /Host/, request({ Host: null })],
  ['POST', 405, /GET/, request({}, 'POST /mqtt HTTP/1.1')],
  ['HTTP/1.0', 400, /HTTP\/1\.1/, request({}, 'GET /mqtt HTTP/1.0')],
  ['a line without colon', 400, /HTTP\/1\.1/, request({}, 'GET /mqtt HTTP/1.1\r\nnonsense')],
  ['a folded header', 400, /HTTP\/1\.1/, request({}, 'GET /mqtt HTTP/1.1\r\n folded: x')],
  ['a plain MQTT CONNECT', 400, /not an HTTP request/, Uint8Array.of(0x10)],
  ['TLS', 400, /not an HTTP request/, Uint8Array.of(0x16, 3, 1)],
  ['a request without end', 431, /too long/, request({ Cookie: 'x'.repeat(17_000) }).subarray(0, 16_900)],
  ['a request of more than 16 KiB', 431, /too long/, request({ Cookie: 'x'.repeat(17_000) })],
]
for (const [title, status, why, bytes] of wrong)
  test(`${title}: ${status}`, () => {
    const { response, text: sentence } = refused(bytes)
    assert.match(sentence, why)
    const [head, body] = text(response).split('\r\n\r\n') as [string, string]
    assert.ok(head.startsWith(`HTTP/1.1 ${status} `), head)
    assert.match(head, `\r\nContent-Length: ${new TextEncoder().encode(body).length}\r\n`)
    assert.match(body, why)
  })

test('a request of just the allowed length is taken', () => {
  const bytes = request({ Cookie: 'x'.repeat(16_384 - request({ Cookie: '' }).length) })
  assert.is(bytes.length, 16_384)
  done(bytes)
})

test('--ws-origin: pages of these origins and clients without origin may connect, others may not', () => {
  const origins = ['https://example.com', 'null']
  done(request(), origins)
  for (const Origin of ['https://example.com', 'HTTPS://Example.com', 'null']) done(request({ Origin }), origins)
  for (const Origin of [
    'https://example.com:8443',
    'http://example.com',
    'https://example.com.evil.test',
    '',
    'a, b',
  ]) {
    const { status, text: sentence } = refused(request({ Origin }), origins)
    assert.is(status, 403)
    assert.match(sentence, '--ws-origin')
  }
})

test('a page of another site and a proxy are not programs of this machine; what they say gives no trust', () => {
  const local = (fields: Fields, origins: string[] = []) => done(request(fields), origins).direct
  assert.is(local({}), true)
  for (const Origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:80'])
    assert.is(local({ Origin }), true)
  for (const Origin of [
    'http://example.com',
    'null',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    '',
  ])
    assert.is(local({ Origin }), false, Origin)
  assert.is(local({ Origin: 'http://example.com' }, ['http://example.com']), true)
  for (const name of ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'Via'])
    assert.is(local({ [name]: '127.0.0.1' }), false)
})

test.run()
