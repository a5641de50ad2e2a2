// PipeNode: pipes over node:net, for Deno (and Node). Knows nothing of what they carry.
import { connect, createServer, type Socket } from 'node:net'
import { plainIp } from '../address.ts'
import { type Pipe, type PipeEvents, type Pipes, REFUSED } from './pipe.ts'

class NodePipe implements Pipe {
  readonly remote: string
  readonly local: string
  events: PipeEvents | null = null
  private readonly socket: Socket
  private why = 'closed by the other side'

  constructor(socket: Socket) {
    this.socket = socket
    this.remote = plainIp(socket.remoteAddress ?? '')
    this.local = plainIp(socket.localAddress ?? '')
    socket.setNoDelay(true)
    socket.on('data', (bytes: Uint8Array) => this.events?.onData(bytes))
    socket.on('drain', () => this.events?.onDrain())
    socket.on('error', (error: Error & { code?: string }) => {
      this.why = error.code ?? error.message
    })
    socket.on('close', () => this.events?.onClose(this.why))
  }

  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.write(bytes.slice())
  }

  backlog(): number {
    return this.socket.writableLength
  }

  end(): void {
    this.socket.end(() => this.socket.destroy())
  }

  destroy(): void {
    this.events = null
    this.socket.destroy()
  }
}

export const pipesNode: Pipes = {
  listen(address, onPipe) {
    const { promise, resolve, reject } = Promise.withResolvers<{ port: number; stop(): void }>()
    const bind = (host: string) => {
      const server = createServer((socket) => onPipe(new NodePipe(socket)))
      server.once('error', (error: Error & { code?: string }) => {
        if (address.host === null && host === '::' && error.code !== 'EADDRINUSE') bind('0.0.0.0')
        else reject(error)
      })
      server.listen({ host, port: address.port }, () => {
        const bound = server.address()
        const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
        resolve({ port, stop: () => void server.close() })
      })
    }
    bind(address.host ?? '::')
    return promise
  },

  dial(to, timeoutMs, onPipe, onFail) {
    let over = false
    const socket = connect({ host: to.host, port: to.port })
    const finish = (): boolean => {
      if (over) return false
      over = true
      clearTimeout(timer)
      return true
    }
    const timer = setTimeout(() => {
      if (!finish()) return
      socket.destroy()
      onFail({ refused: false, why: `no answer within ${timeoutMs} ms` })
    }, timeoutMs)
    socket.once('error', (error: Error & { code?: string }) => {
      if (finish()) onFail({ refused: error.code === 'ECONNREFUSED', why: error.code ?? error.message })
    })
    socket.once('connect', () => {
      if (!finish()) socket.destroy()
      else if (socket.remotePort !== socket.localPort || socket.remoteAddress !== socket.localAddress) {
        onPipe(new NodePipe(socket))
      } else {
        socket.destroy()
        onFail(REFUSED)
      }
    })
    return () => {
      if (finish()) socket.destroy()
    }
  },
}
