import { AshlarError, type ErrorCode } from '@ashlar/proto'
import type { ClientFailure } from './core/machine.ts'

/** The error that a caller gets for a failure, with the stack of the call and not that of the response. */
export function failureError(failure: ClientFailure, callerStack: string | undefined, cause: unknown): AshlarError {
  const { code, message, hint, details } = failure
  const error = new AshlarError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
    ...(cause === undefined ? {} : { cause }),
  })
  return withStack(error, callerStack)
}

/** A wrong option or argument, found before anything is sent; the text names it. */
export function usageError(
  message: string,
  hint: string | undefined,
  entry: (...args: never[]) => unknown,
  code: ErrorCode = 'USAGE',
): AshlarError {
  const error = new AshlarError(code, message, hint === undefined ? {} : { hint })
  Error.captureStackTrace(error, entry)
  return error
}

function withStack(error: AshlarError, callerStack: string | undefined): AshlarError {
  // The first line of a captured stack names the holder; frames follow it.
  const frames = callerStack?.indexOf('\n    at ') ?? -1
  if (callerStack !== undefined && frames >= 0)
    error.stack = `${error.name}: ${error.message}${callerStack.slice(frames)}`
  return error
}
