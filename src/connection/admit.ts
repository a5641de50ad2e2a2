// Admit: a client on its way from CONNECT to the decision who owns its session, and the ways in which it is turned back. Knows no
// packet's bytes.
import type { Connect } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import type { Connection } from './connection.ts'
import { takesConnack } from './send_connack.ts'
import { move } from './states.ts'

/** The client is who it says it is, or nobody asks: the broker decides who owns the session. */
export function admit(c: Connection, packet: Connect): void {
  const { broker } = c
  if (broker.fullFor(packet.clientId)) return turnBack(c, Reason.serverBusy, 'too many connections')
  if (!broker.admitting) return turnAway(c, 'not ready')
  c.access = broker.access.of(c.username, packet.clientId)
  if (c.access !== null && packet.will !== null && !c.access.mayWrite(packet.will.topic))
    return turnBack(c, Reason.notAuthorized, 'this client may not publish to the topic of its will')
  if (!takesConnack(c)) return turnBack(c, Reason.packetTooLarge, 'CONNACK is larger than the client takes')
  c.state = move(c.state, 'claiming')
  c.decoder.pause()
  broker.connect(c, packet)
}

/** This node serves nobody now; perhaps the other one does. */
export function turnAway(c: Connection, text: string): void {
  const { elsewhere } = c.broker
  if (elsewhere === null) turnBack(c, Reason.serverUnavailable, text)
  else turnBack(c, Reason.useAnotherServer, text, null, elsewhere)
}

/** CONNECT is refused. @param username as the client has named itself, where it has */
export function turnBack(
  c: Connection,
  reason: number,
  text: string,
  username: string | null = null,
  serverReference?: string,
): void {
  c.refuse(reason, text, serverReference, username)
}
