import { applyCommand, type LogEntry, MapState } from '@ashlar/node/core'
import type { Epoch, ExtentId, ExtentRecord, StoreId, VolumeId, VolumeRecord } from '@ashlar/proto'
import type { Report } from './report.ts'

/** A store became a member of an in-sync set. */
export interface Entrance {
  readonly extent: ExtentId
  readonly store: StoreId
}

/**
 * The map as it truly is: every entry of the control log, applied the moment it is on stable storage, or with several
 * voters when the first of them hands it over. What nodes know of it is older. Checks that nothing in it ever goes back (design invariant 4) and that its sets stay legal.
 */
export class ControlTruth {
  readonly map = new MapState()
  private applied = 0
  private readonly log: LogEntry[] = []
  private voter: StoreId | undefined
  private readonly primaries = new Map<string, StoreId>()
  private readonly report: Report

  constructor(report: Report) {
    this.report = report
  }

  /** Applies an entry that became durable on a store; returns what entered an in-sync set by it. */
  logDurable(store: StoreId, entry: LogEntry): Entrance[] {
    this.voter ??= store
    if (this.voter !== store) this.report.violation('one-cluster', `${store} keeps a control log beside ${this.voter}`)
    return this.logCommitted(entry) ?? []
  }

  /** Applies an entry that a voter handed over; undefined when another one did so before, and then it must be the same. */
  logCommitted(entry: LogEntry): Entrance[] | undefined {
    if (entry.index <= this.applied) {
      const known = this.log[entry.index - 1]
      if (known?.term !== entry.term || JSON.stringify(known.command) !== JSON.stringify(entry.command))
        this.report.violation('control-log', `two voters handed over different entries ${entry.index}`)
      return undefined
    }
    this.log.push(entry)
    if (entry.index !== this.applied + 1) this.report.violation('control-log', `entry ${entry.index} leaves a gap`)
    this.applied = entry.index
    const before = new Map(this.map.extents)
    const generations = new Map([...this.map.volumes].map(([id, volume]) => [id, volume.generation]))
    applyCommand(this.map, entry.command)
    const entrances: Entrance[] = []
    for (const record of this.map.extents.values()) {
      const known = before.get(record.id)
      if (known === record) continue
      this.checkRecord(known, record)
      for (const store of record.inSync) {
        if (known !== undefined && !known.inSync.includes(store)) entrances.push({ extent: record.id, store })
      }
    }
    for (const volume of this.map.volumes.values()) {
      if (volume.generation < (generations.get(volume.id) ?? 0)) {
        this.report.violation('only-rises', `the generation of volume ${volume.id} went back`)
      }
    }
    return entrances
  }

  record(extent: ExtentId): ExtentRecord | undefined {
    return this.map.extents.get(extent)
  }

  volume(id: VolumeId): VolumeRecord | undefined {
    return this.map.volumes.get(id)
  }

  /** Who was named primary of an extent in an epoch, at any time. */
  primaryOf(extent: ExtentId, epoch: Epoch): StoreId | undefined {
    return this.primaries.get(`${extent}:${epoch}`)
  }

  private checkRecord(before: ExtentRecord | undefined, after: ExtentRecord): void {
    const { id } = after
    this.primaries.set(`${id}:${after.epoch}`, after.primary.store)
    if (after.inSync.length === 0) this.report.violation('sets', `the in-sync set of extent ${id} is empty`)
    if (!after.inSync.includes(after.primary.store)) {
      this.report.violation('sets', `extent ${id} names a primary outside its in-sync set`)
    }
    if (after.eligible.some((store) => after.inSync.includes(store) || !after.assigned.includes(store))) {
      this.report.violation('sets', `extent ${id} has an eligible store that is in sync or not assigned`)
    }
    if (before === undefined) return
    if (after.epoch < before.epoch) this.report.violation('only-rises', `the epoch of extent ${id} went back`)
    if (after.revision <= before.revision)
      this.report.violation('only-rises', `the revision of extent ${id} did not rise`)
    const moved = before.primary.store !== after.primary.store || before.primary.counter !== after.primary.counter
    if (moved && after.epoch === before.epoch) {
      this.report.violation('one-primary-per-epoch', `extent ${id} changed its primary within epoch ${after.epoch}`)
    }
  }
}
