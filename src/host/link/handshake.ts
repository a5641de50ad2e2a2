// Handshake: how two nodes that have just connected make sure of each other, before anything of the core is exchanged.
// Bytes in, frames out; knows no sockets and no clocks.
//
//   dialer                              acceptor
//   hello {version, name, nonce, …} ─▶
//                                    ◀─ hello {version, name, nonce, …}
//   proof HMAC("dialer", hellos)    ─▶
//                                    ◀─ proof HMAC("acceptor", hellos) {link}     if the acceptor has the smaller name
//   link {link}                     ─▶                                            if the dialer has the smaller name
//
// The proofs cover both hellos byte by byte, so a replayed hello meets a fresh nonce and a reflected proof the wrong role.
// The secret itself never travels. Of both names the smaller one decides which connection becomes the link (peer_link.ts): a
// link number of 0 is "not this one". After the link frame the bytes are the core's.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { utf8 } from '../../base/bytes.ts'

export const MAGIC = 'TandeMQ'
/** Of this handshake and of the frames the core sends behind it. */
export const LINK_VERSION = 1
export const NONCE_BYTES = 32
const FRAME_BYTES_MAX = 4096
const HEADER_BYTES = 4

/** What a node may be called. Names stand in the log and in the status before they are proven. */
export const NODE_NAME = /^[\w.:@-]{1,64}$/

/** The fields up to `name` are frozen: every version reads them. */
export type Hello = {
  readonly t: 'hello'
  readonly magic: string
  readonly version: number
  readonly name: string
  readonly nonce: string
  readonly secret: boolean
  /** Random, one per process: tells a restarted peer from the one before, and a node from itself. */
  readonly instance: string
  /** The last link that the sender of this hello knows to be over, by the instance that numbered it. */
  readonly lost: { readonly instance: string; readonly link: number }
}
type Proof = { readonly t: 'proof'; readonly mac: string; readonly link?: number }
type Link = { readonly t: 'link'; readonly link: number }
type Refuse = { readonly t: 'refuse'; readonly why: 'secret' }
type Frame = Hello | Proof | Link | Refuse

export type HandshakeProblem = 'secret' | 'no-secret' | 'version' | 'same-name' | 'self' | 'not-this-one' | 'garbage'

export type HandshakeResult =
  | { readonly kind: 'open'; readonly peer: Hello; readonly link: number; readonly rest: Uint8Array }
  | { readonly kind: 'failed'; readonly problem: HandshakeProblem; readonly peer: Hello | null }

export type HandshakeOptions = {
  readonly dialer: boolean
  readonly hello: Omit<Hello, 't' | 'magic' | 'secret'>
  readonly secret: Uint8Array | null
  readonly send: (frame: Uint8Array) => void
  /** Asked at the very end, on the node with the smaller name: the number of the link this becomes, 0 if it should not. */
  readonly decide: (peer: Hello) => number
}

export class Handshake {
  private readonly options: HandshakeOptions
  /** Own hello and the other's, as sent. */
  private readonly mine: Uint8Array
  private theirs: Uint8Array | null = null
  private peer: Hello | null = null
  private proven = false
  private held: Uint8Array = new Uint8Array(0)
  private over = false

  constructor(options: HandshakeOptions) {
    this.options = options
    const hello: Hello = { t: 'hello', magic: MAGIC, secret: options.secret !== null, ...options.hello }
    this.mine = encode(hello)
  }

  start(): void {
    if (this.options.dialer) this.options.send(this.mine)
  }

  /** @returns null while it goes on */
  receive(bytes: Uint8Array): HandshakeResult | null {
    if (this.over) return null
    const all = new Uint8Array(this.held.length + bytes.length)
    all.set(this.held)
    all.set(bytes, this.held.length)
    let at = 0
    let result: HandshakeResult | null = null
    while (result === null && all.length - at >= HEADER_BYTES) {
      const size = new DataView(all.buffer, at).getUint32(0)
      if (size > FRAME_BYTES_MAX) result = this.fail('garbage')
      else if (all.length - at < HEADER_BYTES + size) break
      else {
        const frame = all.subarray(at, at + HEADER_BYTES + size)
        at += frame.length
        result = this.onFrame(frame, all.subarray(at))
      }
    }
    this.held = all.slice(at)
    if (result !== null) this.over = true
    return result
  }

