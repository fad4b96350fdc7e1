import type { Epoch, ExtentId, ExtentRecord, Millis, StoreId } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { Services } from './services.ts'

/** How long a shutdown waits for writes that have their seq, and for control to name other primaries. */
const DRAIN_MS = 2000
const HAND_OVER_MS = 4000

/** What a shutdown needs of a primary. */
interface Releasing {
  readonly epoch: Epoch
  /** What had its seq is settled. */
  readonly drained: boolean
  record(): ExtentRecord | undefined
  startReleasing(): void
  stepDown(ctx: Context): void
}

interface Led {
  primary: Releasing | undefined
}

/**
 * A node that shuts down releases each extent that another in-sync store can lead, after the writes in progress. Ends in the
 * effect `handed-over`.
 */
export class Shutdown {
  private readonly services: Services
  private readonly held: ReadonlyMap<ExtentId, Led>
  private readonly since: Millis
  private readonly extents = new Map<ExtentId, Epoch>()
  private done = false

  constructor(services: Services, held: ReadonlyMap<ExtentId, Led>, since: Millis) {
    this.services = services
    this.held = held
    this.since = since
    for (const [id, { primary }] of held) {
      if (primary === undefined || (primary.record()?.inSync.length ?? 0) < 2) continue
      primary.startReleasing()
      this.extents.set(id, primary.epoch)
    }
  }

  continue(ctx: Context): void {
    if (this.done) return
    const released: { extent: ExtentId; epoch: Epoch }[] = []
    for (const [id, epoch] of this.extents) {
      const extent = this.held.get(id)
      const primary = extent?.primary
      if (extent !== undefined && primary?.epoch === epoch && (primary.drained || ctx.now - this.since > DRAIN_MS)) {
        // It stops serving before control may name another (A2.3-4).
        primary.stepDown(ctx)
        extent.primary = undefined
        released.push({ extent: id, epoch })
      }
      const record = this.services.control.map.extents.get(id)
      if (record === undefined || record.epoch > epoch) this.extents.delete(id)
    }
    if (released.length > 0) this.services.control.release(ctx, released, 'shutdown')
    if (this.extents.size > 0 && ctx.now - this.since < HAND_OVER_MS) return
    this.done = true
    ctx.emit({ type: 'handed-over' })
  }
}

/**
 * True when each of these extents that this store is in sync of has enough other in-sync stores that are up, one of them
 * trusted, since only that one can lead. The others may be suspect, as a store is until all its replicas were compared: it left
 * each set with a trusted member when it registered, and came back by comparison (A2.17-2). Where minInSync is the number of replicas
 * there are never enough others: then all of them suffice, and writes wait for a restart and a comparison.
 */
export function mayLeave({ control, self }: Services, extents: Iterable<ExtentId>): boolean {
  for (const id of extents) {
    const inSync = control.map.extents.get(id)?.inSync ?? []
    if (!inSync.includes(self)) continue
    const others = othersUp(control.map, id, self)
    if (!othersCanLead({ control, self }, id) || others.length < enoughWithout(control.map, id)) return false
  }
  return true
}

/** True when another store in sync is up and trusted, so that it may be named primary. */
export function othersCanLead({ control, self }: Pick<Services, 'control' | 'self'>, id: ExtentId): boolean {
  return othersUp(control.map, id, self).some((store) => control.map.nodes.get(store)?.trust === 'trusted')
}

function othersUp({ extents, nodes }: Services['control']['map'], id: ExtentId, self: StoreId): StoreId[] {
  return (extents.get(id)?.inSync ?? []).filter((store) => store !== self && nodes.get(store)?.state === 'up')
}

function enoughWithout(map: Services['control']['map'], id: ExtentId): number {
  const minInSync = map.locate(id)?.volume.minInSync ?? 1
  const assigned = map.extents.get(id)?.assigned.length ?? minInSync + 1
  return Math.max(1, Math.min(minInSync, assigned - 1))
}
