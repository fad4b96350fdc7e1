import type { ErrorCode, ExtentId, ExtentRecord, VolumeRecord } from '@ashlar/proto'

/** Outcome of one change of an in-sync set, with the record after it. */
export interface SetResult {
  readonly extent: ExtentId
  readonly code: ErrorCode
  /** Absent when there is no such extent. */
  readonly record: ExtentRecord | undefined
}

/**
 * Outcome of one command. A refused command changed nothing. `message` and `hint` are sentences for users; programs
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
  /** Extents that got a primary, and so a higher epoch. */
  readonly promoted?: readonly ExtentId[]
  /** The release named an older revision of some extent, and did not change that extent. */
  readonly overtaken?: boolean
}

/** A command over many extents yields after each one, so that it can be interrupted and resumed. */
export type Steps<T = void> = Generator<undefined, T, undefined>

export function done(fields: Omit<CommandResult, 'code' | 'message' | 'hint'> = {}): CommandResult {
  return { code: 'OK', message: '', hint: '', ...fields }
}

export function refused(code: Exclude<ErrorCode, 'OK'>, message: string, hint = ''): CommandResult {
  return { code, message, hint }
}
