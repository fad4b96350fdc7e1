import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from '../config/options.ts'

export interface LogOptions {
  readonly level: LogLevel
  /** On every line: which node this is. */
  readonly node: string
  /** Where lines go; standard output by default. */
  readonly to?: DestinationStream
}

/** Redacted wherever they occur in an object. */
const REDACTED = ['credential', '*.credential', 'token', '*.token']

/**
 * The root of a process's log: one JSON object a line, written synchronously so that the last line before a crash is
 * there. Modules use children: `log.child({ module: 'transport' })`. Objects, not sentences; never bytes of blocks.
 */
export function createLog(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { node: options.node, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '(redacted)' },
    },
    options.to ?? destination({ fd: 1, sync: true }),
  )
}
