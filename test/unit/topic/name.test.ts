// Name test: what is well formed, and the reference for matching, by the examples of the standard.
import { LIMITS } from '../../../src/base/limits.ts'
import {
  canonicalFilter,
  covers,
  isShared,
  isSys,
  matches,
  overlaps,
  shareName,
  topicFilter,
  validFilter,
  validTopicName,
} from '../../../src/topic/name.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('topic/name')

function all(check: (text: string) => boolean, expected: boolean, texts: readonly string[]): void {
  for (const text of texts) assert.is(check(text), expected, JSON.stringify(text))
}

test('validTopicName takes spaces, empty levels, any case and any letter', () => {
  all(validTopicName, true, [
    'a',
    '/',
    '//',
    '/a',
    'a/',
    ' ',
    'Accounts payable',
    '$SYS/x',
    '温度/🌡',
    '\u0001',
    '\ufeffa',
  ])
})

test('[MQTT-4.7.3-1] names and filters have at least one character', () => {
  assert.not(validTopicName(''))
  assert.not(validFilter(''))
  assert.not(validFilter('$share/g/'))
})

test('[MQTT-4.7.3-2] names and filters have no U+0000', () => {
  all(validTopicName, false, ['\0', 'a\0', 'a/\0/b'])
  all(validFilter, false, ['\0', 'a\0', '+/\0/#', '$share/g\0/a', '$share/g/a\0'])
})

test('[MQTT-4.7.0-1] [MQTT-3.3.2-2] a name has no wildcards', () => {
  all(validTopicName, false, ['#', '+', 'a/#', 'a/+/b', 'a#', 'a+b'])
})

test('[MQTT-4.7.1-1] # stands alone in the last level', () => {
  all(validFilter, true, ['#', '/#', 'a/#', '+/#', '$SYS/#', 'sport/tennis/#'])
  all(validFilter, false, ['a#', 'sport/tennis#', 'sport/tennis/#/ranking', '#/', '##', '+#', '#+', '/a#'])
})

test('[MQTT-4.7.1-2] + takes a whole level', () => {
  all(validFilter, true, ['+', '+/', '/+', '+/+', '+/tennis/#', 'sport/+/player1', 'a/+'])
  all(validFilter, false, ['sport+', '+a', 'a/+b', 'a/b+/c', '++'])
})

test('names and filters have a bounded number of levels, not counting a share name', () => {
  const most = 'a/'.repeat(LIMITS.topicLevelsMax - 1) + 'a'
  all(validTopicName, true, [most])
  all(validFilter, true, [most, `$share/g/${most}`])
  all(validTopicName, false, [most + '/'])
  all(validFilter, false, [most + '/', most + '/#', `$share/g/${most}/`])
})

test('[MQTT-4.8.2-1] a share name has at least one character', () => {
  all(validFilter, true, ['$share/g/a', '$share/g/#', '$share/g/+/a', '$share/g//', '$share/consumer 1//finance'])
  all(validFilter, false, ['$share/', '$share//', '$share//a'])
})

test('[MQTT-4.8.2-2] a share name has no wildcard, and a filter behind it', () => {
  all(validFilter, false, ['$share/g', '$share/+/a', '$share/#/a', '$share/g+/a', '$share/#', '$share/g/a#'])
})

test('isShared goes by the prefix alone', () => {
  all(isShared, true, ['$share/g/a', '$share/', '$share//', '$queue/a', '$queue/'])
  all(isShared, false, ['$share', '$SHARE/g/a', '/$share/g/a', 'a', '$shared/g/a', '$queue', '$queues/a'])
})

test('$queue/{filter} is the group $queue', () => {
  all(validFilter, true, ['$queue/a', '$queue//', '$queue/+/#'])
  all(validFilter, false, ['$queue/', '$queue/a#'])
  assert.is(canonicalFilter('$queue/a/#'), '$share/$queue/a/#')
  for (const same of ['a', '$queue', '$share/$queue/a']) assert.is(canonicalFilter(same), same)
})

test('the share name of a filter', () => {
  assert.is(shareName('$share/g/a/#'), 'g')
  assert.is(shareName('$share/$queue/a'), '$queue')
  assert.is(shareName('share/g/a'), null)
})

test('a topic is matched by what follows the share name', () => {
  assert.is(topicFilter('$share/g/a/#'), 'a/#')
  assert.is(topicFilter('$share/g//a'), '/a')
  assert.is(topicFilter('$share/$queue/$SYS/#'), '$SYS/#')
  assert.is(topicFilter('$SYS/#'), '$SYS/#')
})

