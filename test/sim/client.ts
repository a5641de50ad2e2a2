// Client: a strict MQTT client: acknowledges what it gets, resends what was not acknowledged, keeps its QoS 2 identifiers
// across connections. Checks on the spot what no server may do to it. What it does next is decided in workload.ts.

import { canonicalFilter, isShared, topicFilter } from '../../src/topic/name.ts'
import { type ClientSpec, TOPICS } from './client_spec.ts'
import type { ClientWire, WireOwner } from './client_wire.ts'
import type { Cluster } from './cluster.ts'
import { type Account, type Conn, type Msg, messageNumber, payloadOf, type Sub } from './history.ts'
import * as mqtt from './mqtt.ts'

const NEVER = Number.POSITIVE_INFINITY

type Outgoing = {
  readonly msg: Msg
  readonly payload: Uint8Array
  state: 'publish' | 'release'
  readonly order: number
}
type Pending = {
  readonly kind: 'subscribe' | 'unsubscribe'
  readonly pid: number
  readonly filters: readonly string[]
  subs: Sub[]
}
type Owed = { readonly pid: number; readonly msg: Msg | null }

export class Client implements WireOwner {
  readonly spec: ClientSpec
  readonly account: Account
  readonly name: string
  wire: ClientWire | null = null
  conn: Conn | null = null
  up = false
  /** Messages of QoS 1 and 2 on their way out, by packet identifier. */
  readonly out = new Map<number, Outgoing>()
  /** QoS 2 identifiers received and not yet released: they survive the connection. */
  readonly received = new Map<number, Msg | null>()
  /** Of these, the ones that a younger session may use anew. */
  private readonly doubted = new Set<number>()
  /** PUBACKs it has yet to send. */
  owed: Owed[] = []
  pending: Pending | null = null
  /** Next connection is to be a Clean Start. */
  wantClean = false
  private orders = 0
  private lastPid = 0
  private serverMaximum = 0xffff
  /** Identifiers of messages under way on this connection, as the server counts them. */
  private readonly underway = new Set<number>()
  private readonly released = new Set<number>()
  private lastSent = 0
  private aliases: mqtt.Aliases | null = null
  private readonly cluster: Cluster

  constructor(cluster: Cluster, spec: ClientSpec) {
    this.cluster = cluster
    this.spec = spec
    this.account = cluster.history.account(spec.id, spec.shared, spec.member)
    this.name = spec.shared ? `${spec.id}.${spec.device}` : spec.id
  }

  private get world() {
    return this.cluster.world
  }

  get settled(): boolean {
    return (
      this.up && this.out.size === 0 && this.owed.length === 0 && this.pending === null && this.wire?.quiet === true
    )
  }

  // ---- connections

  connect(clean: boolean): void {
    const { world, cluster, spec, account } = this
    const node = cluster.balancer.pick()
    const v5 = spec.version === 5
    const cleanStart = clean || this.wantClean || (!spec.lasting && !v5) || (!spec.lasting && world.prng.chance(0.5))
    // With 3.x a Clean Session is also one that ends with its connection.
    const lasting = spec.lasting && (v5 || !cleanStart)
    const { now } = world
    const conn = cluster.history.conn({
      client: spec.id,
      node: node.name,
      lasting,
      cleanStart,
      expirySec: lasting ? spec.expirySec : 0,
      willDelaySec: spec.willDelaySec,
      begun: now,
    })
    const willQos = world.prng.pick([0, 1, 1, 2] as const)
    const withWill = world.prng.chance(spec.will)
    let will: Parameters<typeof mqtt.connect>[0]['will'] = null
    if (withWill) {
      const retain = world.prng.chance(0.2)
      const topic = `w/${spec.id}`
      const fields = { client: spec.id, topic, qos: willQos, retain, deletes: false, expiry: -1, lasting: false }
      conn.will = cluster.history.message({ ...fields, will: conn }, NEVER)
      will = { topic, payload: payloadOf(conn.will, 0), qos: willQos, retain, delay: spec.willDelaySec }
    }
    if (cleanStart) {
      this.wantClean = true
      this.forget()
      account.end(now, false)
      account.exists = 'maybe'
    } else if (account.exists === 'no' && lasting) {
      // Its former session ended with its connection, and with it what the client owed.
      this.forget()
      account.exists = 'maybe'
    }
    this.conn = conn
    this.up = false
    this.pending = null
    this.underway.clear()
    this.released.clear()
    this.aliases = spec.aliases > 0 ? new mqtt.Aliases() : null
    if (!spec.late) this.owed = []
    world.note(
      this.name,
      `connects to ${node.name} as ${conn.number}${cleanStart ? ' clean' : ''}${withWill ? ` will m${conn.will?.i}` : ''}`,
    )
    this.wire = cluster.open(node, spec.version, this, conn)
    this.send(
      mqtt.connect({
        version: spec.version,
        clientId: spec.id,
        clean: cleanStart,
        keepAlive: spec.keepAliveSec,
        sessionExpiry: conn.expirySec,
        receiveMaximum: spec.receiveMaximum,
        topicAliasMaximum: spec.aliases,
        will,
      }),
    )
  }

