// Terminal: texts asked for without showing them; from a pipe, one line each. Knows not what they are for.
import { utf8Text } from '../base/bytes.ts'
import { Failure } from './failure.ts'

type In = typeof import('node:process').stdin
type Out = { write(text: string): unknown }

/** As a shell reports a command that Ctrl+C has ended. */
const EXIT_INTERRUPTED = 130
const CTRL_C = 0x03
const CTRL_D = 0x04
const BACKSPACE = 0x08
const LINE_FEED = 0x0a
const RETURN = 0x0d
const CTRL_U = 0x15
const DELETE = 0x7f

/** @param prompts shown on a terminal only, one a text @throws {Failure} when the input ends before */
export async function readSecrets(input: In, output: Out, prompts: readonly string[]): Promise<string[]> {
  const shown = input.isTTY === true
  const texts: string[] = []
  let bytes: number[] = []
  if (shown) {
    input.setRawMode(true)
    output.write(prompts[0] as string)
  }
  try {
    for await (const chunk of input) {
      for (const byte of chunk as Uint8Array) {
        if (shown && byte === CTRL_C) throw new Failure('', EXIT_INTERRUPTED)
        if (shown && byte === CTRL_D) throw new Failure('no password')
        if (byte !== LINE_FEED && !(shown && byte === RETURN)) {
          if (shown && (byte === BACKSPACE || byte === DELETE)) eraseLast(bytes)
          else if (shown && byte === CTRL_U) bytes = []
          else bytes.push(byte)
          continue
        }
        if (shown) output.write('\n')
        texts.push(lineOf(bytes))
        bytes = []
        if (texts.length === prompts.length) return texts
        if (shown) output.write(prompts[texts.length] as string)
      }
    }
  } finally {
    if (shown) input.setRawMode(false)
  }
  // The last line of a pipe may do without its end.
  if (bytes.length > 0) texts.push(lineOf(bytes))
  if (texts.length < prompts.length) throw new Failure('the password must come twice, a line each')
  return texts
}

function lineOf(bytes: number[]): string {
  if (bytes.at(-1) === RETURN) bytes.pop()
  const text = utf8Text(Uint8Array.from(bytes))
  if (text === null) throw new Failure('the password is not UTF-8 text')
  return text
}

/** A whole character, however many bytes it has. */
function eraseLast(bytes: number[]): void {
  let last = bytes.pop()
  while (last !== undefined && (last & 0xc0) === 0x80) last = bytes.pop()
}
