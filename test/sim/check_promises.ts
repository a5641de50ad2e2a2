// Check promises: what leaves a node for a client is where its mode says it must be: at the other node, on the disk, or both
// (invariant 1). Judged by what the nodes hold at that moment, not by how they decide.
import type { Client } from './client.ts'
import type { ClientWire } from './client_wire.ts'
import type { Cluster } from './cluster.ts'
import type { Core } from './core.ts'
import { type Msg, messageNumber } from './history.ts'
import type { ServerPacket } from './mqtt.ts'
import type { SimNode } from './sim_node.ts'

/** What one place (a node's memory, a disk) holds of the durable state. */
export type Held = {
  /** undefined: it does not know the session. */
  filters(client: string): ReadonlySet<string> | undefined
  /** A QoS 2 identifier received and not released. */
  inbound(client: string, pid: number): boolean
  /** State of what was sent under this identifier: 2 sent, 3 released by PUBREC; 0: nothing. */
  sent(client: string, pid: number): number
  /** It would reach the session from here, were everything else lost. */
  message(client: string, number: number): boolean
}

export function checkPromise(cluster: Cluster, client: Client, wire: ClientWire, packet: ServerPacket): void {
  const { node } = wire
  const { core } = node
  const { conn, account } = client
  if (core === null || conn === null || wire !== client.wire || account.shared) return
  if (cluster.faults.split > 0 || cluster.faults.double > 0) return
  const { basis } = core.pairing
  const peer = cluster.other(node)
  if (core.mode === 'SOLO' && peer.mode === 'SOLO') return // a split, a moment before it is counted as one
  if (peer.core?.boot === core.pairing.peerBoot && basis !== 'disk') {
    // A leader that offers a join hangs on both from the moment its follower might go on without it.
    const offered = core.mode === 'SOLO' && peer.disk.record?.status === 'INSYNC'
    if (core.mode === 'SYNC' || offered) judge(cluster, client, node, packet, memory(peer.core), `at ${peer.name}`)
    if (core.mode === 'SYNC' && packet.cmd === 'publish' && packet.qos === 1 && account.member !== null)
      handedOn(cluster, client, core, peer.core, messageNumber(packet.payload))
  }
  // In step, --ack both-disk has it on the disk of whoever holds it: of a forwarded message, that is the session's owner at first.
  if (core.mode === 'SOLO' && basis !== 'peer') judge(cluster, client, node, packet, node.disk.held, 'on its disk')
}

function judge(
  cluster: Cluster,
  client: Client,
  node: SimNode,
  packet: ServerPacket,
  there: Held,
  where: string,
): void {
  const { id } = client.spec
  const own = memory(node.core as Core)
  const broken = (what: string): void =>
    cluster.violate('1', `${node.name} releases ${packet.cmd} to ${client.name}: ${what} not ${where}`)
  const lasting = client.conn?.lasting === true
  switch (packet.cmd) {
    case 'suback':
      for (const filter of client.pending?.filters ?? [])
        if (lasting && own.filters(id)?.has(filter) && !there.filters(id)?.has(filter)) broken(`${filter} is`)
      return
    case 'unsuback':
      for (const filter of client.pending?.filters ?? [])
        if (lasting && there.filters(id)?.has(filter)) broken(`the end of ${filter} is`)
      return
    case 'pubcomp':
      if (lasting && there.inbound(id, packet.pid)) broken(`the end of id ${packet.pid} is`)
      return
    case 'pubrel':
      if (lasting && own.sent(id, packet.pid) === 3 && there.sent(id, packet.pid) !== 3)
        broken(`PUBREC ${packet.pid} is`)
      return
    case 'publish':
      early(cluster, node, packet, there, broken)
      if (packet.qos === 2 && lasting && own.sent(id, packet.pid) >= 2 && there.sent(id, packet.pid) < 2)
        broken(`id ${packet.pid} is`)
      return
    case 'puback':
    case 'pubrec': {
      const msg = client.out.get(packet.pid)?.msg
      if (msg === undefined) return
      if (packet.cmd === 'pubrec' && lasting && own.inbound(id, packet.pid) && !there.inbound(id, packet.pid))
        broken(`id ${packet.pid} is`)
      for (const subscriber of waiting(cluster, msg))
        if (there.filters(subscriber) !== undefined && !there.message(subscriber, msg.i))
          broken(`m${msg.i} for ${subscriber} is`)
      if (onlyHere(cluster, node.core as Core, msg, there)) broken(`m${msg.i} for a member of a shared subscription is`)
    }
  }
}

