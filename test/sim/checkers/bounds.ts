import type { MapState } from '@ashlar/node/core'
import { LIMITS, type Message, volumeOf, WIRE_VERSION } from '@ashlar/proto'
import { encodeFrame, messageBytes } from '@ashlar/proto/codec'
import { SESSIONS_VOLUME } from '../workload/session-churner.ts'
import type { Disk } from '../world/disk.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'

/** Sessions that ended and whose windows are there still, once a session more has written with everything at rest. */
const ENDED_AT_REST = 8

/**
 * What grows stays within its limit (A3-29, amendments 31 and 32): every message can be sent, tried once for each kind
 * and power of two in size, and at rest nothing is kept of what ended long ago.
 */
export class Bounds {
  private readonly truth: ControlTruth
  private readonly report: Report
  private readonly tried = new Set<string>()

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  /** A machine sends this. */
  sending(message: Message): void {
    try {
      const kind = `${message.type} ${Math.ceil(Math.log2(messageBytes(message)))}`
      if (this.tried.has(kind)) return
      this.tried.add(kind)
      encodeFrame([message], WIRE_VERSION)
    } catch (error) {
      this.violation(`a message cannot be sent: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /**
   * No store holds a replica of a volume that was removed: one that was away until a moment ago learns of that first.
   */
  isTidy(disks: ReadonlyMap<string, Disk>): boolean {
    const { map } = this.truth
    return [...disks.values()].every(({ replicas }) =>
      [...replicas.keys()].every((extent) => map.volumes.has(volumeOf(extent))),
    )
  }

  /** Everything is mended and at rest, and a session more has written to each extent since. */
  atRest(disks: ReadonlyMap<string, Disk>): void {
    const { map } = this.truth
    this.checkMap(map)
    for (const { store, replicas } of disks.values())
      for (const [extent, { windows }] of replicas) {
        const sessions = windows.snapshot()
        const what = `extent ${extent} on ${store}`
        if (sessions.length > LIMITS.sessionWindows)
          this.violation(`${what} has windows of ${sessions.length} sessions`)
        const volume = map.volumes.get(volumeOf(extent))
        // Every volume that there ever was is in the map or in its tombstones, and no store is away any more.
        if (volume === undefined) this.violation(`${what} is left of a volume that was removed`)
        const ended = sessions.filter(({ session }) => !volume?.holders.some((holder) => holder.session === session))
        if (volume?.name === SESSIONS_VOLUME && ended.length > ENDED_AT_REST)
          this.violation(`${what} has windows of ${ended.length} sessions that are over`)
      }
  }

  private checkMap(map: MapState): void {
    for (const { name, holders } of map.volumes.values())
      if (holders.length > LIMITS.holders) this.violation(`${holders.length} sessions hold volume ${name}`)
    for (const [volume, sessions] of map.pastSessions)
      if (sessions.length > LIMITS.sessionWindows)
        this.violation(`${sessions.length} past sessions of volume ${volume} are kept`)
    const { latest, ranges } = map.removedVolumes
    if (map.featureLevel > 0 && latest.size > LIMITS.tombstones)
      this.violation(`${latest.size} tombstones are kept singly`)
    if (ranges.length > map.volumes.size + latest.size + 1) this.violation(`tombstones are in ${ranges.length} ranges`)
    if (map.removedNodes.size > LIMITS.nodes) this.violation(`${map.removedNodes.size} stores that left are kept`)
    if (map.cluster !== undefined) this.sending({ type: 'map-update', delta: map.deltaSince(0) })
  }

  private violation(text: string): void {
    this.report.violation('bounds', text)
  }
}
