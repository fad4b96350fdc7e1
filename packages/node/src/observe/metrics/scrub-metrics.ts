import type { ScrubStatus, ScrubTotals } from '../../storage/scrub/index.ts'
import { mirror, type Register } from '../register.ts'

/** The scrub of a store. */
export type ScrubMetrics = ReturnType<typeof scrubMetrics>

const COUNTERS = {
  blocks: ['ashlar_scrub_blocks_total', 'Blocks that the scrub read and verified.'],
  bytes: ['ashlar_scrub_bytes_total', 'Bytes of data that the scrub read.'],
  damagedBlocks: [
    'ashlar_scrub_damaged_blocks_total',
    'Blocks that the scrub found damaged or missing. Above 0: the disk loses data.',
  ],
  lostLeaves: [
    'ashlar_scrub_lost_leaves_total',
    'Leaves (256 blocks) whose versions on disk did not match their stored digest.',
  ],
  passes: ['ashlar_scrub_passes_total', 'Completed passes over the whole store.'],
} as const satisfies Record<keyof ScrubTotals, readonly [string, string]>

export function scrubMetrics(register: Register) {
  const running = register.gauge(
    'ashlar_scrub_running',
    '1 while a pass runs; 0 while the scrub waits, is paused or off.',
  )
  const position = register.gauge('ashlar_scrub_position_ratio', 'Completed part of the pass, 0 to 1.')
  const lastPass = register.gauge(
    'ashlar_scrub_last_pass_timestamp_seconds',
    'Unix time at which the last pass ended; 0: none did. Older than two weeks: the rate is too low, or the scrub is paused.',
  )
  return {
    /** Exposes a scrub, from now on. One a process: call it once. */
    watch(source: { readonly status: ScrubStatus }): void {
      for (const key of Object.keys(COUNTERS) as (keyof ScrubTotals)[]) {
        const [name, help] = COUNTERS[key]
        mirror(register, name, help, () => source.status.totals[key])
      }
      register.onCollect(() => {
        const { state, last, position: done } = source.status
        running.set({}, state === 'running' ? 1 : 0)
        position.set({}, done)
        lastPass.set({}, (last?.endedAtMs ?? 0) / 1000)
      })
    },
  }
}
