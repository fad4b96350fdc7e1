import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { longest } from '../../kit/deadline.ts'
import { requireNetworks } from './namespaces.ts'
import { runInNetwork } from './run.ts'
import type { SlowLineOptions, SlowLineReport } from './slow-lines.ts'
import { VOLUME_BYTES } from './workload.ts'

const PROGRAM = fileURLToPath(new URL('bin/slow-lines.ts', import.meta.url))
const OPTIONS: SlowLineOptions = {
  // 100 Mbit/s, and a switch that keeps 20 ms of it.
  line: { bytesPerMs: 12_500, queueBytes: 256 * 1024 },
  beforeMs: 3000,
  rebuildMs: 9000,
}

test('a store is rebuilt over lines of 100 Mbit/s under writes: no other node loses its lease, and control its leader', {
  timeout: longest(120_000),
}, async (t) => {
  if (!requireNetworks(t)) return
  const report = await runInNetwork<SlowLineOptions, SlowLineReport>(
    { program: PROGRAM, options: OPTIONS, nodes: 3 },
    ({ leasesLost, becameLeader }) => [leasesLost, becameLeader].flatMap(Object.values).some((count) => count > 0),
    (line) => t.diagnostic(line),
    t.signal,
  )
  const text = JSON.stringify(report)
  t.diagnostic(text)
  assert.deepEqual(new Set(Object.values(report.leasesLost)), new Set([0]), `leases were lost: ${text}`)
  assert.deepEqual(new Set(Object.values(report.becameLeader)), new Set([0]), `control changed its leader: ${text}`)
  // Else nothing was rebuilt, or nothing waited.
  assert.ok(report.copiedBytes >= VOLUME_BYTES / 2, text)
  assert.ok(report.longestMs > 1000, text)
})