/** A QoS 2 message is sent on only when its publisher's identifier is known wherever the publisher may go (pair.md H7). */
function early(
  cluster: Cluster,
  node: SimNode,
  packet: ServerPacket & { cmd: 'publish' },
  there: Held,
  broken: (what: string) => void,
): void {
  const msg = packet.retain ? undefined : cluster.history.msgs[messageNumber(packet.payload)]
  if (msg === undefined || msg.qos !== 2 || !msg.lasting || msg.resent) return
  const publisher = cluster.clients.find((c) => c.spec.id === msg.client)
  if (publisher?.wire?.node !== node || publisher.spec.shared) return
  for (const [pid, o] of publisher.out) {
    if (o.msg !== msg || o.state !== 'publish' || !memory(node.core as Core).inbound(msg.client, pid)) continue
    if (!there.inbound(msg.client, pid)) broken(`id ${pid} of ${msg.client}, whose m${msg.i} it is,`)
  }
}

/** What a member takes over from another lasting one is sent when the other node does not have it at that one any more. */
function handedOn(cluster: Cluster, { account, name, conn }: Client, own: Core, peer: Core, number: number): void {
  // Behind its goodbye nobody listens.
  if (cluster.history.msgs[number]?.resent !== false || conn?.bye !== 0) return
  for (const { id, member } of cluster.history.accounts.values()) {
    if (member !== account.member || id === account.id || !queued(peer, id, number) || queued(own, id, number)) continue
    cluster.violate('22', `m${number} is sent to ${name}, and ${id} still has it at the other node`)
  }
}

function queued(core: Core, client: string, number: number): boolean {
  for (const { share, message, qos } of core.sessions.get(client)?.queue ?? [])
    if (share !== null && qos > 0 && messageNumber(message.payload) === number) return true
  return false
}

/**
 * A member of a shared subscription has it here, and none has it there. Members without expiry promise nothing, and what they leave
 * is promised later than it was acknowledged: only groups without them are judged.
 */
function onlyHere(cluster: Cluster, own: Core, msg: Msg, there: Held): boolean {
  if (msg.deletes || msg.expiry >= 0) return false
  const groups = new Map<string, { here: boolean; elsewhere: boolean }>()
  for (const { id, member, conns, seen, lost } of cluster.history.accounts.values()) {
    if (member === null) continue
    const group = groups.get(member) ?? { here: false, elsewhere: false }
    groups.set(member, group)
    const session = own.sessions.get(id)
    if (session?.durable && session.mine && queued(own, id, msg.i)) group.here = true
    const judged = conns.every((c) => c.lasting)
    if (!judged || seen.has(msg.i) || lost.has(msg.i) || there.message(id, msg.i)) group.elsewhere = true
  }
  return [...groups.values()].some(({ here, elsewhere }) => here && !elsewhere)
}

/** Who must get it, without any doubt, and has not yet. */
function waiting(cluster: Cluster, msg: Msg): string[] {
  if (msg.deletes || msg.expiry >= 0) return []
  const found: string[] = []
  for (const account of cluster.history.accounts.values()) {
    if (account.seen.has(msg.i) || account.lost.has(msg.i) || account.shared || !account.conns.some((c) => c.lasting))
      continue
    // Its session may have ended, and its next CONNECT may be on its way.
    const lives = account.expirySec >= 0xffff_ffff ? Number.POSITIVE_INFINITY : account.expirySec * 980
    if (cluster.world.now - account.offlineSince > lives) continue
    if (account.owed(msg, msg.sent, cluster.world.now) !== null) found.push(account.id)
  }
  return found
}

function memory(core: Core): Held {
  return {
    filters: (client) => {
      const session = core.sessions.get(client)
      return session?.durable ? new Set(session.subscriptions.keys()) : undefined
    },
    inbound: (client, pid) => core.sessions.get(client)?.inbound.has(pid) === true,
    sent: (client, pid) => core.sessions.get(client)?.inflight.get(pid)?.state ?? 0,
    message: (client, number) => {
      const session = core.sessions.get(client)
      if (session === undefined) return false
      const is = (message: { readonly payload: Uint8Array }): boolean => messageNumber(message.payload) === number
      for (const entry of session.queue) if (is(entry.message)) return true
      for (const { message } of session.shadows) if (is(message)) return true
      for (const { message } of core.claims.open.get(client)?.held ?? []) if (is(message)) return true
      // What is on its way to the peer is kept here should that one go.
      for (const { message } of core.forwarded.values()) if (is(message)) return true
      return false
    },
  }
}
