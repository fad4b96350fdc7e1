import { invariant } from '@ashlar/proto'
import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry } from 'prom-client'

/** Values of the labels of one series. */
export type Labels<Name extends string> = Readonly<Record<Name, string>>

/** A number that only rises. */
export interface Counter<Name extends string> {
  /** Adds `by` (default 1, never negative) to the series of these labels. */
  add(labels: Labels<Name>, by?: number): void
}

/** A number that goes up and down. */
export interface Gauge<Name extends string> {
  set(labels: Labels<Name>, value: number): void
  /** Forgets every series: for gauges that are counted anew each time they are asked for. */
  clear(): void
}

/** How often a value fell into which range. Base units: seconds, bytes. */
export interface Histogram<Name extends string> {
  observe(labels: Labels<Name>, value: number): void
}

/**
 * What rooms measure with. One register belongs to one process; two metrics of one name in it are a bug and throw.
 * Series are kept by their labels, so the hot path pays for a lookup and nothing else. Labels are volumes, operations,
 * codes and the like: never clients, blocks or extents, whose number has no bound.
 */
export interface Register {
  counter<Name extends string = never>(name: string, help: string, labels?: readonly Name[]): Counter<Name>
  gauge<Name extends string = never>(name: string, help: string, labels?: readonly Name[]): Gauge<Name>
  histogram<Name extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly Name[],
  ): Histogram<Name>
  /** Calls `measure` before each exposition, so that what is merely read costs nothing in between. */
  onCollect(measure: () => void): void
  /** Forgets the series whose label has this value: a removed volume leaves nothing behind. */
  forget(label: string, value: string): void
  /** The registry underneath, for those who bring metrics of their own. */
  readonly registry: Registry
  readonly contentType: string
  /** The text of the Prometheus exposition. */
  expose(): Promise<string>
}

/** Bounds for latencies that range from a memory hit to a failover, in seconds. */
export const LATENCY_BUCKETS_SECONDS = [
  0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

interface Series {
  set?(value: number): void
  observe?(value: number): void
}

interface PromMetric<Name extends string> {
  labels(labels: Labels<Name>): Series
  remove(labels: Labels<Name>): void
  reset(): void
}

/** Finds the series of labels fast: prom-client hashes and validates labels on each call, which costs more than counting. */
class SeriesTable<Name extends string> {
  private readonly metric: PromMetric<Name>
  private readonly names: readonly Name[]
  private readonly series = new Map<string, { readonly labels: Labels<Name>; readonly series: Series }>()

  constructor(metric: PromMetric<Name>, names: readonly Name[]) {
    this.metric = metric
    this.names = names
  }

  at(labels: Labels<Name>): Series {
    const key = keyOf(this.names, labels)
    const known = this.series.get(key)
    if (known !== undefined) return known.series
    const series = this.metric.labels(labels)
    this.series.set(key, { labels, series })
    return series
  }

  forget(name: string, value: string): void {
    for (const [key, { labels }] of this.series) {
      if (labels[name as Name] !== value) continue
      this.metric.remove(labels)
      this.series.delete(key)
    }
  }

  clear(): void {
    this.metric.reset()
    this.series.clear()
  }
}

/**
 * A counter that is added to for every message. What was added is given to prom-client when somebody looks: its own
 * counters hash their labels each time.
 */
class CountedSeries<Name extends string> {
  private readonly metric: PromCounter<Name>
  private readonly names: readonly Name[]
  private readonly series = new Map<string, { readonly labels: Labels<Name>; waiting: number | undefined }>()

  constructor(
    options: { readonly name: string; readonly help: string; readonly registry: Registry },
    names: readonly Name[],
  ) {
    const { name, help, registry } = options
    this.names = names
    this.metric = new PromCounter({
      name,
      help,
      labelNames: names,
      registers: [registry],
      collect: () => this.handOver(),
    })
  }

  add(labels: Labels<Name>, by: number): void {
    invariant(by >= 0, 'a counter only rises')
    const key = keyOf(this.names, labels)
    const known = this.series.get(key)
    if (known === undefined) this.series.set(key, { labels, waiting: by })
    else known.waiting = (known.waiting ?? 0) + by
  }

  forget(name: string, value: string): void {
    for (const [key, { labels }] of this.series) {
      if (labels[name as Name] !== value) continue
      this.metric.remove(labels)
      this.series.delete(key)
    }
  }

  private handOver(): void {
    for (const series of this.series.values()) {
      if (series.waiting !== undefined) this.metric.inc(series.labels, series.waiting)
      series.waiting = undefined
    }
  }
}

function keyOf<Name extends string>(names: readonly Name[], labels: Labels<Name>): string {
  if (names.length === 1) return labels[names[0] as Name]
  return names.map((name) => labels[name]).join('\0')
}

/** A register of its own, empty. */
export function createRegister(): Register {
  const registry = new Registry()
  const registers = [registry]
  const tables: { forget(name: string, value: string): void }[] = []
  const measures: (() => void)[] = []
  const table = <Name extends string>(metric: unknown, names: readonly Name[]): SeriesTable<Name> => {
    const made = new SeriesTable(metric as PromMetric<Name>, names)
    tables.push(made)
    return made
  }
  return {
    registry,
    contentType: registry.contentType,
    counter<Name extends string>(name: string, help: string, labels: readonly Name[] = []) {
      const series = new CountedSeries({ name, help, registry }, labels)
      tables.push(series)
      return { add: (of: Labels<Name>, by = 1) => series.add(of, by) }
    },
    gauge<Name extends string>(name: string, help: string, labels: readonly Name[] = []) {
      const series = table(new PromGauge({ name, help, labelNames: labels, registers }), labels)
      return { set: (of: Labels<Name>, value: number) => series.at(of).set?.(value), clear: () => series.clear() }
    },
    histogram<Name extends string>(
      name: string,
      help: string,
      buckets: readonly number[],
      labels: readonly Name[] = [],
    ) {
      const options = { name, help, labelNames: labels, registers, buckets: [...buckets] }
      const series = table(new PromHistogram(options), labels)
      return { observe: (of: Labels<Name>, value: number) => series.at(of).observe?.(value) }
    },
    onCollect: (measure) => measures.push(measure),
    forget(label, value) {
      for (const known of tables) known.forget(label, value)
    },
    async expose() {
      for (const measure of measures) measure()
      return await registry.metrics()
    },
  }
}

/** A counter that follows a number kept elsewhere, which only rises. */
export function mirror(register: Register, name: string, help: string, read: () => number): void {
  const counter = register.counter(name, help)
  let seen = 0
  counter.add({}, 0)
  register.onCollect(() => {
    const value = read()
    if (value > seen) counter.add({}, value - seen)
    seen = Math.max(seen, value)
  })
}
