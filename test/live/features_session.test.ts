// What MQTT has for sessions and connections, each over kill -9 of the node that serves it: wills, expiry, flow control, versions,
// logins, transports. What it has for subscriptions and messages is in features.test.ts.
// timeout: 180 s

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { utf8 } from '../../src/base/bytes.ts'
import { hashPassword } from '../../src/host/users/password_hash.ts'
import type { Delivery } from '../../src/wire/client_decoder.ts'
import type { ConnectFields, WillFields } from '../../src/wire/client_encoder.ts'
import { rowsOf } from '../support/api.ts'
import { briefs, CrashPair, drink, heard, kept, publish, silence, take, texts } from '../support/crash.ts'
import { MqttClient } from '../support/mqtt_client.ts'
import { ScramClient } from '../support/passwords.ts'
import { Folder, type NodeProcess } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { WsClient } from '../support/ws_client.ts'

const RECEIVE_MAXIMUM = 5
const test = suite<{ pair: CrashPair; folder: Folder }>('features of sessions')

test.before(async (context) => {
  context.folder = new Folder()
  const users = join(context.folder.path, 'users')
  writeFileSync(users, `al:${hashPassword(utf8('secret'), 10)}\n`)
  context.pair = await CrashPair.start([
    ...['--password-file', users, '--allow-anonymous', '--listen-ws', '127.0.0.1:0', '--sys-interval', '1'],
    ...['--will-grace-ms', '1000', '--receive-maximum', `${RECEIVE_MAXIMUM}`],
    ...['--response-information', 'answers/%c/'],
  ])
})
test.before.each(({ pair }) => pair.ready())
test.after(async ({ pair, folder }) => {
  await pair[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

// ---- wills

test('wills: once each after the grace and their delay, with all their properties, and not for who came back', async ({
  pair,
}) => {
  const watch = await pair.there('watch wills')
  await watch.subscribe('will/#', 1)
  const absent = await pair.here('watch wills too', kept)
  await absent.subscribe('will/#', 1)
  const props = { contentType: 'text/plain', userProperties: [['a', '1']], correlationData: utf8('7') } as const
  const will = (name: string, delay: number): WillFields => {
    return { topic: `will/${name}`, payload: utf8(name), qos: 1, retain: true, delay, expiry: 300, ...props }
  }
  const withWill = (name: string, delay: number, fields = kept) =>
    pair.here(`will ${name}`, { ...fields, will: will(name, delay) })
  await withWill('none', 0)
  await withWill('clean', 0, {})
  await withWill('delayed', 4)
  await withWill('back at once', 0)
  await withWill('back in time', 4)
  await (await withWill('polite', 0)).disconnect()
  const away = await withWill('away before', 2)
  await away.disconnect(0x04)
  await pair.kill()
  await pair.goesOn('will back at once')
  const first = await drink(watch, 2)
  assert.equal(briefs(first).sort(), ['will/clean=clean', 'will/none=none'])
  // The grace is over; a delay that is longer still holds.
  await pair.goesOn('will back in time')
  const later = await drink(watch, 2)
  assert.equal(briefs(later).sort(), ['will/away before=away before', 'will/delayed=delayed'])
  for (const { contentType, userProperties, correlationData, expiry } of [...first, ...later])
    assert.equal({ contentType, userProperties, correlationData, expiry }, { ...props, expiry: 300 })
  await silence(watch)
  assert.equal(briefs(await drink(await pair.goesOn('watch wills too'), 4)), briefs([...first, ...later]))
  const late = await pair.there('late')
  await late.subscribe('will/#')
  assert.equal(briefs(await drink(late, 4)).sort(), briefs([...first, ...later]).sort())
})

// ---- sessions

test('session expiry: what DISCONNECT changed last holds at the other node', async ({ pair }) => {
  const leaves = async (name: string, sessionExpiry: number, last?: number): Promise<void> => {
    const c = await pair.here(name, { cleanStart: false, sessionExpiry })
    await c.subscribe('expires', 1)
    c.sendDisconnect(0, last)
    await c.ended
  }
  await leaves('ends', 600, 0)
  await leaves('shorter', 600, 1)
  await leaves('longer', 1, 600)
  await leaves('as it was', 600)
  await pair.kill()
  const p = await pair.there('publisher')
  await publish(p, 'expires', 'while away')
  // Whoever else had but a second has gone when this one has.
  while ((await rowsOf(pair.survives, '/api/v1/sessions?client=shorter')).length > 0) await heard(p)
  for (const name of ['ends', 'shorter']) assert.not((await pair.there(name, kept)).present, name)
  for (const name of ['longer', 'as it was'])
    assert.equal(texts(await drink(await pair.goesOn(name), 1)), ['while away'], name)
})

test('Clean Start ends the session of the dead node, with all it had', async ({ pair }) => {
  const p = await pair.there('publisher')
  const c = await pair.here('clean', kept)
  await c.subscribe('clean', 1)
  await publish(p, 'clean', 'waiting')
  await pair.kill()
  const anew = await pair.there('clean', { ...kept, cleanStart: true })
  assert.not(anew.present)
  await publish(p, 'clean', 'to nobody')
  await silence(anew)
})

for (const [version, name] of [
  [3, '3.1'],
  [4, '3.1.1'],
] as const)
  test(`a ${name} session goes on: subscriptions, what waits, flows half done`, async ({ pair }) => {
    const lasting = { version, cleanStart: false }
    const c = await pair.here(`v${version}`, lasting)
    await c.subscribe(`v${version}/#`, 2)
    const p = await pair.there('publisher', lasting)
    for (const i of [1, 2]) await publish(p, `v${version}/a`, `${i}`, { qos: 2 })
    const [first] = await take(c, 2)
    c.sendPubrec((first as Delivery).packetId)
    await c.expect('pubrel')
    const half = c.sendPublish('elsewhere', 'once', { qos: 2 })
    await c.expect('pubrec')
    await pair.kill()
    await publish(p, `v${version}/b`, '3')
    const back = await pair.there(`v${version}`, lasting)
    // 3.1 has no way to say that the session is present.
    assert.is(back.present, version === 4)
    assert.equal(texts(await drink(back, 2, 1)), ['2', '3'])
    back.sendPubrel(half)
    assert.is((await back.expect('pubcomp')).packetId, half)
    await back.subscribe('elsewhere', 1)
    await publish(p, 'elsewhere', 'next')
    assert.equal(texts(await drink(back, 1)), ['next'])
  })

test('two crashes: what one node had from the other by a snapshot it keeps when that one dies as well', async ({
  pair,
}) => {
  const props = { contentType: 'text/plain', userProperties: [['a', '1']], expiry: 1_000 } as const
  const c = await pair.here('twice', kept)
  c.sendSubscribe([{ filter: 'twice/#', qos: 2, noLocal: true, retainAsPublished: true }], 0, 9)
  await c.expect('suback')
  await c.subscribe('$share/twice/jobs', 1)
  const p = await pair.there('publisher')
  await publish(p, 'twice/1', 'released', { ...props, qos: 2 })
  await publish(p, 'twice/1', 'under way', { ...props, qos: 2, retain: true })
  const [released, open] = (await take(c, 2)) as [Delivery, Delivery]
  c.sendPubrec(released.packetId)
  await c.expect('pubrel')
  const half = c.sendPublish('elsewhere', 'once', { qos: 2 })
  await c.expect('pubrec')
  await pair.kill()
  await publish(p, 'jobs', 'job', props)
  await pair.turn()
  const q = await pair.there('other publisher')
  await publish(q, 'twice/2', 'waiting', props)
  await pair.kill()
  const back = await pair.goesOn('twice')
  assert.is((await back.expect('pubrel')).packetId, released.packetId)
  back.sendPubcomp(released.packetId)
  const all = await drink(back, 3)
  assert.equal(briefs(all), ['twice/1=under way', 'jobs=job', 'twice/2=waiting'])
  assert.equal([all[0]?.dup, all[0]?.packetId, all[0]?.retain], [true, open.packetId, true])
  assert.equal(
    all.map(({ subscriptionIds }) => subscriptionIds),
    [[9], null, [9]],
  )
  for (const { contentType, userProperties, expiry } of all) {
    assert.equal([contentType, userProperties], [props.contentType, props.userProperties])
    assert.ok(expiry > 0 && expiry <= props.expiry)
  }
  const watch = await pair.there('watch')
  await watch.subscribe('elsewhere', 2)
  back.sendPublish('elsewhere', 'once', { qos: 2, dup: true, packetId: half })
  await back.expect('pubrec')
  back.sendPubrel(half)
  assert.is((await back.expect('pubcomp')).reason, 0)
  await publish(back, 'twice/mine', 'own')
  await silence(back)
  await silence(watch)
})

// ---- flow control

test('Receive Maximum of a client: the one it names when it comes back holds, for what was under way too', async ({
  pair,
}) => {
  const c = await pair.here('window', { ...kept, receiveMaximum: 2 })
  await c.subscribe('window', 2)
  const p = await pair.there('publisher')
  for (let i = 0; i < 8; i++) await publish(p, 'window', `${i}`, { qos: i % 2 === 0 ? 2 : 1 })
  const [first] = await take(c, 2)
  c.sendPubrec((first as Delivery).packetId)
  await c.expect('pubrel')
  await pair.kill()
  const back = await pair.goesOn('window', { ...kept, receiveMaximum: 3 })
  const { packetId } = await back.expect('pubrel')
  const open = await take(back, 2)
  await silence(back)
  back.sendPubcomp(packetId)
  open.push(...(await take(back, 1)))
  await silence(back)
  assert.equal(texts(open), ['1', '2', '3'])
  const one = await pair.goesOn('window', { ...kept, receiveMaximum: 1 })
  const [again] = await take(one, 1)
  assert.equal([...texts([again as Delivery]), again?.dup], ['1', true])
  await silence(one)
  one.sendPuback((again as Delivery).packetId)
  assert.equal(texts(await drink(one, 6)), ['2', '3', '4', '5', '6', '7'])
})

test('Receive Maximum of the node: what was half done at the dead one costs no place, and goes out once', async ({
  pair,
}) => {
  const watch = await pair.there('watch window')
  await watch.subscribe('inbound', 2)
  const c = await pair.here('inbound', kept)
  const open = (from: MqttClient, text: string) => from.sendPublish('inbound', text, { qos: 2 })
  const old = ['a', 'b', 'c', 'd', 'e'].map((text) => open(c, text))
  for (const id of old) assert.is((await c.expect('pubrec')).packetId, id)
  assert.is(old.length, RECEIVE_MAXIMUM)
  assert.equal(texts(await drink(watch, 5)), ['a', 'b', 'c', 'd', 'e'])
  await pair.kill()
  const back = await pair.goesOn('inbound')
  back.sendPublish('inbound', 'a', { qos: 2, dup: true, packetId: old[0] as number })
  assert.is((await back.expect('pubrec')).packetId, old[0])
  for (let i = 0; i < RECEIVE_MAXIMUM; i++) back.sendPublish('inbound', `new ${i}`, { qos: 2, packetId: 100 + i })
  for (let i = 0; i < RECEIVE_MAXIMUM; i++) assert.is((await back.expect('pubrec')).packetId, 100 + i)
  for (const id of [...old, 100, 101, 102, 103, 104]) {
    back.sendPubrel(id)
    const { packetId, reason } = await back.expect('pubcomp')
    assert.equal([packetId, reason], [id, 0])
  }
  assert.equal(texts(await drink(watch, 5)), ['new 0', 'new 1', 'new 2', 'new 3', 'new 4'])
  await silence(watch)
})

test('Maximum Packet Size of a client: the one it names when it comes back holds for what waits', async ({ pair }) => {
  const c = await pair.here('size', kept)
  await c.subscribe('size', 1)
  const p = await pair.there('publisher')
  for (const text of ['small', 'large'.padEnd(1_000), 'small too']) await publish(p, 'size', text)
  await take(c, 3)
  await pair.kill()
  const back = await pair.goesOn('size', { ...kept, maximumPacketSize: 100 })
  assert.equal(texts(await drink(back, 2)), ['small', 'small too'])
  await silence(back)
})

// ---- connections

test('response information is the same at both nodes', async ({ pair }) => {
  const told = async (node: NodeProcess) => {
    const c = pair.track(MqttClient.open(node.place.mqtt, 'asks'))
    c.sendConnect({ ...kept, requestResponseInformation: true })
    return (await c.expect('connack')).responseInformation
  }
  assert.is(await told(pair.serves), 'answers/asks/')
  await pair.kill()
  assert.is(await told(pair.survives), 'answers/asks/')
})

test('passwords: each node asks for them, also SCRAM; the session goes on for who has it, and for nobody else', async ({
  pair,
}) => {
  const al: Partial<ConnectFields> = { ...kept, username: 'al', password: utf8('secret') }
  const c = await pair.here('guarded', al)
  await c.subscribe('guarded', 1)
  await pair.kill()
  const thief = pair.track(MqttClient.open(pair.survives.place.mqtt, 'guarded'))
  thief.sendConnect({ ...al, password: utf8('guess') })
  assert.is((await thief.expect('connack')).reason, 0x86)
  await publish(await pair.there('publisher'), 'guarded', 'for al')
  assert.equal(texts(await drink(await pair.goesOn('guarded', al), 1)), ['for al'])
  const method = 'SCRAM-SHA-512'
  const scram = new ScramClient('al', 'secret')
  const proves = pair.track(MqttClient.open(pair.survives.place.mqtt, 'guarded'))
  proves.sendConnect({ ...kept, authMethod: method, authData: scram.first })
  const challenge = await proves.expect('auth')
  proves.sendAuth({ reason: 0x18, method, data: scram.answer(challenge.data) })
  assert.ok((await proves.expect('connack')).sessionPresent)
})

test('WebSocket: a session goes on at the other node, over WebSocket and over TCP', async ({ pair }) => {
  const ws = async (node: NodeProcess) => {
    const status = (await (await fetch(node.url('/api/v1/status'))).json()) as { listeners: { ws: string[] } }
    const port = Number(status.listeners.ws[0]?.split(':').at(-1))
    return pair.track(await WsClient.connect(port, 'web', kept))
  }
  const p = await pair.there('publisher')
  const c = await ws(pair.serves)
  await c.subscribe('web', 2)
  await publish(p, 'web', 'in flight', { qos: 2 })
  const [d] = await take(c, 1)
  c.sendPubrec((d as Delivery).packetId)
  await c.expect('pubrel')
  await publish(p, 'web', 'waiting')
  await pair.kill()
  const back = await ws(pair.survives)
  assert.ok(back.present)
  assert.is((await back.expect('pubrel')).packetId, d?.packetId)
  back.sendPubcomp((d as Delivery).packetId)
  assert.equal(texts(await take(back, 1)), ['waiting'])
  back.drop()
  await publish(p, 'web', 'over TCP')
  assert.equal(texts(await drink(await pair.goesOn('web'), 2)), ['waiting', 'over TCP'])
})

test('$SYS: a session that went on is told of the node that serves it now, which counts it', async ({ pair }) => {
  const values = new Map<string, string>()
  const told = async (c: MqttClient, name: string, expected: () => Promise<string>) => {
    while (values.get(name) !== (await expected())) {
      const [d] = (await take(c, 1)) as [Delivery]
      values.set(d.topic.slice('$SYS/broker/'.length), texts([d])[0] as string)
    }
  }
  const tellsOf = async (c: MqttClient, node: NodeProcess, mode: string, owned: string) => {
    await told(c, 'pair/node', async () => node.place.name)
    await told(c, 'pair/mode', async () => mode)
    await told(c, 'clients/total', async () => `${(await rowsOf(node, `/api/v1/sessions${owned}`)).length}`)
  }
  const c = await pair.here('sys', kept)
  await c.subscribe(['pair/#', 'clients/total'].map((name) => ({ filter: `$SYS/broker/${name}`, qos: 0 })))
  await tellsOf(c, pair.serves, 'SYNC', `?node=${pair.serves.place.name}`)
  await pair.kill()
  // Alone, it counts those of the dead node as its own.
  await tellsOf(await pair.goesOn('sys'), pair.survives, 'SOLO', '')
})

test.run()
