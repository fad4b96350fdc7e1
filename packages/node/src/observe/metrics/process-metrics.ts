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
/** How often a timer is looked at. Each look wakes a node up, which with 10 ms was a fifth of what an idle one costs. */
const DELAY_RESOLUTION_MS = 50
/** prom-client's own histogram of the event loop: the same again, with what is between two looks counted as delay. */
const SECOND_HISTOGRAM = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (statistic) => `nodejs_eventloop_lag_${statistic}_seconds`,
)
/** Its looks cannot be left out: one a day. */
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
    'How late timers were since the last exposition: above 0.1 something blocks the process, above 0.5 leases are at risk.',
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
      'Log lines left out because the same event came too often; the events are counted all the same.',
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

/** How late a look was; the histogram records the time from one look to the next. */
export function delaySeconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NANOSECONDS - DELAY_RESOLUTION_MS / 1000)
}
