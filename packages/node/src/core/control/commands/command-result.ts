import type { ErrorCode, ExtentId, ExtentRecord, VolumeRecord } from '@ashlar/proto'

/** Outcome of one in-sync set change: the record after it, or as it is where the change was refused. */
export interface SetResult {
  readonly extent: ExtentId
  readonly code: ErrorCode
  /** Absent when there is no such extent (any more). */
  readonly record: ExtentRecord | undefined
}

/**
 * Outcome of one command. A refused command changed nothing. `message` and `hint` are sentences for people; programs
 * branch on `code`.
 */
export interface CommandResult {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  /** The volume after create-volume or attach. */
  readonly volume?: VolumeRecord
  /** One for each change of change-sets, in its order. */
  readonly sets?: readonly SetResult[]
  /** Extents that got a primary by this command: their epoch was raised. */
  readonly promoted?: readonly ExtentId[]
  /** A release named an older record of some extent, about which nothing was done. */
  readonly overtaken?: boolean
}

/** A command that may concern many extents yields after each that it looked at: there it can be interrupted, and goes on later. */
export type Steps<T = void> = Generator<undefined, T, undefined>

export function done(fields: Omit<CommandResult, 'code' | 'message' | 'hint'> = {}): CommandResult {
  return { code: 'OK', message: '', hint: '', ...fields }
}

export function refused(code: Exclude<ErrorCode, 'OK'>, message: string, hint = ''): CommandResult {
  return { code, message, hint }
}
