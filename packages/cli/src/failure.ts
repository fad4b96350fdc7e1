import { AshlarError, ERRORS } from '@ashlar/proto'
import type { Io } from './io.ts'

/** Exit codes of every command: the table of errors gives them. 0 done, 1 error, 2 usage, … */
export function exitCodeOf(error: unknown): number {
  return error instanceof AshlarError ? ERRORS[error.code].exit : ERRORS.INTERNAL.exit
}

/** A failure as one line: what is wrong, then what to do. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof AshlarError)) return oneLine(error instanceof Error ? error.message : String(error))
  const { message, hint } = error
  return oneLine(hint === undefined || hint === '' ? message : `${message} (${hint})`)
}

/** Prints a failure on standard error and returns the exit code. An unexpected error comes with its stack: it is our bug. */
export function report(io: Io, error: unknown): number {
  io.error(`ashlar: ${describeFailure(error)}\n`)
  if (!(error instanceof AshlarError) && error instanceof Error) io.error(`${error.stack ?? ''}\n`)
  return exitCodeOf(error)
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
