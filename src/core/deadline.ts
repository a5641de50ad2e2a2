// Deadline: wall-clock deadlines of the disk become monotonic ones.

/** @param wallAt wall-clock ms; 0: none, which becomes Infinity */
export function deadlineOf(wallAt: number, wall: number, now: number): number {
  return wallAt === 0 ? Number.POSITIVE_INFINITY : now + Math.max(0, wallAt - wall)
}
