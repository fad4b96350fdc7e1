import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longest } from '../../kit/deadline.ts'
import { LINK_FAULTS, PROCESS_FAULTS } from './faults.ts'
import { requireNetworks } from './namespaces.ts'
import { describeReport } from './options.ts'
import { runNetwork } from './run.ts'

/** One seed for each run; ASHLAR_NET_SEED replays one. */
const SEED = Number(process.env['ASHLAR_NET_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const FAULTS_MS = 36_000
const LONGEST_FAULT_MS = 8000

for (const nodes of [3, 5]) {
  test(`${nodes} nodes behind bad links, killed and stopped: every read and the final content is explained, and replicas are equal`, {
    timeout: longest(400_000),
  }, async (t) => {
    if (!requireNetworks(t)) return
    t.diagnostic(`seed ${SEED}: ASHLAR_NET_SEED=${SEED} replays it`)
    const report = await runNetwork(
      {
        seed: SEED,
        nodes,
        voters: undefined,
        durationMs: 0,
        chapterMs: FAULTS_MS,
        longestFaultMs: LONGEST_FAULT_MS,
        quiet: false,
      },
      (line) => t.diagnostic(line),
    )
    const text = describeReport(report)
    t.diagnostic(text)
    assert.deepEqual(report.violations, [], text)
    assert.ok(report.calls.done > 300, `only ${report.calls.done} calls were done`)
    const kinds = [...LINK_FAULTS, ...PROCESS_FAULTS].filter(({ name }) => (report.faults[name] ?? 0) > 0)
    assert.ok(kinds.length >= 8, `only ${kinds.length} kinds of faults were there: ${text}`)
    assert.ok((report.packets['cut'] ?? 0) > 0 || (report.packets['lost'] ?? 0) > 0, text)
  })
}
