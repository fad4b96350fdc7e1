import type { SessionId, StoreId, VolumeRecord } from '@ashlar/proto'
import { extentCount, extentId } from '@ashlar/proto'
import { type CommandResult, done, refused } from '../commands/index.ts'
import type { MapState } from '../map/index.ts'
import type { AttachView } from './leader-view.ts'

/** The result of a complete attachment; a refusal if its session ended meanwhile. */
export function attachResult(state: MapState, attached: VolumeRecord, session: SessionId): CommandResult {
  const volume = state.volumes.get(attached.id)
  const stands = volume?.generation === attached.generation && volume.holders.some((held) => held.session === session)
  if (stands) return done({ volume: attached })
  const what = `volume ${attached.name} was attached elsewhere, detached or removed meanwhile`
  return refused('FENCED', what, 'open the volume again')
}

/** An attachment that is committed and not complete. */
export interface AttachWait<Answer> {
  readonly volume: VolumeRecord
  readonly session: SessionId
  /** Map revision that the primaries must have applied. */
  readonly revision: number
  /** Stores that have not renewed at that revision yet. */
  readonly waitsFor: Set<StoreId>
  readonly answer: Answer
}

/**
 * An attachment is complete once every primary of the volume's extents has renewed its lease at the revision of the
 * attachment or later, or its lease ran out (A2.11-1): from then on no primary assigns a seq under an older generation.
 * An extent without a primary does not block it, since its next primary reads the generation from the map before it
 * serves.
 */
export class AttachWaits<Answer> {
  private waits: AttachWait<Answer>[] = []

  /**
   * Begins to wait once the attachment is committed. `holdsLease`: the store's lease may still hold. False: there is no
   * primary to wait for, and the attachment is complete.
   */
  begin(
    state: MapState,
    volume: VolumeRecord,
    session: SessionId,
    holdsLease: (store: StoreId) => boolean,
    answer: Answer,
  ): boolean {
    const waitsFor = new Set<StoreId>()
    for (let index = 0; index < extentCount(volume); index++) {
      const primary = state.extents.get(extentId(volume.id, index))?.primary.store
      if (primary !== undefined && holdsLease(primary)) waitsFor.add(primary)
    }
    if (waitsFor.size === 0) return false
    this.waits.push({ volume, session, revision: volume.changedAt, waitsFor, answer })
    return true
  }

  /** A store that applied the map up to `revision` renewed. Returns the waits that this ends. */
  renewed(store: StoreId, revision: number): AttachWait<Answer>[] {
    return this.settle(store, (wait) => revision >= wait.revision)
  }

  /** The store's lease or incarnation ended. Returns the waits that this ends. */
  ended(store: StoreId): AttachWait<Answer>[] {
    return this.settle(store, () => true)
  }

  views(): AttachView[] {
    return this.waits.map(({ volume, session, waitsFor }) => ({
      volume: volume.name,
      client: volume.holders.find((holder) => holder.session === session)?.client ?? '',
      waitsFor: [...waitsFor],
    }))
  }

  /** Ends every wait, since this process lost leadership, and returns them. */
  clear(): AttachWait<Answer>[] {
    const waits = this.waits
    this.waits = []
    return waits
  }

  private settle(store: StoreId, counts: (wait: AttachWait<Answer>) => boolean): AttachWait<Answer>[] {
    if (this.waits.length === 0) return []
    const over: AttachWait<Answer>[] = []
    for (const wait of this.waits)
      if (counts(wait) && wait.waitsFor.delete(store) && wait.waitsFor.size === 0) over.push(wait)
    if (over.length > 0) this.waits = this.waits.filter((wait) => wait.waitsFor.size > 0)
    return over
  }
}
