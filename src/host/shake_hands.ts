// ShakeHands: one handshake over one pipe, in limited time. Knows neither what it proves nor what follows.
import type { Handshake, HandshakeResult } from './handshake.ts'
import type { Pipe } from './pipe.ts'

/** From connected to the peer's hello, for our own dials: a frozen peer's kernel still accepts. */
const HELLO_MS_MAX = 1000
const HANDSHAKE_MS_MAX = 3000

/** Called once: a null result where the connection ended or took too long, and why. */
export type Shaken = (result: HandshakeResult | null, why: string) => void

/** @returns ends it without calling done */
export function shakeHands(pipe: Pipe, handshake: Handshake, dialer: boolean, done: Shaken): () => void {
  const finish = (result: HandshakeResult | null, why: string) => {
    clearTimeout(timer)
    pipe.events = null
    if (result === null) pipe.destroy()
    done(result, why)
  }
  const late = () => finish(null, 'the peer accepts connections but does not answer')
  let timer = setTimeout(late, dialer ? HELLO_MS_MAX : HANDSHAKE_MS_MAX)
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
