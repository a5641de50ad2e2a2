// PeerLink: the one connection to the other node. Dials, accepts, authenticates, and hands the core a link that is up. Knows
// nothing of what travels on it.
//
// Both nodes dial while neither has a link, so that a peer that comes back is met at once. The node with the smaller name
// decides (handshake.ts): it takes the first connection that proves itself and numbers it. A further one is taken only if it
// shows that the link at hand is over: it comes from another start of the peer, or the peer says it has lost that number.
import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { assert } from '../../base/assert.ts'
import { OperatorFault } from '../../base/fault.ts'
import { LIMITS } from '../../base/limits.ts'
import type { LinkPort } from '../../core/ports.ts'
import { bindFault, type DialAddress, formatAddress, isLoopback, type ListenAddress } from '../address.ts'
import type { LinkInfo } from '../hosted_node.ts'
import { CLOSED_BY_PEER, type Pipe, type PipeListener, type Pipes } from '../sockets/pipe.ts'
import {
  Handshake,
  type HandshakeProblem,
  type HandshakeResult,
  type Hello,
  LINK_VERSION,
  NONCE_BYTES,
} from './handshake.ts'
import { linkProblem } from './link_problem.ts'
import { type Shaken, shakeHands } from './shake_hands.ts'

/** Until connected, and from there to the peer's hello: a frozen peer's kernel still accepts. */
const DIAL_MS_MAX = 1000
const DIAL_MS_MIN = 100
/** A link that has lasted this long is dialed again at once when it breaks: a refusal is the quickest proof of a death. */
const SETTLED_MS = 500
const BACKOFF_MS_MIN = 50
const BACKOFF_MS_MAX = 500
/** ... while the peer is being given up: the dials that must fail for that have little time. */
const BACKOFF_SEARCH_MS_MAX = 100
/** After a refusal that only the operator can mend. */
const BACKOFF_REFUSED_MS = 3000
/** Strangers may not pile up half-done handshakes. */
const PENDING_MAX = 16

export type PeerLinkOptions = {
  readonly name: string
  readonly cluster: ListenAddress
  readonly peer: DialAddress
  readonly secret: Uint8Array | null
  readonly pipes: Pipes
  /** How long a dial may take while the peer is being given up: see searchMs(). */
  readonly searchMs: number
  /** True while this node waits for its peer to begin with: then what only the operator can mend ends the process. */
  readonly starting: () => boolean
  readonly fatal: (fault: OperatorFault) => void
  readonly warn: (message: string) => void
  /** One more of these, for the metrics. */
  readonly count: (name: string) => void
  /** For tests. */
  readonly version?: number
}

export interface LinkEvents {
  linkOpened(info: LinkInfo): void
  linkData(bytes: Uint8Array): void
  linkWritable(): void
  linkClosed(reason: string): void
  dialFailed(refused: boolean): void
}

type Current = { readonly pipe: Pipe; readonly link: number; readonly peer: Hello; readonly numberedBy: string }

export class PeerLink implements LinkPort {
  private readonly options: PeerLinkOptions
  private readonly instance = randomBytes(16).toString('hex')
  private events: LinkEvents | null = null
  private listener: PipeListener | null = null
  private current: Current | null = null
  /** Handshakes of connections that the peer (or a stranger) dialed. */
  private readonly accepted = new Map<Pipe, () => void>()
  /** Ends our own dial, in whatever stage it is. */
  private cancelDial: (() => void) | null = null
  private redial: ReturnType<typeof setTimeout> | null = null
  /** Dials in a row that failed since there was a link. */
  private failed = 0
  /**
   * The last link ended with the peer's FIN or RST: it could be reached then. Only after that is a refusal a proof of death: Bun
   * calls an unreachable host or network refused as well, and a node whose cable is out must not take its peer for dead.
   */
  private peerClosed = true
  private linksNumbered = 0
  private lost = { instance: '', link: 0 }
  private everLinked = false
  private stopped = false
  /** The last thing that went wrong, for status; null while all is well. */
  private problem: string | null = null
  /** The last warnings: of a dial of our own, and of somebody who dialed us. */
  private warned = { dialed: '', called: '' }
  private callerToldAt = Number.NEGATIVE_INFINITY

  constructor(options: PeerLinkOptions) {
    this.options = options
  }

