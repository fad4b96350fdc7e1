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
  /** Forgets every series: for gauges that are recomputed at each exposition. */
  clear(): void
}

/** How often a value fell into which range. Base units: seconds, bytes. */
export interface Histogram<Name extends string> {
  observe(labels: Labels<Name>, value: number): void
}

/**
 * Where modules register their metrics. One register belongs to one process; two metrics of one name in it are a bug and throw.
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
  /** Calls `measure` before each exposition, so that values that are only read cost nothing in between. */
  onCollect(measure: () => void): void
  /** Forgets the series whose label has this value: a removed volume leaves nothing behind. */
  forget(label: string, value: string): void
  /** The registry underneath, for libraries with metrics of their own. */
  readonly registry: Registry
  readonly contentType: string
  /** The text of the Prometheus exposition. */
  expose(): Promise<string>
}

/** Bounds for latencies that range from a memory hit to a failover, in seconds. */
export const LATENCY_BUCKETS_SECONDS = [
  0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

/** Finds the series of labels fast: prom-client hashes and validates labels on each call, which costs more than counting. */
class SeriesTable<Name extends string, Series> {
  private readonly names: readonly Name[]
  private readonly make: (labels: Labels<Name>) => Series
  private readonly remove: (labels: Labels<Name>) => void
  private readonly series = new Map<string, { readonly labels: Labels<Name>; readonly series: Series }>()

  constructor(names: readonly Name[], make: (labels: Labels<Name>) => Series, remove: (labels: Labels<Name>) => void) {
    this.names = names
    this.make = make
    this.remove = remove
  }

  at(labels: Labels<Name>): Series {
    const key = this.keyOf(labels)
    const known = this.series.get(key)
    if (known !== undefined) return known.series
    const series = this.make(labels)
    this.series.set(key, { labels, series })
    return series
  }

  *all(): Iterable<Series> {
    for (const { series } of this.series.values()) yield series
  }

  forget(name: string, value: string): void {
    for (const [key, { labels }] of this.series) {
      if (labels[name as Name] !== value) continue
      this.remove(labels)
      this.series.delete(key)
    }
  }

  clear(): void {
    this.series.clear()
  }

  private keyOf(labels: Labels<Name>): string {
    if (this.names.length === 1) return labels[this.names[0] as Name]
    return this.names.map((name) => labels[name]).join('\0')
  }
}

/** A register of its own, empty. */
export function createRegister(): Register {
  const registry = new Registry()
  const registers = [registry]
  const tables: { forget(name: string, value: string): void }[] = []
  const measures: (() => void)[] = []
  const table = <Name extends string, Series>(
    metric: { remove(labels: Labels<Name>): void },
    names: readonly Name[],
    make: (labels: Labels<Name>) => Series,
  ): SeriesTable<Name, Series> => {
    const made = new SeriesTable(names, make, (labels) => metric.remove(labels))
    tables.push(made)
    return made
  }
  return {
    registry,
    contentType: registry.contentType,
    counter<Name extends string>(name: string, help: string, labels: readonly Name[] = []) {
      // Incremented for every message: prom-client hashes labels at each call, so it is updated at exposition only.
      const collect = (): void => {
        for (const counted of series.all()) {
          if (counted.waiting !== undefined) metric.inc(counted.labels, counted.waiting)
          counted.waiting = undefined
        }
      }
      const metric = new PromCounter({ name, help, labelNames: labels, registers, collect })
      const series = table(metric, labels, (of): { labels: Labels<Name>; waiting?: number | undefined } => ({
        labels: of,
      }))
      return {
        add(of: Labels<Name>, by = 1) {
          invariant(by >= 0, 'a counter only rises')
          const counted = series.at(of)
          counted.waiting = (counted.waiting ?? 0) + by
        },
      }
    },
    gauge<Name extends string>(name: string, help: string, labels: readonly Name[] = []) {
      const metric = new PromGauge({ name, help, labelNames: labels, registers })
      const series = table(metric, labels, (of) => metric.labels(of))
      return {
        set: (of: Labels<Name>, value: number) => series.at(of).set(value),
        clear() {
          metric.reset()
          series.clear()
        },
      }
    },
    histogram<Name extends string>(
      name: string,
      help: string,
      buckets: readonly number[],
      labels: readonly Name[] = [],
    ) {
      const metric = new PromHistogram({ name, help, labelNames: labels, registers, buckets: [...buckets] })
      const series = table(metric, labels, (of) => metric.labels(of))
      return { observe: (of: Labels<Name>, value: number) => series.at(of).observe(value) }
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
