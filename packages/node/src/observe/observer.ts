import type { ExtentId, Message, Millis, StoreId } from '@ashlar/proto'
import type { DestinationStream, Logger } from 'pino'
import type { NodeView } from '../admin/node-view.ts'
import type { LogLevel } from '../config/index.ts'
import type { Link, MachineEvent } from '../core/machine.ts'
import { collectNode } from './collect.ts'
import { EventLog } from './event-log.ts'
import { EVENT_METRICS } from './event-metrics.ts'
import { createLog } from './logger.ts'
import { createNodeMetrics, type NodeMetrics } from './metrics/index.ts'
import { OperationTimer } from './operation-timer.ts'
import { createRegister, type Register } from './register.ts'

export interface ObserverOptions {
  readonly level: LogLevel
  /** Name of the node: on every log line. */
  readonly name: string
  readonly version: string
  /** Where log lines go; standard output by default. */
  readonly to?: DestinationStream
  /** Monotonic milliseconds; `performance.now` by default. */
  readonly clock?: () => Millis
}

const MAX_EVENT_NAMES = 200

type LinkLabels = { readonly peer: 'node' | 'client'; readonly direction: 'in' | 'out' }

/**
 * The log and the metrics of a node, and the events of its machines as both. The shell calls it beside the machines, which
 * never read anything back.
 */
export class Observer {
  readonly log: Logger
  readonly register: Register
  readonly metrics: NodeMetrics
  private readonly clock: () => Millis
  private readonly eventLog: EventLog
  private readonly timer: OperationTimer
  private readonly links = new Map<Link, LinkLabels>()
  private readonly eventNames = new Set<string>()
  private view: NodeView | undefined

  constructor(options: ObserverOptions) {
    const { level, name, version, to } = options
    this.clock = options.clock ?? (() => performance.now())
    this.log = createLog({ level, node: name, ...(to === undefined ? {} : { to }) })
    this.register = createRegister()
    this.metrics = createNodeMetrics(this.register, { version, name })
    this.eventLog = new EventLog({
      log: this.log,
      clock: this.clock,
      nodeName: (store) => this.nodeName(store),
      volumeName: (extent) => this.volumeName(extent),
      onSuppressed: (what) => this.metrics.process.suppressedLines.add({ what }),
    })
    this.timer = new OperationTimer({
      metrics: this.metrics.replication,
      clock: this.clock,
      volumeName: (extent) => this.volumeName(extent),
    })
    this.register.onCollect(() => this.collectLinks())
  }

  /** From here on names are resolved and states are exposed. Call it once, when the machines have begun. */
  watch(view: NodeView): void {
    this.view = view
    collectNode(this.register, this.metrics, view)
    for (const { option, address } of view.insecure) {
      this.log.warn(
        { option, address },
        'insecure-listener: any process on the network can read and destroy the volumes',
      )
    }
  }

  /** Counts and logs an event of a machine, and moves the metrics that its row of EVENT_METRICS names. */
  event(event: MachineEvent): void {
    this.metrics.process.events.add({ what: this.labelOf(event), level: event.level })
    EVENT_METRICS[event.what]?.(this.metrics, event)
    this.eventLog.write(event)
  }

  linkUp(link: Link, direction: 'in' | 'out', peer: 'node' | 'client'): void {
    this.links.set(link, { peer, direction })
    this.metrics.transport.linksOpened.add({ peer, direction })
  }

  linkDown(link: Link): void {
    const events = this.links.get(link)
    if (events === undefined) return
    this.links.delete(link)
    this.metrics.transport.linksClosed.add({ peer: events.peer, direction: events.direction })
    this.timer.onLinkDown(link)
  }

  received(link: Link, message: Message): void {
    this.metrics.transport.received.add({ kind: message.type })
    if (this.links.get(link)?.peer === 'client') this.timer.onReceived(link, message)
  }

  /** `outcome`: of `Transport.send`. A response that was not queued does not count as one. */
  sent(link: Link, message: Message, outcome: 'queued' | 'full' | 'down'): void {
    if (outcome !== 'queued') return this.metrics.transport.notSent.add({ reason: outcome })
    this.metrics.transport.sent.add({ kind: message.type })
    this.timer.onSent(link, message)
  }

  /** Logs how many lines were suppressed, and stops measuring. */
  close(): void {
    this.eventLog.settle(true)
    this.metrics.process.close()
  }

  /** Event names are few; a bug that makes many must not make as many series. */
  private labelOf({ what }: MachineEvent): string {
    if (this.eventNames.size < MAX_EVENT_NAMES) this.eventNames.add(what)
    return this.eventNames.has(what) ? what : 'other'
  }

  private nodeName(store: StoreId): string | undefined {
    return this.view?.map.nodes.get(store)?.name
  }

  private volumeName(extent: ExtentId): string | undefined {
    return this.view?.map.locate(extent)?.volume.name
  }

  private collectLinks(): void {
    const { links } = this.metrics.transport
    for (const peer of ['node', 'client'] as const) {
      for (const direction of ['in', 'out'] as const) {
        const open = [...this.links.values()].filter((events) => events.peer === peer && events.direction === direction)
        if (peer === 'node' || direction === 'in') links.set({ peer, direction }, open.length)
      }
    }
  }
}