  /**
   * Binds the address; whoever comes is turned away until start().
   * @throws {OperatorFault} where it cannot be bound
   */
  async listen(): Promise<number> {
    const { cluster, pipes } = this.options
    try {
      this.listener = await pipes.listen(cluster, (pipe) => this.onAccepted(pipe))
    } catch (error) {
      throw bindFault('--cluster', cluster, error)
    }
    return this.listener.port
  }

  start(events: LinkEvents): void {
    this.events = events
    this.dial()
  }

  stop(): void {
    this.stopped = true
    this.listener?.stop()
    this.cancel()
    for (const cancel of this.accepted.values()) cancel()
    this.current?.pipe.end()
    this.current = null
  }

  status(): { up: boolean; peer: string; problem: string | null } {
    const { host, port } = this.options.peer
    return { up: this.current !== null, peer: formatAddress(host, port), problem: this.problem }
  }

  send(bytes: Uint8Array): void {
    this.current?.pipe.write(bytes)
  }

  backlog(): number {
    return this.current?.pipe.backlog() ?? 0
  }

  close(why: string): void {
    if (this.current === null) return
    this.current.pipe.destroy()
    this.peerClosed = false
    this.onLost(why, this.backoffMs())
  }

  // ---- dialing

  /** The peer is missed, and not yet by as many dials as the core asks for before it goes on alone. */
  private get searching(): boolean {
    return this.failed < LIMITS.failedDialsMin
  }

  private get dialMs(): number {
    return this.searching ? this.options.searchMs : DIAL_MS_MAX
  }

  private backoffMs(): number {
    const max = this.searching ? BACKOFF_SEARCH_MS_MAX : BACKOFF_MS_MAX
    return BACKOFF_MS_MIN + Math.floor(Math.random() * (max - BACKOFF_MS_MIN + 1))
  }

  private dial(): void {
    if (this.stopped || this.current !== null) return
    assert(this.cancelDial === null, 'one dial at a time')
    const { pipes, peer } = this.options
    this.cancelDial = pipes.dial(
      peer,
      this.dialMs,
      (pipe) => {
        this.cancelDial = this.shake(pipe, true, (result, why) => this.onDialed(pipe, result, why))
      },
      ({ refused, why }) => {
        this.problem = `${formatAddress(peer.host, peer.port)}: ${why}`
        this.onDialFailed(refused, this.backoffMs())
      },
    )
  }

  private onDialed(pipe: Pipe, result: HandshakeResult | null, why: string): void {
    this.cancelDial = null
    if (result?.kind === 'open') {
      this.open(pipe, result, true)
      return
    }
    pipe.end()
    if (result === null) {
      this.problem = why
      this.onDialFailed(false, this.backoffMs())
    } else if (result.problem === 'not-this-one') {
      this.retry(BACKOFF_MS_MAX) // the peer answers: nothing has failed
    } else {
      this.complain(result.problem, result.peer, 'dialed', true)
      this.onDialFailed(false, BACKOFF_REFUSED_MS)
    }
  }

  private onDialFailed(refused: boolean, retryMs: number): void {
    this.cancelDial = null
    this.failed++
    this.retry(retryMs)
    this.events?.dialFailed(refused && this.peerClosed)
  }

  private retry(ms: number): void {
    if (this.stopped || this.current !== null) return
    if (this.redial !== null) clearTimeout(this.redial)
    this.redial = setTimeout(() => {
      this.redial = null
      if (this.cancelDial === null) this.dial()
    }, ms)
  }

  private cancel(): void {
    this.cancelDial?.()
    this.cancelDial = null
    if (this.redial !== null) clearTimeout(this.redial)
    this.redial = null
  }

  // ---- accepting

  private onAccepted(pipe: Pipe): void {
    if (this.stopped || this.events === null) return pipe.destroy()
    if (this.accepted.size >= PENDING_MAX) {
      this.countStranger('too-many')
      return pipe.destroy()
    }
    const cancel = this.shake(pipe, false, (result) => {
      this.accepted.delete(pipe)
      if (result?.kind === 'open') return this.open(pipe, result, false)
      pipe.end()
      if (result?.kind !== 'failed' || result.problem === 'not-this-one') return
      const { problem, peer } = result
      this.countStranger(problem)
      if (problem === 'garbage') return
      void this.isPeer(pipe.remote).then((ours) => this.complain(problem, peer, 'called', ours))
    })
    this.accepted.set(pipe, cancel)
  }

  private countStranger(reason: HandshakeProblem | 'too-many' | 'third-node'): void {
    this.options.count(`strangers_${reason.replaceAll('-', '_')}`)
  }

