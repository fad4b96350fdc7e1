/** How slow a disk is, and how often it errs by itself. */
export interface DiskFaults {
  /** A sync without bad luck takes up to this, milliseconds. */
  readonly syncMs: number
  readonly tailPerSync: number
  readonly tailMs: number
  /** Batches that a store lets be in flight at once; the shipped one has 1. */
  readonly batchesInFlight: number
  readonly errorPerBatch: number
  /** Reads see what was handed over until they are answered, not only until they were asked for. */
  readonly lateReads: boolean
  /** Reads that take up to `slowReadMs`. Absent: none. */
  readonly slowPerRead?: number
  readonly slowReadMs?: number
}
