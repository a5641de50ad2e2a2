// ShareGroup: whose turn it is, by each strategy; who is passed over; what joins and leaves change.
import { LIMITS } from '../../../src/base/limits.ts'
import { Prng } from '../../../src/base/prng.ts'
import { type Judge, Rank, SHARED_STRATEGIES, type SharedStrategy, ShareGroup } from '../../../src/topic/share_group.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('share group')

type Member = { readonly name: string; rank: Rank; load: number }
let looks = 0
const judge: Judge<Member> = {
  rank: (m) => {
    looks++
    return m.rank
  },
  load: (m) => m.load,
}

function group(...names: string[]): { group: ShareGroup<Member>; members: Member[] } {
  const g = new ShareGroup<Member>('$share/g/t')
  const members = names.map((name): Member => ({ name, rank: Rank.online, load: 0 }))
  for (const m of members) g.add(m)
  return { group: g, members }
}

const prng = new Prng(5)
const pick = (g: ShareGroup<Member>, strategy: SharedStrategy = 'round-robin', publisher = 'p') =>
  g.pick(strategy, judge, publisher, prng)?.name ?? '-'
const picks = (g: ShareGroup<Member>, n: number, strategy?: SharedStrategy) =>
  Array.from({ length: n }, () => pick(g, strategy)).join('')

test('round-robin takes each in turn, and looks once while all are online', () => {
  const { group: g } = group('a', 'b', 'c')
  looks = 0
  assert.is(picks(g, 7), 'abcabca')
  assert.is(looks, 7)
})

test('round-robin: who is offline is passed over, and has its turn again', () => {
  const { group: g, members } = group('a', 'b', 'c')
  members[1]!.rank = Rank.offline
  assert.is(picks(g, 4), 'acac')
  members[1]!.rank = Rank.online
  assert.is(picks(g, 4), 'abca')
})

test('who joins comes last; who leaves takes nobody’s turn along', () => {
  const { group: g, members } = group('a', 'b', 'c')
  assert.is(picks(g, 2), 'ab')
  g.remove(members[0]!)
  assert.is(picks(g, 2), 'cb')
  g.add({ name: 'd', rank: Rank.online, load: 0 })
  assert.is(picks(g, 3), 'cbd')
  g.remove(members[1]!)
  assert.is(picks(g, 2), 'cd')
  g.remove(members[2]!)
  assert.is(picks(g, 2), 'dd')
})

for (const strategy of SHARED_STRATEGIES) {
  test(`${strategy}: online before offline before full, and nobody where nobody can`, () => {
    const { group: g, members } = group('a', 'b', 'c', 'd')
    const ranks = (...to: Rank[]) => {
      for (const [i, rank] of to.entries()) members[i]!.rank = rank
    }
    ranks(Rank.none, Rank.offline, Rank.online, Rank.full)
    assert.is(picks(g, 20, strategy), 'c'.repeat(20))
    ranks(Rank.none, Rank.offline, Rank.none, Rank.full)
    assert.is(picks(g, 20, strategy), 'b'.repeat(20))
    ranks(Rank.none, Rank.none, Rank.none, Rank.full)
    assert.is(picks(g, 20, strategy), 'd'.repeat(20))
    ranks(Rank.none, Rank.none, Rank.none, Rank.none)
    assert.is(picks(g, 2, strategy), '--')
    assert.is(pick(new ShareGroup<Member>('$share/g/t'), strategy), '-')
  })

  test(`${strategy}: only members are ever picked, whoever comes and goes`, () => {
    const { group: g, members } = group('0')
    const dice = new Prng(11)
    for (let i = 1; i < 3000; i++) {
      const what = dice.int(0, 9)
      if (what === 0) {
        members.push({ name: `${i}`, rank: Rank.online, load: 0 })
        g.add(members.at(-1)!)
      } else if (what === 1 && members.length > 0) {
        const [gone] = members.splice(dice.int(0, members.length - 1), 1)
        g.remove(gone!)
      } else if (what === 2 && members.length > 0) {
        const at = dice.int(0, members.length - 1)
        const other = { ...members[at]!, name: `${i}` }
        g.replace(members[at]!, other)
        members[at] = other
      } else if (members.length > 0) dice.pick(members).rank = dice.pick([0, 0, 0, 1, 2, 3] as const)
      const name = pick(g, strategy, `p${dice.int(0, 5)}`)
      const best = Math.min(3, ...members.map((m) => m.rank))
      if (best === Rank.none) assert.is(name, '-')
      else assert.is(members.find((m) => m.name === name)?.rank, best)
    }
  })
}