  /** Whether a connection comes from where --peer points to: a stranger's bad manners must not end a node that starts. */
  private async isPeer(remote: string): Promise<boolean> {
    const { host } = this.options.peer
    if (host === remote || (isLoopback(host) && isLoopback(remote))) return true
    const found = await lookup(host, { all: true }).catch(() => [])
    return found.some((entry) => entry.address === remote)
  }

  // ---- both

  private shake(pipe: Pipe, dialer: boolean, done: Shaken): () => void {
    const { name, secret, version } = this.options
    const nonce = randomBytes(NONCE_BYTES).toString('hex')
    const { instance, lost } = this
    const handshake = new Handshake({
      dialer,
      secret,
      hello: { version: version ?? LINK_VERSION, name, nonce, instance, lost },
      send: (frame) => pipe.write(frame),
      decide: (peer) => this.decide(peer),
    })
    return shakeHands(pipe, handshake, dialer ? this.dialMs : null, done)
  }

  /** On the node with the smaller name: the number of the link that this connection becomes, 0 if the one at hand stays. */
  private decide(peer: Hello): number {
    const { current } = this
    if (current !== null && current.peer.instance === peer.instance) {
      const knowsItLost = peer.lost.instance === this.instance && peer.lost.link >= current.link
      if (!knowsItLost) return 0
    }
    return ++this.linksNumbered
  }

  private open(pipe: Pipe, result: HandshakeResult & { kind: 'open' }, dialed: boolean): void {
    const { peer, link, rest } = result
    // A third node does not take the link from the one that has it; a dead one is noticed soon enough.
    if (this.current !== null && this.current.peer.name !== peer.name) {
      this.countStranger('third-node')
      return pipe.end()
    }
    this.cancel()
    if (this.current !== null) {
      this.current.pipe.destroy()
      this.onLost('replaced by a new connection of the peer', null)
    }
    const numberedBy = this.options.name < peer.name ? this.instance : peer.instance
    this.current = { pipe, link, peer, numberedBy }
    const openedAt = performance.now()
    this.everLinked = true
    this.problem = null
    pipe.events = {
      onData: (bytes) => this.events?.linkData(bytes),
      onDrain: () => this.events?.linkWritable(),
      onClose: (why) => {
        // Node's sockets tell it also of one that this side has ended.
        if (this.current?.pipe !== pipe) return
        this.peerClosed = CLOSED_BY_PEER.includes(why)
        this.onLost(why, performance.now() - openedAt < SETTLED_MS ? this.backoffMs() : 0)
      },
    }
    const sameHost = isLoopback(pipe.remote) || pipe.remote === pipe.local
    this.events?.linkOpened({ peerName: peer.name, dialed, sameHost })
    if (rest.length > 0 && this.current?.pipe === pipe) this.events?.linkData(rest)
  }

  /** @param retryMs when to dial again; null: not at all */
  private onLost(why: string, retryMs: number | null): void {
    assert(this.current !== null, 'a link that is lost was there')
    const { link, numberedBy } = this.current
    this.current = null
    this.lost = { instance: numberedBy, link }
    this.failed = 0
    this.events?.linkClosed(why)
    if (retryMs !== null) this.retry(retryMs)
  }

  /** @param ours it is at the peer's address; nothing more is known of whoever dialed us */
  private complain(problem: HandshakeProblem, peer: Hello | null, who: 'dialed' | 'called', ours: boolean): void {
    const { peer: address, name, version } = this.options
    const message = linkProblem(problem, peer, name, formatAddress(address.host, address.port), version ?? LINK_VERSION)
    if (ours) this.problem = message
    if (ours && problem !== 'garbage' && !this.everLinked && this.options.starting()) {
      this.options.fatal(new OperatorFault(message))
      return
    }
    if (Object.values(this.warned).includes(message)) return
    // Whoever calls may have another name each time.
    const now = performance.now()
    if (who === 'called' && now - this.callerToldAt < LIMITS.strangerToldMs) return
    if (who === 'called') this.callerToldAt = now
    this.warned[who] = message
    this.options.warn(message)
  }
}

/** The dials that must fail before the peer counts as gone share the time between suspicion and going on alone. */
export function searchMs(suspectMs: number, soloMs: number): number {
  const each = (soloMs - suspectMs - LIMITS.heartbeatMs) / LIMITS.failedDialsMin - BACKOFF_SEARCH_MS_MAX
  return Math.max(DIAL_MS_MIN, Math.min(DIAL_MS_MAX, Math.floor(each)))
}
