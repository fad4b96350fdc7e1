import { ERRORS } from '@ashlar/proto'

/** What a command talks to: the process's own streams, or a test's. */
export interface Io {
  /** Results: what a script reads. */
  readonly out: (text: string) => void
  /** Progress, messages and errors: what a person reads. */
  readonly error: (text: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** True where progress may be drawn over itself. */
  readonly isTerminal: boolean
}

export function processIo(): Io {
  // Whoever read the results has gone, as in `ashlar volume ls | head -1`: there is nobody left to tell anything, not even
  // that, and without a listener Node would tell it with a stack.
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
