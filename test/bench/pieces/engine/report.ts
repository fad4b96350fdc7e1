import { MIB } from '@ashlar/proto'
import { layOutTable, whole } from '../../report.ts'
import type { EngineResult } from './result.ts'

const HEADER = ['ENGINE', 'WRITES/s', 'CPU us', 'BATCH us', 'WRITTEN', 'READS/s', 'CPU us', 'ANON MiB']

/** One line for each variant; WRITTEN is bytes written to files for each byte of blocks. */
export function engineTable(results: readonly EngineResult[]): string {
  const rows = results.map((result) => [
    ...[result.name, whole(result.writesPerSecond), result.writeCpuUs.toFixed(1), whole(result.batchUs)],
    ...[result.amplification.toFixed(1), whole(result.readsPerSecond), result.readCpuUs.toFixed(1)],
    whole(result.anonymousBytes / MIB),
  ])
  return layOutTable(HEADER, rows)
}
