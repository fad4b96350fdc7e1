import type { StoreId } from '@ashlar/proto'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'

/** Why a store is suspect: as the store found itself, or else as control saw it. */
export function describeSuspicion(locals: PeerResponses<LocalResponse>, store: StoreId): string {
  const answer = locals.get(store)
  if (answer?.answered !== true) return 'the reason is unknown, since the node is not running or does not respond'
  return answer.value.suspicion ?? 'control saw two data directories with its identity, one of which is a copy'
}
