// PipeWs: pipes over WebSocket, with the client that both runtimes bring along. Dials only; knows nothing of what they carry.
import { formatAddress } from '../address.ts'
import type { Dialer, DialFailure, Pipe, PipeEvents } from './pipe.ts'

/** What brokers serve MQTT at by custom. */
const PATH = '/mqtt'
const SUBPROTOCOL = 'mqtt' // [MQTT-6.0.0-3]
const NORMAL = 1000
/** How often a backlog is looked at: a WebSocket does not tell when it is gone. */
const DRAIN_MS = 10

class WsPipe implements Pipe {
  /** Neither is told. */
  readonly remote = ''
  readonly local = ''
  events: PipeEvents | null = null
  private readonly socket: WebSocket
  private draining: ReturnType<typeof setInterval> | null = null

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.events?.onData(new Uint8Array(data))
      else this.lose('the server sent text')
    }
    socket.onerror = null
    socket.onclose = ({ code }) => this.lose(`closed by the other side, ${code}`)
  }

  write(bytes: Uint8Array): void {
    if (this.socket.readyState !== WebSocket.OPEN) return
    this.socket.send(new Uint8Array(bytes))
    if (this.backlog() > 0) this.draining ??= setInterval(() => this.lookAtBacklog(), DRAIN_MS)
  }

  backlog(): number {
    return this.socket.bufferedAmount
  }

  end(): void {
    this.stopLooking()
    this.socket.close(NORMAL)
  }

  destroy(): void {
    this.events = null
    this.end()
  }

  private lookAtBacklog(): void {
    if (this.backlog() > 0) return
    this.stopLooking()
    this.events?.onDrain()
  }

  private stopLooking(): void {
    if (this.draining !== null) clearInterval(this.draining)
    this.draining = null
  }

  private lose(why: string): void {
    const { events } = this
    this.destroy()
    events?.onClose(why)
  }
}

export const pipesWs: Dialer = {
  dial(to, timeoutMs, onPipe, onFail) {
    const socket = new WebSocket(`ws://${formatAddress(to.host, to.port)}${PATH}`, [SUBPROTOCOL])
    socket.binaryType = 'arraybuffer'
    let over = false
    const fail = (failure: DialFailure) => {
      if (over) return
      cancel()
      onFail(failure)
    }
    const cancel = () => {
      over = true
      clearTimeout(timer)
      socket.close(NORMAL)
    }
    const timer = setTimeout(() => fail({ refused: false, why: `no answer within ${timeoutMs} ms` }), timeoutMs)
    socket.onopen = () => {
      if (over) return
      over = true
      clearTimeout(timer)
      onPipe(new WsPipe(socket))
    }
    socket.onerror = (event) => fail({ refused: false, why: describe(event) })
    socket.onclose = ({ code }) => fail({ refused: false, why: `closed, ${code}` })
    return cancel
  },
}

/** The runtimes put their own sentences before what happened. */
function describe(event: Event): string {
  const { message, error } = event as Event & { message?: string; error?: { code?: unknown } }
  if (typeof error?.code === 'string') return error.code
  return (message ?? 'failed').replace(/^.*(?:failed|WebSocket): /s, '')
}
