// Scenarios: each file of fixtures/scenario is played by two nodes in this process, and what happens is what it says.
//
//   bun test/scenario/scenario.test.ts --rewrite     writes down what happens now: read the difference before you commit it

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root } from '../support/processes.ts'
import { assert, suite } from '../support/suite.ts'
import { formatTranscript, Play, parseTranscript } from '../support/transcript.ts'

const test = suite('scenario')
const folder = join(root, 'fixtures/scenario')

for (const file of readdirSync(folder).sort())
  test(file.replace(/\.txt$/, '').replaceAll('_', ' '), () => {
    const path = join(folder, file)
    const source = readFileSync(path, 'utf8')
    const play = new Play()
    const played = formatTranscript(parseTranscript(source).map((block) => ({ ...block, output: play.run(block) })))
    if (process.argv.includes('--rewrite')) writeFileSync(path, played)
    else assert.fixture(played, source)
  })

test.run()
