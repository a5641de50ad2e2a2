// Golden frames: version 1 of the link's protocol as bytes. A node of any later release must still write and read exactly these:
// another one may be at the other end while a pair is updated. Cases may be added; what is there is never changed.
//
//   bun test/unit/wire/golden.test.ts --add     fills in the bytes of new cases

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { decodeFrame, encodeGroups, writeFrame, writeOps } from '../../../src/wire/peer_codec.ts'
import { type Frame, FrameKind, type Op, OpKind, type OpsFrame } from '../../../src/wire/peer_message.ts'
import { type GoldenCase, readGolden, writeGolden } from '../../support/golden.ts'
import { root } from '../../support/processes.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('golden frames')
const folder = join(root, 'fixtures/peer/v1')
const HEADER_BYTES = 4
const KINDS: Readonly<Record<string, Readonly<Record<string, number>>>> = { frame: FrameKind, op: OpKind }

type File = { readonly path: string; readonly what: string; readonly number: number; readonly name: string }

const files: File[] = readdirSync(folder)
  .filter((file) => file !== 'handshake.hex') // test/unit/host/handshake.test.ts
  .sort()
  .map((file) => {
    const [, what = '', number, name = ''] = /^(frame|op)_(\d\d)_(\w+)\.hex$/.exec(file) ?? []
    return { path: join(folder, file), what, number: Number(number), name }
  })

/** A frame with its length, or a group of one op as it stands in an OPS frame. */
function encode(what: string, value: unknown): Uint8Array {
  if (what === 'op') return encodeGroups([value as Op])[0] as Uint8Array
  const w = new ByteWriter(64)
  const frame = value as Frame
  if (frame[0] !== FrameKind.ops) writeFrame(w, frame)
  else {
    const [, stream, first, groups, ack, durable] = frame as OpsFrame
    writeOps(
      w,
      stream,
      first,
      groups.flatMap((ops) => encodeGroups(ops)),
      ack,
      durable,
    )
  }
  return w.take()
}

function decode(what: string, bytes: Uint8Array): unknown {
  if (what === 'frame') return decodeFrame(bytes.subarray(HEADER_BYTES))
  const w = new ByteWriter(64)
  writeOps(w, 1, 1, [bytes], 0, 0)
  const [, , , groups] = decodeFrame(w.take().subarray(HEADER_BYTES)) as OpsFrame
  return groups[0]?.[0]
}

function add(file: File, cases: readonly GoldenCase[]): void {
  for (const one of cases) one.bytes ??= encode(file.what, one.value)
  writeGolden(file.path, cases)
}

test('every kind of frame and op that is not reserved has its file, under its name and number', () => {
  const expected = Object.entries(KINDS).flatMap(([what, kinds]) =>
    Object.entries(kinds)
      .filter(([name]) => !name.endsWith('_reserved'))
      .map(([name, number]) => `${what} ${number} ${name}`),
  )
  assert.equal(files.map(({ what, number, name }) => `${what} ${number} ${name}`).sort(), expected.sort())
})

for (const file of files)
  test(`${file.what} ${file.name} is written and read as it always was`, () => {
    const cases = readGolden(file.path)
    if (process.argv.includes('--add')) add(file, cases)
    for (const { comment, value, bytes } of cases) {
      if (bytes === null) throw new Error(`${file.path}: a case without bytes; --add fills them in`)
      assert.is((value as unknown[])[0], file.number, comment)
      assert.is(encode(file.what, value).toHex(), bytes.toHex(), comment)
      assert.equal(structuredClone(decode(file.what, bytes)), value, comment)
    }
  })

test.run()