test('random: all of the best, about alike; the same again from the same seed', () => {
  const { group: g, members } = group('a', 'b', 'c', 'd')
  members[0]!.rank = Rank.offline
  const run = (seed: number) => {
    const dice = new Prng(seed)
    return Array.from({ length: 3000 }, () => g.pick('random', judge, 'p', dice)!.name).join('')
  }
  const names = run(3)
  assert.is(run(3), names)
  assert.is.not(run(4), names)
  for (const name of 'bcd') {
    const count = names.split(name).length - 1
    assert.ok(count > 850 && count < 1150, `${name}: ${count}`)
  }
})

test('sticky: each publisher stays with its member until that one is not online', () => {
  const { group: g, members } = group('a', 'b', 'c', 'd')
  const first = new Map(Array.from({ length: 40 }, (_, i) => [`p${i}`, pick(g, 'sticky', `p${i}`)]))
  assert.is(new Set(first.values()).size, 4, 'publishers are spread')
  for (const [publisher, name] of first) assert.is(pick(g, 'sticky', publisher), name)
  const gone = members.find((m) => m.name === first.get('p0'))!
  gone.rank = Rank.offline
  const second = pick(g, 'sticky', 'p0')
  assert.is.not(second, gone.name)
  gone.rank = Rank.online
  assert.is(pick(g, 'sticky', 'p0'), second, 'stays with the new one')
  for (const [publisher, name] of first) if (name !== gone.name) assert.is(pick(g, 'sticky', publisher), name)
})

test('sticky: other options of a member change nothing; what is remembered is bounded', () => {
  const { group: g, members } = group('a', 'b', 'c', 'd')
  const name = pick(g, 'sticky')
  const old = members.find((m) => m.name === name)!
  g.replace(old, { ...old })
  assert.is(pick(g, 'sticky'), name)
  for (let i = 0; i < LIMITS.stickyPublishersMax * 2; i++) pick(g, 'sticky', `many${i}`)
  const { size } = (g as unknown as { stuck: Map<string, unknown> }).stuck
  assert.ok(size > 0 && size <= LIMITS.stickyPublishersMax, `${size}`)
})

test('thousands come and go in a moment', () => {
  const { group: g } = group()
  const many = Array.from({ length: 100_000 }, (_, i): Member => ({ name: `${i}`, rank: Rank.online, load: 0 }))
  for (const m of many) g.add(m)
  assert.is(g.size, many.length)
  for (const m of many) {
    assert.is.not(pick(g), '-')
    g.remove(m)
  }
  assert.is(g.size, 0)
  assert.is(pick(g), '-')
})

test('least-inflight: the one with the least under way; where equal, by turns', () => {
  const { group: g, members } = group('a', 'b', 'c')
  assert.is(picks(g, 6, 'least-inflight'), 'abcabc')
  members[0]!.load = 5
  members[1]!.load = 2
  members[2]!.load = 9
  assert.is(picks(g, 6, 'least-inflight'), 'bbbbbb')
  members[1]!.rank = Rank.offline
  assert.is(picks(g, 3, 'least-inflight'), 'aaa')
})

test('least-inflight: who is not known gets its share by turns', () => {
  const { group: g, members } = group('a', 'b', 'x')
  members[2]!.load = -1
  members[0]!.load = 7
  members[1]!.load = 1
  assert.is(picks(g, 9, 'least-inflight'), 'bbxbbxbbx')
})

test.run()
