// Arguments and TOML: what cac and a flat file give, with values exactly as they were written.
import { parseArguments } from '../../../src/cli/arguments.ts'
import { parseToml } from '../../../src/cli/toml.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('arguments')
const flags = [
  { name: 'topic', short: 't', value: 'TOPIC', list: true },
  { name: 'message', short: 'm', value: 'TEXT' },
  { name: 'retain', short: 'r', value: null },
  { name: 'no-eol', short: 'N', value: null },
  { name: 'will-qos0-x', value: 'X' },
]
const parse = (...args: string[]) => Object.fromEntries(parseArguments('pub', args, flags))

for (const value of [
  '007',
  '1e3',
  '0x10',
  '-5',
  '--message',
  '-t',
  '',
  ' ',
  'a=b',
  'true',
  'false',
  '{"a":1}',
  'ä/#',
  '__proto__',
]) {
  test(`the value ${JSON.stringify(value)} stays what it is`, () => {
    assert.equal(parse('-m', value), { message: [value] })
    assert.equal(parse(`--message=${value}`), { message: [value] })
    assert.equal(parse('-r', '-m', value, '-N'), { message: [value], retain: [''], 'no-eol': [''] })
  })
}

test('lists keep their order, long and short names are the same', () => {
  assert.equal(parse('-t', '1', '--topic', '2', '--topic=3'), { topic: ['1', '2', '3'] })
  assert.equal(parse('--will-qos0-x', '1'), { 'will-qos0-x': ['1'] })
})

for (const [args, message] of [
  [['--mesage', 'x'], /--mesage is not a flag of tandemq pub/],
  [['-x', 'x'], /-x is not a flag/],
  [['-m'], /-m needs a value \(TEXT\)/],
  [['-m', '1', '-m', '2'], /--message is given twice/],
  [['--retain=yes'], /--retain takes no value/],
  [['word'], /"word" is not expected/],
  [['--', 'word'], /not a flag|not expected/],
] as const) {
  test(`${args.join(' ')} is refused`, () => {
    assert.throws(() => parse(...args), message)
  })
}

test('TOML: strings, numbers, booleans, arrays over lines, comments', () => {
  const text = `# a comment
name = "a \\"quoted\\" # not a comment" # a comment
'x' = 1`.replace("'x'", 'x')
  const entries = parseToml(
    `${text}
literal = 'C:\\dir'
"quoted-key" = -1_000
on = true
list = [ # a comment with ]
  "a]", 'b', # more
  3,
]
empty = []
`,
    'file',
  )
  assert.equal(Object.fromEntries(entries), {
    name: 'a "quoted" # not a comment',
    x: 1,
    literal: 'C:\\dir',
    'quoted-key': -1000,
    on: true,
    list: ['a]', 'b', 3],
    empty: [],
  })
})

for (const text of [
  'a',
  'a =',
  'a = "x',
  'a = 1.5',
  'a = 1 2',
  'a = [1',
  'a = [1 2]',
  'a.b = 1',
  'a = """x"""',
  'a = 2026-01-01',
]) {
  test(`TOML: ${JSON.stringify(text)} is refused with its line`, () => {
    assert.throws(() => parseToml(text, 'file'), /^--config: file line 1: /)
  })
}

test.run()
