import { createRegister, type Register } from '@ashlar/node/internal'
import { gatewayMetrics } from '../../packages/cli/src/gateway/metrics.ts'
import { ClientMetrics, type MetricRegistry } from '../../packages/client/src/metrics.ts'
import { newClientTransportCounters } from '../../packages/client/src/transport/client-transport.ts'
import { createNodeMetrics } from '../../packages/node/src/observe/metrics/index.ts'
import { code, page, table } from './page.ts'

interface MetricRow {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

export async function metricsPage(): Promise<string> {
  return page('Metrics', [
    'In the format of Prometheus at `/metrics`: of a node at `--api`, of a gateway at its own `--api`. Names and labels are stable. Alerts on them: [alerts.md](alerts.md).',
    '## Node',
    'And the `process_*` and `nodejs_*` metrics of prom-client.',
    metricTable(nodeMetrics()),
    '## Gateway',
    'A gateway has those of the client library too.',
    metricTable(recorded(gatewayMetrics)),
    '## Client library',
    'In the registry that is given to `connect()` as `register`.',
    metricTable(await clientMetrics()),
  ])
}

function metricTable(rows: readonly MetricRow[]): string {
  return table(
    ['Metric', 'Type', 'Labels', 'Meaning'],
    rows.map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(', '), help]),
  )
}

function nodeMetrics(): MetricRow[] {
  return recorded((register) => {
    const { process, scrub, storage, transport } = createNodeMetrics(register, { version: '', name: '' })
    process.close()
    // These are made with what they watch. Nothing is read from that before an exposition, and none is asked for.
    scrub.watch({} as never)
    storage.watch({ metrics: {} } as never)
    transport.watch({} as never)
  })
}

/** What `register` is asked for, in that order. */
function recorded(make: (register: Register) => void): MetricRow[] {
  const rows: MetricRow[] = []
  const real = createRegister()
  make({
    ...real,
    counter(name, help, labels = []) {
      rows.push({ name, type: 'counter', labels, help })
      return real.counter(name, help, labels)
    },
    gauge(name, help, labels = []) {
      rows.push({ name, type: 'gauge', labels, help })
      return real.gauge(name, help, labels)
    },
    histogram(name, help, buckets, labels = []) {
      rows.push({ name, type: 'histogram', labels, help })
      return real.histogram(name, help, buckets, labels)
    },
  })
  return rows
}

/** The library knows no labels before there is a series: one call makes one of each. */
async function clientMetrics(): Promise<MetricRow[]> {
  const metrics = new ClientMetrics()
  metrics.onCall('read', 'OK', 1)
  const named: { get(): Promise<Omit<MetricRow, 'labels'> & { values: readonly { labels: object }[] }> }[] = []
  const registry: MetricRegistry = {
    registerMetric: (metric) => void named.push(metric),
    removeSingleMetric: () => undefined,
  }
  metrics.register(registry, newClientTransportCounters(), clientMetrics)
  return Promise.all(
    named.map(async (metric) => {
      const { name, type, help, values } = await metric.get()
      const labels = new Set(values.flatMap((value) => Object.keys(value.labels)))
      return { name, type, labels: [...labels].filter((label) => label !== 'le'), help }
    }),
  )
}
