// Memory: how much of this machine's a node may fill with messages, where its operator has not said.
import { totalmem } from 'node:os'
import process from 'node:process'

const SHARE = 4
const LEAST = 16 * 1024 * 1024

/**
 * A quarter of the memory, within reason: what a server may keep would be the end of a small device.
 * @param most bytes, however much there is
 */
export function memoryShare(most: number, machine = machineBytes()): number {
  return Math.min(most, Math.max(LEAST, Math.floor(machine / SHARE)))
}

/** What this process may use: a container's bound, or all there is. */
function machineBytes(): number {
  const bound = process.constrainedMemory?.() ?? 0
  return bound > 0 ? Math.min(bound, totalmem()) : totalmem()
}
