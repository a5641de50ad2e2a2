// Mosquitto: its command line clients and its broker, as processes. Other people's MQTT, to judge ours by.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Proc } from './processes.ts'

const WAIT_MS = 15_000

function to(port: number): string[] {
  return ['-h', '127.0.0.1', '-p', String(port)]
}

/** mosquitto_sub: the lines it prints. */
export class MosquittoSub {
  readonly proc: Proc
  readonly lines: string[] = []

  /** @param args as on its command line, without host and port */
  constructor(port: number, args: readonly string[]) {
    // Through stdbuf, or its output stays in its buffer as long as it is no terminal.
    this.proc = new Proc('stdbuf', ['-oL', 'mosquitto_sub', ...to(port), '-d', ...args])
    this.proc.onLine((line) => void this.lines.push(line))
  }

  /** What it received, without the lines of its debug output. */
  get messages(): string[] {
    return this.lines.filter((line) => !/^(Client |Subscribed|Warning|Error)/.test(line))
  }

  /** Waits until a line of its output has this in it. */
  async said(text: string, ms = WAIT_MS): Promise<void> {
    await this.until(() => this.lines.some((line) => line.includes(text)), `"${text}"`, ms)
  }

  async received(count: number, ms = WAIT_MS): Promise<string[]> {
    await this.until(() => this.messages.length >= count, `${count} messages`, ms)
    return this.messages
  }

  private async until(isSo: () => boolean, what: string, ms: number): Promise<void> {
    const until = performance.now() + ms
    while (!isSo()) {
      if (performance.now() > until) throw new Error(`mosquitto_sub: no ${what} in ${ms} ms:\n${this.lines.join('\n')}`)
      await sleep(10)
    }
  }
}

/** mosquitto_pub, to its end. @returns its exit code and output */
export async function mosquittoPub(
  port: number,
  args: readonly string[],
): Promise<{ code: number | null; log: string }> {
  const proc = new Proc('mosquitto_pub', [...to(port), ...args])
  const code = await proc.ended
  return { code, log: proc.log }
}

/** mosquitto_pub -l: a message per line. */
export class MosquittoPub {
  readonly proc: Proc

  constructor(port: number, args: readonly string[]) {
    this.proc = new Proc('mosquitto_pub', [...to(port), '-l', ...args])
  }

  send(line: string): void {
    this.proc.child.stdin?.write(line + '\n')
  }

  async end(): Promise<number | null> {
    this.proc.child.stdin?.end()
    return await this.proc.ended
  }
}

export type BridgeTo = { readonly name: string; readonly port: number }

/** mosquitto's configuration for a node that persists, with a bridge to a second one. @returns the file's path */
export function mosquittoConfig(folder: string, name: string, port: number, bridge: BridgeTo | null): string {
  const file = join(folder, `${name}.conf`)
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${folder}/${name}-`,
    'autosave_interval 1',
    'max_queued_messages 0',
    'max_inflight_messages 100',
    ...(bridge === null ? [] : bridgeLines(name, bridge)),
  ]
  writeFileSync(file, lines.join('\n') + '\n')
  return file
}

function bridgeLines(name: string, bridge: BridgeTo): string[] {
  return [
    `connection to-${bridge.name}`,
    `address 127.0.0.1:${bridge.port}`,
    'topic # both 2',
    `remote_clientid bridge-${name}`,
    'cleansession false',
    'restart_timeout 1',
    'bridge_protocol_version mqttv311',
    'try_private true',
    'notifications false',
  ]
}