type Case = readonly [filter: string, yes: readonly string[], no: readonly string[]]
const CASES: readonly Case[] = [
  ['sport/tennis/player1/#', ['sport/tennis/player1', 'sport/tennis/player1/score/wimbledon'], ['sport/tennis/player']],
  ['sport/#', ['sport', 'sport/', 'sport/a/b'], ['sports', 'Sport', '/sport']],
  ['#', ['a', '/', '/a/b'], []],
  ['sport/tennis/+', ['sport/tennis/player1', 'sport/tennis/'], ['sport/tennis', 'sport/tennis/player1/ranking']],
  ['sport/+', ['sport/', 'sport/a', 'sport/$a'], ['sport']],
  ['+', ['finance', ' '], ['/finance', 'a/']],
  ['+/+', ['/finance', '/', 'a/b'], ['finance', 'a/b/c']],
  ['/+', ['/finance'], ['finance']],
  ['+/tennis/#', ['sport/tennis', '/tennis/a/b'], ['tennis', 'sport/golf']],
  ['a/+/#', ['a/b', 'a/b/c', 'a/'], ['a']],
  ['a', ['a'], ['A', 'a/', '/a', ' a']],
]

test('matches follows the examples of the standard', () => {
  for (const [filter, yes, no] of CASES) {
    for (const topic of yes) assert.ok(matches(filter, topic), `${filter} matches ${topic}`)
    for (const topic of no) assert.not(matches(filter, topic), `${filter} does not match ${topic}`)
  }
})

test('[MQTT-4.7.2-1] a filter that begins with a wildcard matches no topic that begins with $', () => {
  for (const filter of ['#', '+', '+/#', '+/monitor/Clients', '+/+']) {
    for (const topic of ['$SYS', '$SYS/monitor/Clients', '$SYS/a', '$']) assert.not(matches(filter, topic))
  }
  assert.ok(matches('$SYS/#', '$SYS/a'))
  assert.ok(matches('$SYS/#', '$SYS'))
  assert.ok(matches('$SYS/monitor/+', '$SYS/monitor/Clients'))
})

test('[MQTT-4.7.3-4] names are compared as they are, in no normal form', () => {
  assert.not(matches('caf\u00e9', 'cafe\u0301'))
  assert.not(matches('ACCOUNTS', 'Accounts'))
})

/** All sequences of up to `most` of these levels. */
function paths(levels: readonly string[], most: number): string[] {
  const all: string[] = []
  let last: string[][] = [[]]
  for (let n = 0; n < most; n++) {
    last = last.flatMap((path) => levels.map((level) => [...path, level]))
    all.push(...last.map((path) => path.join('/')))
  }
  return all
}

test('[MQTT-4.7.2-1] covers and overlaps say what matches says of all topics', () => {
  // `b` and `$y` stand for all levels that no filter names; topics are one level deeper than filters.
  const topics = paths(['a', '', '$x', 'b', '$y'], 4).filter(validTopicName)
  const filters = paths(['a', '', '$x', '+', '#'], 3).filter(validFilter)
  const matched = new Map(filters.map((filter) => [filter, topics.map((topic) => matches(filter, topic))]))
  let covered = 0
  let apart = 0
  for (const [wide, outer] of matched) {
    for (const [narrow, inner] of matched) {
      const covering = inner.every((is, i) => !is || outer[i])
      const overlapping = inner.some((is, i) => is && outer[i])
      if (covering) covered++
      if (!overlapping) apart++
      assert.is(covers(wide, narrow), covering, `${wide} covers ${narrow}`)
      assert.is(overlaps(wide, narrow), overlapping, `${wide} overlaps ${narrow}`)
    }
  }
  assert.ok(covered > filters.length && apart > 1000, `${covered} cover, ${apart} are apart`)
})

test('covers, by example', () => {
  const yes = [
    ['#', 'a/+/b'],
    ['+/#', '#'],
    ['#', '+'],
    ['a/#', 'a'],
    ['a/+', 'a/b'],
    ['a/+/#', 'a/b/#'],
    ['$SYS/#', '$SYS/broker/+'],
  ] as const
  for (const [wide, narrow] of yes) assert.ok(covers(wide, narrow), `${wide} covers ${narrow}`)
  const no = [
    ['a/+', 'a/#'],
    ['a/+/#', 'a/#'],
    ['a', '+'],
    ['+', 'a/b'],
    ['#', '$SYS/#'],
    ['+/#', '$x'],
    ['$SYS/#', '#'],
  ] as const
  for (const [wide, narrow] of no) assert.not(covers(wide, narrow), `${wide} does not cover ${narrow}`)
})

test('$SYS and all below it are the broker’s own, and nothing else', () => {
  for (const name of ['$SYS', '$SYS/', '$SYS/broker/uptime', '$SYS/#', '$SYS/+/x']) assert.ok(isSys(name), name)
  for (const name of ['', '$', '$SY', '$SYSTEM', '$SYS2/x', '$sys/x', 'SYS', '/$SYS', 'a/$SYS/b', '$share/g/$SYS/#'])
    assert.not(isSys(name), name)
})

test.run()