  /** The client's end of the connection is gone. */
  private lost(why: string): void {
    const { conn } = this
    if (conn === null) return
    this.world.note(this.name, why)
    conn.ended = Math.min(conn.ended, this.world.now)
    // A connection that never had its CONNACK may have found the session, made a new one, or nothing.
    if (conn.up !== NEVER) this.account.offlineSince = Math.min(conn.ended, conn.serverEnded, conn.silentSince)
    if (!conn.lasting && conn.up !== NEVER) this.account.end(this.world.now, true)
    this.wire = null
    this.conn = null
    this.up = false
    this.pending = null
  }

  close(): void {
    this.wire?.close()
    this.lost('closes')
  }

  vanish(): void {
    this.wire?.vanish()
    this.lost('vanishes')
  }

  /** Says goodbye: 0 as usual, 4 with the will; a new session expiry in 5.0. */
  disconnect(code: 0 | 4, expirySec: number): void {
    const { conn, spec, account } = this
    if (conn === null || this.wire === null) return
    this.world.note(this.name, `DISCONNECT ${code}${expirySec >= 0 ? ` expiry ${expirySec}` : ''}`)
    conn.bye = code === 0 ? 1 : 2
    this.up = false
    if (expirySec >= 0 && conn.lasting) {
      account.expirySec = Math.min(account.expirySec, expirySec)
      if (expirySec === 0) {
        account.end(this.world.now, false)
        account.exists = 'maybe'
        this.byeEndsSession = conn
        // It has let go of its state: what it may find next time is not its own.
        this.wantClean = true
      }
    }
    conn.ended = this.world.now
    this.send(mqtt.disconnect(spec.version, code, spec.version === 5 ? expirySec : -1))
  }
  private byeEndsSession: Conn | null = null

  // ---- what it sends

  ping(): void {
    if (this.world.now - this.lastSent > this.spec.keepAliveSec * 500) this.send(mqtt.pingreq())
  }

  publish(qos: mqtt.QoS, topic: string, retain: boolean, deletes: boolean, expiry: number): void {
    const { spec, conn, world } = this
    if (conn === null) return
    const window = Math.min(spec.window, this.serverMaximum)
    if (qos > 0 && this.out.size >= window) return
    const v5 = spec.version === 5
    const lasting = conn.lasting && !spec.shared
    const fields = { client: spec.id, topic, qos, retain, deletes, will: null, lasting, expiry: v5 ? expiry : -1 }
    const msg = this.cluster.history.message(fields, world.now)
    const payload = deletes ? new Uint8Array(0) : payloadOf(msg, this.cluster.payloadBytes())
    const pid = qos === 0 ? 0 : this.freePid()
    world.note(
      this.name,
      `PUBLISH m${msg.i} qos ${qos} ${topic}${retain ? ' retain' : ''}${deletes ? ' delete' : ''} id ${pid}`,
    )
    if (qos > 0) this.out.set(pid, { msg, payload, state: 'publish', order: this.orders++ })
    const f = { topic, payload, qos, retain, dup: false, pid, expiry: msg.expiry }
    this.send(mqtt.publish(spec.version, f, this.aliases))
  }

