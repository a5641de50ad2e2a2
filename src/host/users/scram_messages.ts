// ScramMessages: what a client says in SCRAM (RFC 5802), read as strictly as its grammar is written. Knows no user and no hash.
import { utf8Text } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import { fromBase64, HASH_BYTES } from './password_hash.ts'

export type ClientFirst = {
  /** `n,,`, `y,,` or with an authorization identity between the commas: repeated in the last message. */
  readonly gs2Header: string
  /** Everything behind the header. */
  readonly bare: string
  readonly username: string
  readonly nonce: string
}

export type ClientFinal = {
  readonly withoutProof: string
  /** The gs2 header again, as bytes. */
  readonly binding: Uint8Array
  readonly nonce: string
  readonly proof: Uint8Array
}

/** @returns what is wrong, where it is no such message */
export function parseClientFirst(data: Uint8Array | null): ClientFirst | string {
  const text = readText(data)
  if (text === null) return 'SCRAM: not a text message'
  const [flag, authzid, ...rest] = text.split(',')
  if (flag === undefined || authzid === undefined) return 'SCRAM: no gs2 header'
  if (flag.startsWith('p=')) return 'SCRAM: channel binding is not supported'
  // `y`: the client could bind and believes that the server cannot, which is so
  if (flag !== 'n' && flag !== 'y') return 'SCRAM: no gs2 header'
  const [nameAttribute, nonceAttribute, ...extensions] = rest
  if (nameAttribute?.startsWith('m=')) return 'SCRAM: mandatory extensions are not supported'
  const username = nameAttribute?.startsWith('n=') ? saslName(nameAttribute.slice(2)) : null
  if (username === null) return 'SCRAM: no user name'
  const nonce = nonceOf(nonceAttribute)
  if (nonce === null) return 'SCRAM: no nonce'
  if (!extensions.every(isAttribute)) return 'SCRAM: not a list of attributes'
  if (authzid !== '' && !(authzid.startsWith('a=') && saslName(authzid.slice(2)) === username))
    return 'SCRAM: nobody acts for somebody else here'
  return { gs2Header: `${flag},${authzid},`, bare: rest.join(','), username, nonce }
}

/** @returns what is wrong, where it is no such message */
export function parseClientFinal(data: Uint8Array | null): ClientFinal | string {
  const text = readText(data)
  if (text === null) return 'SCRAM: not a text message'
  const attributes = text.split(',')
  const [bindingAttribute, nonceAttribute] = attributes
  const binding = bindingAttribute?.startsWith('c=') ? fromBase64(bindingAttribute.slice(2)) : null
  if (binding === null) return 'SCRAM: no gs2 header in the last message'
  const nonce = nonceOf(nonceAttribute)
  if (nonce === null) return 'SCRAM: no nonce'
  const last = attributes.length > 2 ? (attributes.pop() as string) : ''
  const proof = last.startsWith('p=') ? fromBase64(last.slice(2)) : null
  if (proof === null || proof.length !== HASH_BYTES) return 'SCRAM: no proof'
  if (!attributes.slice(2).every(isAttribute)) return 'SCRAM: not a list of attributes'
  return { withoutProof: attributes.join(','), binding, nonce, proof }
}

function readText(data: Uint8Array | null): string | null {
  if (data === null || data.length > LIMITS.scramMessageBytesMax) return null
  const text = utf8Text(data)
  return text === null || text.includes('\0') ? null : text
}

/** Printable ASCII without the comma, which separates. */
function nonceOf(attribute: string | undefined): string | null {
  return attribute !== undefined && /^r=[\x21-\x2b\x2d-\x7e]+$/.test(attribute) ? attribute.slice(2) : null
}

/** An extension that may be ignored: a letter and a value. */
function isAttribute(text: string): boolean {
  return /^[A-Za-z]=./s.test(text) && !text.startsWith('m=')
}

/** `=2C` is a comma, `=3D` an equals sign; no other `=` may stand in a name. */
export function saslName(text: string): string | null {
  if (text === '' || /=(?!2C|3D)/.test(text)) return null
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
