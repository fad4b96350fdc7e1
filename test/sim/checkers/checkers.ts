import type { ClientEffect, ClientInput } from '@ashlar/client/core'
import type { Effect, Input, LogEntry, MachineEvent, MapState, ReplicaChange } from '@ashlar/node/core'
import { type Bytes, type Epoch, ERRORS, type ExtentId, type SpaceReport } from '@ashlar/proto'
import type { History } from '../../kit/history/recorder.ts'
import type { ClientProcess } from '../world/client-host.ts'
import type { Disk } from '../world/disk.ts'
import type { NodeProcess } from '../world/node-host.ts'
import type { ClientObserver, NodeObserver } from '../world/observer.ts'
import type { Clock } from '../world/time.ts'
import { Bounds } from './bounds.ts'
import { Builds } from './builds.ts'
import { ControlTruth, type Entrance } from './control-truth.ts'
import { Durability } from './durability.ts'
import { Elections } from './elections.ts'
import { Endings } from './endings.ts'
import { FullDisks } from './full-disks.ts'
import { KeptStores } from './kept-stores.ts'
import { Orders } from './orders.ts'
import { Recorder } from './recorder.ts'
import { Report } from './report.ts'
import { Requests } from './requests.ts'
import { Serving } from './serving.ts'
import { Versions } from './versions.ts'

/** Every checker of a run, each looking at every event as it happens. */
export class Checkers implements NodeObserver, ClientObserver {
  readonly report: Report
  readonly truth: ControlTruth
  readonly durability: Durability
  readonly serving: Serving
  readonly fullDisks: FullDisks
  readonly keptStores: KeptStores
  readonly bounds: Bounds
  readonly recorder: Recorder
  /** For directed schedules, which act on what a node says. */
  onMachineEvent: (node: NodeProcess, event: MachineEvent) => void = () => {}
  /** Acknowledged writes of an extent may be lost. */
  onMayLose: (extent: ExtentId) => void = () => {}
  private readonly requests = new Requests()
  private readonly versions: Versions
  private readonly orders: Orders
  private readonly elections: Elections
  private readonly builds: Builds
  readonly endings: Endings

  /** `disks`: those that exist, by store; kept up to date by the world. `trace` is called with one line an event. */
  constructor(clock: Clock, disks: ReadonlyMap<string, Disk>, trace?: (line: string) => void) {
    this.report = new Report(clock)
    this.truth = new ControlTruth(this.report)
    this.durability = new Durability(this.truth, disks, this.report)
    this.serving = new Serving(this.truth, this.report)
    this.fullDisks = new FullDisks(clock, this.truth, this.report)
    this.keptStores = new KeptStores(this.truth, this.report)
    this.versions = new Versions(this.report)
    this.bounds = new Bounds(this.truth, this.report)
    this.orders = new Orders(this.truth, this.report)
    this.elections = new Elections(this.report)
    this.builds = new Builds(this.truth, this.report)
    this.endings = new Endings(this.truth, this.report)
    this.recorder = new Recorder(clock, trace)
  }

  /** Something was found: what comes after it is likely to be its consequence. */
  get broken(): boolean {
    return this.report.violations.length > 0
  }

