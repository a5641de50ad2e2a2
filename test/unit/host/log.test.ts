// Log: a line for people is one line, whatever is in it.
import process from 'node:process'
import { Log, type LogFormat } from '../../../src/host/log.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('log')

/** What is written, without the time. */
function written(message: string, format: LogFormat = 'text'): string {
  const { write } = process.stderr
  let text = ''
  process.stderr.write = (chunk: string | Uint8Array) => {
    text += chunk
    return true
  }
  try {
    new Log('a', 'info', format).warn(message)
  } finally {
    process.stderr.write = write
  }
  return text.replace(/^\S+Z /, '')
}

test('what others have written cannot end a line, nor speak to the terminal', () => {
  assert.is(
    written('name x\n2026-01-01T00:00:00.000Z a info: all is well'),
    'a warn: name x\\n2026-01-01T00:00:00.000Z a info: all is well\n',
  )
  assert.is(
    written('a\r\u001b[2J\u0000\u007f\u009b0m\u2028b'),
    'a warn: a\\r\\u001b[2J\\u0000\\u007f\\u009b0m\\u2028b\n',
  )
  assert.is(written('käse → 🙂'), 'a warn: käse → 🙂\n')
})

test('JSON is one line too, with the message as it is', () => {
  const line = written('x\n\u009b', 'json')
  assert.is(line.trimEnd().split('\n').length, 1)
  assert.is(JSON.parse(line).message, 'x\n\u009b')
})

test('a stack trace stays readable: its lines begin with spaces, as no other does', () => {
  assert.is(written('Error: x\ny\n    at f (a.ts:1)\n    at g'), 'a warn: Error: x\\ny\n    at f (a.ts:1)\n    at g\n')
})

test.run()
