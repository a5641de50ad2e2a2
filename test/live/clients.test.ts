// Clients, live: MQTT.js, mosquitto's and Eclipse Paho's, in each version, against one pair: every feature that each can speak, one
// test each. The rows are in test/clients; `npm run clients` prints them as a table. Knows what neither of them is about.
// timeout: 300 s

import { Cell, type World } from '../clients/cell.ts'
import type { Program, Version } from '../clients/client.ts'
import { type Feature, TURNS, type Turn } from '../clients/feature.ts'
import { Mosquitto } from '../clients/mosquitto.ts'
import { MqttJs } from '../clients/mqtt_js.ts'
import { TablePair } from '../clients/nodes.ts'
import { Paho, PahoProcess } from '../clients/paho.ts'
import { columns, features, PROGRAMS, type ProgramName, titleOf, whyNot } from '../clients/table.ts'
import { suite } from '../support/suite.ts'
import { has } from '../support/tools.ts'

/** Cells that run at a time: most of them wait, for another process or for a keep-alive. */
const LANES = 16

type Planned = {
  readonly title: string
  readonly feature: Feature
  readonly program: ProgramName
  readonly version: Version
  readonly done: PromiseWithResolvers<Error | null>
}

const test = suite<{ pair: TablePair; paho: PahoProcess | null }>('clients')
const ready = (Object.keys(PROGRAMS) as ProgramName[]).filter((program) => has(...PROGRAMS[program]))
const planned: Planned[] = []

for (const feature of features)
  for (const column of columns) {
    if (whyNot(feature, column) !== null) continue
    const { program, version } = column
    const title = titleOf(feature, column)
    if (!ready.includes(program)) {
      test.skip(title)
      continue
    }
    const done = Promise.withResolvers<Error | null>()
    planned.push({ title, feature, program, version, done })
    test(title, async () => {
      const error = await done.promise
      if (error !== null) throw error
    })
  }

/** They are run at once, as far as the lanes go; each test waits for its own. */
async function run(cells: readonly Planned[], world: World, programOf: (cell: Planned) => Program): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < cells.length) {
      const prefix = `cell${planned.indexOf(cells[next] as Planned)}`
      const plan = cells[next++] as Planned
      const cell = new Cell(world, plan.version, programOf(plan), prefix)
      let failure: Error | null = null
      try {
        await plan.feature.run(cell)
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
      }
      cell.end()
      if (plan.feature.turn === 'last') void world.leave(cell)
      plan.done.resolve(failure)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

test.before(async (context) => {
  context.pair = await TablePair.start()
  context.paho = ready.includes('Paho Python') ? new PahoProcess() : null
  const { pair, paho } = context
  const inTurn = (turn: Turn) => planned.filter(({ feature }) => (feature.turn ?? 'ordinary') === turn)
  const last = inTurn('last').length
  const called = new Set<Cell>()
  const gone = Promise.withResolvers<void>()
  const leave = async (cell: Cell) => {
    const before = called.size
    called.add(cell)
    if (called.size > before && called.size === last) pair.a.process.terminate().then(() => gone.resolve())
    await gone.promise
  }
  const programOf = ({ program, version }: Planned): Program => {
    if (program === 'MQTT.js') return new MqttJs(version)
    return program === 'mosquitto' ? new Mosquitto(version) : new Paho(version, paho as PahoProcess)
  }
  const world = { pair, leave }
  void (async () => {
    for (const turn of TURNS) await run(inTurn(turn), world, programOf)
  })()
})

test.after(async ({ pair, paho }) => {
  await paho?.[Symbol.asyncDispose]()
  await pair[Symbol.asyncDispose]()
})

test.run()