  subscribe(filters: readonly mqtt.Filter[], id: number): void {
    const { account, world, spec } = this
    const pid = this.controlPid()
    const v5 = spec.version === 5
    const subs = filters.map((f): Sub => {
      const noLocal = v5 && f.noLocal
      const retainHandling = v5 ? f.retainHandling : 0
      for (const old of account.subs) if (old.filter === f.filter && old.unsure === NEVER) old.unsure = world.now
      const times = { asked: world.now, sure: NEVER, unsure: NEVER, gone: NEVER }
      const shared = isShared(f.filter)
      const topics = topicFilter(canonicalFilter(f.filter))
      return { filter: f.filter, topics, shared, qos: f.qos, noLocal, retainHandling, id: v5 ? id : 0, ...times }
    })
    account.subs.push(...subs)
    this.pending = { kind: 'subscribe', pid, filters: filters.map((f) => f.filter), subs }
    world.note(this.name, `SUBSCRIBE ${filters.map((f) => `${f.filter} ${f.qos}`).join(', ')}`)
    this.send(mqtt.subscribe(spec.version, pid, filters, id))
  }

  unsubscribe(filters: readonly string[]): void {
    const { account, world, spec } = this
    const pid = this.controlPid()
    const subs = account.subs.filter((s) => filters.includes(s.filter) && s.gone === NEVER)
    for (const sub of subs) if (sub.unsure === NEVER) sub.unsure = world.now
    this.pending = { kind: 'unsubscribe', pid, filters, subs }
    world.note(this.name, `UNSUBSCRIBE ${filters.join(', ')}`)
    this.send(mqtt.unsubscribe(spec.version, pid, filters))
  }

  /** Acknowledges the oldest QoS 1 message it owes. */
  acknowledge(): void {
    const owed = this.owed.shift()
    if (owed === undefined) return
    this.underway.delete(owed.pid)
    this.world.note(this.name, `PUBACK ${owed.pid}`)
    this.send(mqtt.ack('puback', owed.pid))
  }

  private send(bytes: Uint8Array): void {
    this.lastSent = this.world.now
    this.wire?.send(bytes)
  }

  private freePid(): number {
    let pid = this.cluster.profile.reuseIds ? 1 : (this.lastPid % 900) + 1
    while (this.out.has(pid)) pid = (pid % 900) + 1
    this.lastPid = pid
    return pid
  }

  private controlPid(): number {
    return 1000 + (this.orders++ % 60_000)
  }

  private forget(): void {
    this.out.clear()
    this.received.clear()
    this.doubted.clear()
    this.owed = []
  }

  private violate(inv: string, text: string): void {
    this.cluster.violate(inv, `${this.name}: ${text}`)
  }

  // ---- what it gets

  onReleased(wire: ClientWire, packet: mqtt.ServerPacket): void {
    this.cluster.onReleased(this, wire, packet)
  }

  onServerEnd(wire: ClientWire): void {
    this.cluster.onServerEnd(wire)
  }

  onClosed(wire: ClientWire): void {
    if (wire !== this.wire || this.conn === null) return
    const { conn } = this
    if (conn.bye !== 0) {
      // The node may have ended it meanwhile for a reason of its own.
      const first = !this.cluster.failed.has(`client:${wire.number}`)
      conn.byeSeen = first && !conn.died && wire.heardAll && wire.node.life === wire.life
      if (conn.byeSeen && this.byeEndsSession === conn) {
        this.account.end(this.world.now, true)
        this.account.exists = 'no'
      }
    }
    this.lost('sees close')
  }

  onPacket(wire: ClientWire, packet: mqtt.ServerPacket): void {
    if (wire !== this.wire || this.conn === null) return
    if (this.world.tracing) this.world.remark(this.name, `gets ${describe(packet)}`)
    if (!this.up && packet.cmd !== 'connack') {
      if (this.conn.up === NEVER && packet.cmd !== 'disconnect') this.violate('W', `${packet.cmd} before CONNACK`)
      return
    }
    switch (packet.cmd) {
      case 'connack':
        this.onConnack(packet)
        return
      case 'publish':
        this.onPublish(packet)
        return
      case 'puback': {
        const o = this.out.get(packet.pid)
        if (o === undefined || o.msg.qos !== 1) {
          this.violate('5', `PUBACK ${packet.pid} for nothing`)
          return
        }
        if (packet.code < 0x80) o.msg.acked = Math.min(o.msg.acked, this.world.now)
        this.out.delete(packet.pid)
        return
      }
      case 'pubrec': {
        const o = this.out.get(packet.pid)
        if (o === undefined || o.msg.qos !== 2) {
          this.violate('5', `PUBREC ${packet.pid} for nothing`)
          return
        }
        if (packet.code >= 0x80) {
          this.out.delete(packet.pid)
          return
        }
        o.msg.acked = Math.min(o.msg.acked, this.world.now)
        o.state = 'release'
        this.send(mqtt.ack('pubrel', packet.pid))
        return
      }
      case 'pubcomp': {
        const o = this.out.get(packet.pid)
        if (o === undefined || o.state !== 'release') {
          this.violate('5', `PUBCOMP ${packet.pid} for nothing`)
          return
        }
        this.out.delete(packet.pid)
        return
      }
      case 'pubrel':
        this.received.delete(packet.pid)
        this.doubted.delete(packet.pid)
        this.underway.delete(packet.pid)
        this.send(mqtt.ack('pubcomp', packet.pid))
        return
      case 'suback':
      case 'unsuback':
        this.onSuback(packet.cmd, packet.pid, packet.codes)
        return
      case 'pingresp':
        return
      case 'disconnect':
        this.world.note(this.name, `is told to go: 0x${packet.code.toString(16)}`)
        return
    }
  }

