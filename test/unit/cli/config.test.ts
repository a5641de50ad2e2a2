// Config: what settings become, where they come from, and for every wrong one the sentence that names its flag.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperatorFault } from '../../../src/base/fault.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { readConfig } from '../../../src/cli/config.ts'
import { memoryShare } from '../../../src/cli/memory.ts'
import { SETTINGS } from '../../../src/cli/settings.ts'
import { readSources } from '../../../src/cli/sources.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('configuration')
const dir = mkdtempSync(join(tmpdir(), 'tandemq-config-'))
const file = (name: string, text: string) => {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
const secret = file('secret', 'correct horse\n')
const empty = file('empty', ' \n')
const toml = (text: string) => file(`${Math.random()}.toml`, text)

const read = (args: string[], environment = {}) => readConfig(args, environment)
const sentence = (args: string[], environment = {}): string => {
  try {
    read(args, environment)
  } catch (error) {
    assert.instance(error, OperatorFault)
    return (error as OperatorFault).message
  }
  return 'no fault'
}

test('without any settings: a lone node on the usual ports', () => {
  const { node, host, testOnly } = read([])
  assert.is(testOnly, false)
  assert.equal(host.listen, [{ host: null, port: 1883 }])
  assert.equal(host.admin, { host: '127.0.0.1', port: 18083 })
  assert.is(host.pair, null)
  assert.is(host.dataDir, './tandemq-data')
  assert.is(node.paired, false)
  assert.match(node.name, /-7883$/)
  assert.is(node.ack, 'peer-ram')
  assert.is(node.partition, 'available')
  assert.is(node.sharedStrategy, 'round-robin')
  assert.is(node.allowAnonymous, false)
  assert.is(node.retainAvailable, true)
  assert.is.not(node.nonce, read([]).node.nonce)
})

test('what is kept is bounded by the machine too', () => {
  const gib = 1024 ** 3
  assert.is(memoryShare(gib, 64 * gib), gib)
  assert.is(memoryShare(gib, gib / 2), gib / 8)
  assert.is(memoryShare(gib, 1024), 16 * 1024 ** 2)
  assert.ok(memoryShare(Number.POSITIVE_INFINITY) >= 16 * 1024 ** 2)
})

test('every limit has its flag, and without it the default of base/limits.ts', () => {
  const flags: [string, string, keyof ReturnType<typeof read>['node'], unknown, unknown][] = [
    ['max-packet-bytes', '16777216', 'packetBytesMax', 16_777_216, LIMITS.packetBytesMax],
    ['max-queued-messages', '7', 'queuedMessagesMax', 7, LIMITS.queuedMessagesMax],
    ['max-queued-bytes', '4096', 'queuedBytesMax', 4096, LIMITS.queuedBytesMax],
    ['max-queued-bytes-total', '1048576', 'queuedBytesTotalMax', 1_048_576, memoryShare(LIMITS.queuedBytesTotalMax)],
    ['queue-full', 'drop-oldest', 'queueFull', 'drop-oldest', 'drop-newest'],
    ['max-inflight-messages', '20', 'inflightMax', 20, 0],
    ['max-connections', '9', 'connectionsMax', 9, LIMITS.connectionsMax],
    ['connect-timeout-ms', '500', 'connectTimeoutMs', 500, LIMITS.connectTimeoutMs],
    ['receive-maximum', '10', 'receiveMaximum', 10, LIMITS.receiveMaximum],
    ['max-session-expiry', '60', 'sessionExpiryMax', 60, LIMITS.sessionExpiryMax],
    ['max-keep-alive', '60', 'keepAliveMax', 60, 0],
    ['max-qos', '1', 'qosMax', 1, 2],
    ['max-retained-messages', '0', 'retainedMessagesMax', 0, LIMITS.retainedMessagesMax],
    ['max-retained-bytes', '99', 'retainedBytesMax', 99, memoryShare(LIMITS.retainedBytesMax)],
    ['max-subscriptions', '3', 'subscriptionsMax', 3, LIMITS.subscriptionsPerSessionMax],
    ['max-topic-levels', '8', 'topicLevelsMax', 8, LIMITS.topicLevelsMax],
    ['max-topic-bytes', '256', 'topicBytesMax', 256, LIMITS.topicBytesMax],
    ['max-client-id-bytes', '23', 'clientIdBytesMax', 23, LIMITS.clientIdBytesMax],
  ]
  for (const [flag, value, field, given, initial] of flags) {
    assert.is(read([`--${flag}`, value]).node[field], given, flag)
    assert.is(read([]).node[field], initial, flag)
  }
  assert.equal([read([]).node.queueQos0, read(['--queue-qos0']).node.queueQos0], [false, true])
  assert.is(read([]).node.clientIdPattern, null)
  const pattern = read(['--client-id-pattern', 'meter-\\d+|gate']).node.clientIdPattern
  for (const id of ['meter-12', 'gate']) assert.ok(pattern?.test(id), id)
  for (const id of ['meter-', 'xmeter-1', 'gates', 'meter-1\nx', '']) assert.not(pattern?.test(id), id)
})

test('a pair on loopback needs no secret, any other does', () => {
  const { node, host } = read(['--peer', '127.0.0.1', '--cluster', '127.0.0.1:7001'])
  assert.is(node.paired, true)
  assert.equal(host.pair, {
    cluster: { host: '127.0.0.1', port: 7001 },
    peer: { host: '127.0.0.1', port: 7883 },
    secret: null,
  })
  const needed = /^--cluster-secret-file is required unless both cluster addresses are loopback/
  assert.match(sentence(['--peer', '10.0.0.2']), needed)
  assert.match(sentence(['--peer', '10.0.0.2', '--cluster', '127.0.0.1:7001']), needed)
  assert.match(sentence(['--peer', '127.0.0.1', '--cluster', '7001']), needed)
  assert.match(sentence(['--peer', '127.0.0.1', '--cluster', '0.0.0.0:7001']), needed)
  const pair = read(['--peer', '[fd00::2]:7001', '--cluster-secret-file', secret]).host.pair
  assert.equal(pair?.peer, { host: 'fd00::2', port: 7001 })
  assert.is(
    new TextDecoder().decode(pair?.secret ?? new Uint8Array()),
    'correct horse',
    'the line end is not part of it',
  )
})

test('defaults < file < environment < flags', () => {
  const config = toml(
    'name = "from-file"\nlisten = ["127.0.0.1:1", "2"]\nsuspect-ms = 2_000 # ms\nallow-anonymous = true\nack = \'peer-disk\'\n',
  )
  const environment = { TANDEMQ_CONFIG: config, TANDEMQ_NAME: 'from-environment', TANDEMQ_ACK: 'both-disk' }
  const { node, host } = read(['--ack', 'peer-write'], environment)
  assert.is(node.name, 'from-environment')
  assert.is(node.ack, 'peer-write')
  assert.is(node.suspectMs, 2000)
  assert.is(node.allowAnonymous, true)
  assert.equal(host.listen, [
    { host: '127.0.0.1', port: 1 },
    { host: null, port: 2 },
  ])
  assert.equal(read(['--config', config], { TANDEMQ_LISTEN: '3, 4' }).host.listen.length, 2)
})

test('WebSocket: off unless given; origins are read as browsers write them', () => {
  assert.equal([read([]).host.listenWs, read([]).host.wsOrigins], [[], []])
  const config = toml('listen-ws = ["127.0.0.1:8083", "[::1]:8084"]\nws-origin = "HTTPS://Example.com:443"\n')
  const { listen, listenWs, wsOrigins } = read(['--config', config]).host
  assert.equal(listen, [{ host: null, port: 1883 }])
  assert.equal(listenWs, [
    { host: '127.0.0.1', port: 8083 },
    { host: '::1', port: 8084 },
  ])
  assert.equal(wsOrigins, ['https://example.com'])
  const environment = {
    TANDEMQ_LISTEN_WS: '1, 2',
    TANDEMQ_WS_ORIGIN: 'http://a:80, http://a:8080, null, capacitor://app',
  }
  assert.is(read([], environment).host.listenWs.length, 2)
  assert.equal(read([], environment).host.wsOrigins, ['http://a', 'http://a:8080', 'null', 'capacitor://app'])
})

test('a switch that is false takes back the true of what is weaker', () => {
  const switches = SETTINGS.filter(
    ({ value, group, name }) => value === null && group !== 'planned' && name !== 'test-config',
  )
  assert.ok(switches.length > 5)
  for (const { name } of switches) {
    const variable = `TANDEMQ_${name.toUpperCase().replaceAll('-', '_')}`
    const config = toml(`${name} = true\n`)
    const source = (args: string[], environment = {}) => readSources(['--config', config, ...args], environment)
    assert.ok(source([]).has(name), name)
    for (const off of ['false', '0', 'no', 'FALSE']) assert.not(source([], { [variable]: off }).has(name), name)
    assert.ok(source([`--${name}`], { [variable]: 'false' }).has(name), name)
  }
  const config = ['--config', toml('allow-anonymous = true\nname = "false"\n')]
  assert.is(read(config, { TANDEMQ_ALLOW_ANONYMOUS: 'false' }).node.allowAnonymous, false)
  assert.is(read(config).node.name, 'false')
  assert.is(read([], { TANDEMQ_DATA: '/x', TANDEMQ_NO_DATA: 'false' }).host.dataDir, '/x')
})

test('--no-data and --data override each other by source', () => {
  assert.is(read(['--no-data']).host.dataDir, null)
  assert.is(read(['--no-data'], { TANDEMQ_DATA: '/x' }).host.dataDir, null)
  assert.is(read(['--data', '/x'], { TANDEMQ_NO_DATA: '1' }).host.dataDir, '/x')
})

test('names and numbers stay as they were typed', () => {
  assert.is(read(['--name', '007']).node.name, '007')
  assert.is(read(['--name=1e3']).node.name, '1e3')
  assert.is(read(['--shared-strategy', 'sticky']).node.sharedStrategy, 'sticky')
  assert.equal(read(['--partition', 'prefer:42']).node.partition, { prefer: '42' })
})

const wrong: [string[], RegExp][] = [
  [['--lisen', '1883'], /^--lisen is not a flag/],
  [['1883'], /"1883" is not expected/],
  [['--name'], /^--name needs a value/],
  [['--name', ''], /^--name: the value is empty/],
  [['--name', 'a b'], /^--name: "a b" is not a name/],
  [['--name', 'a', '--name', 'b'], /^--name is given twice/],
  [['--data', 'x', '--no-data'], /^--no-data and --data exclude/],
  [['--no-data', '--data', 'x'], /^--data and --no-data exclude/],
  [['--no-data=1'], /^--no-data takes no value/],
  [['--listen', 'x'], /^--listen: "x" has no port/],
  [['--listen', '70000'], /^--listen: "70000" names a port outside/],
  [['--listen', '::1:1883'], /^--listen: .* write an IPv6 address as/],
  [['--listen', 'mqtt://x:1883'], /^--listen: "mqtt:\/\/x:1883" is not an address/],
  [['--listen-ws', 'ws://x:8083'], /^--listen-ws: "ws:\/\/x:8083" is not an address/],
  [['--ws-origin', 'https://example.com'], /^--ws-origin: --listen-ws is missing/],
  ...['example.com', 'https://example.com/', '*', 'https://a b', 'https://'].map((origin): [string[], RegExp] => [
    ['--listen-ws', '8083', '--ws-origin', origin],
    /^--ws-origin: ".*" is not an origin of the form https:\/\/HOST\[:PORT\]/,
  ]),
  [['--peer', '10.0.0.2:0', '--cluster-secret-file', secret], /^--peer: .* port outside/],
  [['--cluster', '7001'], /^--cluster: --peer is missing/],
  [['--cluster-secret-file', secret], /^--cluster-secret-file: --peer is missing/],
  [['--peer', '10.0.0.2', '--cluster-secret-file', join(dir, 'none')], /^--cluster-secret-file: cannot read .*ENOENT/],
  [['--peer', '10.0.0.2', '--cluster-secret-file', empty], /^--cluster-secret-file: .* is empty/],
  [['--admin', 'localhost'], /^--admin: .* no port/],
  [['--ack', 'disk'], /^--ack: "disk" is not peer-ram, peer-write, peer-disk or both-disk/],
  [['--shared-strategy', 'hash'], /^--shared-strategy: "hash" is not round-robin, random, sticky or least-inflight/],
  [['--partition', 'both'], /^--partition: "both" is not available, stall or prefer:NAME/],
  [['--partition', 'prefer:'], /^--partition: /],
  [['--suspect-ms', '1s'], /^--suspect-ms: "1s" is not a whole number/],
  [['--suspect-ms', '-5'], /^--suspect-ms: "-5" is not a whole number/],
  [['--suspect-ms', '3000'], /^--suspect-ms: must be smaller than --solo-ms/],
  [['--max-qos', '3'], /^--max-qos: "3" is not a whole number from 0 to 2/],
  [['--topic-alias-maximum', '65536'], /^--topic-alias-maximum: "65536" is not a whole number from 0 to 65535/],
  [['--server-reference', 'b:1883'], /^--server-reference: --peer is missing/],
  [['--response-information', 'a\nb'], /^--response-information: must be at most 256 characters, without control/],
  [['--response-information', 'x'.repeat(257)], /^--response-information: must be at most 256 characters/],
  [['--receive-maximum', '0'], /^--receive-maximum: /],
  [['--max-packet-bytes', '1e6'], /^--max-packet-bytes: /],
  [['--max-packet-bytes', '16777217'], /^--max-packet-bytes: "16777217" is not a whole number from 128 to 16777216/],
  [['--queue-full', 'drop'], /^--queue-full: "drop" is not drop-newest, drop-oldest or disconnect/],
  [['--max-queued-messages', '0'], /^--max-queued-messages: /],
  [['--max-queued-bytes-total', '5'], /^--max-queued-bytes-total: "5" is not a whole number from 1048576 to /],
  [['--max-inflight-messages', '16384'], /^--max-inflight-messages: "16384" is not a whole number from 1 to 16383/],
  [['--max-topic-levels', '129'], /^--max-topic-levels: "129" is not a whole number from 1 to 128/],
  [['--max-topic-bytes', '65536'], /^--max-topic-bytes: /],
  [['--max-client-id-bytes', '0'], /^--max-client-id-bytes: /],
  [['--client-id-pattern', 'a('], /^--client-id-pattern: "a\(" is not a regular expression/],
  [['--connect-timeout-ms', '5'], /^--connect-timeout-ms: /],
  [['--max-retained-messages', '-1'], /^--max-retained-messages: /],
  [['--max-retained-bytes', 'x'], /^--max-retained-bytes: /],
  [['--max-subscriptions', '1.5'], /^--max-subscriptions: /],
  [['--log-level', 'loud'], /^--log-level: "loud" is not error, warn, info or debug/],
  [['--log-format', 'xml'], /^--log-format: "xml" is not text or json/],
  [['--config', join(dir, 'none')], /^--config: cannot read/],
  [['--config', toml('nam = "x"')], /^--config: .*there is no setting nam/],
  [['--config', toml('[node]\nname = "x"')], /^--config: .*line 1: tables/],
  [['--config', toml('\nname = x')], /^--config: .*line 2: "x" is no value/],
  [['--config', toml('name = "a"\nname = "b"')], /^--config: .*line 2: name is given twice/],
  [['--config', toml('max_qos = 1\nmax-qos = 2')], /^--config: .*: max-qos is given twice, with - and with _$/],
  [['--config', toml('no_data = false\nno-data = true')], /^--config: .*: no-data is given twice, with - and with _$/],
  [['--config', toml('listen = ["1"')], /^--config: .*line 1: /],
  [['--config', toml('name = ["a", "b"]')], /^--name \(in .*\): takes one value/],
  [['--config', toml('name = true')], /^--name \(in .*\): takes a value/],
  [['--config', toml('bootstrap = "maybe"')], /^--bootstrap \(in .*\): "maybe" is not true or false/],
  [['--config', toml('suspect-ms = "x"')], /^--suspect-ms \(in .*\): "x"/],
]
for (const [args, expected] of wrong) {
  test(`${args.map((arg) => arg.replace(dir, '')).join(' ')} is refused`, () => {
    assert.match(sentence(args), expected)
  })
}

test('a wrong value in the environment names the flag and the variable', () => {
  assert.match(sentence([], { TANDEMQ_SOLO_MS: 'soon' }), /^--solo-ms \(TANDEMQ_SOLO_MS\): "soon"/)
  assert.match(sentence([], { TANDEMQ_BOOTSTRAP: 'maybe' }), /^--bootstrap \(TANDEMQ_BOOTSTRAP\): "maybe"/)
  assert.match(sentence([], { TANDEMQ_TLS_CERT: 'x.pem' }), /^--tls-cert \(TANDEMQ_TLS_CERT\) is not supported yet/)
})

for (const { name, value } of SETTINGS.filter(({ group }) => group === 'planned')) {
  test(`--${name} is refused until it is there`, () => {
    assert.is(sentence(value === null ? [`--${name}`] : [`--${name}`, 'x']), `--${name} is not supported yet`)
  })
}

test.after(() => rmSync(dir, { recursive: true }))

test.run()
