// Assert: how our own bugs end the process. Knows nothing of clients', peers' or operators' faults (see fault.ts).

/** A broken promise inside TandeMQ itself: the process must stop and recover from what is durable. */
export class Bug extends Error {
  override name = 'Bug'
}

/**
 * Stops the process' current turn when `condition` is false.
 * @param message constant text; never a template, it would be built even when the condition holds
 * @throws {Bug}
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Bug(message)
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Bug(`unreachable: ${JSON.stringify(value)}`)
}

/** Documents that both outcomes are fine, so that the reader knows somebody looked. */
export function maybe(_condition: boolean): void {}
