import type { Effect, Input, ReplicaChange } from '@ashlar/node/core'
import { type Epoch, type ExtentId, type ExtentRecord, type StoreId, type VolumeId, volumeOf } from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'
import type { Request } from './requests.ts'

/**
 * Which store serves (A3-1 and A3-19): one primary in an epoch; only the store that control names now, in the
 * incarnation that it was named in; and no primary gives a seq to a writer once a later attachment is complete
 * (A2.11-1).
 */
export class Serving {
  private readonly truth: ControlTruth
  private readonly report: Report
  /** The store that serves or served, by extent and epoch. */
  private readonly active = new Map<string, Incarnation>()
  /** The opening of a store that began an epoch, by extent and epoch. */
  private readonly begun = new Map<string, string>()
  /** Attachment generation that control has reported as complete. */
  private readonly attached = new Map<VolumeId, number>()
  /** Extents and epochs in which an incarnation requested confirmations of reads, since it had no lease. */
  private readonly confirming = new WeakMap<NodeProcess, Set<string>>()
  /** Commands whose answer says nothing of an attachment, though it names the volume: detaching, or reading only. */
  private readonly idle = new WeakMap<NodeProcess, Set<string>>()
  /** Takeovers that came as far as to serve. */
  activations = 0

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  activated(node: NodeProcess, extent: ExtentId, epoch: Epoch): void {
    this.activations++
    const key = `${extent}:${epoch}`
    const other = this.active.get(key)
    const incarnation = incarnationOf(node)
    if (other !== undefined && (other.store !== node.disk.store || other.bootId !== node.bootId)) {
      this.report.violation(
        'one-primary-per-epoch',
        `epoch ${epoch} of extent ${extent}: ${other.text} and ${incarnation}`,
      )
    }
    this.active.set(key, { store: node.disk.store, counter: node.counter, bootId: node.bootId, text: incarnation })
    if (this.truth.primaryOf(extent, epoch) !== node.disk.store) {
      this.report.violation('one-primary-per-epoch', `${incarnation} serves extent ${extent} in epoch ${epoch} unnamed`)
    }
  }

  /** A2.0: an epoch belongs to one incarnation, also where its directory went back and its start counter with it. */
  private begins(node: NodeProcess, extent: ExtentId, epoch: Epoch): void {
    const key = `${extent}:${epoch}`
    const begun = this.begun.get(key)
    this.begun.set(key, node.bootId)
    if (begun !== undefined && begun !== node.bootId)
      this.report.violation(
        'epoch-begun-once',
        `${incarnationOf(node)} begins epoch ${epoch} of extent ${extent} once more`,
      )
  }

  /** The primary that the record names serves, in the incarnation that it was named in. */
  serves(record: ExtentRecord): boolean {
    const { id, epoch, primary } = record
    const incarnation = this.active.get(`${id}:${epoch}`)
    return incarnation !== undefined && incarnation.store === primary.store && incarnation.counter === primary.counter
  }

  /** A read, a write or a query was answered with success. */
  answered(node: NodeProcess, request: Request): void {
    const record = this.truth.record(request.extent)
    if (record === undefined) return
    const { primary, epoch } = record
    if (primary.store === node.disk.store && primary.counter === node.counter && epoch === request.epoch) return
    // A confirmed read was current when its round began, whatever control did since: the histories judge it (amendment
    // 8).
    const confirms = this.confirming.get(node)?.has(`${request.extent}:${request.epoch}`) === true
    if (request.type === 'read' && confirms) return
    this.report.violation(
      'zombie',
      `${incarnationOf(node)} answered a ${request.type} of extent ${request.extent} in epoch ${request.epoch}, while control has ${primary.store} in ${epoch}`,
    )
  }

  /** A store is asked to commit a change. */
  changed(node: NodeProcess, change: ReplicaChange): void {
    const { operation, extent, head } = change
    if (operation === undefined || head.lastEpoch === undefined) return
    if (this.truth.primaryOf(extent, head.lastEpoch) !== node.disk.store) return
    const complete = this.attached.get(volumeOf(extent)) ?? 0
    if (operation.generation < complete) {
      this.report.violation(
        'fenced-writer',
        `${incarnationOf(node)} gave seq ${operation.seq} to generation ${operation.generation}; ${complete} is attached`,
      )
    }
  }

  received(node: NodeProcess, input: Input): void {
    if (input.type !== 'received' || input.message.type !== 'admin') return
    const { command, request } = input.message
    if (command.do !== 'detach' && !(command.do === 'attach' && command.mode === 'read-only')) return
    const idle = this.idle.get(node) ?? new Set()
    this.idle.set(node, idle.add(`${input.link}:${request}`))
  }

  sending(node: NodeProcess, { message, link }: Extract<Effect, { type: 'send' }>): void {
    if (message.type === 'open') this.begins(node, message.extent, message.epoch)
    if (message.type === 'confirm' && message.commitSeq === undefined) {
      const confirming = this.confirming.get(node) ?? new Set()
      this.confirming.set(node, confirming.add(`${message.extent}:${message.epoch}`))
    }
    if (message.type !== 'admin-done' || message.code !== 0 || message.volume === undefined) return
    if (this.idle.get(node)?.has(`${link}:${message.request}`) === true) return
    const { id, generation } = message.volume
    this.attached.set(id, Math.max(this.attached.get(id) ?? 0, generation))
  }
}

/** One incarnation of one store. */
interface Incarnation {
  readonly store: StoreId
  readonly counter: number
  readonly bootId: string
  readonly text: string
}

function incarnationOf(node: NodeProcess): string {
  return `${node.host} (${node.disk.store}, start ${node.counter})`
}
