import type { Effect, LogEntry, MapState } from '@ashlar/node/core'
import { type Epoch, ERRORS, type ExtentId, type ExtentRecord, FEATURES, type StoreId, volumeOf } from '@ashlar/proto'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'
import type { Request } from './requests.ts'

const COMMITTED: readonly number[] = [ERRORS.OK, ERRORS.INDETERMINATE, ERRORS.CANCELLED].map(({ number }) => number)

interface Holders {
  readonly epoch: Epoch
  /** The last one that was looked at. */
  record: ExtentRecord
  /** With the start counter of the incarnation in which each was a member. */
  readonly stores: Map<StoreId, number>
}

/**
 * Below minInSync control keeps as eligible every store that holds every acknowledged write (CTL-5, A2.10-3). Within
 * one epoch these are the stores that were in sync or kept when it began, and those added since, less the ones without
 * which the primary committed anything, each in the incarnation of that time. The epochs before are not looked at: the
 * store that takes over does not know it.
 */
export class KeptStores {
  private readonly truth: ControlTruth
  private readonly report: Report
  private readonly holders = new Map<ExtentId, Holders>()

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  /** The answer of a primary to a change shows that it committed that, or may have. */
  answered(request: Request, effect: Effect): void {
    if (effect.type !== 'send' || effect.message.type !== 'answer' || request.type === 'read') return
    if (COMMITTED.includes(effect.message.code)) this.committed(request.extent, effect.message.epoch)
  }

  /** The primary of an epoch committed something, or may have. */
  committed(extent: ExtentId, epoch: Epoch): void {
    const record = this.truth.record(extent)
    const known = this.holders.get(extent)
    if (record?.epoch !== epoch || known?.epoch !== epoch) return
    for (const store of known.stores.keys()) if (!record.inSync.includes(store)) known.stores.delete(store)
  }

  /** An entry of control's log was applied. */
  applied({ command }: LogEntry): void {
    for (const record of this.truth.map.extents.values()) {
      const before = this.holders.get(record.id)
      if (before?.epoch !== record.epoch) {
        const holders = { epoch: record.epoch, record, stores: new Map<StoreId, number>() }
        this.holders.set(record.id, holders)
        this.note(holders, [...record.inSync, ...record.eligible])
        continue
      }
      if (before.record === record) continue
      before.record = record
      this.note(before, record.inSync)
      this.check(before, record, command.do)
    }
  }

  private note({ stores }: Holders, members: readonly StoreId[]): void {
    for (const store of members) stores.set(store, this.truth.map.nodes.get(store)?.incarnation.counter ?? 0)
  }

  private check({ stores }: Holders, record: ExtentRecord, command: string): void {
    const { map } = this.truth
    // Before that control leaves out what the primary names (amendment 27).
    if (map.featureLevel < FEATURES.completeStores) return
    const minInSync = map.volumes.get(volumeOf(record.id))?.minInSync ?? 1
    if (record.inSync.length >= minInSync) return
    for (const [store, counter] of stores) {
      if (record.inSync.includes(store) || record.eligible.includes(store)) continue
      stores.delete(store)
      // A removal by control itself needs no request of the primary.
      if (command !== 'change-sets' || !counts(map, record, store)) continue
      if (map.nodes.get(store)?.incarnation.counter !== counter) continue
      const left = [...record.inSync, ...record.eligible].join(' ')
      this.report.violation(
        'kept-stores',
        `extent ${record.id} forgets ${store} and keeps ${left}, though nothing was acknowledged without it`,
      )
    }
  }
}

/** Control trusts what the store holds, and has not reassigned its slot. */
function counts({ nodes, successors, gone }: MapState, { assigned }: ExtentRecord, store: StoreId): boolean {
  const isGone = successors.has(store) || gone.has(store) || !assigned.includes(store)
  return nodes.get(store)?.trust === 'trusted' && !isGone
}
