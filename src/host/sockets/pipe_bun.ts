// PipeBun: pipes over Bun.listen and Bun.connect. Knows nothing of what they carry.
import type { Socket, SocketHandler } from 'bun'
import { type ListenAddress, plainIp } from '../address.ts'
import { descriptorFault } from './descriptors.ts'
import { type DialFailure, type Pipe, type PipeEvents, type Pipes, REFUSED } from './pipe.ts'

class BunPipe implements Pipe {
  readonly socket: Socket<BunPipe>
  readonly remote: string
  readonly local: string
  readonly toItself: boolean
  events: PipeEvents | null = null
  /** Owned copies of what the kernel has not taken yet. */
  private queue: Uint8Array[] = []
  private queued = 0
  private ending = false
  private closed = false

  constructor(socket: Socket<BunPipe>) {
    this.socket = socket
    // Undefined, whatever the types say, where the other side has gone again already.
    this.remote = plainIp(socket.remoteAddress ?? '')
    this.local = plainIp(socket.localAddress ?? '')
    this.toItself = this.remote === this.local && socket.remotePort === socket.localPort
    socket.setNoDelay(true)
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ending) return
    let sent = 0
    if (this.queued === 0) sent = Math.max(0, this.socket.write(bytes))
    if (sent === bytes.length) return
    this.queue.push(bytes.slice(sent))
    this.queued += bytes.length - sent
  }

  backlog(): number {
    return this.queued
  }

  end(): void {
    if (this.closed || this.ending) return
    this.ending = true
    if (this.queued === 0) this.socket.end()
  }

  destroy(): void {
    this.events = null
    if (this.closed) return
    this.closed = true
    this.socket.terminate()
  }

  onDrain(): void {
    let sentAll = 0
    for (const chunk of this.queue) {
      const sent = Math.max(0, this.socket.write(chunk))
      this.queued -= sent
      if (sent < chunk.length) {
        this.queue[sentAll] = chunk.subarray(sent)
        break
      }
      sentAll++
    }
    this.queue.splice(0, sentAll)
    if (this.queued > 0) return
    if (this.ending) this.socket.end()
    else this.events?.onDrain()
  }

  onClose(why: string): void {
    if (this.closed) return
    this.closed = true
    this.events?.onClose(why)
  }
}

function handlers(onPipe: (pipe: Pipe) => void): SocketHandler<BunPipe> {
  return {
    binaryType: 'uint8array',
    open: (socket) => {
      socket.data = new BunPipe(socket)
      onPipe(socket.data)
    },
    data: (socket, bytes) => socket.data?.events?.onData(bytes),
    drain: (socket) => socket.data?.onDrain(),
    close: (socket, error) =>
      socket.data?.onClose(error === undefined ? 'closed by the other side' : describe(error).why),
    error: (_socket, error) => {
      // Failures of the socket itself have a code and are followed by close; anything else was thrown by us.
      if (!('code' in error)) queueMicrotask(() => Promise.reject(error))
    },
  }
}

/** Bun says ECONNREFUSED also where it has got no descriptor for a socket. */
function describe(error: unknown): DialFailure {
  let { code } = error as { code?: string }
  if (code === 'ECONNREFUSED') code = descriptorFault() ?? code
  return { refused: code === 'ECONNREFUSED', why: code ?? (error instanceof Error ? error.message : String(error)) }
}

export const pipesBun: Pipes = {
  async listen(address: ListenAddress, onPipe) {
    const bind = (hostname: string) => Bun.listen<BunPipe>({ hostname, port: address.port, socket: handlers(onPipe) })
    let listener: ReturnType<typeof bind>
    try {
      listener = bind(address.host ?? '::')
    } catch (error) {
      if (address.host !== null || describe(error).why === 'EADDRINUSE') throw error
      listener = bind('0.0.0.0') // a machine without IPv6
    }
    return { port: listener.port, stop: () => listener.stop(false) }
  },

  dial(to, timeoutMs, onPipe, onFail) {
    let over = false
    const finish = (): boolean => {
      if (over) return false
      over = true
      clearTimeout(timer)
      return true
    }
    const timer = setTimeout(() => {
      if (finish()) onFail({ refused: false, why: `no answer within ${timeoutMs} ms` })
    }, timeoutMs)
    const opened = (pipe: Pipe) => {
      if (!finish()) pipe.destroy()
      else if (!(pipe as BunPipe).toItself) onPipe(pipe)
      else {
        pipe.destroy()
        onFail(REFUSED)
      }
    }
    // Where there is no route Bun tells it before connect() has returned.
    const failed = (_socket: unknown, error: unknown) =>
      queueMicrotask(() => {
        if (finish()) onFail(describe(error))
      })
    const socket = { ...handlers(opened), connectError: failed }
    Bun.connect<BunPipe>({ hostname: to.host, port: to.port, socket }).catch((error) => failed(null, error))
    return () => void finish()
  },
}
