// Log: lines for people on stderr, the access log as JSON lines on stdout. Knows nothing of what is logged.
import { writeSync } from 'node:fs'
import process from 'node:process'
import type { LogPort } from '../core/ports.ts'

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = 'text' | 'json'

/** Characters of access log waiting for a slow reader, above which lines are dropped and counted. */
const PENDING_CHARS_MAX = 4 * 1024 * 1024

/** What ends a line or speaks to a terminal, but for the lines of a stack trace, which no line of the log begins like. */
const CONTROL = /\n(?! {4}at )|[^\n\P{Cc}]|[\u2028\u2029]/gu
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

export class Log implements LogPort {
  private readonly level: number
  private readonly format: LogFormat
  private readonly node: string
  private pending = ''
  private dropped = 0
  private blocked = false
  private listening = false

  constructor(node: string, level: LogLevel, format: LogFormat) {
    this.node = node
    this.level = LOG_LEVELS.indexOf(level)
    this.format = format
    process.stderr.on('error', ignore)
  }

  /** Access log: collected until flush(), so that 10 000 connects at once are not 10 000 writes. */
  event(name: string, fields: Record<string, unknown>): void {
    if (this.level < 2) return
    if (this.pending.length > PENDING_CHARS_MAX) {
      this.dropped++
      return
    }
    this.pending += JSON.stringify({ time: new Date().toISOString(), node: this.node, event: name, ...fields }) + '\n'
  }

  /** Hands collected lines to stdout, unless it is still busy with the former ones. */
  flush(): void {
    if (this.pending === '' || this.blocked) return
    let text = this.pending
    this.pending = ''
    if (this.dropped > 0) {
      text +=
        JSON.stringify({ time: new Date().toISOString(), node: this.node, event: 'log-dropped', lines: this.dropped }) +
        '\n'
      this.dropped = 0
    }
    if (!this.listening) {
      this.listening = true
      process.stdout.on('error', ignore)
    }
    if (process.stdout.write(text)) return
    this.blocked = true
    process.stdout.once('drain', () => {
      this.blocked = false
      this.flush()
    })
  }

  /** The last lines, before the process ends. */
  close(): void {
    try {
      if (this.pending !== '') writeSync(1, this.pending)
    } catch {
      // A reader that is gone or stuck must not keep the process from ending.
    }
    this.pending = ''
  }

  error(message: string): void {
    this.line('error', message)
  }
  warn(message: string): void {
    this.line('warn', message)
  }
  info(message: string): void {
    this.line('info', message)
  }
  debug(message: string): void {
    this.line('debug', message)
  }

  private line(level: LogLevel, message: string): void {
    if (LOG_LEVELS.indexOf(level) > this.level) return
    const time = new Date().toISOString()
    const text =
      this.format === 'json'
        ? JSON.stringify({ time, node: this.node, level, message })
        : `${time} ${this.node} ${level}: ${oneLine(message)}`
    process.stderr.write(text + '\n')
  }
}

/** A reader that went away is no reason to end. */
function ignore(): void {}

/** Names and files that others have written are in some lines. */
function oneLine(message: string): string {
  return message.replace(CONTROL, (it) => SHORT[it] ?? `\\u${it.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
