/** Log and metrics of a node. */
export { createLog, type LogOptions } from './logger.ts'
export type { NodeMetrics, StorageSource } from './metrics/index.ts'
export { Observer, type ObserverOptions } from './observer.ts'
export {
  type Counter,
  createRegister,
  type Gauge,
  type Histogram,
  LATENCY_BUCKETS_SECONDS,
  type Labels,
  type Register,
} from './register.ts'
