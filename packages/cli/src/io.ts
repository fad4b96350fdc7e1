import { ERRORS } from '@ashlar/proto'

/** What a command talks to: the process's own streams, or a test's. */
export interface Io {
  /** Results, for scripts. */
  readonly out: (text: string) => void
  /** Progress, messages and errors, for people. */
  readonly error: (text: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** True where progress may be drawn over itself. */
  readonly isTerminal: boolean
}

export function processIo(): Io {
  // The reader of the results ended, as in `ashlar volume ls | head -1`. Without a listener Node would print a stack.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(ERRORS.INTERNAL.exit)
  })
  return {
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    environment: process.env,
    isTerminal: process.stderr.isTTY === true,
  }
}
