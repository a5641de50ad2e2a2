// Ledger, live: a few cycles of each kind of death under load, two real nodes behind a real HAProxy. `npm run ledger` does it
// a hundred times.
// timeout: 180 s

import { DEFAULTS, type LedgerOptions, runLedger } from '../ledger/run.ts'
import { assert, suite } from '../support/suite.ts'
import { needs } from '../support/tools.ts'

const test = suite('ledger')

async function clean(options: Partial<LedgerOptions>): Promise<void> {
  const lines: string[] = []
  const seed = 1 + Math.floor(Math.random() * 1_000_000)
  const verdict = await runLedger({ ...DEFAULTS, perSecond: 200, seed, ...options }, (line) => lines.push(line))
  const { violations, problems, details, one, two } = verdict
  assert.is(violations, 0, [`seed ${seed}`, ...lines, ...problems, ...details].join('\n'))
  for (const totals of [one, two]) {
    assert.ok(totals.acked > 50, 'there was load')
    assert.is(totals.acked, totals.sent)
  }
}

needs(test, 'haproxy')(
  'kill -9 of one node after the other: nothing acknowledged is lost, QoS 2 comes once, no session is forgotten',
  () => clean({ cycles: 5, mode: 'kill' }),
)

needs(test, 'haproxy')('SIGTERM of one node after the other: the same, and each ends with exit code 0', () =>
  clean({ cycles: 2, mode: 'term' }),
)

needs(test, 'haproxy')('kill -9 of both at once with --ack both-disk: the same', () =>
  clean({ cycles: 1, mode: 'both', ack: 'both-disk' }),
)

needs(
  test,
  'haproxy',
  'mosquitto',
)('two bridged mosquittos fail: the ledger sees what is lost', async () => {
  const options = { ...DEFAULTS, broker: 'mosquitto' as const, cycles: 2, perSecond: 200, settleQuietMs: 1_500 }
  const verdict = await runLedger(options, () => {})
  assert.ok(verdict.sessionsLost > 0, 'sessions are lost')
  assert.ok(verdict.one.lost + verdict.two.lost > 0, 'messages are lost')
})

test.run()
