// Random: topics and filters over a small alphabet, so that they meet often; empty levels and `$` included.
import type { Prng } from '../../../src/base/prng.ts'

const FIRST = ['a', 'b', 'c', '', '$SYS', '$x']
const LEVELS = ['a', 'b', 'c', '', '$SYS']

export function randomTopic(prng: Prng): string {
  const levels = [prng.pick(FIRST)]
  for (let n = prng.int(0, 3); n > 0; n--) levels.push(prng.pick(LEVELS))
  const topic = levels.join('/')
  return topic === '' ? 'a' : topic
}

export function randomFilter(prng: Prng): string {
  const levels = randomTopic(prng)
    .split('/')
    .map((level) => (prng.chance(0.3) ? '+' : level))
  if (prng.chance(0.3)) levels.splice(prng.int(0, levels.length), levels.length, '#')
  return levels.join('/')
}
