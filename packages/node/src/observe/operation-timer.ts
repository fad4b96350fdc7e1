import { BLOCK_TRIM, ERRORS, type ExtentId, errorCodeOf, type Message, type Millis } from '@ashlar/proto'
import type { Link } from '../core/machine.ts'
import type { ReplicationMetrics } from './metrics/index.ts'

/** Maximum number of operations timed at once: more than clients may have in flight, so only a broken client reaches it. */
const MAX_TIMED = 65_536

interface Timed {
  readonly startedAt: Millis
  readonly volume: string
  readonly operation: string
  readonly bytes: number
}

export interface OperationTimerOptions {
  readonly metrics: ReplicationMetrics
  /** Monotonic milliseconds. */
  readonly clock: () => Millis
  /** Name of the volume of an extent; undefined when the map does not have it: the operation is not counted then. */
  readonly volumeName: (extent: ExtentId) => string | undefined
}

/**
 * Times the operations of clients outside the machines, by the messages that arrive and leave: the time that a client waits
 * includes the queues of the shell.
 */
export class OperationTimer {
  private readonly options: OperationTimerOptions
  private readonly links = new Map<Link, Map<number, Timed>>()
  private timed = 0

  constructor(options: OperationTimerOptions) {
    this.options = options
  }

  onReceived(link: Link, message: Message): void {
    const operation = operationOf(message)
    if (operation === undefined) return
    const { request, extent, name, bytes } = operation
    const volume = this.options.volumeName(extent)
    if (volume === undefined) return
    if (this.timed >= MAX_TIMED) {
      this.options.metrics.operationsUntimed.add({})
      return
    }
    const requests = this.requestsOf(link)
    if (!requests.has(request)) this.timed++
    requests.set(request, { startedAt: this.options.clock(), volume, operation: name, bytes })
  }

  onSent(link: Link, message: Message): void {
    if (message.type !== 'answer' && message.type !== 'read-done' && message.type !== 'allocation') return
    const requests = this.links.get(link)
    const timed = requests?.get(message.request)
    if (requests === undefined || timed === undefined) return
    requests.delete(message.request)
    this.timed--
    this.count(timed, message.type === 'answer' ? message.code : ERRORS.OK.number)
  }

  /** Operations without a response on this connection are not counted: the client retries over another one. */
  onLinkDown(link: Link): void {
    this.timed -= this.links.get(link)?.size ?? 0
    this.links.delete(link)
  }

  private count(timed: Timed, number: number): void {
    const { metrics, clock } = this.options
    const { volume, operation, bytes } = timed
    metrics.operations.add({ volume, operation, code: errorCodeOf(number) ?? 'INTERNAL' })
    metrics.operationSeconds.observe({ volume, operation }, (clock() - timed.startedAt) / 1000)
    if (number === ERRORS.OK.number) metrics.operationBytes.add({ volume, operation }, bytes)
  }

  private requestsOf(link: Link): Map<number, Timed> {
    const known = this.links.get(link)
    if (known !== undefined) return known
    const made = new Map<number, Timed>()
    this.links.set(link, made)
    return made
  }
}

function operationOf(message: Message): { request: number; extent: ExtentId; name: string; bytes: number } | undefined {
  switch (message.type) {
    case 'write':
      return { request: message.request, extent: message.extent, name: 'write', bytes: message.payload.length }
    case 'zero': {
      const name = message.kind === BLOCK_TRIM ? 'trim' : 'write-zeroes'
      return { request: message.request, extent: message.extent, name, bytes: message.length }
    }
    case 'read':
      return { request: message.request, extent: message.extent, name: 'read', bytes: message.length }
    case 'query-allocation':
      return { request: message.request, extent: message.extent, name: 'query-allocation', bytes: 0 }
    case 'cancel':
      return { request: message.request, extent: message.extent, name: 'cancel', bytes: 0 }
    default:
      return undefined
  }
}
