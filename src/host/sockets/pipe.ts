// Pipe: a plain TCP connection that takes all it is given, for the peer link and the command line tools, on either runtime.
// Knows nothing of what it carries.
import type { DialAddress, ListenAddress } from '../address.ts'

export interface PipeEvents {
  /** @param bytes borrowed until it returns */
  onData(bytes: Uint8Array): void
  /** The backlog is gone. */
  onDrain(): void
  /** Called once; never called after destroy(). */
  onClose(why: string): void
}

export interface Pipe {
  /** IP addresses of both ends. */
  readonly remote: string
  readonly local: string
  /** Set by whoever was handed the pipe, before it returns. */
  events: PipeEvents | null
  /** Takes all bytes (copies what cannot be sent at once). */
  write(bytes: Uint8Array): void
  /** Bytes taken and not yet handed to the kernel. */
  backlog(): number
  /** Sends what was taken, then closes. */
  end(): void
  /** Closes at once; no further events. */
  destroy(): void
}

/** Why a pipe closed: the other side's kernel said so, with FIN or RST. Anything else is of our own side's making. */
export const CLOSED_BY_PEER: readonly string[] = ['closed by the other side', 'ECONNRESET', 'EPIPE']

export type DialFailure = { readonly refused: boolean; readonly why: string }

/**
 * Also what a dial is told that has met itself: the kernel may choose the very port that is dialed on this machine as the
 * dialing one, and TCP connects the socket to itself. Nobody listens there.
 */
export const REFUSED: DialFailure = { refused: true, why: 'ECONNREFUSED' }

export interface PipeListener {
  readonly port: number
  stop(): void
}

export interface Dialer {
  /** Calls exactly one of both, after it has returned, unless cancelled through the function it returns. */
  dial(
    to: DialAddress,
    timeoutMs: number,
    onPipe: (pipe: Pipe) => void,
    onFail: (failure: DialFailure) => void,
  ): () => void
}

export interface Pipes extends Dialer {
  /** @throws the runtime's error where the address cannot be bound */
  listen(address: ListenAddress, onPipe: (pipe: Pipe) => void): Promise<PipeListener>
}
