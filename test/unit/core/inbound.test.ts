// Inbound identifiers of QoS 2 are the same at both nodes, however a client uses them within one turn.

import { ByteWriter, utf8 } from '../../../src/base/bytes.ts'
import { writeAck, writePublish } from '../../../src/wire/encoder.ts'
import { PacketType } from '../../../src/wire/packet.ts'
import { TwoNodes } from '../../support/one_node.ts'
import { assert, suite } from '../../support/suite.ts'

const test = suite('inbound identifiers')

type Step = 'PUBLISH' | 'PUBREL'

/** Packets that arrive in one piece, all with identifier 5. */
function inOnePiece(steps: readonly Step[]): Uint8Array {
  const w = new ByteWriter(64)
  for (const step of steps)
    if (step === 'PUBREL') writeAck(w, PacketType.pubrel, 5, 0, 5)
    else writePublish(w, 5, utf8('t'), utf8('x'), 0, 1, 2, false, false, 5, null, -1, null, 0)
  return w.take()
}

for (const [steps, open] of [
  [['PUBLISH'], [5]],
  [['PUBLISH', 'PUBREL'], []],
  [['PUBLISH', 'PUBREL', 'PUBLISH'], [5]],
  [['PUBLISH', 'PUBREL', 'PUBLISH', 'PUBREL'], []],
  [['PUBLISH', 'PUBREL', 'PUBREL', 'PUBLISH', 'PUBLISH'], [5]],
] as [Step[], number[]][])
  for (const before of [false, true])
    test(`${before ? 'with the identifier in use, ' : ''}${steps.join(', ')} in one piece`, () => {
      const nodes = new TwoNodes()
      const c = nodes.connect(nodes.a, 'c', { cleanStart: false, sessionExpiry: 60 })
      if (before) c.raw(inOnePiece(['PUBLISH']))
      c.raw(inOnePiece(steps))
      for (const node of [nodes.a, nodes.b]) {
        const session = node.sessions.get('c')
        assert.equal([...(session?.inbound ?? [])], open, node.config.name)
      }
      const [at, other] = [nodes.a.sessions.get('c'), nodes.b.sessions.get('c')]
      assert.is(at?.ver, other?.ver)
    })

test.run()
