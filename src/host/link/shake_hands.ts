// ShakeHands: one handshake over one pipe, in limited time. Knows neither what it proves nor what follows.

import type { Pipe } from '../sockets/pipe.ts'
import type { Handshake, HandshakeResult } from './handshake.ts'

const HANDSHAKE_MS_MAX = 3000

/** Called once: a null result where the connection ended or took too long, and why. */
export type Shaken = (result: HandshakeResult | null, why: string) => void

/**
 * @param helloMs from connected to the peer's hello, for a dial of our own
 * @returns ends it without calling done
 */
export function shakeHands(pipe: Pipe, handshake: Handshake, helloMs: number | null, done: Shaken): () => void {
  const finish = (result: HandshakeResult | null, why: string) => {
    clearTimeout(timer)
    pipe.events = null
    if (result === null) pipe.destroy()
    done(result, why)
  }
  const late = () => finish(null, 'the peer accepts connections but does not answer')
  let timer = setTimeout(late, helloMs ?? HANDSHAKE_MS_MAX)
  let heard = false
  pipe.events = {
    onData: (bytes) => {
      if (!heard) {
        heard = true
        clearTimeout(timer)
        timer = setTimeout(late, HANDSHAKE_MS_MAX)
      }
      const result = handshake.receive(bytes)
      if (result !== null) finish(result, '')
    },
    onDrain: () => {},
    onClose: (why) => finish(null, why),
  }
  handshake.start()
  return () => {
    clearTimeout(timer)
    pipe.destroy()
  }
}