  private onConnack(packet: mqtt.ServerPacket & { cmd: 'connack' }): void {
    const { conn, account, world } = this
    if (conn === null) return
    if (conn.up !== NEVER) {
      this.violate('W', 'second CONNACK')
      return
    }
    world.note(this.name, `CONNACK ${packet.code} session ${packet.sessionPresent ? 1 : 0}`)
    if (packet.code !== 0) return
    const sp = packet.sessionPresent
    conn.up = world.now
    this.up = true
    this.wantClean = false
    this.serverMaximum = (packet.props.get(mqtt.Prop.receiveMaximum)?.[0] as number | undefined) ?? 0xffff
    // A deadline on disk is one of the wall clock: a start after a step of that clock sees it moved.
    const slack = this.cluster.profile.faults.clockStep > 0 ? 5000 : 0
    const limit = account.expirySec >= 0xffff_ffff ? NEVER : account.expirySec * 980 - slack
    if (world.now - account.offlineSince > limit && account.exists === 'yes') {
      account.exists = 'maybe'
      account.end(world.now, false)
    }
    if (sp && conn.cleanStart) this.violate('15', 'session present after a clean start')
    const shaken = account.shaken(account.lastUp)
    // The session that is present may be a younger one, whose packet identifiers start anew.
    if (shaken) for (const pid of this.received.keys()) this.doubted.add(pid)
    if (!conn.cleanStart && !account.shared && !shaken && this.cluster.promises('sessions')) {
      if (!sp && account.exists === 'yes') this.violate('15', 'session not present, though it exists')
      if (sp && account.exists === 'no') this.violate('15', 'session present, though there is none')
    }
    account.lastUp = world.now
    account.exists = conn.lasting ? 'yes' : 'no'
    account.expirySec = conn.expirySec
    account.offlineSince = NEVER
    if (!sp) {
      account.end(world.now, true)
      this.forget()
      return
    }
    const outgoing = [...this.out].sort((a, b) => a[1].order - b[1].order)
    for (const [pid, o] of outgoing) {
      if (o.state === 'release') {
        this.send(mqtt.ack('pubrel', pid))
        continue
      }
      o.msg.resent = true
      world.note(this.name, `PUBLISH m${o.msg.i} again id ${pid}`)
      const { topic, qos, retain, expiry } = o.msg
      const f = { topic, payload: o.payload, qos, retain, dup: true, pid, expiry }
      this.send(mqtt.publish(this.spec.version, f, this.aliases))
    }
  }

  private onSuback(kind: 'suback' | 'unsuback', pid: number, codes: readonly number[]): void {
    const { pending, world } = this
    const wanted = kind === 'suback' ? 'subscribe' : 'unsubscribe'
    if (pending === null || pending.pid !== pid || pending.kind !== wanted) {
      this.violate('W', `${kind} for nothing`)
      return
    }
    this.pending = null
    if (kind === 'suback') {
      if (codes.length !== pending.subs.length) {
        this.violate('W', 'SUBACK with another number of codes')
        return
      }
      for (const [i, sub] of pending.subs.entries()) {
        if (codes[i] !== sub.qos) this.violate('W', `SUBACK grants ${codes[i]} for ${sub.qos}`)
        if (sub.unsure === NEVER) sub.sure = world.now
      }
      // What it replaces explains nothing that is sent from now on; another device may have asked anew meanwhile.
      const asked = pending.subs[0]?.asked ?? 0
      for (const sub of this.account.subs) {
        if (!pending.subs.includes(sub) && sub.asked <= asked && pending.filters.includes(sub.filter))
          sub.gone = Math.min(sub.gone, world.now)
      }
    } else for (const sub of pending.subs) sub.gone = Math.min(sub.gone, world.now)
  }

