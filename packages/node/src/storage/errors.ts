import { AshlarError, type NodeEndKind, nodeEndKindOf } from '@ashlar/proto'

/** A call of a driver or a store after its `close`. */
export function driverClosedError(): AshlarError {
  return new AshlarError('CLOSED', 'the storage driver is closed', { hint: 'Open the store again before using it.' })
}

/** Every `apply` after a failed one: what is on stable storage is unknown until the store is opened again. */
export function driverPoisonedError(cause: unknown): AshlarError {
  return new AshlarError('INTERNAL', 'an earlier write to this store failed, so it takes no further ones', {
    hint: 'Check for a full or failing disk, then restart the node: it opens the store again and compares it with its peers.',
    cause,
  })
}

/**
 * The data directory cannot be used as it is; `what` is one sentence, `hint` is what an operator can do. `end`: why a node
 * ends that starts over it.
 */
export function unusableStoreError(
  what: string,
  hint: string,
  cause?: unknown,
  end: NodeEndKind = 'data-directory',
): AshlarError {
  return new AshlarError('CONFLICT', what, { hint, details: { end }, ...(cause === undefined ? {} : { cause }) })
}

/** Bytes on disk that no version of this software writes; `what` names the file or key. */
export function corruptStoreError(what: string, cause?: unknown): AshlarError {
  const hint =
    'Do not repair it. Move the data directory away and start the node over an empty one: its replicas are copied from the others.'
  const details = { end: 'data-directory' satisfies NodeEndKind }
  return new AshlarError('INTERNAL', what, { hint, details, ...(cause === undefined ? {} : { cause }) })
}

/** True for an error of LevelDB or of the system because the disk is full (finding 6). LevelDB has the system's error as text only. */
export function isDiskFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (/No space left on device|ENOSPC/.test(cause.message)) return true
  }
  return false
}

/** Why a node ends that could not be started. */
export function endOfStart(error: unknown): NodeEndKind {
  if (isDiskFull(error)) return 'disk-full'
  const end = error instanceof AshlarError ? error.details['end'] : undefined
  return (typeof end === 'string' ? nodeEndKindOf(end) : undefined) ?? 'internal'
}
