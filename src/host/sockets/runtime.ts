// Runtime: which TCP sockets there are on the runtime that this is, for clients and for the link. Knows no socket itself.
import type { ListenAddress } from '../address.ts'
import type { Loop } from '../loop.ts'
import type { Listener, ListenOptions } from './listener.ts'
import type { Pipes } from './pipe.ts'

const isBun = 'Bun' in globalThis

/** @throws {OperatorFault} where the address cannot be bound */
export async function listenClients(address: ListenAddress, loop: Loop, options: ListenOptions): Promise<Listener> {
  if (isBun) return (await import('./listener_bun.ts')).listenBun(address, loop, options)
  return (await import('./listener_node.ts')).listenNode(address, loop, options)
}

export async function loadPipes(): Promise<Pipes> {
  if (isBun) return (await import('./pipe_bun.ts')).pipesBun
  return (await import('./pipe_node.ts')).pipesNode
}