  private onPublish(p: mqtt.ServerPacket & { cmd: 'publish' }): void {
    const { account, world, conn, spec } = this
    const number = messageNumber(p.payload)
    const msg = number < 0 ? null : (this.cluster.history.msgs[number] ?? null)
    if (p.payload.length > 0 && (msg === null || msg.topic !== p.topic))
      this.violate(
        'W',
        `unknown message on ${p.topic}: ${JSON.stringify(String.fromCharCode(...p.payload.subarray(0, 40)))}`,
      )
    if (p.qos > 0) this.count(p.pid)
    if (p.qos === 2) {
      if (this.received.has(p.pid)) {
        const held = this.received.get(p.pid) ?? null
        const fresh = this.doubted.delete(p.pid)
        if (held !== msg && this.strict && !fresh)
          this.violate('4', `${tag(msg)} under id ${p.pid}, still holding ${tag(held)}`)
        if (held === msg && !p.dup && this.strict) this.violate('4', `${tag(msg)} again under id ${p.pid}, no DUP`)
        if (held === msg) {
          this.send(mqtt.ack('pubrec', p.pid))
          return
        }
      }
      this.received.set(p.pid, msg)
    } else if (p.qos === 1) {
      const other = this.owed.find((o) => o.pid === p.pid && o.msg !== msg)
      if (other !== undefined && this.strict)
        this.violate('4', `${tag(msg)} under id ${p.pid}, PUBACK for ${tag(other.msg)} owed`)
    } else if (p.dup) this.violate('W', 'DUP on QoS 0')
    if (msg !== null && conn !== null) {
      if (!spec.shared) this.expected(p, msg)
      const delivery = { msg, at: world.now, qos: p.qos, dup: p.dup, retain: p.retain, conn }
      account.log.push(delivery)
      const seen = account.seen.get(msg.i)
      if (seen === undefined) account.seen.set(msg.i, [delivery])
      else seen.push(delivery)
    }
    if (p.qos === 1) this.owed.push({ pid: p.pid, msg })
    if (p.qos === 2) this.send(mqtt.ack('pubrec', p.pid))
  }

  /** One device, and a server that has lost nothing: what it holds is what the server knows. */
  private get strict(): boolean {
    return !this.spec.shared && this.cluster.promises('once')
  }

  private count(pid: number): void {
    if (this.underway.has(pid)) this.violate('4', `id ${pid} twice on one connection`)
    this.underway.add(pid)
    // A late PUBACK of a former connection counts for what is sent again.
    if (this.underway.size > this.spec.receiveMaximum && !this.spec.late)
      this.violate('25', 'more under way than its Receive Maximum')
  }

  private expected(p: mqtt.ServerPacket & { cmd: 'publish' }, msg: Msg): void {
    const { account, cluster } = this
    if (!cluster.promises('subscriptions')) return
    const why = account.explains(msg)
    if (why.length === 0) {
      this.violate('18', `gets ${tag(msg)} of ${msg.topic} without a subscription`)
      return
    }
    if (!why.some((s) => p.qos === Math.min(s.qos, msg.qos)))
      this.violate('W', `QoS ${p.qos} for ${tag(msg)} of QoS ${msg.qos}, by filters of ${why.map((s) => s.qos)}`)
    for (const id of p.props.get(mqtt.Prop.subscriptionId) ?? []) {
      if (!why.some((s) => s.id === id)) this.violate('23', `${tag(msg)} with subscription id ${id}`)
    }
  }
}

function tag(msg: Msg | null): string {
  return msg === null ? 'a delete' : `m${msg.i}`
}

function describe(p: mqtt.ServerPacket): string {
  if (p.cmd === 'publish') {
    const flags = `${p.dup ? ' dup' : ''}${p.retain ? ' retain' : ''}`
    return `PUBLISH m${messageNumber(p.payload)} qos ${p.qos} id ${p.pid} ${p.topic}${flags}`
  }
  return 'pid' in p ? `${p.cmd.toUpperCase()} ${p.pid}` : p.cmd.toUpperCase()
}

export const isRetainedTopic = (topic: string): boolean => topic.startsWith('r/') && TOPICS.includes(topic as 'r/1')