  /** The log of a cluster that is made of what is left of another one begins with these entries. */
  inherit(former: Checkers, entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.elections.handedOver(entry)
      this.truth.logCommitted(entry)
      this.keptStores.applied(entry)
    }
    this.durability.inherit(former.durability)
  }

  /** What can be checked only over the whole run. */
  end(history: History): void {
    for (const { register, text } of history.check()) {
      this.violation('linearizable', `cell ${register}: ${text}`)
      for (const line of history.describe(register)) this.recorder.note(`cell ${register}: ${line}`)
    }
  }

  /** An extent got a primary by force, or none of its members is left. */
  mayLose(extent: ExtentId): void {
    this.durability.forced(extent)
    this.onMayLose(extent)
  }

  nodeStarted(node: NodeProcess): void {
    this.builds.started(node)
    this.recorder.note(`${node.host} starts, store ${node.disk.store}, start ${node.counter}`)
  }

  nodeEnded(node: NodeProcess, powerLoss: boolean): void {
    this.recorder.note(`${node.host} ends${powerLoss ? ' by loss of power' : ''}`)
  }

  nodeInput(node: NodeProcess, input: Input): void {
    this.recorder.nodeInput(node.host, input)
    this.requests.received(node, input)
    this.builds.received(node, input)
    this.serving.received(node, input)
    this.fullDisks.received(node, input)
  }

  nodeEffect(node: NodeProcess, effect: Effect): void {
    this.recorder.nodeEffect(node.host, effect)
    if (effect.type === 'commit') return this.changed(node, effect.change)
    if (effect.type === 'event') return this.event(node, effect.event)
    if (effect.type === 'log-append') this.builds.writing([effect.entry])
    if (effect.type === 'raft-persist') return this.writingLog(node, effect.request)
    if (effect.type === 'send') {
      this.bounds.sending(effect.message)
      this.durability.sending(node, effect)
      this.serving.sending(node, effect)
      this.elections.sending(node, effect)
      this.fullDisks.sending(node, effect)
      this.endings.sending(node, effect)
    }
    const answer = this.requests.answered(node, effect)
    if (answer !== undefined) this.keptStores.answered(answer.request, effect)
    if (answer !== undefined) this.fullDisks.answered(node, answer.request)
    if (answer !== undefined && saysNoSpace(effect)) this.fullDisks.refused(node, answer.request)
    if (answer?.good !== true || answer.request.type === 'cancel') return
    const { request } = answer
    this.serving.answered(node, request)
    if (request.type === 'write' || request.type === 'zero') this.durability.answered(node, request)
  }

  private writingLog(node: NodeProcess, request: Extract<Effect, { type: 'raft-persist' }>['request']): void {
    const { snapshot, append } = request
    this.builds.writing(append?.entries ?? [])
    if (append !== undefined) this.elections.writing(node, append)
    if (snapshot === undefined) return
    this.elections.snapshot(node, snapshot)
    this.truth.remember(snapshot.index)
  }

  nodeFatal(node: NodeProcess, reason: string): void {
    this.violation('fatal', `${node.host} could not go on: ${reason}`)
  }

  logDurable(node: NodeProcess, entry: LogEntry): void {
    this.recorder.logDurable(node.host, entry)
    this.committed(entry, this.truth.logDurable(node.disk.store, entry))
  }

  logCommitted(node: NodeProcess, entry: LogEntry): void {
    this.elections.handedOver(entry)
    const entrances = this.truth.logCommitted(entry)
    if (entrances === undefined) return
    this.recorder.logDurable(node.host, entry)
    this.committed(entry, entrances)
  }

  private committed(entry: LogEntry, entrances: readonly Entrance[]): void {
    const { command } = entry
    this.builds.committed(entry)
    this.endings.committed(entry)
    if (command.do === 'force-primary' && this.truth.map.forced.get(command.extent)?.store === command.store) {
      this.mayLose(command.extent)
    }
    for (const entrance of entrances) this.durability.entered(entrance)
    this.keptStores.applied(entry)
  }

  logApplied(node: NodeProcess, index: number, map: MapState): void {
    this.truth.checkMap(node.host, index, map)
  }

  clientInput(client: ClientProcess, input: ClientInput): void {
    this.recorder.clientInput(client.host, input)
  }

  clientEffect(client: ClientProcess, effect: ClientEffect): void {
    this.recorder.clientEffect(client.host, effect)
    if (effect.type === 'send') this.bounds.sending(effect.message)
  }

  spaceReported(node: NodeProcess, room: SpaceReport): void {
    this.recorder.spaceReported(node.host, room)
    this.fullDisks.spaceReported(node, room)
  }

  outOfRoom(node: NodeProcess, bytes: Bytes, freeBytes: Bytes): void {
    this.fullDisks.outOfRoom(node, bytes, freeBytes)
  }

  violation(rule: string, text: string): void {
    this.report.violation(rule, text)
    this.recorder.note(`VIOLATION ${rule}: ${text}`)
  }

  private changed(node: NodeProcess, change: ReplicaChange): void {
    this.versions.changed(node, change)
    this.orders.changed(node, change)
    this.durability.changed(change)
    this.serving.changed(node, change)
    this.fullDisks.changed(node, change)
  }

  private event(node: NodeProcess, event: MachineEvent): void {
    this.onMachineEvent(node, event)
    this.fullDisks.event(node, event)
    if (event.what !== 'extent-active' || event.extent === undefined) return
    const epoch = event['epoch'] as Epoch
    this.serving.activated(node, event.extent, epoch)
    this.durability.activated(node, event.extent, epoch)
    this.keptStores.committed(event.extent, epoch)
  }
}

function saysNoSpace(effect: Effect): boolean {
  return effect.type === 'send' && effect.message.type === 'answer' && effect.message.code === ERRORS.NO_SPACE.number
}
