import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectDefaultMetrics } from 'prom-client'
import type { Register } from '../register.ts'

/** The process itself. */
export type ProcessMetrics = ReturnType<typeof processMetrics>

export interface ProcessInfo {
  readonly version: string
  readonly name: string
}

const NANOSECONDS = 1e9
/** Interval of the measuring timer. Each tick wakes the process up; at 10 ms that was a fifth of the cost of an idle node. */
const DELAY_RESOLUTION_MS = 50
/** prom-client's own histogram of the event loop: a duplicate that counts its own interval as delay. */
const SECOND_HISTOGRAM = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (statistic) => `nodejs_eventloop_lag_${statistic}_seconds`,
)
/** Its timer cannot be turned off: one tick a day. */
const NEVER_MS = 24 * 60 * 60 * 1000
/** These end in `_total` without being counters, which Prometheus' own checker calls an error. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/**
 * Figures of the process, beside prom-client's own (`process_*`, `nodejs_*`). `close` ends the measurement of the event
 * loop.
 */
export function processMetrics(register: Register, events: ProcessInfo) {
  collectDefaultMetrics({ register: register.registry, eventLoopMonitoringPrecision: NEVER_MS })
  for (const name of [...MISNAMED, ...SECOND_HISTOGRAM]) register.registry.removeSingleMetric(name)
  const build = register.gauge('ashlar_process_build_info', 'Always 1: versions are in the labels.', [
    'version',
    'node_version',
    'name',
  ])
  build.set({ version: events.version, node_version: process.versions.node, name: events.name }, 1)
  const delay = register.gauge(
    'ashlar_process_event_loop_delay_seconds',
    'Delay of timers since the last exposition: above 0.1 the event loop is blocked, above 0.5 leases are at risk.',
    ['statistic'],
  )
  const histogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  histogram.enable()
  register.onCollect(() => {
    delay.set({ statistic: 'median' }, delaySeconds(histogram.percentile(50)))
    delay.set({ statistic: '99%' }, delaySeconds(histogram.percentile(99)))
    delay.set({ statistic: 'max' }, delaySeconds(histogram.max))
    histogram.reset()
  })
  return {
    events: register.counter('ashlar_process_events_total', 'Events that the machines reported, by name.', [
      'what',
      'level',
    ]),
    suppressedLines: register.counter(
      'ashlar_process_suppressed_log_lines_total',
      'Log lines suppressed because their event was too frequent; the events are still counted.',
      ['what'],
    ),
    insecureListener: register.gauge(
      'ashlar_process_insecure_listener',
      '1 for each listener that is open to the network without TLS and credentials (--insecure).',
      ['option'],
    ),
    close(): void {
      histogram.disable()
    },
  }
}

/** Delay of a tick; the histogram records the time from one tick to the next. */
export function delaySeconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NANOSECONDS - DELAY_RESOLUTION_MS / 1000)
}
