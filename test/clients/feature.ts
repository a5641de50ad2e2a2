// Feature: a row of the table: what is to be shown with every client that can speak it. Knows no client.

import type { Cell } from './cell.ts'
import type { Message, Version } from './client.ts'

export const TURNS = ['ordinary', 'heavy', 'last'] as const
export type Turn = (typeof TURNS)[number]

export type Feature = {
  readonly title: string
  /** The first version that has it. */
  readonly since?: Version
  /** Why a client cannot speak it, by the program or by program and version. */
  readonly cannot?: Readonly<Record<string, string>>
  /**
   * When its cells run. `heavy`: after the ordinary ones, whose QoS 0 may be dropped while the link between the nodes is busy;
   * `last`: a node goes.
   */
  readonly turn?: Turn
  readonly run: (cell: Cell) => Promise<void>
}

export function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => payload)
}
