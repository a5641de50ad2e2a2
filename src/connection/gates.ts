// Gates: how much of a connection's output may leave. Pairs (offset, turn) in one array: from the offset on, bytes wait until the turn
// is released. Functions over the array, because most connections have no gate and shall hold nothing for one. Knows no bytes.

/** Shared by all connections without gates. */
export const NO_GATES: number[] = Object.freeze([]) as unknown as number[]

/** Another gate behind those there are, unless the last one opens late enough for it. @returns the array from now on */
export function addGate(gates: number[], offset: number, turn: number): number[] {
  if (gates === NO_GATES) return [offset, turn]
  if ((gates[gates.length - 1] as number) < turn) gates.push(offset, turn)
  return gates
}

/** Where in the array the first gate stands that is shut; its length when none is. */
export function firstShut(gates: readonly number[], released: number): number {
  let at = 0
  while (at < gates.length && (gates[at + 1] as number) <= released) at += 2
  return at
}

/** What is left of them once `taken` bytes have gone and all before `shut` are open. */
export function gatesFrom(gates: readonly number[], shut: number, taken: number): number[] {
  if (shut === gates.length) return NO_GATES
  const rest = gates.slice(shut)
  for (let i = 0; i < rest.length; i += 2) rest[i] = (rest[i] as number) - taken
  return rest
}
