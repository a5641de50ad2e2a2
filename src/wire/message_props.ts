// Message props: the pass-through properties of a message as values, for those who look into them: our own clients and
// tools. The broker never does (publish_props.ts).
import { copyBytes, utf8Text } from '../base/bytes.ts'
import { Place, Property, propertyEnd, propertyFault } from './properties.ts'
import { binaryProperty, byteProperty, pairProperty, properties, textProperty } from './property_writer.ts'
import { fieldEnd } from './text.ts'

export type MessageProps = {
  /** 1: the payload is UTF-8 text. */
  payloadFormat?: 0 | 1 | undefined
  contentType?: string | undefined
  responseTopic?: string | undefined
  correlationData?: Uint8Array | undefined
  /** In order; names may repeat. */
  userProperties?: readonly (readonly [string, string])[] | undefined
}

/** As PublishView.props; null when there are none. */
export function encodeMessageProps(props: MessageProps): Uint8Array | null {
  properties.clear()
  byteProperty(Property.payloadFormatIndicator, props.payloadFormat)
  textProperty(Property.contentType, props.contentType)
  textProperty(Property.responseTopic, props.responseTopic)
  binaryProperty(Property.correlationData, props.correlationData)
  for (const [name, value] of props.userProperties ?? []) pairProperty(Property.userProperty, name, value)
  return properties.length === 0 ? null : properties.take()
}

/** @param props as scanPublishProps passed them */
export function decodeMessageProps(props: Uint8Array | null): MessageProps {
  const found: MessageProps = {}
  const pairs: [string, string][] = []
  const end = props === null ? 0 : props.length
  for (let at = 0; props !== null && at < end; at = propertyEnd) {
    if (propertyFault(props, at, end, Place.publish) !== null) break
    switch (props[at]) {
      case Property.payloadFormatIndicator:
        found.payloadFormat = props[at + 1] === 1 ? 1 : 0
        break
      case Property.contentType:
        found.contentType = text(props, at + 1)
        break
      case Property.responseTopic:
        found.responseTopic = text(props, at + 1)
        break
      case Property.correlationData:
        found.correlationData = copyBytes(props, at + 3, propertyEnd)
        break
      default:
        pairs.push([text(props, at + 1), text(props, fieldEnd(props, at + 1, end))])
    }
  }
  if (pairs.length > 0) found.userProperties = pairs
  return found
}

/** The length-prefixed string at `at`, already checked. */
function text(buf: Uint8Array, at: number): string {
  return utf8Text(buf.subarray(at + 2, fieldEnd(buf, at, buf.length))) ?? ''
}
