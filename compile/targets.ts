// Targets: the machines TandeMQ is compiled for, and what a file made for each of them must look like.

export type Target = { readonly name: string; readonly bun: string; readonly format: Format; readonly machine: Machine }
export type Format = 'ELF' | 'Mach-O' | 'PE'
export type Machine = 'x64' | 'arm64'

export const TARGETS: readonly Target[] = [
  { name: 'linux-x64', bun: 'bun-linux-x64', format: 'ELF', machine: 'x64' },
  { name: 'linux-arm64', bun: 'bun-linux-arm64', format: 'ELF', machine: 'arm64' },
  { name: 'linux-x64-musl', bun: 'bun-linux-x64-musl', format: 'ELF', machine: 'x64' },
  { name: 'linux-arm64-musl', bun: 'bun-linux-arm64-musl', format: 'ELF', machine: 'arm64' },
  { name: 'darwin-arm64', bun: 'bun-darwin-arm64', format: 'Mach-O', machine: 'arm64' },
  { name: 'darwin-x64', bun: 'bun-darwin-x64', format: 'Mach-O', machine: 'x64' },
  { name: 'windows-x64', bun: 'bun-windows-x64', format: 'PE', machine: 'x64' },
]

/** Reads the file's own header, so that a target that silently became another machine's is noticed. */
export function inspect(head: Uint8Array): { format: Format; machine: Machine | string; libc: string } {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (view.getUint32(0) === 0x7f454c46) {
    const machine = view.getUint16(18, true)
    return { format: 'ELF', machine: named(machine, { 62: 'x64', 183: 'arm64' }), libc: elfInterpreter(head) }
  }
  if (view.getUint32(0, true) === 0xfeedfacf) {
    const machine = view.getUint32(4, true)
    return { format: 'Mach-O', machine: named(machine, { 16777223: 'x64', 16777228: 'arm64' }), libc: '' }
  }
  if (view.getUint16(0) === 0x4d5a) {
    const machine = view.getUint16(view.getUint32(0x3c, true) + 4, true)
    return { format: 'PE', machine: named(machine, { 34404: 'x64', 43620: 'arm64' }), libc: '' }
  }
  throw new Error('neither ELF, Mach-O nor PE')
}

function named(machine: number, names: Record<number, Machine>): Machine | string {
  return names[machine] ?? `0x${machine.toString(16)}`
}

/** The dynamic loader (PT_INTERP) tells glibc from musl. */
function elfInterpreter(head: Uint8Array): string {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const table = Number(view.getBigUint64(32, true))
  const entryBytes = view.getUint16(54, true)
  const entries = view.getUint16(56, true)
  for (let i = 0; i < entries; i++) {
    const at = table + i * entryBytes
    if (view.getUint32(at, true) !== 3) continue
    const start = Number(view.getBigUint64(at + 8, true))
    const path = new TextDecoder().decode(head.subarray(start, start + Number(view.getBigUint64(at + 32, true)) - 1))
    return path.includes('musl') ? 'musl' : 'glibc'
  }
  return 'static'
}
