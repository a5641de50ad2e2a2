// On ack: PUBACK, PUBREC, PUBREL and PUBCOMP of the client. An acknowledgement of something unknown is no error: it may be
// older than the last change of owner.
import type { Entry } from '../session/queue.ts'
import type { Session } from '../session/session.ts'
import { writeAck } from '../wire/encoder.ts'
import { type AckType, PacketType } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import type { Connection } from './connection.ts'
import { SENT_RELEASED } from './send.ts'

export function onAck(c: Connection, type: AckType, packetId: number, reason: number): void {
  const { session } = c
  if (session === null) return c.early()
  switch (type) {
    case PacketType.puback:
      return onPuback(c, session, packetId)
    case PacketType.pubrec:
      return onPubrec(c, session, packetId, reason)
    case PacketType.pubrel:
      return onPubrel(c, session, packetId)
    case PacketType.pubcomp:
      return onPubcomp(c, session, packetId)
  }
}

/** The flow of this message is over, here or where a former connection left it. */
function ends(c: Connection, session: Session, entry: Entry, packetId: number): void {
  if (entry.pos < 0) session.inflight.delete(packetId)
  else {
    if (c.again.size > 0) c.again.delete(entry)
    c.broker.done(session, entry)
  }
  if (session.queue.count > 0) c.broker.pump(session)
}

function onPuback(c: Connection, session: Session, packetId: number): void {
  const entry = session.inflight.get(packetId)
  if (entry === undefined || entry.state !== 1) return
  ends(c, session, entry, packetId)
}

function onPubrec(c: Connection, session: Session, packetId: number, reason: number): void {
  if (c.version === 0) return
  const entry = session.inflight.get(packetId)
  if (entry === undefined || entry.state === 1) {
    if (reason >= 0x80) return // refused: nothing to release [MQTT-4.3.3-4]
    writeAck(c.writer(PacketType.pubrel), PacketType.pubrel, packetId, Reason.packetIdentifierNotFound, c.version)
    return
  }
  if (reason >= 0x80) {
    // the client refused it: the flow ends here [MQTT-4.3.3-4]
    ends(c, session, entry, packetId)
    return
  }
  if (entry.state === 2) {
    if (entry.pos < 0) session.inflight.set(packetId, SENT_RELEASED)
    else {
      c.again.delete(entry)
      c.broker.sent(session, entry, packetId, 3)
    }
  }
  if (c.broker.rules.gatePubrel) c.gate(c.broker.need())
  writeAck(c.writer(PacketType.pubrel), PacketType.pubrel, packetId, Reason.success, c.version) // [MQTT-4.3.3-4]
}

function onPubrel(c: Connection, session: Session, packetId: number): void {
  if (c.version === 0) return
  const known = session.inbound.has(packetId)
  if (known) c.broker.releaseInbound(session, packetId)
  if (known && c.unreleased > 0) c.unreleased--
  if (c.broker.rules.gatePubcomp) c.gate(c.broker.need())
  const reason = known ? Reason.success : Reason.packetIdentifierNotFound
  writeAck(c.writer(PacketType.pubcomp), PacketType.pubcomp, packetId, reason, c.version) // [MQTT-4.3.3-11]
}

function onPubcomp(c: Connection, session: Session, packetId: number): void {
  const entry = session.inflight.get(packetId)
  if (entry === undefined || entry.state !== 3) return
  ends(c, session, entry, packetId)
}
