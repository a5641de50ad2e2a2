// Clock: the two clocks the core is told of. Monotonic milliseconds that never step back, and the wall's. Knows no timers.

let last = 0

/** Milliseconds since the process started. */
export function monotonicMs(): number {
  const now = performance.now()
  if (now > last) last = now
  return last
}

/** Milliseconds since 1970; may step in either direction. */
export function wallMs(): number {
  return Date.now()
}
