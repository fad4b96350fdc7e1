import type { ErrorCode } from '@ashlar/proto'
import { usageError } from './errors.ts'
import type { ClientTransportCounters } from './transport/client-transport.ts'

/** One line of a metric, as prom-client's registry prints it. */
interface MetricValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** When it differs from the metric's name (parts of a histogram). */
  readonly metricName?: string
}

interface MetricSnapshot {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'histogram'
  readonly aggregator: 'sum'
  readonly values: readonly MetricValue[]
}

/** What a registry of prom-client asks of a metric when it prints it. */
interface RegisteredMetric {
  readonly name: string
  get(): Promise<MetricSnapshot>
}

/**
 * The part of prom-client's Registry that the library uses; it has no dependency on that package. The parameter is
 * `never` so that the Registry fits, whose type asks for prom-client's own classes where it calls `name` and `get`
 * only.
 */
export interface MetricRegistry {
  registerMetric(metric: never): void
  removeSingleMetric(name: string): void
}

/** Upper bounds of the latency histogram, seconds. */
const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

interface Histogram {
  /** Calls at or below each bound and above the one before it; the last one counts what is above every bound. */
  readonly counts: number[]
  sumSeconds: number
}

/** Metrics of one client: calls by kind and outcome, their latency, and faults of its connections. */
export class ClientMetrics {
  readonly #calls: Map<string, number> = new Map()
  readonly #seconds: Map<string, Histogram> = new Map()
  /** Names that a registry knows. */
  readonly #registered: string[] = []

  /** A call was settled; `code` is OK or the code of its error. */
  onCall(call: string, code: ErrorCode, tookMs: number): void {
    const key = `${call} ${code}`
    this.#calls.set(key, (this.#calls.get(key) ?? 0) + 1)
    let histogram = this.#seconds.get(call)
    if (histogram === undefined) {
      histogram = { counts: new Array<number>(BUCKETS_SECONDS.length + 1).fill(0), sumSeconds: 0 }
      this.#seconds.set(call, histogram)
    }
    const seconds = tookMs / 1000
    const above = BUCKETS_SECONDS.findIndex((bound) => seconds <= bound)
    const bucket = above === -1 ? BUCKETS_SECONDS.length : above
    histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1
    histogram.sumSeconds += seconds
  }

  /**
   * Names the client's metrics to a registry. One registry takes one client at a time: names are unique in it (USAGE).
   */
  register(registry: MetricRegistry, transport: ClientTransportCounters, entry: (...args: never[]) => unknown): void {
    const add = (metric: RegisteredMetric): void => {
      try {
        registry.registerMetric(metric as never)
      } catch (error) {
        this.unregister(registry)
        throw usageError(
          `register does not take ${metric.name}: ${error instanceof Error ? error.message : String(error)}`,
          'Give every client a registry of its own, or close the client that the registry has.',
          entry,
        )
      }
      this.#registered.push(metric.name)
    }
    const counter = (name: string, help: string, values: () => readonly MetricValue[]): void =>
      add({ name, get: async () => ({ name, help, type: 'counter', aggregator: 'sum', values: values() }) })
    const plain = (value: number): readonly MetricValue[] => [{ value, labels: {} }]
    counter('ashlar_client_calls_total', 'Calls by kind and outcome', () => this.#callValues())
    counter('ashlar_client_bad_frames_total', 'Frames that were invalid or did not match their checksums', () =>
      plain(transport.badFrames),
    )
    counter('ashlar_client_unencodable_messages_total', 'Connections closed by a message that broke a limit', () =>
      plain(transport.unencodableMessages),
    )
    counter('ashlar_client_failed_dials_total', 'Attempts to connect that failed', () => plain(transport.failedDials))
    counter('ashlar_client_sent_bytes_total', 'Bytes sent to nodes', () => plain(transport.sentBytes))
    counter('ashlar_client_received_bytes_total', 'Bytes received from nodes', () => plain(transport.receivedBytes))
    const name = 'ashlar_client_call_seconds'
    const help = 'Time from a call to its outcome'
    add({
      name,
      get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: this.#secondsValues(name) }),
    })
  }

  /** Removes the client's metrics from the registry, so that it can take another client. */
  unregister(registry: MetricRegistry): void {
    for (const name of this.#registered.splice(0)) registry.removeSingleMetric(name)
  }

  #callValues(): MetricValue[] {
    return [...this.#calls].map(([key, value]) => {
      const [call = '', code = ''] = key.split(' ')
      return { value, labels: { call, code } }
    })
  }

  #secondsValues(name: string): MetricValue[] {
    const values: MetricValue[] = []
    for (const [call, { counts, sumSeconds }] of this.#seconds) {
      let total = 0
      for (const [index, count] of counts.entries()) {
        total += count
        const le = BUCKETS_SECONDS[index] ?? '+Inf'
        values.push({ metricName: `${name}_bucket`, value: total, labels: { call, le } })
      }
      values.push({ metricName: `${name}_sum`, value: sumSeconds, labels: { call } })
      values.push({ metricName: `${name}_count`, value: total, labels: { call } })
    }
    return values
  }
}
