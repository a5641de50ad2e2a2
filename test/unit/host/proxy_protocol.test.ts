// PROXY headers: what HAProxy sends, in one piece and in any pieces, and what nobody should send.
import { introduce, parseProxyHeader } from '../../../src/host/sockets/proxy_protocol.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('PROXY protocol')
const ascii = (text: string) => new TextEncoder().encode(text)

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
function v2(command: number, family: number, body: number[], length = body.length): Uint8Array {
  return Uint8Array.from([...SIGNATURE, 0x20 | command, (family << 4) | 1, length >> 8, length & 0xff, ...body])
}
const ports = [0x9d, 0x80, 0x07, 0x5b] // 40320, 1883
const ip4 = [10, 0, 0, 7, 10, 0, 0, 1, ...ports]
const ip6 = (text: number[]) => [...text, ...new Array(16).fill(0), ...ports]

const good: [string, Uint8Array, string | null, number][] = [
  ['version 1, IPv4', ascii('PROXY TCP4 192.0.2.9 10.0.0.1 40320 1883\r\n'), '192.0.2.9', 40320],
  ['version 1, IPv6', ascii('PROXY TCP6 2001:db8::9 ::1 40320 1883\r\n'), '2001:db8::9', 40320],
  ['version 1, unknown', ascii('PROXY UNKNOWN\r\n'), null, 0],
  ['version 1, unknown with addresses', ascii('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), null, 0],
  ['version 2, IPv4', v2(1, 1, ip4), '10.0.0.7', 40320],
  ['version 2, IPv4 with TLVs', v2(1, 1, [...ip4, 3, 0, 4, 1, 2, 3, 4]), '10.0.0.7', 40320],
  ['version 2, unknown', v2(1, 0, []), null, 0],
  ['version 2, UNIX', v2(1, 3, new Array(216).fill(0)), null, 0],
  ['version 2, IPv6', v2(1, 2, ip6([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])), '2001:db8::9', 40320],
  ['version 2, IPv6 loopback', v2(1, 2, ip6([...new Array(15).fill(0), 1])), '::1', 40320],
  ['version 2, IPv6 nothing', v2(1, 2, ip6(new Array(16).fill(0))), '::', 40320],
  ['version 2, IPv6 zeros at the end', v2(1, 2, ip6([0x20, 1, ...new Array(14).fill(0)])), '2001::', 40320],
  [
    'version 2, IPv6 one zero group',
    v2(1, 2, ip6([0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
    '1:0:1:1:1:1:1:1',
    40320,
  ],
]

for (const [title, header, ip, port] of good) {
  test(`${title}: address and length, with the client's bytes behind it`, () => {
    const bytes = Uint8Array.from([...header, 0x10, 0x0c])
    assert.equal(parseProxyHeader(bytes), { kind: 'done', bytes: header.length, ip, port })
  })

  test(`${title}: every beginning asks for more`, () => {
    for (let end = 0; end < header.length; end++) {
      assert.equal(parseProxyHeader(header.subarray(0, end)), { kind: 'more' }, `${end} bytes`)
    }
  })
}

test('version 2, LOCAL: the balancer itself, whatever addresses it gives', () => {
  assert.equal(parseProxyHeader(v2(0, 0, [])), { kind: 'local', bytes: 16 })
  assert.equal(parseProxyHeader(v2(0, 1, ip4)), { kind: 'local', bytes: 28 })
})

const bad: [string, Uint8Array][] = [
  ['an MQTT CONNECT without header', Uint8Array.from([0x10, 0x0c, 0, 4])],
  ['HTTP', ascii('GET / HTTP/1.1\r\n')],
  ['a line that never ends', ascii(`PROXY TCP4 ${'1'.repeat(120)}`)],
  ['a line end without CR', ascii('PROXY TCP4 192.0.2.9 10.0.0.1 40320 1883\n')],
  ['a missing port', ascii('PROXY TCP4 192.0.2.9 10.0.0.1 40320\r\n')],
  ['a port too large', ascii('PROXY TCP4 192.0.2.9 10.0.0.1 70000 1883\r\n')],
  ['a bad IPv4 address', ascii('PROXY TCP4 192.0.2.256 10.0.0.1 40320 1883\r\n')],
  ['a name for an address', ascii('PROXY TCP4 localhost 10.0.0.1 40320 1883\r\n')],
  ['another family', ascii('PROXY UDP4 192.0.2.9 10.0.0.1 40320 1883\r\n')],
  ['version 3', Uint8Array.from([...SIGNATURE, 0x31, 0x11, 0, 0])],
  ['an unknown command', v2(2, 1, ip4)],
  ['addresses cut off', v2(1, 1, ip4.slice(0, 8))],
  ['an announced length beyond reason', v2(1, 1, ip4, 0xffff)],
  ['a wrong signature', Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0b])],
]

for (const [title, bytes] of bad) {
  test(`${title} is refused`, () => {
    assert.is(parseProxyHeader(bytes).kind, 'bad')
  })
}

test('a client is introduced by its header, in one piece or byte by byte; what follows is its own', () => {
  const bytes = Uint8Array.from([...v2(1, 1, ip4), 0x10, 0x0c])
  for (const size of [1, 5, bytes.length]) {
    const client = { address: '127.0.0.1:5', loopback: true, held: null as Uint8Array | null }
    const own: number[] = []
    for (let at = 0; at < bytes.length; at += size) {
      const chunk = bytes.slice(at, at + size)
      const rest = client.loopback ? introduce(client, chunk) : chunk
      assert.not(rest === 'bad')
      if (rest !== null) own.push(...(rest as Uint8Array))
    }
    assert.equal(own, [0x10, 0x0c], `${size}`)
    assert.equal(client, { address: '10.0.0.7:40320', loopback: false, held: null })
  }
  assert.is(introduce({ address: '', loopback: true, held: null }, ascii('GET / HTTP/1.1')), 'bad')
})

const lines: [title: string, header: Uint8Array, socketIsLocal: boolean, clientIsLocal: boolean][] = [
  ['a stranger that says it is of this machine', ascii('PROXY TCP4 127.0.0.1 127.0.0.1 1 1883\r\n'), false, false],
  ['a client of this machine, by a balancer on it', ascii('PROXY TCP4 127.0.0.1 127.0.0.1 1 1883\r\n'), true, true],
  ['a client from elsewhere', ascii('PROXY TCP4 192.0.2.9 10.0.0.1 1 1883\r\n'), true, false],
  ['a client that the balancer does not know (1)', ascii('PROXY UNKNOWN\r\n'), true, false],
  ['a client that the balancer does not know (2)', v2(1, 0, []), true, false],
  ['a client of a UNIX socket', v2(1, 3, new Array(216).fill(0)), true, false],
  ['the health check of a balancer on this machine', v2(0, 0, []), true, true],
  ['the health check of a balancer elsewhere', v2(0, 0, []), false, false],
]
for (const [title, header, socketIsLocal, clientIsLocal] of lines)
  test(`${title} counts as ${clientIsLocal ? 'of this machine' : 'from elsewhere'}`, () => {
    const client = { address: '', loopback: socketIsLocal, held: null as Uint8Array | null }
    assert.equal(introduce(client, header), new Uint8Array(0))
    assert.is(client.loopback, clientIsLocal)
  })

test.run()
