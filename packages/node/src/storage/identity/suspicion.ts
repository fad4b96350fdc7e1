import type { ExtentId } from '@ashlar/proto'
import type { Suspicion } from '../repositories/identity-repository.ts'

/** Adds evidence to what was suspected before; the extents are those whose replicas may have lost something. */
export function suspect(
  before: Suspicion | undefined,
  reason: string,
  since: number,
  extents: Iterable<ExtentId>,
): Suspicion {
  const all = new Set([...(before?.extents ?? []), ...extents])
  return { reason, since, extents: [...all].sort((a, b) => a - b) }
}

/** A replica was compared with a primary, or dropped: it is not suspect any more, and maybe the store is not either. */
export function clearSuspicion(suspicion: Suspicion | undefined, extent: ExtentId): Suspicion | undefined {
  if (suspicion?.extents.includes(extent) !== true) return suspicion
  const extents = suspicion.extents.filter((other) => other !== extent)
  return extents.length === 0 ? undefined : { ...suspicion, extents }
}
