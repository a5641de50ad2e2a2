// Tools: programs that some tests need beside Node and npm. Where one is missing such a test is left out, and said to be; with CI=true
// it runs all the same, and fails.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import type { Test } from 'uvu'

/** Each with the Debian package that has it. */
const PACKAGES = {
  chromium: 'chromium',
  git: 'git',
  haproxy: 'haproxy',
  mosquitto: 'mosquitto',
  mosquitto_passwd: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  mosquitto_rr: 'mosquitto-clients',
  mosquitto_sub: 'mosquitto-clients',
  paho: 'python3-paho-mqtt',
  script: 'bsdutils',
  setpriv: 'util-linux',
  stdbuf: 'coreutils',
} as const

export type Tool = keyof typeof PACKAGES

/** The system's own: Debian's packages are for no other. */
export const PYTHON = '/usr/bin/python3'

// Servers' programs are not on everybody's path.
process.env['PATH'] = [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter)

function isThere(tool: Tool): boolean {
  if (tool === 'paho') return spawnSync(PYTHON, ['-c', 'import paho.mqtt.client']).status === 0
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** All of them are there, or must be. What is missing is said once a file, in words that test/run.ts gathers. */
export function has(...tools: Tool[]): boolean {
  const missing = process.env['CI'] === 'true' ? [] : tools.filter((tool) => !isThere(tool))
  for (const tool of missing) console.log(`missing: ${tool} (Debian package ${PACKAGES[tool]})`)
  return missing.length === 0
}

/** `test` itself, or its `skip` where a tool is missing. */
export function needs<T>(test: Test<T>, ...tools: Tool[]): Test<T>['skip'] | Test<T> {
  return has(...tools) ? test : test.skip
}
