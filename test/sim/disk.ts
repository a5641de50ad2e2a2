// Disk: one node's store and node record across its lives: what was asked, written and made durable. Knows no MQTT.
import type { Turn } from '../../src/base/brand.ts'
import type { Batch, Image, NodeRecord } from '../../src/session/image.ts'
import type { Held } from './check_promises.ts'
import { Rows } from './rows.ts'
import type { World } from './world.ts'

type Flush = { readonly batch: Batch; readonly turn: Turn; readonly sync: boolean }
type RecordWrite = { readonly record: NodeRecord }

export type DiskSpeed = {
  readonly writeMs: number
  readonly syncMs: number
  readonly slow: number
  readonly slowMs: number
}

export class Disk {
  record: NodeRecord | null = null
  /** Flushes that carried rows, and record writes: an idle pair makes none. */
  changes = 0
  /** Disk hangs until then. */
  stuckUntil = 0
  private rows = new Rows()
  /** Written, and lost with the power. */
  private written: Batch[] = []
  private asked: Flush[] = []
  private recordAsked: RecordWrite | null = null
  private busy = false
  private life = 0
  private readonly world: World
  private readonly who: string
  private readonly speed: DiskSpeed

  constructor(world: World, who: string, speed: DiskSpeed) {
    this.world = world
    this.who = who
    this.speed = speed
  }

  get recordPending(): boolean {
    return this.recordAsked !== null
  }

  flush(batch: Batch, turn: Turn, sync: boolean, stored: (turn: Turn) => void): void {
    this.asked.push({ batch: copyBatch(batch), turn, sync })
    if (batchSize(batch) > 0) this.changes++
    this.work(stored)
  }

  writeRecord(record: NodeRecord, done: () => void): void {
    const { world } = this
    if (this.recordAsked !== null) world.violate('X', `${this.who}: record write while one is under way`)
    const write = { record: { ...record, history: [...record.history] } }
    this.recordAsked = write
    this.changes++
    world.note(this.who, `record write ${record.status} gen ${record.generation.n}`)
    const { life } = this
    const finish = (): void => {
      if (life !== this.life) return
      if (world.now < this.stuckUntil) {
        world.at(this.stuckUntil, finish)
        return
      }
      this.record = write.record
      this.recordAsked = null
      world.note(this.who, `record durable ${record.status}`)
      done()
    }
    world.after(this.wait(true), finish)
  }

  /** What has survived a loss of power, for checks. */
  get held(): Held {
    return this.rows.held
  }

  /** What a start reads. */
  image(): Image {
    return this.rows.image()
  }

  /** The process ends: with `power` only what was synced (and a part of the rest) is left. */
  crash(power: boolean, wipe: boolean): void {
    const { prng } = this.world
    this.life++
    this.busy = false
    const rest = [...this.written, ...this.asked.map((f) => f.batch)]
    const keep = power ? prng.int(0, rest.length) : prng.int(this.written.length, rest.length)
    for (const batch of rest.slice(0, keep)) this.rows.apply(batch)
    this.written = []
    this.asked = []
    if (this.recordAsked !== null && prng.chance(0.5)) this.record = this.recordAsked.record
    this.recordAsked = null
    if (wipe) {
      this.record = null
      this.rows = new Rows()
    }
  }

  /** First inconsistency of what a start would read now; null when there is none. */
  flaw(): string | null {
    return this.rows.flaw()
  }

  private wait(sync: boolean): number {
    const { prng } = this.world
    const { writeMs, syncMs, slow, slowMs } = this.speed
    const ms = prng.next() * (sync ? syncMs : writeMs)
    return sync && prng.chance(slow) ? ms + prng.next() * slowMs : ms
  }

  private work(stored: (turn: Turn) => void): void {
    const { world } = this
    if (this.busy || this.asked.length === 0) return
    this.busy = true
    const { life } = this
    // One commit for all that waits, or one by one.
    const count = world.prng.chance(0.5) ? this.asked.length : 1
    const sync = this.asked.slice(0, count).some((f) => f.sync)
    const finish = (): void => {
      if (life !== this.life) return
      if (world.now < this.stuckUntil) {
        world.at(this.stuckUntil, finish)
        return
      }
      this.busy = false
      const done = this.asked.splice(0, count)
      for (const flush of done) this.written.push(flush.batch)
      if (sync) {
        for (const batch of this.written) this.rows.apply(batch)
        this.written = []
      }
      for (const flush of done) {
        world.note(this.who, `stored ${flush.turn}${flush.sync ? ' sync' : ''}`)
        stored(flush.turn)
        if (life !== this.life) return
      }
      this.work(stored)
    }
    world.after(this.wait(sync), finish)
  }
}

/** The store keeps what the rows said at the time of asking. */
function copyBatch(batch: Batch): Batch {
  const copy = { ...batch }
  for (const key of Object.keys(copy) as (keyof Batch)[]) {
    ;(copy as Record<string, unknown>)[key] = batch[key].slice()
  }
  copy.sessions = batch.sessions.map((row) => ({
    ...row,
    lineage: row.lineage.slice(),
    packetIds: row.packetIds.slice(),
  }))
  copy.queue = batch.queue.map((row) => ({ ...row }))
  copy.presence = batch.presence.map((row) => ({ ...row }))
  return copy
}

function batchSize(batch: Batch): number {
  let size = 0
  for (const key of Object.keys(batch) as (keyof Batch)[]) size += batch[key].length
  return size
}
