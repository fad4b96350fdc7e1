import { applyCommand, type LogEntry, MapState, type NodeStart } from '@ashlar/node/core'
import {
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  NO_INCARNATION,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
} from '@ashlar/proto'
import { membersOf } from '../world/log-image.ts'
import type { Report } from './report.ts'

/** Maps of voters are compared after every so many entries, beside those with a snapshot. */
const CHECK_EVERY = 16

type Command = LogEntry['command']

/** A store became a member of an in-sync set. */
export interface Entrance {
  readonly extent: ExtentId
  readonly store: StoreId
}

/**
 * The map as it truly is: every entry of the control log, applied the moment it is on stable storage, or with several
 * voters when the first of them hands it over. What nodes know of it is older. Checks that nothing in it ever goes back
 * (A3-33) and that its sets stay legal.
 */
export class ControlTruth {
  readonly map = new MapState()
  /** The members of the log by the latest entry that names them. */
  members: NonNullable<NodeStart['snapshot']>['members'] = { voters: [], learners: [] }
  private applied = 0
  private readonly log: LogEntry[] = []
  private voter: StoreId | undefined
  /** The map after some entries, as text: those at which a voter took a snapshot. */
  private readonly maps = new Map<number, string>()
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

  /**
   * Applies an entry that a voter handed over; undefined when another one did so before, and then it must be the same.
   */
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
    const counters = new Map([...this.map.nodes].map(([store, node]) => [store, node.incarnation.counter]))
    const generations = new Map([...this.map.volumes].map(([id, volume]) => [id, volume.generation]))
    applyCommand(this.map, entry.command)
    this.changeMembers(entry)
    this.checkSuspect(entry, counters)
    const entrances: Entrance[] = []
    for (const record of this.map.extents.values()) {
      const known = before.get(record.id)
      if (known === record) continue
      this.checkRecord(known, record, entry.command)
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

  /**
   * A2.17-2: a suspect store is named primary in no incarnation, unless by an operator, or only suspect stores are left
   * and it is to reconcile what they hold; NO_INCARNATION names none.
   */
  private checkTrust(before: ExtentRecord | undefined, { id, epoch, primary }: ExtentRecord, command: Command): void {
    if (before === undefined || before.epoch === epoch || primary.counter === NO_INCARNATION) return
    const mark = this.map.forced.get(id)
    if (mark?.epoch === epoch && mark.merged === true) return this.checkReconciliation(before, command)
    if (this.map.nodes.get(primary.store)?.trust !== 'suspect' || mark?.epoch === epoch) return
    this.report.violation('suspect', `extent ${id} names suspect store ${primary.store} in epoch ${epoch}`)
  }

  /** No store that counts is trusted, and every store that counts or is suspect is present. */
  private checkReconciliation({ id, assigned, inSync, eligible }: ExtentRecord, command: Command): void {
    const members = [...inSync, ...eligible].filter((store) => !this.map.gone.has(store))
    const live = new Set('live' in command ? command.live : [])
    if (command.do === 'register') live.add(command.store)
    for (const store of assigned) {
      const trust = this.map.nodes.get(store)?.trust
      if (members.includes(store) && trust !== 'suspect')
        this.report.violation('suspect', `extent ${id} is reconciled, and ${store} counts and is trusted`)
      if (!this.map.gone.has(store) && (members.includes(store) || trust === 'suspect') && !live.has(store))
        this.report.violation('suspect', `extent ${id} is reconciled without ${store}`)
    }
  }

  /** In the entry that registers a suspect store it leaves every set with another trusted member. */
  private checkSuspect({ command }: LogEntry, counters: ReadonlyMap<StoreId, number>): void {
    if (command.do !== 'register' || this.map.nodes.get(command.store)?.trust !== 'suspect') return
    // Since the start that it names, or a later one, it may have been compared and added.
    if (command.incarnation.counter <= (counters.get(command.store) ?? NO_INCARNATION)) return
    const { store } = command
    for (const { id, inSync, eligible } of this.map.extents.values()) {
      const members = [...inSync, ...eligible]
      const believed = members.some((member) => member !== store && this.believes(member))
      if (members.includes(store) && believed)
        this.report.violation('suspect', `${store} is suspect and counts on extent ${id} when it registers`)
    }
  }

  private believes(store: StoreId): boolean {
    const { nodes, successors, gone } = this.map
    return nodes.get(store)?.trust === 'trusted' && !successors.has(store) && !gone.has(store)
  }

  /** Two majorities always meet when one voter comes or goes at a time (Raft section 6, Ongaro's thesis 4.1). */
  private changeMembers(entry: LogEntry): void {
    const members = membersOf(entry)
    if (members === undefined) return
    const [before, after] = [this.members.voters, members.voters].map((voters) => voters.map(({ store }) => store))
    const changed = [
      ...(before ?? []).filter((store) => !after?.includes(store)),
      ...(after ?? []).filter((store) => !before?.includes(store)),
    ]
    if (entry.command.do === 'set-members' && changed.length > 1)
      this.report.violation('one-change', `entry ${entry.index} changes ${changed.length} voters at once`)
    this.members = members
  }

  /** A snapshot stands for the map after this entry: what is restored from it must be that map. */
  remember(index: number): void {
    if (index === this.applied && !this.maps.has(index)) this.maps.set(index, textOf(this.map))
  }

  /**
   * Every voter has the same map after the same entry, by whatever snapshots and entries it came there (raft pitfalls
   * 5, 6).
   */
  checkMap(host: string, index: number, map: MapState): void {
    const known = this.maps.get(index)
    if (known === undefined && (index !== this.applied || index % CHECK_EVERY !== 0)) return
    if (textOf(map) === (known ?? textOf(this.map))) return
    this.report.violation('same-map', `${host} has another map than others after entry ${index}`)
  }

  record(extent: ExtentId): ExtentRecord | undefined {
    return this.map.extents.get(extent)
  }

  volume(id: VolumeId): VolumeRecord | undefined {
    return this.map.volumes.get(id)
  }

  /** The stores named primary of an extent in an epoch, at any time. */
  primaryOf(extent: ExtentId, epoch: Epoch): StoreId | undefined {
    return this.primaries.get(`${extent}:${epoch}`)
  }

  private checkRecord(before: ExtentRecord | undefined, after: ExtentRecord, command: Command): void {
    const { id } = after
    this.primaries.set(`${id}:${after.epoch}`, after.primary.store)
    if (after.inSync.length === 0) this.report.violation('sets', `the in-sync set of extent ${id} is empty`)
    if (!after.inSync.includes(after.primary.store)) {
      this.report.violation('sets', `extent ${id} names a primary outside its in-sync set`)
    }
    this.checkTrust(before, after, command)
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

/** All that entries make of a map. Not by its own rows: what those leave out is missing in a snapshot as well. */
function textOf(map: MapState): string {
  const { cluster, clusterGeneration, voters, lastVolume, revision } = map
  return JSON.stringify([
    [cluster, clusterGeneration, voters, lastVolume, revision],
    [...map.nodes, ...map.volumes, ...map.extents, ...map.forced],
    [...map.removedVolumes, ...map.removedNodes, ...map.pastSessions],
    [[...map.gone], [...map.successors], [...map.copied]],
  ])
}
