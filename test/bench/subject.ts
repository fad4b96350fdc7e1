import type { Settings } from './jobs.ts'
import type { MeasuredProcess } from './processes.ts'
import type { Coverage } from './upkeep/coverage.ts'

/** What goes on beside one run. */
export interface Beside {
  /** Ends it; rejects when a part of it failed, since the run was then none beside it. */
  end(): Promise<void>
  /** Share of a time of the wall clock, milliseconds, that each part of it was under way. Known once it ended. */
  covered(fromMs: number, toMs: number): Coverage
}

/** A block store that runs and is measured. */
export interface Subject {
  readonly name: 'ashlar' | 'ashlar-scrubbing' | 'ashlar-upkeep' | 'ashlar-other-node' | 'ceph'
  /** Options of fio to reach its device. */
  readonly fio: Settings
  readonly fioEnvironment: Readonly<Record<string, string>>
  /** All processes that serve, as they are now; their CPU and memory count. */
  readonly processes: readonly MeasuredProcess[]
  /** True where the device is that of the subject before: it is filled once. */
  readonly sharesDevice?: boolean
  /** Puts it into the state that it is measured in, before each run. */
  prepare?(): Promise<void>
  /** Begins what is to go on beside a run, once the store is quiet. */
  beginBeside?(): Promise<Beside>
  /** Ends every process and removes what they stored. */
  stop(): Promise<void>
}
