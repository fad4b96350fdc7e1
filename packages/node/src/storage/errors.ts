import { AshlarError } from '@ashlar/proto'

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

/** The data directory cannot be used as it is; `what` is one sentence, `hint` is what the operator can do. */
export function unusableStoreError(what: string, hint: string, cause?: unknown): AshlarError {
  return new AshlarError('CONFLICT', what, cause === undefined ? { hint } : { hint, cause })
}

/** Bytes on disk that no version of this software writes; `what` names the file or key. */
export function corruptStoreError(what: string, cause?: unknown): AshlarError {
  const hint =
    'Do not repair it. Move the data directory away and start the node over an empty one: its replicas are copied from the others.'
  return new AshlarError('INTERNAL', what, cause === undefined ? { hint } : { hint, cause })
}
