// On DISCONNECT: the client goes, with or without its will. The socket is closed only when the peer knows that the will is gone.
import type { Disconnect } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import type { Connection } from './connection.ts'

export function onDisconnect(c: Connection, packet: Disconnect): void {
  const { broker, session } = c
  if (session === null) return c.close() // in the middle of authentication
  // Section 3.14.2.2.2; where the server itself made it 0, what the client named may have been more.
  if (packet.sessionExpiry > 0 && session.expiry === 0 && broker.policy.sessionExpiryMax > 0)
    return c.fail(Reason.protocolError, 'session expiry was 0 at CONNECT')
  if (packet.sessionExpiry >= 0 && packet.sessionExpiry !== session.expiry)
    broker.expiryChanged(session, Math.min(packet.sessionExpiry, broker.policy.sessionExpiryMax))
  const clean = packet.reason === Reason.normalDisconnection // [MQTT-3.14.4-3]; 0x04 and errors keep the will
  c.close()
  broker.ended(c, clean)
  c.gate(broker.need())
}
