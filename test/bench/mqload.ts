// Mqload: the load generator, compiled when it is there as C source, run as a process that prints one line of figures.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { Folder, Proc, root } from '../support/processes.ts'
import { refuse } from './flags.ts'

const SOURCE = '../shared/tools/mqload.c'

export type LoadFigures = {
  readonly received: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly connectSec: number
  /** Null when nothing was lost, repeated or refused. */
  readonly trouble: string | null
}

export class Mqload implements Disposable {
  private readonly path: string
  private readonly folder: Folder | null
  private runs = 0

  private constructor(path: string, folder: Folder | null) {
    this.path = path
    this.folder = folder
  }

  /** @param given a file, or empty: what MQLOAD names, else compiled from its source beside this repository */
  static find(program: string, given: string): Mqload {
    const named = given !== '' ? given : (process.env['MQLOAD'] ?? '')
    if (named !== '') {
      if (!existsSync(named)) refuse(program, `--mqload: there is no ${named}`)
      return new Mqload(named, null)
    }
    const source = join(root, SOURCE)
    if (!existsSync(source)) {
      refuse(program, `no load generator: name its executable with --mqload FILE or MQLOAD (there is no ${SOURCE})`)
    }
    const folder = new Folder()
    const path = join(folder.path, 'mqload')
    const made = spawnSync('cc', ['-O2', '-w', '-o', path, source], { encoding: 'utf8' })
    if (made.status !== 0) refuse(program, `cc cannot compile ${SOURCE}: ${made.stderr || made.error}`)
    return new Mqload(path, folder)
  }

  start(args: readonly string[]): Proc {
    return new Proc(this.path, [...args, '--prefix', `r${++this.runs}`])
  }

  async run(args: readonly string[]): Promise<LoadFigures> {
    const proc = this.start(args)
    const code = await proc.ended
    return read(proc.log, code)
  }

  [Symbol.dispose](): void {
    this.folder?.[Symbol.dispose]()
  }
}

export function read(log: string, code: number | null): LoadFigures {
  const figure = (name: string) => Number(new RegExp(`\\b${name}=([\\d.]+)`).exec(log)?.[1] ?? Number.NaN)
  return {
    received: figure('received_per_s'),
    p50Ms: figure('p50_ms'),
    p99Ms: figure('p99_ms'),
    connectSec: figure('idle_connect_s'),
    trouble: code === 0 ? null : troubleOf(log, figure),
  }
}

function troubleOf(log: string, figure: (name: string) => number): string {
  const counted = ['lost', 'dup', 'bad'].filter((name) => figure(name) > 0).map((name) => `${name} ${figure(name)}`)
  return counted.length > 0 ? counted.join(', ') : log.trim().slice(-200)
}
