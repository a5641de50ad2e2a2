// Golden: files of values and the bytes they are on the wire, kept for ever. A case is a comment, the value as JSON on one line
// (bytes as {"hex": "…"}), and its bytes in hexadecimal; cases are parted by an empty line.

import { readFileSync, writeFileSync } from 'node:fs'

export type GoldenCase = { readonly comment: string; readonly value: unknown; bytes: Uint8Array | null }

const BYTES_PER_LINE = 32

export function readGolden(file: string): GoldenCase[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split(/\n\n+/)
    .map((block) => {
      const lines = block.split('\n')
      const json = lines.findIndex((line) => line.startsWith('['))
      const comment = lines.slice(0, json).join('\n')
      if (json < 1 || !/^# \S/.test(comment)) throw new Error(`${file}: a case begins with a comment and a value`)
      const hex = lines.slice(json + 1).join('')
      const bytes = hex === '' ? null : Uint8Array.fromHex(hex.replaceAll(' ', ''))
      return { comment, value: JSON.parse(lines[json] as string, fromJson), bytes }
    })
}

/** What has bytes keeps them. */
export function writeGolden(file: string, cases: readonly GoldenCase[]): void {
  const blocks = cases.map(({ comment, value, bytes }) =>
    [comment, JSON.stringify(value, toJson), ...(bytes === null ? [] : hexLines(bytes))].join('\n'),
  )
  writeFileSync(file, `${blocks.join('\n\n')}\n`)
}

function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
    const line = [...bytes.subarray(at, at + BYTES_PER_LINE)]
    lines.push(line.map((byte) => byte.toString(16).padStart(2, '0')).join(' '))
  }
  return lines
}

function fromJson(_key: string, value: unknown): unknown {
  const { hex } = (typeof value === 'object' && value !== null ? value : {}) as { hex?: unknown }
  return typeof hex === 'string' ? Uint8Array.fromHex(hex) : value
}

function toJson(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { hex: value.toHex() } : value
}