  private onFrame(bytes: Uint8Array, rest: Uint8Array): HandshakeResult | null {
    const frame = decode(bytes.subarray(HEADER_BYTES), this.options.hello.version)
    if (frame === null) return this.fail('garbage')
    if (this.peer === null) return frame.t === 'hello' ? this.onHello(frame, bytes) : this.fail('garbage')
    if (frame.t === 'refuse') return this.fail('secret')
    if (!this.proven) return frame.t === 'proof' ? this.onProof(frame, rest) : this.fail('garbage')
    if (frame.t !== 'link') return this.fail('garbage')
    return frame.link > 0 ? { kind: 'open', peer: this.peer, link: frame.link, rest } : this.fail('not-this-one')
  }

  private onHello(hello: Hello, bytes: Uint8Array): HandshakeResult | null {
    const { dialer, send, secret } = this.options
    if (hello.magic !== MAGIC) return this.fail('garbage')
    this.peer = hello
    this.theirs = bytes.slice()
    if (!dialer) send(this.mine) // first of all, so that the other side too sees what does not fit
    if (hello.version !== this.options.hello.version) return this.fail('version')
    if (hello.instance === this.options.hello.instance) return this.fail('self')
    if (hello.secret !== (secret !== null)) return this.fail('no-secret')
    if (dialer) send(encode({ t: 'proof', mac: this.mac('dialer') }))
    return null
  }

  private onProof(proof: Proof, rest: Uint8Array): HandshakeResult | null {
    const { dialer, send, decide, hello } = this.options
    const peer = this.peer as Hello
    if (!same(proof.mac, this.mac(dialer ? 'acceptor' : 'dialer'))) {
      send(encode({ t: 'refuse', why: 'secret' }))
      return this.fail('secret')
    }
    this.proven = true
    const decides = hello.name < peer.name
    const link = decides ? decide(peer) : 0
    if (!dialer) send(encode({ t: 'proof', mac: this.mac('acceptor'), ...(decides ? { link } : {}) }))
    if (hello.name === peer.name) return this.fail('same-name')
    if (decides) {
      if (dialer) send(encode({ t: 'link', link }))
      return link > 0 ? { kind: 'open', peer, link, rest } : this.fail('not-this-one')
    }
    if (!dialer) return null // the link frame follows
    const given = proof.link ?? 0
    return given > 0 ? { kind: 'open', peer, link: given, rest } : this.fail('not-this-one')
  }

  private mac(role: 'dialer' | 'acceptor'): string {
    const { secret, dialer } = this.options
    if (secret === null) return ''
    const [first, second] = dialer ? [this.mine, this.theirs] : [this.theirs, this.mine]
    const hmac = createHmac('sha256', secret).update(`${MAGIC} link ${role}\0`)
    return hmac
      .update(first as Uint8Array)
      .update(second as Uint8Array)
      .digest('hex')
  }

  private fail(problem: HandshakeProblem): HandshakeResult {
    return { kind: 'failed', problem, peer: this.peer }
  }
}

function encode(frame: Frame): Uint8Array {
  const body = utf8(JSON.stringify(frame))
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length)
  bytes.set(body, HEADER_BYTES)
  return bytes
}

/** @param version a hello of another one is read as far as its name */
function decode(body: Uint8Array, version: number): Frame | null {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const shape = (types: Record<string, string>) =>
    Object.entries(types).every(([key, type]) => typeof value[key] === type)
  switch (value['t']) {
    case 'hello': {
      if (!shape({ magic: 'string', version: 'number', name: 'string' })) return null
      if (!NODE_NAME.test(value['name'] as string)) return null
      if (value['version'] !== version) return value as Frame
      const { lost } = value as { lost?: { instance?: unknown; link?: unknown } | null }
      if (typeof lost?.instance !== 'string' || typeof lost.link !== 'number') return null
      return shape({ nonce: 'string', secret: 'boolean', instance: 'string' }) ? (value as Frame) : null
    }
    case 'proof':
      return shape({ mac: 'string' }) && ['number', 'undefined'].includes(typeof value['link'])
        ? (value as Frame)
        : null
    case 'link':
      return shape({ link: 'number' }) ? (value as Frame) : null
    case 'refuse':
      return value as Frame
    default:
      return null
  }
}

/** In constant time for equal lengths. */
function same(a: string, b: string): boolean {
  const [x, y] = [utf8(a), utf8(b)]
  return x.length === y.length && timingSafeEqual(x, y)
}
