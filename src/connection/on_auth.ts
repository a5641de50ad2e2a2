// On AUTH: who the client is: by user name and password or by an exchange of AUTH packets at CONNECT, by an exchange again while
// the connection is open. Knows no method and no user; those who do are asked, and answer later.
import { writeAuth } from '../wire/encoder.ts'
import { type Auth, type Connect, PacketType } from '../wire/packet.ts'
import { Reason } from '../wire/reason.ts'
import { admit, turnBack } from './admit.ts'
import type { AuthAnswer } from './authentication.ts'
import type { Connection } from './connection.ts'
import { takes } from './sizes.ts'
import { move, moveExchange } from './states.ts'

/** Nothing else is heard of the client until it is answered. @param password given away */
export function authenticate(c: Connection, packet: Connect, password: Uint8Array | null): void {
  const { authentication } = c.broker
  c.state = move(c.state, 'authenticating')
  c.exchange = moveExchange(c.exchange, 'asked')
  c.decoder.pause()
  if (packet.authMethod !== null) authentication.askFirst(c, packet.authMethod, packet.authData)
  else authentication.askPassword(c, packet.username as string, password)
}

export function onAuth(c: Connection, packet: Auth): void {
  const { authentication } = c.broker
  const method = c.connect?.authMethod ?? null
  if (method === null) return c.fail(Reason.protocolError, 'AUTH without an authentication method') // [MQTT-4.12.0-6]
  if (packet.method !== method) return c.fail(Reason.protocolError, 'AUTH with another method than CONNECT') // [MQTT-4.12.0-5] [MQTT-4.12.1-1]
  if (packet.reason === Reason.continueAuthentication) {
    if (c.exchange !== 'challenged') return c.fail(Reason.protocolError, 'AUTH that nobody asked for')
    c.exchange = moveExchange(c.exchange, 'asked')
    if (c.state === 'authenticating') c.decoder.pause()
    return authentication.askNext(c, packet.data)
  }
  if (c.state !== 'open' || c.exchange !== 'none')
    return c.fail(Reason.protocolError, 're-authentication before the end of an authentication')
  c.exchange = moveExchange(c.exchange, 'asked')
  authentication.askFirst(c, method, packet.data)
}

/** The answer to what was asked last. */
export function onAnswer(c: Connection, answer: AuthAnswer): void {
  if (c.exchange !== 'asked' || (c.state !== 'authenticating' && c.state !== 'open')) return
  if (answer.kind === 'challenge') {
    c.exchange = moveExchange(c.exchange, 'challenged')
    sendAuth(c, Reason.continueAuthentication, answer.data) // [MQTT-4.12.0-2]
    if (c.state === 'authenticating') c.readOn()
    return
  }
  c.exchange = moveExchange(c.exchange, 'none')
  if (answer.kind === 'refused') return refuse(c, answer.reason, answer.why, answer.username)
  const packet = c.connect as Connect
  const claimed = c.state === 'open' ? c.username : packet.username
  if (claimed !== null && claimed !== answer.username)
    return refuse(c, Reason.notAuthorized, 'authenticated as another user', answer.username)
  c.broker.count('authentications_accepted')
  c.username = answer.username
  if (c.state === 'open') return sendAuth(c, Reason.success, answer.data)
  c.authData = answer.data
  admit(c, packet)
}

function sendAuth(c: Connection, reason: number, data: Uint8Array | null): void {
  const method = c.connect?.authMethod as string
  const fields = { reason, method, ...(data === null ? {} : { data }) } // [MQTT-4.12.0-5]
  if (!takes(c, (w) => writeAuth(w, fields)))
    return refuse(c, Reason.packetTooLarge, 'AUTH is larger than the client takes', c.username)
  writeAuth(c.writer(PacketType.auth), fields)
}

function refuse(c: Connection, reason: number, text: string, username: string | null): void {
  c.broker.count('authentications_refused')
  if (c.state === 'authenticating') return turnBack(c, reason, text, username) // [MQTT-4.12.0-4]
  c.broker.log('reauthentication_refused', {
    client: c.clientId,
    username,
    address: c.socket.address,
    why: text,
  })
  c.disconnect(reason, text, false) // [MQTT-4.12.1-2]
}
