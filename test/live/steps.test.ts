// Every step of QoS 1 and 2, live: the serving node is killed (kill -9) between each two packets of a flow, the clients go on at
// the other node: session present, nothing lost, QoS 2 exactly once. `STEPS_KILLS=50 bun test/live/steps.test.ts` kills more.
// timeout: 900 s

import { setTimeout as sleep } from 'node:timers/promises'
import { Flow, STEPS, type Step } from '../support/flows.ts'
import { type NodeProcess, PairProcesses } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'

const test = suite('steps')
const KILLS = Number(process.env['STEPS_KILLS'] ?? 8)
/** Milliseconds between the last packet and the kill, by round. */
const DELAYS = [0, 1, 2, 0, 4, 8, 0, 3]
const COPIES = 2

type Place = { readonly publisher: 'killed' | 'other'; readonly subscriber: 'killed' | 'other' }
const PLACES: readonly Place[] = [
  { publisher: 'killed', subscriber: 'killed' },
  { publisher: 'killed', subscriber: 'other' },
  { publisher: 'other', subscriber: 'killed' },
]

const problems = new Map<string, string[]>()
const served = new Map<string, number>()
const titleOf = (qos: number, step: Step, place: Place) =>
  `QoS ${qos}, killed when the ${step}; publisher on the ${place.publisher} node, subscriber on the ${place.subscriber}`

async function round(pair: PairProcesses, number: number): Promise<void> {
  const killed: NodeProcess = number % 2 === 0 ? pair.a : pair.b
  const other = pair.other(killed)
  const port = (where: 'killed' | 'other') => (where === 'killed' ? killed : other).place.mqtt
  const flows: { flow: Flow; title: string; place: Place }[] = []
  for (const qos of [1, 2] as const)
    for (const step of STEPS[qos])
      for (const place of PLACES)
        for (let copy = 0; copy < COPIES; copy++) {
          const name = `${number}-${flows.length}`
          flows.push({ flow: new Flow(name, qos, step), title: titleOf(qos, step, place), place })
        }
  await Promise.all(flows.map(({ flow, place }) => flow.prepare(port(place.publisher), port(place.subscriber))))
  for (const { flow } of flows) flow.letGo()
  const delay = DELAYS[number % DELAYS.length] as number
  if (delay > 0) await sleep(delay)
  await killed.kill9()
  await Promise.all(flows.map(({ flow }) => flow.resume(killed.place.mqtt, other.place.mqtt)))
  await sleep(300)
  for (const { flow, title } of flows) {
    flow.judge()
    const list = problems.get(title) ?? []
    list.push(
      ...flow.problems.map((problem) => `round ${number} (killed ${killed.place.name}, ${delay} ms): ${problem}`),
    )
    problems.set(title, list)
    served.set(title, (served.get(title) ?? 0) + 1)
  }
  if (process.env['STEPS_LOG']) console.log(other.log)
  killed.start()
  await pair.synced()
}

test('the serving node is killed in each round, and comes back', async () => {
  await using pair = await PairProcesses.start()
  const started = performance.now()
  for (let number = 0; number < KILLS; number++) await round(pair, number)
  const flows = [...served.values()].reduce((sum, n) => sum + n, 0)
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`  ${KILLS} kills, ${flows} flows held at ${served.size} steps, ${seconds} s`)
})

for (const qos of [1, 2] as const)
  for (const step of STEPS[qos])
    for (const place of PLACES)
      test(titleOf(qos, step, place), () => {
        const title = titleOf(qos, step, place)
        assert.ok((served.get(title) ?? 0) > 0, 'no flow came to this step')
        assert.equal(problems.get(title), [])
      })

test.run()
