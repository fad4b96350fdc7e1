import { type RegisterOperation, ZERO } from './register-check.ts'

/** One operation on a register, with its writer. */
export interface OwnedOperation extends RegisterOperation {
  /** A writer whose writes of one register take effect in the order in which it made them, whatever their answers. */
  readonly writer?: object
}

/**
 * Linearizability lets a write without an answer take effect at any time, also over a later one of its own writer
 * (A3-25). No writer may see that: once its later write is there, by its answer or by a read of it, no read that begins
 * after that returns the earlier one, however that ended. `history`: of one register, in the order in which calls were
 * made.
 */
export function checkOwnOrder(history: readonly OwnedOperation[]): string | undefined {
  const there = momentsOf(history)
  const replacedAt = new Map<number, { readonly at: number; readonly by: number }>()
  const next = new Map<object, { readonly at: number; readonly by: number }>()
  for (const { kind, value, writer, returned } of history.toReversed()) {
    if (kind !== 'write' || writer === undefined) continue
    const later = next.get(writer)
    if (later !== undefined && value !== ZERO) replacedAt.set(value, later)
    const at = value === ZERO ? returned : (there.get(value) ?? Infinity)
    if (later === undefined || at < later.at) next.set(writer, { at, by: value })
  }
  for (const { kind, value, invoked } of history) {
    if (kind !== 'read') continue
    const later = replacedAt.get(value)
    if (later === undefined || invoked < later.at) continue
    return `${value} was read from ${invoked} on, though the write of ${later.by} that its own writer made after it was there at ${later.at}`
  }
  return undefined
}

/** When each value was certainly there for the first time: its write was answered, or it was read. */
function momentsOf(history: readonly OwnedOperation[]): Map<number, number> {
  const moments = new Map<number, number>()
  for (const { value, returned } of history) {
    if (returned < (moments.get(value) ?? Infinity)) moments.set(value, returned)
  }
  return moments
}
