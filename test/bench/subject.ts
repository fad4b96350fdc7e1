import type { Settings } from './jobs.ts'
import type { MeasuredProcess } from './processes.ts'

/** A block store that runs and is measured. */
export interface Subject {
  readonly name: 'ashlar' | 'ceph'
  /** What fio must be told to reach its device. */
  readonly fio: Settings
  readonly fioEnvironment: Readonly<Record<string, string>>
  /** All processes that serve; their CPU and memory count. */
  readonly processes: readonly MeasuredProcess[]
  /** Ends every process and removes what they stored. */
  stop(): Promise<void>
}
