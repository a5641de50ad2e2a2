// Pieces: a long list cut into shorter ones by what its items weigh. Knows nothing of what they are.

/** The same items in the same order; none of the pieces weighs more than `most` and one item. No items: no pieces. */
export function piecesOf<T>(items: readonly T[], weigh: (item: T) => number, most: number): T[][] {
  const pieces: T[][] = []
  let piece: T[] = []
  let weight = 0
  for (const item of items) {
    piece.push(item)
    weight += weigh(item)
    if (weight < most) continue
    pieces.push(piece)
    piece = []
    weight = 0
  }
  if (piece.length > 0) pieces.push(piece)
  return pieces
}
