// ClientFlags: mosquitto's flags into what a client connects with.
import { readClientArguments, readSeconds } from '../../../src/cli/client/client_flags.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('client flags')
const read = (...args: string[]) => readClientArguments('pub', args, [])

test('without flags: MQTT 3.1.1 to localhost with a random client identifier', () => {
  const { host, port, connect, qos } = read()
  assert.equal([host, port, qos], ['localhost', 1883, 0])
  assert.is(connect.version, 4)
  assert.is(connect.cleanStart, true)
  assert.is(connect.keepAlive, 60)
  assert.match(connect.clientId, /^tandemq-[0-9a-z]{9}$/)
})

test('host, port, user, password, keep alive, topic and will', () => {
  const { host, port, topics, connect } = read(
    ...'-h broker -p 1999 -u 007 -P 1e3 -k 5 -t a -t b --will-topic w --will-payload -1 --will-qos 1 --will-retain'.split(
      ' ',
    ),
  )
  assert.equal([host, port, topics], ['broker', 1999, ['a', 'b']])
  assert.is(connect.username, '007')
  assert.is(new TextDecoder().decode(connect.password), '1e3')
  assert.is(connect.keepAlive, 5)
  assert.equal(connect.will && { ...connect.will, payload: [...connect.will.payload] }, {
    topic: 'w',
    payload: [45, 49],
    qos: 1,
    retain: true,
  })
})

test('a URL names them all at once', () => {
  const { host, port, topics, connect } = read('-L', 'mqtt://me:p%40ss@broker:1999/a/b')
  assert.equal([host, port, topics], ['broker', 1999, ['a/b']])
  assert.is(connect.username, 'me')
  assert.is(new TextDecoder().decode(connect.password), 'p@ss')
  assert.is(read('-L', 'mqtt://[::1]/x').host, '::1')
})

test('WebSocket: by its flag or by the URL, with a port of its own', () => {
  const brief = (...args: string[]) => {
    const { ws, host, port, topics } = read(...args)
    return [ws, host, port, topics]
  }
  assert.equal(brief(), [false, 'localhost', 1883, []])
  assert.equal(brief('--ws'), [true, 'localhost', 8083, []])
  assert.equal(brief('--ws', '-p', '80'), [true, 'localhost', 80, []])
  assert.equal(brief('-L', 'ws://broker/a/b'), [true, 'broker', 8083, ['a/b']])
  assert.equal(brief('-L', 'ws://me:pw@[::1]:9001/x'), [true, '::1', 9001, ['x']])
  assert.equal(brief('-L', 'mqtt://broker/x', '--ws'), [true, 'broker', 8083, ['x']])
})

test('seconds are milliseconds, as many as a timer can wait', () => {
  assert.is(readSeconds('0.25', '--timeout'), 250)
  assert.is(readSeconds('2147483', '--timeout'), 2_147_483_000)
  for (const text of ['2147483.5', '2147484', '3000000', '999999999'])
    assert.throws(() => readSeconds(text, '--timeout'), /^--timeout: "[\d.]+" is more than 2147483 seconds, 24 days$/)
  assert.throws(() => readSeconds('-1', '--repeat-delay'), /^--repeat-delay: "-1" is not a number of seconds$/)
})

for (const [version, expected] of [
  ['31', 3],
  ['mqttv31', 3],
  ['311', 4],
  ['mqttv311', 4],
  ['5', 5],
  ['mqttv5', 5],
] as const) {
  test(`-V ${version}`, () => assert.is(read('-V', version).connect.version, expected))
}

test('-x and -D imply MQTT 5.0; -c there keeps the session for ever', () => {
  assert.is(read('-x', '60').connect.version, 5)
  assert.is(read('-x', '60').connect.sessionExpiry, 60)
  const kept = read('-V', '5', '-c', '-i', 'me').connect
  assert.is(kept.sessionExpiry, 0xffff_ffff)
  assert.is(kept.cleanStart, false)
  assert.is(read('-c', '-i', 'me').connect.sessionExpiry, undefined)
})

test('-D takes three words, user properties four', () => {
  const { connect, properties } = read(
    ...'-D connect receive-maximum 5 -D publish user-property a 1 -D publish user-property a -2 -D publish message-expiry-interval 9'.split(
      ' ',
    ),
    ...'-D subscribe subscription-identifier 3 -D will will-delay-interval 4 --will-topic w -q 1'.split(' '),
  )
  assert.is(connect.version, 5)
  assert.is(connect.receiveMaximum, 5)
  assert.equal(properties.publish.userProperties, [
    ['a', '1'],
    ['a', '-2'],
  ])
  assert.is(properties.publish.expiry, 9)
  assert.is(properties.subscribe.subscriptionId, 3)
  assert.is(connect.will?.delay, 4)
})

for (const [args, message] of [
  ['-c', /--disable-clean-session needs --id/],
  ['-i a -I b', /--id and --id-prefix exclude/],
  ['-q 3', /--qos: "3"/],
  ['-p 0', /--port: "0"/],
  ['-V 6', /--protocol-version: "6"/],
  ['-V 311 -x 5', /--protocol-version: .*came with 5/],
  ['--will-payload x', /--will-payload needs --will-topic/],
  ['--will-topic a/#', /--will-topic: "a\/#" is not a topic name/],
  ['--cafile x', /--cafile is not supported yet/],
  ['-L mqtts://x', /--url: mqtts is not supported yet/],
  ['-L wss://x', /--url: wss is not supported yet/],
  ['-L mqtt://u:100%@h/t', /^--url: in user name and password a % stands as %25$/],
  ['-L mqtt://%zz@h/t', /^--url: in user name and password a % stands as %25$/],
  ['-L mqtt://u:%ff@h/t', /^--url: in user name and password a % stands as %25$/],
  ['-L broker', /--url: "broker" is not of the form/],
  ['-D publish colour red', /-D publish colour: there is no such property/],
  ['-D publish content-type', /-D needs COMMAND PROPERTY VALUE/],
  ['-D connect receive-maximum x', /-D connect receive-maximum: "x"/],
] as const) {
  test(`${args} is refused`, () => {
    assert.throws(() => read(...args.split(' ')), message)
  })
}

test.run()
