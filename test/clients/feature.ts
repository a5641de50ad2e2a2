// Feature: a row of the table: what is to be shown with every client that can speak it. Knows no client.

import type { Cell } from './cell.ts'
import type { Message, Version } from './client.ts'

export type Feature = {
  readonly title: string
  /** The first version that has it. */
  readonly since?: Version
  /** Why a client cannot speak it, by the program or by program and version. */
  readonly cannot?: Readonly<Record<string, string>>
  /** After all others: a node goes. */
  readonly isLast?: boolean
  readonly run: (cell: Cell) => Promise<void>
}

export function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => payload)
}
