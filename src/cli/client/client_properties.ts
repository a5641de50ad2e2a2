// ClientProperties: mosquitto's `-D COMMAND PROPERTY VALUE`, which takes three words or four. Knows no other flag.
import { OperatorFault } from '../../base/fault.ts'
import type { ConnectFields, WillFields } from '../../wire/client_encoder.ts'
import type { MessageProps } from '../../wire/message_props.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
export type ClientProperties = {
  connect: Partial<ConnectFields>
  publish: Mutable<MessageProps> & { expiry?: number; topicAlias?: number }
  will: Partial<Mutable<WillFields>>
  subscribe: { subscriptionId?: number }
}

const PAIR = 'user-property'

/**
 * Takes the properties out of the arguments.
 * @returns null where there are none: they need MQTT 5.0
 * @throws {OperatorFault}
 */
export function takeProperties(args: readonly string[]): { rest: string[]; properties: ClientProperties | null } {
  const rest: string[] = []
  let properties: ClientProperties | null = null
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string
    if (arg !== '-D' && arg !== '--property') {
      rest.push(arg)
      continue
    }
    const words = args.slice(i + 1, i + (args[i + 2] === PAIR ? 5 : 4))
    if (words.length < (args[i + 2] === PAIR ? 4 : 3)) throw new OperatorFault(`${arg} needs COMMAND PROPERTY VALUE`)
    i += words.length
    properties ??= { connect: {}, publish: {}, will: {}, subscribe: {} }
    apply(properties, words[0] as string, words[1] as string, words[2] as string, words[3])
  }
  return { rest, properties }
}

function apply(properties: ClientProperties, command: string, property: string, value: string, second?: string): void {
  const { connect, publish, will, subscribe } = properties
  const int = (max: number) => {
    const n = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
    if (n <= max) return n
    throw new OperatorFault(`-D ${command} ${property}: "${value}" is not a whole number up to ${max}`)
  }
  const message = command === 'will' ? will : publish
  switch (`${command} ${property}`.toLowerCase()) {
    case 'connect session-expiry-interval':
      connect.sessionExpiry = int(0xffff_ffff)
      return
    case 'connect receive-maximum':
      connect.receiveMaximum = int(0xffff)
      return
    case 'connect maximum-packet-size':
      connect.maximumPacketSize = int(0xffff_ffff)
      return
    case 'connect topic-alias-maximum':
      connect.topicAliasMaximum = int(0xffff)
      return
    case 'connect request-problem-information':
      connect.requestProblemInformation = int(1) === 1
      return
    case 'connect request-response-information':
      connect.requestResponseInformation = int(1) === 1
      return
    case 'subscribe subscription-identifier':
      subscribe.subscriptionId = int(268_435_455)
      return
    case 'publish topic-alias':
      publish.topicAlias = int(0xffff)
      return
    case 'will will-delay-interval':
      will.delay = int(0xffff_ffff)
      return
    case 'publish message-expiry-interval':
    case 'will message-expiry-interval':
      message.expiry = int(0xffff_ffff)
      return
    case 'publish payload-format-indicator':
    case 'will payload-format-indicator':
      message.payloadFormat = int(1) as 0 | 1
      return
    case 'publish content-type':
    case 'will content-type':
      message.contentType = value
      return
    case 'publish response-topic':
    case 'will response-topic':
      message.responseTopic = value
      return
    case 'publish correlation-data':
    case 'will correlation-data':
      message.correlationData = new TextEncoder().encode(value)
      return
    case 'publish user-property':
    case 'will user-property':
      message.userProperties = [...(message.userProperties ?? []), [value, second ?? '']]
      return
    default:
      throw new OperatorFault(`-D ${command} ${property}: there is no such property here`)
  }
}
