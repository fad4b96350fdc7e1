import type { TransportLogger } from '../../src/transport/index.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn'
  readonly details: Readonly<Record<string, unknown>>
  readonly message: string
}

const DEADLINE_MS = 15_000

/** A logger that keeps its lines, and on which a test can wait. */
export class LogLines implements TransportLogger {
  readonly lines: LogLine[] = []
  private wake: () => void = () => {}

  debug(details: object, message: string): void {
    this.add('debug', details, message)
  }

  info(details: object, message: string): void {
    this.add('info', details, message)
  }

  warn(details: object, message: string): void {
    this.add('warn', details, message)
  }

  get warnings(): readonly LogLine[] {
    return this.lines.filter((line) => line.level === 'warn')
  }

  /** Resolves once the lines meet a condition; fails after a deadline. */
  async until(what: string, condition: (lines: readonly LogLine[]) => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    while (!condition(this.lines)) {
      await new Promise<void>((resolve, reject) => {
        this.wake = resolve
        deadline.addEventListener('abort', () => reject(new Error(`waited in vain: ${what}`)), { once: true })
      })
    }
  }

  private add(level: LogLine['level'], details: object, message: string): void {
    this.lines.push({ level, details: { ...details }, message })
    this.wake()
  }
}
