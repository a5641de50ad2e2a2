// Table: features by clients: which cells there are, and why some are none. Knows neither how a cell is run nor how it ended.

import type { Tool } from '../support/tools.ts'
import { access } from './access.ts'
import type { Version } from './client.ts'
import { delivery } from './delivery.ts'
import type { Feature } from './feature.ts'
import { properties } from './properties.ts'
import { sessions } from './sessions.ts'

export const VERSIONS: readonly Version[] = ['3.1', '3.1.1', '5.0']
/** Each with what it needs on the machine. */
export const PROGRAMS = {
  'MQTT.js': [],
  mosquitto: ['mosquitto_pub', 'mosquitto_rr', 'mosquitto_sub', 'stdbuf'],
  'Paho Python': ['paho'],
} as const satisfies Readonly<Record<string, readonly Tool[]>>
export type ProgramName = keyof typeof PROGRAMS

export type Column = { readonly program: ProgramName; readonly version: Version; readonly title: string }

export const columns: readonly Column[] = (Object.keys(PROGRAMS) as ProgramName[]).flatMap((program) =>
  VERSIONS.map((version) => ({ program, version, title: `${program} ${version}` })),
)

export const features: readonly Feature[] = [...delivery, ...sessions, ...properties, ...access]

/** Why a client cannot speak it; null: it can. */
export function whyNot({ since = '3.1', cannot = {} }: Feature, { program, version, title }: Column): string | null {
  if (VERSIONS.indexOf(version) < VERSIONS.indexOf(since)) return `not in MQTT ${version}`
  return cannot[title] ?? cannot[program] ?? null
}

export function titleOf(feature: Feature, column: Column): string {
  return `${column.title}: ${feature.title}`
}
