import type { Settings } from './jobs.ts'
import type { MeasuredProcess } from './processes.ts'

/** A block store that runs and is measured. */
export interface Subject {
  readonly name: 'ashlar' | 'ashlar-scrubbing' | 'ashlar-other-node' | 'ceph'
  /** What fio must be told to reach its device. */
  readonly fio: Settings
  readonly fioEnvironment: Readonly<Record<string, string>>
  /** All processes that serve; their CPU and memory count. */
  readonly processes: readonly MeasuredProcess[]
  /** True where the device is that of the subject before: it is filled once. */
  readonly sharesDevice?: boolean
  /** Puts it into the state that it is measured in, before each run. */
  prepare?(): Promise<void>
  /** Ends every process and removes what they stored. */
  stop(): Promise<void>
}
