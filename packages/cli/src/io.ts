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
  return {
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    environment: process.env,
    isTerminal: process.stderr.isTTY === true,
  }
}
