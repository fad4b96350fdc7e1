import type { MachineEvent } from '../core/machine.ts'
import type { NodeMetrics } from './metrics/index.ts'

type Move = (metrics: NodeMetrics, event: MachineEvent) => void

/** Which metrics an event moves. Other events are only counted and logged. */
export const EVENT_METRICS: Readonly<Record<string, Move>> = {
  'extent-active': (metrics) => metrics.replication.activations.add({}),
  'extent-stepped-down': (metrics) => metrics.replication.stepDowns.add({ reason: 'stepped-down' }),
  'primary-fenced': (metrics) => metrics.replication.stepDowns.add({ reason: 'fenced' }),
  'primary-behind': (metrics) => metrics.replication.stepDowns.add({ reason: 'behind' }),
  'in-sync-change-asked': (metrics, { from, to }) => {
    const direction = lengthOf(to) < lengthOf(from) ? 'shrink' : 'grow'
    metrics.replication.inSyncChanges.add({ direction })
  },
  'stream-compared': ({ recovery }, { blocks }) => {
    recovery.comparedStreams.add({})
    recovery.listedBlocks.add({}, amountOf(blocks))
  },
  'stream-marked': ({ recovery }, { blocks, bytes }) => {
    recovery.markedStreams.add({})
    recovery.copiedBlocks.add({}, amountOf(blocks))
    recovery.copiedBytes.add({}, amountOf(bytes))
  },
  'stream-closed': (metrics) => metrics.recovery.closedStreams.add({}),
  'stream-refused': (metrics, { reason }) => metrics.recovery.refusedStreams.add({ reason: String(reason) }),
  'block-damaged': (metrics) => metrics.recovery.damagedBlocks.add({}),
  'block-repaired': (metrics) => metrics.recovery.repairedBlocks.add({}),
  'block-not-repaired': (metrics) => metrics.recovery.unrepairedBlocks.add({}),
  'lease-lost': (metrics) => metrics.control.leasesLost.add({}),
  'registration-refused': (metrics) => metrics.control.registrationsRefused.add({}),
  'control-went-back': (metrics) => metrics.control.wentBack.add({}),
  'map-ahead-of-control': (metrics) => metrics.control.wentBack.add({}),
  'epoch-forgotten': (metrics) => metrics.control.forgottenEpochs.add({}),
  'store-expired': (metrics) => metrics.control.expired.add({}),
  'store-failed': (metrics) => metrics.storage.failures.add({}),
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}

/** A count from an event; 0 for any other value, since details of events are not typed. */
function amountOf(value: unknown): number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : 0
}
